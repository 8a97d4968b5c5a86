//! Grants.

use octroi_claim::{Claim, NewClaim, PaymentState, Recovery, SettleOrder, WorkState};

use super::{Change, CreditChange, HOLD_TIMEOUT, ledger_of};
use crate::claim::ClaimRequest;
use crate::error::StoreError;
use crate::event::EventKind;

/// What is wrong with a call whatever is stored.
///
/// # Errors
/// [`StoreError::Invalid`].
pub fn check(request: &ClaimRequest) -> Result<(), StoreError> {
    if request.claim.transaction != request.transaction.id {
        return Err(StoreError::Invalid {
            reason: "the claim names another transaction",
        });
    }
    if request.claim.amount.is_zero() {
        return Err(StoreError::Invalid {
            reason: "a payment of nothing cannot be claimed",
        });
    }
    Ok(())
}

/// Whether a call repeats the one that made `existing`, whose answer got lost, so that it is
/// answered as before. A claim that has moved on since is refused like any other.
#[must_use]
pub fn is_repeat(existing: &Claim, new: &NewClaim) -> bool {
    let terms = &existing.terms;
    let untouched = match (existing.payment, terms.order) {
        (PaymentState::Claimed, SettleOrder::BeforeOrigin | SettleOrder::Facilitated) => {
            existing.work == WorkState::NotStarted
        }
        (PaymentState::Claimed, SettleOrder::ResponseHead) | (PaymentState::Covered, _) => {
            existing.work == WorkState::Executing
        }
        (
            PaymentState::Broadcast
            | PaymentState::Settled
            | PaymentState::Failed
            | PaymentState::Unknown
            | PaymentState::Released,
            _,
        ) => false,
    };
    untouched
        && (terms.id, terms.transaction, terms.owner) == (new.id, new.transaction, new.owner)
        && (terms.identity, terms.binding) == (new.identity, new.binding)
}

/// What comes before a claim that a dead node left unsent is replaced: its transaction ends, and a
/// credit that it held is given back. `None` if there is nothing to abandon.
#[must_use]
pub fn abandon(existing: &Claim, owner_alive: bool) -> Option<Change> {
    if owner_alive || octroi_claim::recover(existing) != Recovery::Release {
        return None;
    }
    let mut change = Change::of(existing.clone());
    change.release().ok()?;
    Some(change)
}

/// What makes a granted claim stand: its first event, and the hold of the credit that covers it.
#[must_use]
pub fn grant(claim: Claim) -> Change {
    let mut change = Change::of(claim);
    change.events.push(EventKind::Claimed);
    let claim = &change.claim;
    if let Some(id) = claim.covered_by {
        let terms = &claim.terms;
        let hold = ledger_of(claim).credit_hold(
            terms.id,
            claim.epoch,
            terms.payer,
            terms.amount,
            HOLD_TIMEOUT,
        );
        change.credit = Some(CreditChange::Hold {
            id,
            amount: terms.amount,
        });
        change.intents.push(hold);
    }
    change
}
