//! The writing calls of the port as values, for backends that queue them: many callers wait, few
//! connections write, and each commits what waits for it.

use octroi_claim::{AdvanceError, Claim, ClaimKey, NodeId, Step};
use octroi_ledger::{Intent, Outcome};
use octroi_types::{B256, ChainId, SettlementId, TenantId, UnixMicros, UnixSeconds};
use tokio::sync::oneshot;

use crate::claim::{ClaimOutcome, ClaimRequest};
use crate::error::StoreError;
use crate::offer::{EarlierTerms, OfferedTerms};
use crate::settlement::{Attempt, Fact, FactOutcome, Inclusion, NewSettlement, OpenOutcome};

/// How a call fails inside a backend.
pub trait CallFault: Sized {
    /// What to answer if the call was refused before it changed anything; otherwise the fault, which
    /// is not the call's alone.
    ///
    /// # Errors
    /// The fault itself.
    fn into_refusal(self) -> Result<StoreError, Self>;
}

/// A question, its answer once it is decided, and where to send it once it is durable.
pub struct Call<Q, A> {
    question: Q,
    answer: Option<Result<A, StoreError>>,
    reply: oneshot::Sender<Result<A, StoreError>>,
}

impl<Q, A> Call<Q, A> {
    /// A call, and where its answer will come.
    pub fn new(question: Q) -> (Box<Self>, oneshot::Receiver<Result<A, StoreError>>) {
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

    /// What is asked.
    pub const fn question(&self) -> &Q {
        &self.question
    }

    /// Decides. A fault that is not the call's alone is handed up, and the call is decided again.
    ///
    /// # Errors
    /// The fault.
    pub fn decide<F: CallFault>(
        &mut self,
        decide: impl FnOnce(&Q) -> Result<A, F>,
    ) -> Result<(), F> {
        self.answer = Some(match decide(&self.question) {
            Ok(answer) => Ok(answer),
            Err(fault) => Err(fault.into_refusal()?),
        });
        Ok(())
    }

    /// Sends the answer. A caller that went away does not want it.
    fn answer(self) {
        let undecided = || {
            Err(StoreError::Unavailable {
                reason: "the call was not decided".to_owned(),
            })
        };
        self.reply.send(self.answer.unwrap_or_else(undecided)).ok();
    }

    fn fail(self, error: StoreError) {
        self.reply.send(Err(error)).ok();
    }
}

macro_rules! questions {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
        )*
    };
}

questions! {
    /// [`crate::ClaimStore::node_beat`].
    NodeBeat {
        /// Who is alive.
        node: NodeId,
        /// Until when that is believed.
        lease_until: UnixMicros,
        /// Now.
        now: UnixMicros,
    }
    /// [`crate::ClaimStore::claim_advance`].
    Advance {
        /// The claim.
        key: ClaimKey,
        /// Under which its author works.
        epoch: u32,
        /// In order.
        steps: Vec<Step>,
        /// Now.
        now: UnixMicros,
    }
    /// [`crate::ClaimStore::claims_recover`].
    Recover {
        /// Who takes them over.
        owner: NodeId,
        /// At most so many.
        limit: usize,
        /// Now.
        now: UnixMicros,
    }
    /// [`crate::SettlementStore::settlement_attempt`].
    AddAttempt {
        /// The settlement.
        id: SettlementId,
        /// What was signed.
        attempt: Attempt,
    }
    /// [`crate::SettlementStore::settlement_included`].
    Include {
        /// The settlement.
        id: SettlementId,
        /// Where it was seen.
        inclusion: Inclusion,
        /// What became of its claims.
        facts: Facts,
    }
    /// [`crate::SettlementStore::facts_apply`].
    Facts {
        /// What the chain tells of each claim.
        facts: Vec<(ClaimKey, Fact)>,
        /// Now.
        now: UnixMicros,
    }
    /// [`crate::SettlementStore::claims_final`].
    Finish {
        /// The chain.
        chain: ChainId,
        /// With the hash of the block that is final.
        claims: Vec<(ClaimKey, B256)>,
    }
    /// [`crate::SettlementStore::settlement_vanished`].
    Vanish {
        /// The settlement.
        id: SettlementId,
        /// Now.
        now: UnixMicros,
    }
    /// [`crate::OfferStore::offers_publish`].
    Publish {
        /// Who offers.
        tenant: TenantId,
        /// What, from now on.
        in_force: Vec<OfferedTerms>,
        /// Now.
        now: UnixSeconds,
    }
    /// [`crate::LedgerStore::ledger_submit`].
    Submit {
        /// What is asked of the books.
        intent: Intent,
        /// Now.
        now: UnixMicros,
    }
}

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($question:ty) -> $answer:ty,)*) => {
        /// One call of the port that writes.
        pub enum Command {
            $($(#[$doc])* $name(Box<Call<$question, $answer>>),)*
        }

        impl Command {
            /// Sends the answer, now that it is durable.
            pub fn answer(self) {
                match self { $(Self::$name(call) => call.answer(),)* }
            }

            /// Answers that nothing was done.
            pub fn fail(self, error: StoreError) {
                match self { $(Self::$name(call) => call.fail(error),)* }
            }
        }
    };
}

commands! {
    /// [`crate::ClaimStore::node_beat`].
    NodeBeat(NodeBeat) -> (),
    /// [`crate::ClaimStore::claim_make`].
    ClaimMake(ClaimRequest) -> ClaimOutcome,
    /// [`crate::ClaimStore::claim_advance`].
    ClaimAdvance(Advance) -> Result<Claim, AdvanceError>,
    /// [`crate::ClaimStore::claims_recover`].
    ClaimsRecover(Recover) -> Vec<Claim>,
    /// [`crate::ClaimStore::claims_prune`].
    ClaimsPrune(UnixSeconds) -> u64,
    /// [`crate::SettlementStore::settlement_open`].
    SettlementOpen(NewSettlement) -> OpenOutcome,
    /// [`crate::SettlementStore::settlement_attempt`].
    SettlementAttempt(AddAttempt) -> (),
    /// [`crate::SettlementStore::settlement_included`].
    SettlementIncluded(Include) -> Vec<FactOutcome>,
    /// [`crate::SettlementStore::facts_apply`].
    FactsApply(Facts) -> Vec<FactOutcome>,
    /// [`crate::SettlementStore::settlements_final`].
    SettlementsFinal(Vec<SettlementId>) -> (),
    /// [`crate::SettlementStore::claims_final`].
    ClaimsFinal(Finish) -> (),
    /// [`crate::SettlementStore::settlement_vanished`].
    SettlementVanished(Vanish) -> (),
    /// [`crate::OfferStore::offers_publish`].
    OffersPublish(Publish) -> Vec<EarlierTerms>,
    /// [`crate::LedgerStore::ledger_submit`].
    LedgerSubmit(Submit) -> Outcome,
}
