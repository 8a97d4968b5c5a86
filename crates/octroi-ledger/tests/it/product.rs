//! What payments, credits and reversals do to the books.

use std::time::Duration;

use octroi_ledger::{
    AccountKind, Books, Holder, Intent, Ledger, MemoryBooks, Outcome, Refusal, Refused,
    credit_hold_id, decide, trial_balance,
};
use octroi_types::{Address, ClaimId, UnixMicros};

use crate::workload::{amount, ledgers};

const PAYER: Address = Address([4; 20]);
const MINUTE: Duration = Duration::from_secs(60);

struct Till {
    ledger: Ledger,
    books: MemoryBooks,
    now: UnixMicros,
}

impl Till {
    fn new() -> Self {
        let [.., ledger] = ledgers();
        Self {
            ledger,
            books: MemoryBooks::default(),
            now: UnixMicros(0),
        }
    }

    fn submit(&mut self, intent: &Intent) -> Outcome {
        let decision = decide(&self.books, intent, self.now).unwrap();
        self.books.apply(&decision.effects);
        for totals in trial_balance(self.books.accounts()).values() {
            assert!(totals.is_balanced());
        }
        decision.outcome
    }

    /// Debits and credits, posted, of the tenant's own account.
    fn own(&self, kind: AccountKind) -> (u64, u64) {
        let id = self.ledger.account(kind, Holder::Tenant).id;
        let account = self.books.account(id).unwrap().unwrap();
        (
            account.debits.posted.units(),
            account.credits.posted.units(),
        )
    }

    fn credit(&self) -> u64 {
        let id = self.ledger.refund_credit(PAYER).id;
        self.books
            .account(id)
            .unwrap()
            .unwrap()
            .available()
            .unwrap()
            .units()
    }
}

fn claim(number: u8) -> ClaimId {
    ClaimId::from_bytes([number; 16])
}

fn refusal(outcome: Outcome) -> Option<Refusal> {
    match outcome {
        Outcome::Refused(Refused { refusal, .. }) => Some(refusal),
        Outcome::Applied | Outcome::Exists => None,
    }
}

#[test]
fn a_settlement_is_revenue_once() {
    let mut till = Till::new();
    let settlement = till.ledger.settlement(claim(1), amount(10_000));
    assert_eq!(till.submit(&settlement), Outcome::Applied);
    assert_eq!(till.submit(&settlement), Outcome::Exists);
    assert_eq!(
        till.submit(&till.ledger.settlement(claim(2), amount(5))),
        Outcome::Applied
    );
    assert_eq!(till.own(AccountKind::RailClearing), (10_005, 0));
    assert_eq!(till.own(AccountKind::TenantRevenue), (0, 10_005));
}

#[test]
fn a_reversal_is_a_loss_and_revenue_stays() {
    let mut till = Till::new();
    let reversal = till.ledger.settlement_reversal(claim(1), amount(10));
    till.submit(&till.ledger.settlement(claim(1), amount(10)));
    assert_eq!(till.submit(&reversal), Outcome::Applied);
    assert_eq!(till.submit(&reversal), Outcome::Exists);
    assert_eq!(till.own(AccountKind::SettlementLoss), (10, 0));
    assert_eq!(till.own(AccountKind::RailClearing), (10, 10));
    assert_eq!(till.own(AccountKind::TenantRevenue), (0, 10));
    // What never arrived cannot vanish.
    let never = till.ledger.settlement_reversal(claim(2), amount(1));
    assert_eq!(refusal(till.submit(&never)), Some(Refusal::ExceedsDebits));
}

#[test]
fn a_credit_is_issued_held_and_spent() {
    let mut till = Till::new();
    till.submit(&till.ledger.settlement(claim(1), amount(10)));
    assert_eq!(
        till.submit(&till.ledger.credit_issue(claim(1), PAYER, amount(10))),
        Outcome::Applied
    );
    assert_eq!(till.credit(), 10);
    assert_eq!(till.own(AccountKind::TenantRevenue), (10, 10));

    let hold = till
        .ledger
        .credit_hold(claim(2), 0, PAYER, amount(7), MINUTE);
    assert_eq!(till.submit(&hold), Outcome::Applied);
    assert_eq!(till.credit(), 3);
    let too_much = till
        .ledger
        .credit_hold(claim(3), 0, PAYER, amount(4), MINUTE);
    assert_eq!(
        refusal(till.submit(&too_much)),
        Some(Refusal::ExceedsCredits)
    );

    let capture = Intent::credit_capture(claim(2), 0, amount(7));
    assert_eq!(till.submit(&capture), Outcome::Applied);
    assert_eq!(till.submit(&capture), Outcome::Exists);
    assert_eq!(till.credit(), 3);
    assert_eq!(till.own(AccountKind::TenantRevenue), (10, 17));
}

#[test]
fn failed_work_gives_the_credit_back_and_the_next_attempt_holds_anew() {
    let mut till = Till::new();
    till.submit(&till.ledger.settlement(claim(1), amount(10)));
    till.submit(&till.ledger.credit_issue(claim(1), PAYER, amount(10)));
    till.submit(
        &till
            .ledger
            .credit_hold(claim(2), 0, PAYER, amount(10), MINUTE),
    );
    assert_eq!(
        till.submit(&Intent::credit_void(claim(2), 0)),
        Outcome::Applied
    );
    assert_eq!(till.credit(), 10);
    let again = till
        .ledger
        .credit_hold(claim(2), 1, PAYER, amount(10), MINUTE);
    assert_eq!(till.submit(&again), Outcome::Applied);
    assert_eq!(till.credit(), 0);
    assert_eq!(
        till.submit(&Intent::credit_capture(claim(2), 1, amount(10))),
        Outcome::Applied
    );
}

#[test]
fn a_forgotten_hold_is_expired_once_by_many_sweepers() {
    let mut till = Till::new();
    till.submit(&till.ledger.settlement(claim(1), amount(10)));
    till.submit(&till.ledger.credit_issue(claim(1), PAYER, amount(10)));
    till.submit(
        &till
            .ledger
            .credit_hold(claim(2), 0, PAYER, amount(10), MINUTE),
    );
    let expiry = Intent::hold_expiry(credit_hold_id(claim(2), 0));
    assert_eq!(refusal(till.submit(&expiry)), Some(Refusal::HoldNotDue));
    till.now = UnixMicros(60_000_000);
    assert_eq!(till.submit(&expiry), Outcome::Applied);
    assert_eq!(till.submit(&expiry), Outcome::Exists);
    assert_eq!(till.credit(), 10);
    assert_eq!(till.books.open_holds().count(), 0);
}

#[test]
fn a_credit_for_vanished_money_is_revoked_while_it_is_there() {
    let mut till = Till::new();
    for number in [1, 2] {
        till.submit(&till.ledger.settlement(claim(number), amount(10)));
        till.submit(&till.ledger.credit_issue(claim(number), PAYER, amount(10)));
    }
    let revoke = |number| {
        till.ledger
            .credit_revocation(claim(number), PAYER, amount(10))
    };
    let (first, second) = (revoke(1), revoke(2));
    assert_eq!(till.submit(&first), Outcome::Applied);
    assert_eq!(till.credit(), 10);
    till.submit(
        &till
            .ledger
            .credit_hold(claim(3), 0, PAYER, amount(1), MINUTE),
    );
    assert_eq!(refusal(till.submit(&second)), Some(Refusal::ExceedsCredits));
}

#[test]
fn tenants_and_modes_share_no_account_and_no_credit() {
    let mut till = Till::new();
    till.submit(&till.ledger.settlement(claim(1), amount(10)));
    till.submit(&till.ledger.credit_issue(claim(1), PAYER, amount(10)));
    for elsewhere in &ledgers()[..3] {
        let elsewhere = Ledger {
            asset: till.ledger.asset,
            ..*elsewhere
        };
        if elsewhere != till.ledger {
            let hold = elsewhere.credit_hold(claim(2), 0, PAYER, amount(1), MINUTE);
            let decision = decide(&till.books, &hold, till.now).unwrap();
            assert_eq!(refusal(decision.outcome), Some(Refusal::ExceedsCredits));
        }
    }
}
