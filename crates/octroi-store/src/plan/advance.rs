//! Steps that an owner takes.

use octroi_claim::{AdvanceError, Claim, Step};
use octroi_types::UnixMicros;

use super::{Change, refund_credit_id};

/// Takes an owner's steps, all or none.
///
/// What the chain decides is not the owner's to say: [`Step::Broadcast`] belongs to a settlement,
/// and [`Step::Settle`], [`Step::Fail`] and [`Step::Vanish`] are facts. They are refused here,
/// because each needs a record beside the claim.
///
/// Steps are a compare-and-set: of many that try the same steps from one state, one takes them.
/// Only a single step that led to the present state may be repeated.
///
/// # Errors
/// [`AdvanceError`]; nothing is written.
pub fn advance(
    claim: &Claim,
    epoch: u32,
    steps: &[Step],
    now: UnixMicros,
) -> Result<Change, AdvanceError> {
    if epoch != claim.epoch {
        return Err(AdvanceError::Fenced);
    }
    let mut change = Change::of(claim.clone());
    for step in steps {
        take_by_owner(&mut change, *step, now)?;
    }
    Ok(change)
}

fn take_by_owner(change: &mut Change, step: Step, now: UnixMicros) -> Result<(), AdvanceError> {
    match step {
        Step::Break { credit: Some(_) } => {
            let credit = Some(refund_credit_id(change.claim.terms.id));
            change.take(Step::Break { credit }, now)
        }
        Step::Execute
        | Step::Answer
        | Step::Delegate
        | Step::Withdraw
        | Step::Lose
        | Step::Release
        | Step::Deliver
        | Step::Break { credit: None } => change.take(step, now),
        Step::Broadcast { .. } | Step::Settle { .. } | Step::Fail | Step::Vanish => {
            Err(AdvanceError::NoSuchStep {
                payment: change.claim.payment,
                work: change.claim.work,
            })
        }
    }
}
