//! Random work for the books: small worlds, so that everything collides with everything.

use std::time::Duration;

use octroi_ledger::{
    AccountKind, AccountLimit, Action, Cause, Intent, LINKED_MAX, Ledger, NewAccount, NewTransfer,
    Reason, Subject,
};
use octroi_types::{
    AccountId, Address, Amount, Asset, ChainId, ClaimId, Mode, TenantId, TransferId,
};
use proptest::prelude::*;

/// One step: time passes, then an intent is submitted.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) now_us: i64,
    pub(crate) intent: Intent,
}

/// Ledgers that differ from the first in one respect each.
pub(crate) fn ledgers() -> [Ledger; 4] {
    let home = Ledger {
        tenant: TenantId::from_bytes([1; 16]),
        mode: Mode::Live,
        asset: Asset::Usd,
    };
    let token = Asset::Token {
        chain: ChainId(8453),
        address: Address([7; 20]),
    };
    [
        home,
        Ledger {
            tenant: TenantId::from_bytes([2; 16]),
            ..home
        },
        Ledger {
            mode: Mode::Test,
            ..home
        },
        Ledger {
            asset: token,
            ..home
        },
    ]
}

/// The accounts of the world: six at home, with every limit, and one in each other ledger.
pub(crate) fn accounts() -> Vec<NewAccount> {
    let limits = [
        AccountLimit::None,
        AccountLimit::None,
        AccountLimit::DebitsMustNotExceedCredits,
        AccountLimit::DebitsMustNotExceedCredits,
        AccountLimit::CreditsMustNotExceedDebits,
        AccountLimit::DebitsMustNotExceedCredits,
        AccountLimit::None,
        AccountLimit::None,
        AccountLimit::None,
    ];
    let ledger = |index: usize| ledgers()[index.saturating_sub(5)];
    let account = |(index, limit)| NewAccount {
        id: account_id(index),
        ledger: ledger(index),
        kind: AccountKind::PrepaidGrant,
        limit,
    };
    limits.into_iter().enumerate().map(account).collect()
}

pub(crate) fn account_id(index: usize) -> AccountId {
    AccountId::from_bytes([u8::try_from(index).unwrap() + 100; 16])
}

pub(crate) fn transfer_id(number: usize) -> TransferId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&(number as u64).to_be_bytes());
    TransferId::from_bytes(bytes)
}

pub(crate) fn cause(number: u8) -> Cause {
    Cause {
        reason: Reason::Settlement,
        subject: Subject::Claim(ClaimId::from_bytes([number; 16])),
    }
}

pub(crate) fn amount(units: u64) -> Amount {
    Amount::new(units).unwrap()
}

/// An operation before its ids are chosen.
#[derive(Debug, Clone)]
enum Op {
    Enter {
        hold: bool,
        debit: usize,
        credit: usize,
        units: u64,
        timeout_us: u64,
    },
    Resolve {
        how: u8,
        which: usize,
        units: u64,
    },
}

#[derive(Debug, Clone)]
struct Plan {
    wait_us: i64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    /// Operations with what chooses their ids, and accounts to open, altered or not.
    Fresh {
        ops: Vec<(Op, IdChoice)>,
        open: Vec<(usize, Option<u8>)>,
    },
    /// An earlier step's intent: word for word, or nearly.
    Repeat { which: usize, change: Option<u8> },
    /// More than an intent may hold.
    TooLong,
}

#[derive(Debug, Clone)]
enum IdChoice {
    Fresh,
    Earlier(usize),
}

pub(crate) fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(plan(), 1..length).prop_map(|plans| carry_out(&plans))
}

fn plan() -> impl Strategy<Value = Plan> {
    let open = || {
        let one = prop::collection::vec((0..9_usize, prop::option::weighted(0.1, 0..5_u8)), 1);
        prop_oneof![3 => Just(Vec::new()), 1 => one]
    };
    let op = || (op(), id_choice());
    let one = prop::collection::vec(op(), 1);
    let some = prop::collection::vec(op(), 0..4);
    let fresh = prop_oneof![
        2 => (one, open()).prop_map(|(ops, open)| What::Fresh { ops, open }),
        1 => (some, open()).prop_map(|(ops, open)| What::Fresh { ops, open }),
    ];
    let repeat = (any::<usize>(), prop::option::of(0..6_u8))
        .prop_map(|(which, change)| What::Repeat { which, change });
    let what = prop_oneof![150 => fresh, 30 => repeat, 1 => Just(What::TooLong)];
    (0..4_i64, what).prop_map(|(wait_us, what)| Plan { wait_us, what })
}

fn op() -> impl Strategy<Value = Op> {
    // Mostly at home, mostly small; now and then elsewhere, nothing, or near the most that fits.
    let account = || prop_oneof![20 => 0..5_usize, 1 => 5..10_usize];
    let most = Amount::MAX.units();
    let units = move || prop_oneof![1 => Just(0), 40 => 1..12_u64, 1 => most - 60..=most];
    let timeout_us = prop_oneof![1 => Just(0_u64), 20 => 1..20_u64];
    let enter = (any::<bool>(), account(), account(), units(), timeout_us).prop_map(
        |(hold, debit, credit, units, timeout_us)| {
            // An account paying itself is a rare mistake.
            let credit = if debit == credit && units % 8 > 0 {
                (credit + 1) % 5
            } else {
                credit
            };
            Op::Enter {
                hold,
                debit,
                credit,
                units,
                timeout_us,
            }
        },
    );
    let resolve = (0..4_u8, any::<usize>(), 0..12_u64)
        .prop_map(|(how, which, units)| Op::Resolve { how, which, units });
    prop_oneof![3 => enter, 2 => resolve]
}

fn id_choice() -> impl Strategy<Value = IdChoice> {
    prop_oneof![20 => Just(IdChoice::Fresh), 1 => any::<usize>().prop_map(IdChoice::Earlier)]
}

/// Turns plans into intents. The first opens the world and funds the accounts that have limits.
fn carry_out(plans: &[Plan]) -> Vec<Step> {
    let mut ids = Ids::default();
    let intent = opening(&mut ids);
    let mut steps = vec![Step { now_us: 0, intent }];
    let mut now_us = 0;
    for Plan { wait_us, what } in plans {
        now_us += wait_us;
        let intent = match what {
            What::Fresh { ops, open } => fresh(&mut ids, ops, open),
            What::Repeat { which, change } => {
                let mut intent = steps[which % steps.len()].intent.clone();
                if let Some(change) = change {
                    alter_one(&mut ids, &mut intent, *change);
                }
                intent
            }
            What::TooLong => Intent {
                accounts: vec![accounts()[0]; LINKED_MAX + 1],
                transfers: Vec::new(),
            },
        };
        steps.push(Step { now_us, intent });
    }
    steps
}

#[derive(Default)]
struct Ids {
    used: usize,
    holds: Vec<TransferId>,
}

impl Ids {
    fn choose(&mut self, choice: &IdChoice) -> TransferId {
        match choice {
            IdChoice::Earlier(which) if self.used > 0 => transfer_id(which % self.used),
            IdChoice::Earlier(_) | IdChoice::Fresh => {
                self.used += 1;
                transfer_id(self.used - 1)
            }
        }
    }

    /// Mostly the latest holds, which are likely to be open; now and then anything.
    fn hold(&self, which: usize) -> TransferId {
        match self.holds.len() {
            count if count > 0 && !which.is_multiple_of(10) => {
                self.holds[count - 1 - (which / 10) % count.min(4)]
            }
            _ => transfer_id(which % (self.used + 2)),
        }
    }
}

fn opening(ids: &mut Ids) -> Intent {
    // Account 8 stays closed until some plan opens it.
    let accounts = accounts().into_iter().take(8).collect();
    let mut fund = |debit, credit, units| NewTransfer {
        id: ids.choose(&IdChoice::Fresh),
        action: Action::Post {
            debit: account_id(debit),
            credit: account_id(credit),
            amount: amount(units),
        },
        cause: cause(0),
    };
    let transfers = vec![fund(0, 2, 30), fund(1, 3, 15), fund(4, 0, 10)];
    Intent {
        accounts,
        transfers,
    }
}

fn fresh(ids: &mut Ids, ops: &[(Op, IdChoice)], open: &[(usize, Option<u8>)]) -> Intent {
    let accounts = open
        .iter()
        .map(|(index, alter)| altered(*index, *alter))
        .collect();
    let mut transfers = Vec::new();
    for (op, choice) in ops {
        let id = ids.choose(choice);
        let action = match *op {
            Op::Enter {
                hold,
                debit,
                credit,
                units,
                timeout_us,
            } => {
                let (debit, credit) = (account_id(debit), account_id(credit));
                let amount = amount(units);
                if hold {
                    ids.holds.push(id);
                    let timeout = Duration::from_micros(timeout_us);
                    Action::Hold {
                        debit,
                        credit,
                        amount,
                        timeout,
                    }
                } else {
                    Action::Post {
                        debit,
                        credit,
                        amount,
                    }
                }
            }
            Op::Resolve { how, which, units } => {
                let hold = ids.hold(which);
                match how {
                    0 | 1 => Action::Capture {
                        hold,
                        amount: amount(units),
                    },
                    2 => Action::Void { hold },
                    _ => Action::Expire { hold },
                }
            }
        };
        transfers.push(NewTransfer {
            id,
            action,
            cause: cause(0),
        });
    }
    Intent {
        accounts,
        transfers,
    }
}

fn altered(index: usize, alter: Option<u8>) -> NewAccount {
    let mut account = accounts()[index];
    let [_, other_tenant, other_mode, other_asset] = ledgers();
    match alter {
        None => {}
        Some(0) => account.ledger.tenant = other_tenant.tenant,
        Some(1) => account.ledger.mode = other_mode.mode,
        Some(2) => account.ledger.asset = other_asset.asset,
        Some(3) => account.kind = AccountKind::Fees,
        Some(_) => account.limit = AccountLimit::CreditsMustNotExceedDebits,
    }
    account
}

/// Changes one thing of an intent's last transfer, or adds one.
fn alter_one(ids: &mut Ids, intent: &mut Intent, change: u8) {
    let fresh_id = ids.choose(&IdChoice::Fresh);
    let Some(last) = intent.transfers.last_mut() else {
        return;
    };
    match (change, &mut last.action) {
        (0, Action::Post { amount: units, .. } | Action::Hold { amount: units, .. }) => {
            *units = amount(units.units() / 2 + 1);
        }
        (0, Action::Capture { amount: units, .. }) => *units = amount(units.units() + 1),
        (1, Action::Post { credit, .. } | Action::Hold { credit, .. }) => *credit = account_id(1),
        (2, Action::Hold { timeout, .. }) => *timeout += Duration::from_micros(1),
        (3, Action::Capture { hold, .. } | Action::Void { hold } | Action::Expire { hold }) => {
            *hold = ids.hold(1);
        }
        (4, _) => {
            let added = NewTransfer {
                id: fresh_id,
                ..*last
            };
            intent.transfers.push(added);
        }
        _ => last.cause = cause(1),
    }
}
