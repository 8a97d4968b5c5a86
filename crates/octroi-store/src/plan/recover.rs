//! What becomes of the claims of dead nodes.

use octroi_claim::{
    AdvanceError, Claim, NodeId, PaymentState, Recovery, SettleOrder, Step, WorkState,
};
use octroi_types::UnixMicros;

use super::{Change, refund_credit_id};
use crate::event::EventKind;

/// Takes a dead node's claim over (money rule 7); `None` if it is finished.
#[must_use]
pub fn recover(claim: &Claim, owner: NodeId, now: UnixMicros) -> Option<Change> {
    let recovery = octroi_claim::recover(claim);
    if recovery == Recovery::Nothing {
        return None;
    }
    let mut change = Change::of(claim.clone());
    // What the dead owner held, it held under its own epoch: that is given back first.
    let recovered = match recovery {
        Recovery::Nothing => return None,
        Recovery::Release => change.release(),
        Recovery::Reconcile => change.lose(now),
        Recovery::Credit => {
            let credit = Some(refund_credit_id(claim.terms.id));
            change.take(Step::Break { credit }, now)
        }
    };
    recovered.ok()?;
    change.events.insert(0, EventKind::Recovered);
    change.claim.epoch = change.claim.epoch.saturating_add(1);
    change.claim.terms.owner = owner;
    Some(change)
}

impl Change {
    /// Nothing was sent and nothing will be.
    pub(super) fn release(&mut self) -> Result<(), AdvanceError> {
        let step = match self.claim.payment {
            PaymentState::Covered => Step::Break { credit: None },
            PaymentState::Claimed
            | PaymentState::Broadcast
            | PaymentState::Settled
            | PaymentState::Failed
            | PaymentState::Unknown
            | PaymentState::Released => Step::Release,
        };
        // Neither step opens a credit, so the time is not used.
        self.take(step, UnixMicros::default())
    }

    /// It may have been sent, and whoever waited for the answer is gone. For a facilitated payment
    /// nobody need wait: its success can be collected later (money rule 21).
    fn lose(&mut self, now: UnixMicros) -> Result<(), AdvanceError> {
        self.take(Step::Lose, now)?;
        if self.claim.terms.order == SettleOrder::Facilitated {
            return Ok(());
        }
        match self.claim.work {
            WorkState::NotStarted | WorkState::Executing | WorkState::Answered => {
                self.take(Step::Break { credit: None }, now)
            }
            WorkState::Delivered | WorkState::Broken => Ok(()),
        }
    }
}
