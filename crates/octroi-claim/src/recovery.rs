//! What becomes of a claim whose owner died (money rule 7).

use crate::claim::{Claim, SettleOrder};
use crate::state::{PaymentState, WorkState};

/// What recovery does with a claim of a dead owner. It raises the epoch in any case but `Nothing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// The claim is finished.
    Nothing,
    /// Nothing was sent: release it, the same request may claim again.
    Release,
    /// It may have been sent: its fate is asked of the chain. The answer can no longer be given.
    Reconcile,
    /// It was settled and the answer was not given: issue a refund credit.
    Credit,
}

/// The table of money rule 7, for every pair of states.
#[must_use]
pub const fn recover(claim: &Claim) -> Recovery {
    match (claim.payment, claim.work) {
        (PaymentState::Claimed, _) => Recovery::Release,
        (
            PaymentState::Covered,
            WorkState::NotStarted | WorkState::Executing | WorkState::Answered,
        ) => Recovery::Release,
        (PaymentState::Broadcast | PaymentState::Unknown, _) => Recovery::Reconcile,
        // Nobody's answer was lost: the success waits to be collected.
        (PaymentState::Settled, WorkState::NotStarted)
            if matches!(claim.terms.order, SettleOrder::Facilitated) =>
        {
            Recovery::Nothing
        }
        (
            PaymentState::Settled,
            WorkState::NotStarted | WorkState::Executing | WorkState::Answered,
        ) => Recovery::Credit,
        (PaymentState::Settled, WorkState::Broken) if claim.credit.is_none() => Recovery::Credit,
        (
            PaymentState::Settled | PaymentState::Covered,
            WorkState::Delivered | WorkState::Broken,
        )
        | (PaymentState::Failed | PaymentState::Released, _) => Recovery::Nothing,
    }
}
