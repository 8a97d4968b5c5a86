//! What each call does, decided without storage so that every backend decides alike.
//!
//! A backend loads what a function here asks for, calls it, and writes the [`Change`] it gets: the
//! claim, the events of its transaction, the refund credit and the intents for the books, all in
//! one transaction. What becomes of a claim is decided by `octroi-claim`; this module adds what
//! follows from it.

mod admit;
mod advance;
mod fact;
mod open;
mod recover;
#[cfg(test)]
mod tests;
mod watch;

pub use admit::{abandon, check, grant, is_repeat};
pub use advance::advance;
pub use fact::{Known, Learned, learn, was_settled};
pub use open::{Carried, carry, is_settled_by, mode_carried, reopen};
pub use recover::recover;
pub use watch::{Watch, watch};

use std::time::Duration;

use octroi_claim::{Advance, AdvanceError, Claim, PaymentState, Step, WorkState};
use octroi_ledger::{Intent, Ledger, Refused};
use octroi_types::{Amount, Asset, ClaimId, CreditId, UnixMicros, UnixSeconds};

use crate::credit::Credit;
use crate::error::StoreError;
use crate::event::EventKind;

pub use crate::offer::{Offers, earlier, publish};

/// A hold of refund credit ends with the claim it pays for, by its owner or by recovery, and never
/// by a clock (money rule 23).
const HOLD_TIMEOUT: Duration = Duration::MAX;

/// A claim was named that is not there (any more).
pub const NO_SUCH_CLAIM: StoreError = StoreError::NotFound { what: "claim" };

/// A settlement was named that is not there, or that is final where it must not be.
pub const NO_SUCH_SETTLEMENT: StoreError = StoreError::NotFound {
    what: "unfinished settlement",
};

/// A claim was to be made under the id of a transaction that exists.
pub const TRANSACTION_TAKEN: StoreError = StoreError::Invalid {
    reason: "the transaction's id is in use",
};

/// The books do not take what follows from the rules of claims.
#[must_use]
pub fn books_refuse(refused: Refused) -> StoreError {
    StoreError::Inconsistent {
        reason: format!("the books refuse a posting: {refused}"),
    }
}

/// A credit is missing, or does not have what was set aside.
#[must_use]
pub fn credit_missing() -> StoreError {
    StoreError::Inconsistent {
        reason: "a refund credit does not match its claims".to_owned(),
    }
}

/// The first day whose claims stay when those that ended before `before` are dropped.
#[must_use]
pub const fn prune_end(before: UnixSeconds) -> u64 {
    before.0 / 86_400
}

/// What a call does to one claim. Writing it is all or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The claim afterwards.
    pub claim: Claim,
    /// What is appended to the history of its transaction. Empty exactly if the claim is as it
    /// was, and then there is nothing to write.
    pub events: Vec<EventKind>,
    /// What happens to a refund credit.
    pub credit: Option<CreditChange>,
    /// What is posted, in order. The books must apply each, or have applied it before.
    pub intents: Vec<Intent>,
}

/// What happens to the record of a refund credit; the money itself moves by an [`Intent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreditChange {
    /// It is opened.
    Open(Credit),
    /// A part of it is set aside.
    Hold {
        /// The credit.
        id: CreditId,
        /// The part.
        amount: Amount,
    },
    /// A part of it that was set aside is given back.
    Return {
        /// The credit.
        id: CreditId,
        /// The part.
        amount: Amount,
    },
    /// It is taken back whole, because its payment vanished.
    Revoke {
        /// The credit.
        id: CreditId,
    },
}

impl CreditChange {
    /// The credit.
    #[must_use]
    pub const fn id(&self) -> CreditId {
        match self {
            Self::Open(credit) => credit.id,
            Self::Hold { id, .. } | Self::Return { id, .. } | Self::Revoke { id } => *id,
        }
    }

    /// What is available afterwards; `None` if the credit does not have it.
    #[must_use]
    pub fn available_after(&self, credit: &Credit) -> Option<Amount> {
        match self {
            Self::Open(opened) => Some(opened.available),
            Self::Hold { amount, .. } => credit.available.checked_sub(*amount),
            Self::Return { amount, .. } => credit
                .available
                .checked_add(*amount)
                .filter(|available| *available <= credit.amount),
            Self::Revoke { .. } => Some(Amount::ZERO),
        }
    }
}

/// The id of the refund credit that a claim may lead to. There is at most one for each claim, and
/// it is named after the claim, so that whoever opens it opens the same one and its key is ordered
/// by time.
#[must_use]
pub const fn refund_credit_id(claim: ClaimId) -> CreditId {
    CreditId::from_uuid(claim.uuid())
}

/// The books that a claim's money is in.
#[must_use]
pub const fn ledger_of(claim: &Claim) -> Ledger {
    let terms = &claim.terms;
    let asset = Asset::Token {
        chain: terms.chain,
        address: terms.asset,
    };
    Ledger {
        tenant: terms.tenant,
        mode: terms.mode,
        asset,
    }
}

impl Change {
    /// Nothing happened yet.
    fn of(claim: Claim) -> Self {
        Self {
            claim,
            events: Vec::new(),
            credit: None,
            intents: Vec::new(),
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Takes one step, with all that follows from it but what only history tells
    /// (see [`learn`]).
    fn take(&mut self, step: Step, now: UnixMicros) -> Result<(), AdvanceError> {
        let before = self.claim.clone();
        let after = octroi_claim::advance(
            &before,
            Advance {
                epoch: before.epoch,
                step,
            },
        )?;
        if after == before {
            return Ok(());
        }
        self.events.extend(events(step, &before));
        let (ledger, id, amount) = (ledger_of(&after), after.terms.id, after.terms.amount);
        match step {
            Step::Settle { .. } if before.payment != PaymentState::Settled => {
                self.intents.push(ledger.settlement(id, amount));
            }
            Step::Break {
                credit: Some(credit),
            } => {
                self.intents
                    .push(ledger.credit_issue(id, after.terms.payer, amount));
                self.credit = Some(CreditChange::Open(opened(credit, &after, now)));
            }
            Step::Break { credit: None } if before.payment == PaymentState::Covered => {
                self.intents.push(Intent::credit_void(id, after.epoch));
                self.credit = after
                    .covered_by
                    .map(|credit| CreditChange::Return { id: credit, amount });
            }
            Step::Deliver if before.payment == PaymentState::Covered => {
                self.intents
                    .push(Intent::credit_capture(id, after.epoch, amount));
            }
            Step::Settle { .. }
            | Step::Break { .. }
            | Step::Deliver
            | Step::Execute
            | Step::Answer
            | Step::Broadcast { .. }
            | Step::Delegate
            | Step::Withdraw
            | Step::Lose
            | Step::Fail
            | Step::Release
            | Step::Vanish => {}
        }
        self.claim = after;
        Ok(())
    }
}

fn events(step: Step, before: &Claim) -> impl Iterator<Item = EventKind> + use<> {
    let (first, second) = match step {
        Step::Execute => (EventKind::Executing, None),
        Step::Answer => (EventKind::Answered, None),
        Step::Broadcast { .. } | Step::Delegate => (EventKind::Broadcast, None),
        Step::Settle { .. } => (EventKind::Settled, None),
        Step::Lose => (EventKind::Unknown, None),
        Step::Fail => (EventKind::Failed, None),
        Step::Release | Step::Withdraw => (EventKind::Released, None),
        Step::Vanish => (EventKind::Vanished, None),
        Step::Deliver => (EventKind::Delivered, None),
        Step::Break { credit: None } => (EventKind::Broken, None),
        Step::Break { credit: Some(_) } if before.work == WorkState::Broken => {
            (EventKind::Credited, None)
        }
        Step::Break { credit: Some(_) } => (EventKind::Broken, Some(EventKind::Credited)),
    };
    std::iter::once(first).chain(second)
}

fn opened(id: CreditId, claim: &Claim, now: UnixMicros) -> Credit {
    let terms = &claim.terms;
    Credit {
        id,
        tenant: terms.tenant,
        mode: terms.mode,
        payer: terms.payer,
        chain: terms.chain,
        asset: terms.asset,
        amount: terms.amount,
        available: terms.amount,
        transaction: terms.transaction,
        created_at: now,
    }
}
