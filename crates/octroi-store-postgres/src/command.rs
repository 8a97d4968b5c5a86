//! What callers ask of the lanes.

use octroi_claim::{AdvanceError, Claim, ClaimKey, NodeId, Step};
use octroi_ledger::{Intent, Outcome};
use octroi_store::{
    Attempt, ClaimOutcome, ClaimRequest, EarlierTerms, Fact, FactOutcome, Inclusion, NewSettlement,
    OfferedTerms, OpenOutcome, StoreError,
};
use octroi_types::{B256, ChainId, SettlementId, TenantId, UnixMicros, UnixSeconds};
use tokio::sync::oneshot;

use crate::fault::{Fault, unavailable};

/// A question, its answer once it is decided, and where to send it once it is durable.
pub(crate) struct Call<Q, A> {
    question: Q,
    answer: Option<Result<A, StoreError>>,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> Call<Q, A> {
    pub(crate) fn new(question: Q) -> (Box<Self>, oneshot::Receiver<Result<A, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        (
            Box::new(Self {
                question,
                answer: None,
                reply,
            }),
            answer,
        )
    }

    pub(crate) const fn question(&self) -> &Q {
        &self.question
    }

    /// Decides. A fault that is not the call's alone is handed up, and the call is decided again.
    pub(crate) fn decide(
        &mut self,
        decide: impl FnOnce(&Q) -> Result<A, Fault>,
    ) -> Result<(), Fault> {
        self.answer = match decide(&self.question) {
            Ok(answer) => Some(Ok(answer)),
            Err(Fault::Refused(error)) => Some(Err(error)),
            Err(fault @ (Fault::Broken(_) | Fault::Database(_))) => return Err(fault),
        };
        Ok(())
    }

    /// Sends the answer. A caller that went away does not want it.
    fn answer(self) {
        let undecided = || Err(unavailable("the call was not decided"));
        self.reply.send(self.answer.unwrap_or_else(undecided)).ok();
    }

    fn fail(self, error: StoreError) {
        self.reply.send(Err(error)).ok();
    }
}

pub(crate) struct NodeBeat {
    pub(crate) node: NodeId,
    pub(crate) lease_until: UnixMicros,
    pub(crate) now: UnixMicros,
}

pub(crate) struct Advance {
    pub(crate) key: ClaimKey,
    pub(crate) epoch: u32,
    pub(crate) steps: Vec<Step>,
    pub(crate) now: UnixMicros,
}

pub(crate) struct Recover {
    pub(crate) owner: NodeId,
    pub(crate) limit: usize,
    pub(crate) now: UnixMicros,
}

pub(crate) struct AddAttempt {
    pub(crate) id: SettlementId,
    pub(crate) attempt: Attempt,
}

pub(crate) struct Include {
    pub(crate) id: SettlementId,
    pub(crate) inclusion: Inclusion,
    pub(crate) facts: Facts,
}

pub(crate) struct Facts {
    pub(crate) facts: Vec<(ClaimKey, Fact)>,
    pub(crate) now: UnixMicros,
}

pub(crate) struct Finish {
    pub(crate) chain: ChainId,
    /// With the hash of the block that is final.
    pub(crate) claims: Vec<(ClaimKey, B256)>,
}

/// An intent for the books.
pub(crate) struct Submit {
    pub(crate) intent: Intent,
    pub(crate) now: UnixMicros,
}

/// What a tenant offers from now on.
pub(crate) struct Publish {
    pub(crate) tenant: TenantId,
    pub(crate) in_force: Vec<OfferedTerms>,
    pub(crate) now: UnixSeconds,
}

pub(crate) struct Vanish {
    pub(crate) id: SettlementId,
    pub(crate) now: UnixMicros,
}

macro_rules! commands {
    ($($name:ident($question:ty) -> $answer:ty,)*) => {
        /// One call of the port that writes.
        pub(crate) enum Command {
            $($name(Box<Call<$question, $answer>>),)*
        }

        impl Command {
            /// Sends the answer, now that it is durable.
            pub(crate) fn answer(self) {
                match self { $(Self::$name(call) => call.answer(),)* }
            }

            /// Answers that nothing was done.
            pub(crate) fn fail(self, error: StoreError) {
                match self { $(Self::$name(call) => call.fail(error),)* }
            }
        }
    };
}

commands! {
    NodeBeat(NodeBeat) -> (),
    ClaimMake(ClaimRequest) -> ClaimOutcome,
    ClaimAdvance(Advance) -> Result<Claim, AdvanceError>,
    ClaimsRecover(Recover) -> Vec<Claim>,
    ClaimsPrune(UnixSeconds) -> u64,
    SettlementOpen(NewSettlement) -> OpenOutcome,
    SettlementAttempt(AddAttempt) -> (),
    SettlementIncluded(Include) -> Vec<FactOutcome>,
    FactsApply(Facts) -> Vec<FactOutcome>,
    SettlementsFinal(Vec<SettlementId>) -> (),
    ClaimsFinal(Finish) -> (),
    SettlementVanished(Vanish) -> (),
    OffersPublish(Publish) -> Vec<EarlierTerms>,
    LedgerSubmit(Submit) -> Outcome,
}
