//! The two fields of a claim and the steps between their values (money rule 7).

use octroi_types::{B256, CreditId};
use serde::{Deserialize, Serialize};

use crate::claim::{Claim, SettleOrder};

macro_rules! stored_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The small integer that storage keeps. Never renumbered.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$variant => $code,)* }
            }

            /// Reads what storage keeps.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

stored_enum!(
    /// What happened to the money.
    PaymentState {
        /// Held by an owner; nothing was sent to the chain.
        Claimed = 0,
        /// A signed transaction that carries it is durable and may have been sent.
        Broadcast = 1,
        /// Seen on the chain, by this payment's own authorization.
        Settled = 2,
        /// It can never be settled: the authorization ended unused in a finalized block.
        Failed = 3,
        /// It may or may not have been settled. Never treated as failed (money rule 16).
        Unknown = 4,
        /// Paid from an earlier payment of the same payer; this one is never sent.
        Covered = 5,
        /// Given up before anything was sent; the same request may claim again.
        Released = 6,
    }
);

stored_enum!(
    /// What happened to the work.
    WorkState {
        /// The origin was not called.
        NotStarted = 0,
        /// The origin is being called.
        Executing = 1,
        /// The origin's response head arrived and is to be charged for.
        Answered = 2,
        /// The buyer was given the answer.
        Delivered = 3,
        /// The work failed, or its answer could not be given.
        Broken = 4,
    }
);

/// One change of a claim. Each names all it needs; nothing is inferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The origin is about to be called (settle-before order, after settlement).
    Execute,
    /// The response head arrived, for a payment that is settled or covered already.
    Answer,
    /// A signed transaction is being made durable, in the same store transaction as this step. In
    /// [`SettleOrder::ResponseHead`] it also says that the head arrived.
    Broadcast {
        /// Hash of the transaction.
        tx_hash: B256,
    },
    /// The remote facilitator is about to be asked; what it does is not visible until it answers.
    Delegate,
    /// The facilitator was never reached: no byte of the payment left the gate, and none will. Only
    /// who delegated knows that, so it is for the epoch of the [`Step::Delegate`] alone.
    Withdraw,
    /// The chain shows the payment.
    Settle {
        /// The chain transaction that moved the money.
        tx_hash: B256,
    },
    /// It is not known whether the payment was settled.
    Lose,
    /// The authorization ended unused in a finalized block.
    Fail,
    /// Nothing was sent and nothing will be.
    Release,
    /// A settled payment vanished from the chain (reorganisation).
    Vanish,
    /// The buyer was given the answer.
    Deliver,
    /// The work failed or its answer could not be given. For a settled payment a refund credit is
    /// issued in the same store transaction and named here.
    Break {
        /// The credit issued for a payment that had been settled.
        credit: Option<CreditId>,
    },
}

/// A step for one claim, with the epoch that its author believes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// The epoch under which the author works.
    pub epoch: u32,
    /// The step.
    pub step: Step,
}

/// Why a step was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    /// The claim changed hands; the author must stop working on it.
    #[error("the claim has passed to another owner")]
    Fenced,
    /// The step does not lead from the claim's present state.
    #[error("no such step from payment {payment:?} and work {work:?}")]
    NoSuchStep {
        /// The payment's state.
        payment: PaymentState,
        /// The work's state.
        work: WorkState,
    },
}

/// Takes one step: the claim after it, or why not. Repeating the step that led to the present
/// state is harmless and changes nothing.
///
/// # Errors
/// [`AdvanceError`].
pub fn advance(claim: &Claim, advance: Advance) -> Result<Claim, AdvanceError> {
    if advance.epoch != claim.epoch {
        return Err(AdvanceError::Fenced);
    }
    let no_such_step = AdvanceError::NoSuchStep {
        payment: claim.payment,
        work: claim.work,
    };
    let mut next = claim.clone();
    let (payment, work) = after(claim, advance.step).ok_or(no_such_step)?;
    (next.payment, next.work) = (payment, work);
    match advance.step {
        Step::Broadcast { tx_hash } | Step::Settle { tx_hash } => next.tx_hash = Some(tx_hash),
        Step::Break {
            credit: Some(credit),
        } => next.credit = Some(credit),
        Step::Execute
        | Step::Answer
        | Step::Delegate
        | Step::Withdraw
        | Step::Lose
        | Step::Fail
        | Step::Release
        | Step::Vanish
        | Step::Deliver
        | Step::Break { credit: None } => {}
    }
    Ok(next)
}

fn after(claim: &Claim, step: Step) -> Option<(PaymentState, WorkState)> {
    use PaymentState as P;
    use WorkState as W;
    let (payment, work) = (claim.payment, claim.work);
    Some(match (step, payment, work) {
        // Work.
        (Step::Execute, P::Settled | P::Covered, W::NotStarted | W::Executing) => {
            (payment, W::Executing)
        }
        (Step::Answer, P::Claimed | P::Covered | P::Settled, W::Executing | W::Answered) => {
            (payment, W::Answered)
        }
        (Step::Deliver, P::Settled | P::Covered, W::Answered | W::Delivered) => {
            (payment, W::Delivered)
        }
        (Step::Break { credit: None }, P::Covered, W::NotStarted | W::Executing | W::Answered) => {
            (P::Released, W::Broken)
        }
        // Money that had arrived becomes a credit, once.
        (
            Step::Break { credit: Some(_) },
            P::Settled,
            W::NotStarted | W::Executing | W::Answered,
        ) => (P::Settled, W::Broken),
        (
            Step::Break {
                credit: Some(credit),
            },
            P::Settled,
            W::Broken,
        ) if claim.credit.is_none() || claim.credit == Some(credit) => (P::Settled, W::Broken),
        // Money of unknown fate: the work is over, the fate is still watched.
        (Step::Break { credit: None }, P::Unknown | P::Broadcast, _) => (payment, W::Broken),

        // Money. A payment is sent when the response head has arrived, which this step then also
        // records, or before the work begins.
        (Step::Broadcast { .. } | Step::Delegate, P::Claimed, work) => {
            (P::Broadcast, work_when_sent(claim.terms.order, work)?)
        }
        // A payment that vanished or is unknown is sent again under a further transaction.
        (Step::Broadcast { .. }, P::Broadcast | P::Unknown, _) => (payment, work),
        (Step::Settle { .. }, P::Broadcast | P::Unknown | P::Settled, _) => (P::Settled, work),
        (Step::Lose, P::Broadcast | P::Unknown, _) => (P::Unknown, work),
        (Step::Vanish, P::Settled | P::Unknown, _) => (P::Unknown, work),
        (Step::Fail, P::Broadcast | P::Unknown | P::Failed, _) => (P::Failed, broken(work)),
        (Step::Release, P::Claimed | P::Released, _) => (P::Released, broken(work)),
        // Without a transaction of ours, and none seen, there was nothing but the facilitator.
        (Step::Withdraw, P::Broadcast | P::Unknown | P::Released, _) if claim.tx_hash.is_none() => {
            (P::Released, broken(work))
        }
        (
            Step::Execute
            | Step::Answer
            | Step::Broadcast { .. }
            | Step::Delegate
            | Step::Withdraw
            | Step::Settle { .. }
            | Step::Lose
            | Step::Fail
            | Step::Release
            | Step::Vanish
            | Step::Deliver
            | Step::Break { .. },
            _,
            _,
        ) => return None,
    })
}

/// The work's state once a payment is sent in this order; `None` if it is not time to send it.
const fn work_when_sent(order: SettleOrder, work: WorkState) -> Option<WorkState> {
    match (order, work) {
        (SettleOrder::ResponseHead, WorkState::Executing | WorkState::Answered) => {
            Some(WorkState::Answered)
        }
        (SettleOrder::BeforeOrigin | SettleOrder::Facilitated, WorkState::NotStarted) => {
            Some(WorkState::NotStarted)
        }
        (SettleOrder::ResponseHead | SettleOrder::BeforeOrigin | SettleOrder::Facilitated, _) => {
            None
        }
    }
}

const fn broken(work: WorkState) -> WorkState {
    match work {
        // An answer that was given stays given.
        WorkState::Delivered => WorkState::Delivered,
        WorkState::NotStarted | WorkState::Executing | WorkState::Answered | WorkState::Broken => {
            WorkState::Broken
        }
    }
}
