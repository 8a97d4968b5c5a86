//! What an x402 payment, a refund credit and a reversal do to the books.

use std::time::Duration;

use octroi_types::{Address, Amount, ClaimId, TransferId};

use super::{claim_cause, post};
use crate::account::{AccountKind, Ledger, NewAccount};
use crate::chart::{Holder, derived_transfer_id};
use crate::intent::{Action, Intent, NewTransfer};
use crate::transfer::{Cause, Reason};

const SETTLEMENT: &str = "settlement";
const SETTLEMENT_REVERSAL: &str = "settlement reversal";
const CREDIT_ISSUE: &str = "credit issue";
const CREDIT_REVOCATION: &str = "credit revocation";
const CREDIT_HOLD: &str = "credit hold";
const CREDIT_CAPTURE: &str = "credit capture";
const CREDIT_VOID: &str = "credit void";

impl Ledger {
    /// A claim's payment arrived on its rail.
    #[must_use]
    pub fn settlement(&self, claim: ClaimId, amount: Amount) -> Intent {
        let id = derived_transfer_id(claim, SETTLEMENT, 0);
        let (rail, revenue) = (self.own(AccountKind::RailClearing), self.revenue());
        post(
            id,
            (rail, revenue),
            amount,
            claim_cause(Reason::Settlement, claim),
        )
    }

    /// A claim's settled payment vanished and its authorization has ended (money rule 18). The
    /// books refuse it where less than that ever arrived on the rail.
    #[must_use]
    pub fn settlement_reversal(&self, claim: ClaimId, amount: Amount) -> Intent {
        let id = derived_transfer_id(claim, SETTLEMENT_REVERSAL, 0);
        let loss = self.own(AccountKind::SettlementLoss);
        let rail = self.own(AccountKind::RailClearing);
        post(
            id,
            (loss, rail),
            amount,
            claim_cause(Reason::SettlementReversal, claim),
        )
    }

    /// A claim's payment had arrived and its work was not delivered: the payer may have it
    /// elsewhere at this tenant (money rule 22).
    #[must_use]
    pub fn credit_issue(&self, claim: ClaimId, payer: Address, amount: Amount) -> Intent {
        let id = derived_transfer_id(claim, CREDIT_ISSUE, 0);
        let sides = (self.revenue(), self.refund_credit(payer));
        post(id, sides, amount, claim_cause(Reason::CreditIssue, claim))
    }

    /// The payment for which a credit was issued vanished. It is tried once: the books refuse it
    /// for good where the credit has been spent or is on hold, and the loss stays a loss.
    #[must_use]
    pub fn credit_revocation(&self, claim: ClaimId, payer: Address, amount: Amount) -> Intent {
        let id = derived_transfer_id(claim, CREDIT_REVOCATION, 0);
        let sides = (self.refund_credit(payer), self.revenue());
        post(
            id,
            sides,
            amount,
            claim_cause(Reason::CreditRevocation, claim),
        )
    }

    /// Sets refund credit of the payer aside for the work of a claim. `attempt` tells tries of one
    /// claim apart: its epoch.
    #[must_use]
    pub fn credit_hold(
        &self,
        claim: ClaimId,
        attempt: u32,
        payer: Address,
        amount: Amount,
        timeout: Duration,
    ) -> Intent {
        let (from, to) = (self.refund_credit(payer), self.revenue());
        let action = Action::Hold {
            debit: from.id,
            credit: to.id,
            amount,
            timeout,
        };
        let id = credit_hold_id(claim, attempt);
        let transfer = NewTransfer {
            id,
            action,
            cause: redemption(claim),
        };
        Intent {
            accounts: vec![from, to],
            transfers: vec![transfer],
        }
    }

    /// The payer's refund credit in this ledger; its [`crate::Account::available`] is what can be
    /// spent.
    #[must_use]
    pub fn refund_credit(&self, payer: Address) -> NewAccount {
        self.account(AccountKind::RefundCredit, Holder::Wallet(payer))
    }
}

impl Intent {
    /// The work for which refund credit was held is delivered. `amount` is the price, at most what
    /// was held.
    #[must_use]
    pub fn credit_capture(claim: ClaimId, attempt: u32, amount: Amount) -> Self {
        let action = Action::Capture {
            hold: credit_hold_id(claim, attempt),
            amount,
        };
        let id = derived_transfer_id(claim, CREDIT_CAPTURE, attempt);
        Self::of_one(NewTransfer {
            id,
            action,
            cause: redemption(claim),
        })
    }

    /// The work for which refund credit was held failed.
    #[must_use]
    pub fn credit_void(claim: ClaimId, attempt: u32) -> Self {
        let action = Action::Void {
            hold: credit_hold_id(claim, attempt),
        };
        let id = derived_transfer_id(claim, CREDIT_VOID, attempt);
        Self::of_one(NewTransfer {
            id,
            action,
            cause: redemption(claim),
        })
    }
}

/// The hold that [`Ledger::credit_hold`] makes.
#[must_use]
pub fn credit_hold_id(claim: ClaimId, attempt: u32) -> TransferId {
    derived_transfer_id(claim, CREDIT_HOLD, attempt)
}

fn redemption(claim: ClaimId) -> Cause {
    claim_cause(Reason::CreditRedemption, claim)
}
