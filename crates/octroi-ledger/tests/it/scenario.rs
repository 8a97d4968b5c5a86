//! What the books promise, one case at a time, in numbers written by hand.

use std::time::Duration;

use octroi_ledger::{
    Account, Action, Books, Corruption, Effects, Intent, LINKED_MAX, LedgerError, MemoryBooks,
    NewTransfer, Outcome, Part, Record, Refusal, Refused, Resolution, Subject, TransferKind,
    decide,
};
use octroi_types::{Amount, TransferId, UnixMicros};

use crate::workload::{account_id, accounts, amount, cause, transfer_id};

/// At home: two accounts without limit, two that must not be overdrawn, one that must not take
/// more than it gave.
const BANK: usize = 0;
const SHOP: usize = 1;
const PAYER: usize = 2;
const RAIL: usize = 4;

const SECOND: Duration = Duration::from_secs(1);

struct World {
    books: MemoryBooks,
    now: UnixMicros,
}

impl World {
    /// The payer has 100.
    fn new() -> Self {
        let mut world = Self {
            books: MemoryBooks::default(),
            now: UnixMicros(0),
        };
        let transfers = vec![transfer(0, post(BANK, PAYER, 100))];
        assert_eq!(
            world.submit(&Intent {
                accounts: accounts(),
                transfers
            }),
            Outcome::Applied
        );
        world
    }

    fn submit(&mut self, intent: &Intent) -> Outcome {
        let decision = decide(&self.books, intent, self.now).unwrap();
        self.books.apply(&decision.effects);
        decision.outcome
    }

    fn run(&mut self, transfers: &[NewTransfer]) -> Outcome {
        self.submit(&Intent {
            accounts: Vec::new(),
            transfers: transfers.to_vec(),
        })
    }

    fn account(&self, index: usize) -> Account {
        self.books.account(account_id(index)).unwrap().unwrap()
    }

    /// Posted and pending debits, then posted and pending credits.
    fn sums(&self, index: usize) -> [u64; 4] {
        let Account {
            debits, credits, ..
        } = self.account(index);
        [
            debits.posted,
            debits.pending,
            credits.posted,
            credits.pending,
        ]
        .map(Amount::units)
    }
}

fn transfer(number: usize, action: Action) -> NewTransfer {
    NewTransfer {
        id: transfer_id(number),
        action,
        cause: cause(0),
    }
}

fn post(debit: usize, credit: usize, units: u64) -> Action {
    Action::Post {
        debit: account_id(debit),
        credit: account_id(credit),
        amount: amount(units),
    }
}

fn hold(debit: usize, credit: usize, units: u64) -> Action {
    let (debit, credit) = (account_id(debit), account_id(credit));
    Action::Hold {
        debit,
        credit,
        amount: amount(units),
        timeout: SECOND,
    }
}

fn capture(number: usize, units: u64) -> Action {
    Action::Capture {
        hold: transfer_id(number),
        amount: amount(units),
    }
}

fn void(number: usize) -> Action {
    Action::Void {
        hold: transfer_id(number),
    }
}

fn expire(number: usize) -> Action {
    Action::Expire {
        hold: transfer_id(number),
    }
}

fn refused(number: usize, refusal: Refusal) -> Outcome {
    Outcome::Refused(Refused {
        part: Part::Transfer(transfer_id(number)),
        refusal,
    })
}

#[test]
fn a_hold_is_captured_in_part_and_the_rest_returns() {
    let mut world = World::new();
    assert_eq!(
        world.run(&[transfer(1, hold(PAYER, SHOP, 60))]),
        Outcome::Applied
    );
    assert_eq!(world.sums(PAYER), [0, 60, 100, 0]);
    assert_eq!(world.sums(SHOP), [0, 0, 0, 60]);
    assert_eq!(world.account(PAYER).available(), Some(amount(40)));

    assert_eq!(world.run(&[transfer(2, capture(1, 25))]), Outcome::Applied);
    assert_eq!(world.sums(PAYER), [25, 0, 100, 0]);
    assert_eq!(world.sums(SHOP), [0, 0, 25, 0]);
    assert_eq!(world.account(PAYER).available(), Some(amount(75)));
    assert_eq!(world.account(PAYER).version, 3);

    let again = refused(3, Refusal::HoldAlreadyCaptured);
    assert_eq!(world.run(&[transfer(3, capture(1, 25))]), again);
    assert_eq!(
        world.run(&[transfer(4, void(1))]),
        refused(4, Refusal::HoldAlreadyCaptured)
    );
}

#[test]
fn a_capture_of_nothing_ends_the_hold_and_moves_nothing() {
    let mut world = World::new();
    world.run(&[transfer(1, hold(PAYER, SHOP, 60))]);
    assert_eq!(world.run(&[transfer(2, capture(1, 0))]), Outcome::Applied);
    assert_eq!(world.sums(PAYER), [0, 0, 100, 0]);
    let resolution = world.books.resolution(transfer_id(1)).unwrap();
    assert_eq!(resolution, Some(Resolution::Captured));
}

#[test]
fn a_capture_never_exceeds_its_hold_and_a_failed_one_leaves_it_open() {
    let mut world = World::new();
    world.run(&[transfer(1, hold(PAYER, SHOP, 60))]);
    assert_eq!(
        world.run(&[transfer(2, capture(1, 61))]),
        refused(2, Refusal::ExceedsHold)
    );
    assert_eq!(world.sums(PAYER), [0, 60, 100, 0]);
    assert_eq!(world.run(&[transfer(3, capture(1, 60))]), Outcome::Applied);
    assert_eq!(world.sums(PAYER), [60, 0, 100, 0]);
}

#[test]
fn a_hold_runs_out_at_its_moment_and_returns_when_it_is_expired() {
    let mut world = World::new();
    world.run(&[transfer(1, hold(PAYER, SHOP, 60))]);
    world.now = UnixMicros(999_999);
    assert_eq!(
        world.run(&[transfer(2, expire(1))]),
        refused(2, Refusal::HoldNotDue)
    );

    world.now = UnixMicros(1_000_000);
    assert_eq!(
        world.run(&[transfer(3, capture(1, 1))]),
        refused(3, Refusal::HoldExpired)
    );
    assert_eq!(
        world.run(&[transfer(4, void(1))]),
        refused(4, Refusal::HoldExpired)
    );
    assert_eq!(
        world.sums(PAYER),
        [0, 60, 100, 0],
        "it counts until it is expired"
    );
    // The id that asked too early works now.
    assert_eq!(world.run(&[transfer(2, expire(1))]), Outcome::Applied);
    assert_eq!(world.sums(PAYER), [0, 0, 100, 0]);
    assert_eq!(
        world.run(&[transfer(5, expire(1))]),
        refused(5, Refusal::HoldExpired)
    );
}

#[test]
fn work_of_a_hold_that_ran_out_is_still_charged_in_one_intent() {
    let mut world = World::new();
    world.run(&[transfer(1, hold(PAYER, SHOP, 100))]);
    world.now = UnixMicros(5_000_000);
    let charge = [transfer(2, expire(1)), transfer(3, post(PAYER, SHOP, 100))];
    assert_eq!(world.run(&charge), Outcome::Applied);
    assert_eq!(world.sums(PAYER), [100, 0, 100, 0]);
}

#[test]
fn a_hold_is_renewed_without_a_gap() {
    let mut world = World::new();
    world.run(&[transfer(1, hold(PAYER, SHOP, 100))]);
    world.now = UnixMicros(500_000);
    let renewal = [transfer(2, void(1)), transfer(3, hold(PAYER, SHOP, 100))];
    assert_eq!(world.run(&renewal), Outcome::Applied);
    assert_eq!(world.sums(PAYER), [0, 100, 100, 0]);
    world.now = UnixMicros(1_400_000);
    assert_eq!(world.run(&[transfer(4, capture(3, 100))]), Outcome::Applied);
}

#[test]
fn limits_count_holds_as_taken_and_incoming_holds_as_nothing() {
    let mut world = World::new();
    world.run(&[transfer(1, hold(PAYER, SHOP, 60))]);
    let over = refused(2, Refusal::ExceedsCredits);
    assert_eq!(world.run(&[transfer(2, post(PAYER, SHOP, 41))]), over);
    assert_eq!(
        world.run(&[transfer(3, hold(BANK, PAYER, 500))]),
        Outcome::Applied
    );
    let over = refused(4, Refusal::ExceedsCredits);
    assert_eq!(world.run(&[transfer(4, hold(PAYER, SHOP, 41))]), over);
    assert_eq!(
        world.run(&[transfer(5, post(PAYER, SHOP, 40))]),
        Outcome::Applied
    );
    assert_eq!(world.account(PAYER).available(), Some(Amount::ZERO));

    // The other direction: a rail gives out what came in.
    let over = refused(6, Refusal::ExceedsDebits);
    assert_eq!(world.run(&[transfer(6, post(SHOP, RAIL, 1))]), over);
    assert_eq!(
        world.run(&[transfer(7, post(RAIL, SHOP, 5))]),
        Outcome::Applied
    );
    assert_eq!(
        world.run(&[transfer(8, post(SHOP, RAIL, 5))]),
        Outcome::Applied
    );
}

#[test]
fn sums_that_cannot_be_counted_are_refused_even_on_hold() {
    let mut world = World::new();
    let most = Amount::MAX.units() - 100;
    assert_eq!(
        world.run(&[transfer(1, hold(BANK, SHOP, most))]),
        Outcome::Applied
    );
    let over = refused(2, Refusal::OverflowsDebits);
    assert_eq!(world.run(&[transfer(2, post(BANK, PAYER, 1))]), over);
    let over = refused(3, Refusal::OverflowsCredits);
    assert_eq!(world.run(&[transfer(3, post(PAYER, SHOP, 101))]), over);
    // What was promised can be kept.
    assert_eq!(
        world.run(&[transfer(4, capture(1, most))]),
        Outcome::Applied
    );
    assert_eq!(world.sums(BANK), [Amount::MAX.units(), 0, 0, 0]);
}

#[test]
fn the_same_id_is_the_same_transfer_or_refused() {
    let mut world = World::new();
    let first = transfer(1, hold(PAYER, SHOP, 10));
    assert_eq!(world.run(&[first]), Outcome::Applied);
    // A retry comes later, and repeats the duration, not the moment.
    world.now = UnixMicros(10);
    assert_eq!(world.run(&[first]), Outcome::Exists);
    let with = |action| NewTransfer { action, ..first };
    let longer = Action::Hold {
        debit: account_id(PAYER),
        credit: account_id(SHOP),
        amount: amount(10),
        timeout: SECOND * 2,
    };
    for (other, refusal) in [
        (
            with(post(PAYER, SHOP, 10)),
            Refusal::ExistsWithDifferentKind,
        ),
        (
            with(hold(BANK, SHOP, 10)),
            Refusal::ExistsWithDifferentDebitAccount,
        ),
        (
            with(hold(PAYER, BANK, 10)),
            Refusal::ExistsWithDifferentCreditAccount,
        ),
        (
            with(hold(PAYER, SHOP, 11)),
            Refusal::ExistsWithDifferentAmount,
        ),
        (with(longer), Refusal::ExistsWithDifferentTimeout),
        (
            NewTransfer {
                cause: cause(1),
                ..first
            },
            Refusal::ExistsWithDifferentCause,
        ),
    ] {
        assert_eq!(world.run(&[other]), refused(1, refusal));
    }
    world.run(&[transfer(2, hold(PAYER, SHOP, 10)), transfer(3, void(1))]);
    assert_eq!(
        world.run(&[transfer(3, void(2))]),
        refused(3, Refusal::ExistsWithDifferentHold)
    );
    assert_eq!(
        world.run(&[first]),
        Outcome::Exists,
        "a resolved hold still exists"
    );
}

#[test]
fn an_id_that_failed_stays_failed() {
    let mut world = World::new();
    let too_much = transfer(1, post(PAYER, SHOP, 150));
    assert_eq!(world.run(&[too_much]), refused(1, Refusal::ExceedsCredits));
    let record = world.books.record(transfer_id(1)).unwrap();
    let Some(Record::Failed(failure)) = record else {
        panic!("not recorded: {record:?}")
    };
    assert_eq!(failure.refusal, Refusal::ExceedsCredits);

    world.run(&[transfer(2, post(BANK, PAYER, 1000))]);
    assert_eq!(world.run(&[too_much]), refused(1, Refusal::IdAlreadyFailed));
    let other = NewTransfer {
        id: transfer_id(3),
        ..too_much
    };
    assert_eq!(world.run(&[other]), Outcome::Applied);
    // A hold that failed cannot be captured.
    assert_eq!(
        world.run(&[transfer(4, capture(1, 1))]),
        refused(4, Refusal::HoldNotFound)
    );
}

#[test]
fn what_the_request_alone_decides_uses_no_id_up() {
    let mut world = World::new();
    let no_time = Action::Hold {
        debit: account_id(PAYER),
        credit: account_id(SHOP),
        amount: amount(1),
        timeout: Duration::from_nanos(999),
    };
    for (action, refusal) in [
        (post(PAYER, SHOP, 0), Refusal::AmountZero),
        (hold(PAYER, SHOP, 0), Refusal::AmountZero),
        (post(PAYER, PAYER, 1), Refusal::AccountsEqual),
        (no_time, Refusal::TimeoutZero),
    ] {
        assert_eq!(world.run(&[transfer(1, action)]), refused(1, refusal));
    }
    let twice = [transfer(1, post(PAYER, SHOP, 1)); 2];
    assert_eq!(world.run(&twice), refused(1, Refusal::IdRepeated));
    let too_long = vec![transfer(1, post(PAYER, SHOP, 1)); LINKED_MAX + 1];
    let whole = Refused {
        part: Part::Intent,
        refusal: Refusal::IntentTooLong,
    };
    assert_eq!(world.run(&too_long), Outcome::Refused(whole));
    assert_eq!(
        world.run(&[transfer(1, post(PAYER, SHOP, 1))]),
        Outcome::Applied
    );
}

#[test]
fn linked_transfers_happen_together_or_not_at_all() {
    let mut world = World::new();
    let before = world.books.clone();
    let linked = [
        transfer(1, post(PAYER, SHOP, 70)),
        transfer(2, post(PAYER, SHOP, 40)),
        transfer(3, post(BANK, PAYER, 40)),
    ];
    assert_eq!(world.run(&linked), refused(2, Refusal::ExceedsCredits));
    assert_eq!(
        world.account(PAYER),
        before.account(account_id(PAYER)).unwrap().unwrap()
    );
    assert_eq!(world.books.record(transfer_id(1)).unwrap(), None);
    // The chain stays failed through the one that failed.
    world.run(&[transfer(9, post(BANK, PAYER, 1000))]);
    assert_eq!(world.run(&linked), refused(2, Refusal::IdAlreadyFailed));

    // Later transfers see earlier ones.
    let linked = [
        transfer(4, post(BANK, PAYER, 5)),
        transfer(5, hold(PAYER, SHOP, 1105)),
        transfer(6, capture(5, 1000)),
    ];
    assert_eq!(world.run(&linked), Outcome::Applied);
    assert_eq!(world.sums(PAYER), [1000, 0, 1105, 0]);
    assert_eq!(world.run(&linked), Outcome::Exists);
    // Neither new nor a retry.
    let mixed = [
        transfer(7, post(BANK, PAYER, 1)),
        transfer(4, post(BANK, PAYER, 5)),
    ];
    assert_eq!(world.run(&mixed), refused(4, Refusal::LinkedTransferExists));
}

#[test]
fn money_never_leaves_its_ledger() {
    let mut world = World::new();
    let (tenant, mode, asset) = (6, 7, 8);
    for (number, other, refusal) in [
        (1, tenant, Refusal::TenantsDiffer),
        (2, mode, Refusal::ModesDiffer),
        (3, asset, Refusal::AssetsDiffer),
    ] {
        assert_eq!(
            world.run(&[transfer(number, post(BANK, other, 1))]),
            refused(number, refusal)
        );
        let number = number + 10;
        assert_eq!(
            world.run(&[transfer(number, hold(other, BANK, 1))]),
            refused(number, refusal)
        );
    }
    let missing = refused(4, Refusal::DebitAccountNotFound);
    assert_eq!(world.run(&[transfer(4, post(50, BANK, 1))]), missing);
    let missing = refused(5, Refusal::CreditAccountNotFound);
    assert_eq!(world.run(&[transfer(5, post(BANK, 50, 1))]), missing);
}

#[test]
fn accounts_open_once_and_never_under_other_terms() {
    let mut world = World::new();
    let same = Intent {
        accounts: accounts(),
        transfers: Vec::new(),
    };
    assert_eq!(world.submit(&same), Outcome::Exists);

    let mut changed = accounts()[PAYER];
    changed.limit = octroi_ledger::AccountLimit::None;
    let spend = vec![transfer(1, post(PAYER, SHOP, 500))];
    let intent = Intent {
        accounts: vec![changed],
        transfers: spend,
    };
    let part = Part::Account(changed.id);
    let refusal = Refusal::AccountExistsWithDifferentLimit;
    assert_eq!(
        world.submit(&intent),
        Outcome::Refused(Refused { part, refusal })
    );

    // A refused intent opens nothing.
    let mut books = MemoryBooks::default();
    let first = Intent {
        accounts: accounts(),
        transfers: vec![transfer(1, post(PAYER, SHOP, 1))],
    };
    let decision = decide(&books, &first, UnixMicros(0)).unwrap();
    assert_eq!(decision.outcome, refused(1, Refusal::ExceedsCredits));
    books.apply(&decision.effects);
    assert_eq!(books.accounts().count(), 0);
}

#[test]
fn books_that_contradict_themselves_are_an_error() {
    let world = World::new();
    let held = Intent {
        accounts: Vec::new(),
        transfers: vec![transfer(1, hold(PAYER, SHOP, 60))],
    };
    let effects = decide(&world.books, &held, UnixMicros(0)).unwrap().effects;
    let mut transfers_only = world.books.clone();
    transfers_only.apply(&Effects {
        accounts: Vec::new(),
        ..effects.clone()
    });
    let mut no_accounts = MemoryBooks::default();
    no_accounts.apply(&Effects {
        accounts: Vec::new(),
        ..effects
    });

    let capture = Intent {
        accounts: Vec::new(),
        transfers: vec![transfer(2, capture(1, 60))],
    };
    let decided = decide(&transfers_only, &capture, UnixMicros(1));
    let not_counted = Corruption::HoldNotCounted(transfer_id(1));
    assert!(matches!(decided, Err(LedgerError::Corrupt(found)) if found == not_counted));
    let decided = decide(&no_accounts, &capture, UnixMicros(1));
    let no_account = Corruption::HoldWithoutAccount(transfer_id(1));
    assert!(matches!(decided, Err(LedgerError::Corrupt(found)) if found == no_account));
}

#[test]
fn stored_forms_round_trip() {
    let id = TransferId::from_bytes([9; 16]);
    let kinds = [
        TransferKind::Post,
        TransferKind::Hold {
            expires_at: UnixMicros(7),
        },
        TransferKind::Capture { hold: id },
        TransferKind::Void { hold: id },
        TransferKind::Expire { hold: id },
    ];
    for kind in kinds {
        let read = TransferKind::from_columns(kind.code(), kind.hold(), kind.expires_at());
        assert_eq!(read, Some(kind));
    }
    assert_eq!(TransferKind::from_columns(1, Some(id), None), None);
    assert_eq!(TransferKind::from_columns(2, None, None), None);
    assert_eq!(TransferKind::from_columns(6, None, None), None);
    for code in 0..=7 {
        let subject = Subject::from_columns(code, [3; 16]);
        assert_eq!(
            subject.map(|subject| subject.columns()),
            (1..=6).contains(&code).then_some((code, [3; 16]))
        );
    }
    let mut words = std::collections::HashSet::new();
    for refusal in Refusal::ALL {
        assert_eq!(Refusal::from_code(refusal.code()), Some(*refusal));
        assert!(words.insert(refusal.as_str()));
    }
    assert_eq!(Refusal::from_code(0), None);
}
