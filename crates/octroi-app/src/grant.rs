//! A grant: the right to deliver one answer, and the duty to say what became of it.

use std::sync::Arc;
use std::time::Duration;

use octroi_chain::{Included, Level, SettleJob, SettleOutcome};
use octroi_claim::{AdvanceError, Claim, PaymentState, SettleOrder, Step, WorkState};
use octroi_store::Arrival;
use octroi_telemetry::{chain as causes, metrics};
use octroi_types::{
    Address, Amount, B256, ChainId, CreditId, ErrorCode, TransactionId, UnixMicros,
};
use octroi_x402::{Reason, Version};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::deal::{BreakRule, Deal};
use crate::payments::{Checked, Inner};

/// How often the books are asked whether money that vanished has arrived again.
const ARRIVAL_POLL: Duration = Duration::from_millis(100);

/// The right to deliver one answer. Ends with [`Grant::deliver`], [`Grant::break_off`] or
/// [`Grant::give_up`]; dropped without, it gives up by itself, in a task that shutdown waits for.
pub struct Grant {
    inner: Arc<Inner>,
    claim: Box<Claim>,
    checked: Checked,
    level: Level,
    break_rule: BreakRule,
    /// Somebody has written its end, or will.
    finished: bool,
    /// Another node took the claim over and writes its end.
    fenced: bool,
}

/// Proof that an answer was paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The protocol version that the buyer spoke.
    pub version: Version,
    /// The seller's record.
    pub transaction: TransactionId,
    /// The chain.
    pub chain: ChainId,
    /// Who paid.
    pub payer: Address,
    /// What was paid, in the token's smallest unit.
    pub amount: Amount,
    /// The chain transaction; none if a credit paid.
    pub tx_hash: Option<B256>,
    /// The credit that paid.
    pub covered_by: Option<CreditId>,
}

/// Why an answer is not given although the payment was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettleFailure {
    /// The payment cannot be settled: 402 with the reason and fresh terms.
    Refused(Reason),
    /// It is not known yet whether it settles: 503, come again with the same payment.
    Pending {
        /// The chain transaction that may settle it.
        tx_hash: Option<B256>,
    },
    /// It was not sent, and will not be: 503, the same payment may come again.
    Unavailable(ErrorCode),
    /// It is settled, but not as surely yet as the route asks for: 503. What it paid for becomes a
    /// credit [when it is](Grant::give_up_when_sure); a credit that was to pay is there again.
    TooEarly {
        /// The chain transaction that settled it.
        tx_hash: Option<B256>,
    },
    /// Another node took the claim over.
    Fenced,
}

/// What became of the money of a grant that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// Nothing was charged, and nothing will be: the payment was not sent or can never settle, or a
    /// credit was to pay and is available again.
    Uncharged,
    /// The payment had settled, and its payer has this credit in return.
    Credited(CreditId),
    /// Whether the payment settles is not known yet, or could not be written down. What it moves
    /// becomes a credit of its payer.
    Open,
}

impl Grant {
    pub(crate) fn new(inner: Arc<Inner>, deal: &Deal, claim: Box<Claim>, checked: Checked) -> Self {
        let (level, break_rule) = (deal.level, deal.break_rule);
        Self {
            inner,
            claim,
            checked,
            level,
            break_rule,
            finished: false,
            fenced: false,
        }
    }

    /// Whether [`Grant::settle_first`] must come before the origin is called. A credit that is not sure
    /// enough may be given back, so nothing is done for it either.
    #[must_use]
    pub fn settles_first(&self) -> bool {
        match self.claim.payment {
            PaymentState::Claimed => self.claim.terms.order == SettleOrder::BeforeOrigin,
            PaymentState::Covered => self.level > Level::Included,
            PaymentState::Broadcast
            | PaymentState::Settled
            | PaymentState::Failed
            | PaymentState::Unknown
            | PaymentState::Released => false,
        }
    }

    /// The seller's record of this attempt.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        self.claim.terms.transaction
    }

    /// Settles before the origin is called, and then marks the work as begun; or waits until the credit
    /// that pays is sure.
    ///
    /// # Errors
    /// [`SettleFailure`]; the origin must not be called.
    pub async fn settle_first(&mut self) -> Result<(), SettleFailure> {
        if self.claim.payment == PaymentState::Covered {
            return self.credit_is_sure().await;
        }
        self.settle().await?;
        self.step(vec![Step::Execute]).await
    }

    /// The origin's response head arrived and is to be charged for: settles, unless that was done
    /// before or a credit covers, and gives the receipt to send with the head.
    ///
    /// # Errors
    /// [`SettleFailure`]; the answer must not be given.
    pub async fn answered(&mut self) -> Result<Receipt, SettleFailure> {
        if self.claim.payment == PaymentState::Claimed {
            let settled = self.settle().await;
            if matches!(settled, Ok(()) | Err(SettleFailure::Pending { .. })) {
                // It was sent, and that step says that the head arrived.
                metrics::claim_work_moved(WorkState::Answered);
            }
            settled?;
        } else {
            self.step(vec![Step::Answer]).await?;
        }
        Ok(self.receipt())
    }

    fn receipt(&self) -> Receipt {
        Receipt {
            version: self.checked.version,
            transaction: self.claim.terms.transaction,
            chain: self.claim.terms.chain,
            payer: self.claim.terms.payer,
            amount: self.claim.terms.amount,
            tx_hash: self.claim.tx_hash,
            covered_by: self.claim.covered_by,
        }
    }

    async fn settle(&mut self) -> Result<(), SettleFailure> {
        let Some(chain) = self.inner.chains.get(&self.claim.terms.chain).cloned() else {
            return Err(SettleFailure::Unavailable(ErrorCode::SettlementUnavailable));
        };
        let job = SettleJob {
            claim: self.claim.clone(),
            authorization: self.checked.authorization.clone(),
            terms: self.checked.terms.clone(),
        };
        let deadline = Instant::now() + self.inner.options.settle_wait;
        match tokio::time::timeout_at(deadline, chain.settle(job)).await {
            Ok(SettleOutcome::Settled { claim, .. }) => {
                self.claim = claim;
                self.reach_level(self.transaction(), deadline).await
            }
            Ok(SettleOutcome::Refused { reason }) => {
                self.finished = true;
                Err(SettleFailure::Refused(reason))
            }
            Ok(SettleOutcome::Unavailable) => {
                self.finished = true;
                Err(SettleFailure::Unavailable(ErrorCode::SettlementUnavailable))
            }
            Ok(SettleOutcome::Reverted { reason }) => {
                self.reload().await?;
                // While anybody may still send the authorization its fate is open, whatever became
                // of this attempt: a bill would have the buyer pay twice (money rule 16).
                match self.claim.payment {
                    PaymentState::Broadcast | PaymentState::Unknown => {
                        Err(SettleFailure::Pending {
                            tx_hash: self.claim.tx_hash,
                        })
                    }
                    PaymentState::Settled => self.reach_level(self.transaction(), deadline).await,
                    PaymentState::Claimed
                    | PaymentState::Failed
                    | PaymentState::Covered
                    | PaymentState::Released => Err(SettleFailure::Refused(reason)),
                }
            }
            Ok(SettleOutcome::Fenced) => Err(self.lost()),
            Ok(SettleOutcome::Pending { tx_hash }) => self.give_up_waiting(tx_hash, deadline).await,
            Err(_) => self.give_up_waiting(None, deadline).await,
        }
    }

    /// A credit that pays came from a payment whose route may have waited for less, or whose gate
    /// was killed before it was sure: that payment must be as sure as this route wants it before
    /// anything is done for it.
    async fn credit_is_sure(&self) -> Result<(), SettleFailure> {
        let Some(credit) = self.claim.covered_by else {
            return Ok(());
        };
        let found = self.inner.store.credit_get(credit).await;
        let found = found.map_err(|error| store_failed(&error))?;
        let Some(credit) = found else {
            return Err(SettleFailure::Unavailable(ErrorCode::StoreUnavailable));
        };
        let deadline = Instant::now() + self.inner.options.settle_wait;
        self.reach_level(credit.transaction, deadline).await
    }

    /// Waits until the money of a payment is as sure as the route wants it. A block may be replaced
    /// while it is waited for, so the books are asked where the money is until it is sure there.
    async fn reach_level(
        &self,
        paid_by: TransactionId,
        deadline: Instant,
    ) -> Result<(), SettleFailure> {
        if self.level == Level::Included {
            return Ok(());
        }
        let chain = self.inner.chains.get(&self.claim.terms.chain);
        let chain = chain.ok_or(SettleFailure::Unavailable(ErrorCode::SettlementUnavailable))?;
        loop {
            let arrival = self.inner.store.arrival(paid_by).await;
            let mut tx_hash = self.claim.tx_hash;
            match arrival.map_err(|error| store_failed(&error))? {
                Arrival::Final => return Ok(()),
                Arrival::Seen(inclusion) => {
                    let seen = Included::from(inclusion);
                    if chain.wait_level(seen, self.level, deadline).await {
                        return Ok(());
                    }
                    tx_hash = Some(inclusion.tx_hash);
                }
                Arrival::Not => {}
            }
            if Instant::now() >= deadline {
                return Err(SettleFailure::TooEarly { tx_hash });
            }
            tokio::time::sleep(ARRIVAL_POLL).await;
        }
    }

    /// The time is up. What was not sent is called back; what was sent becomes unknown; and if the
    /// chain was quicker than we were, the payment is settled after all.
    async fn give_up_waiting(
        &mut self,
        tx_hash: Option<B256>,
        deadline: Instant,
    ) -> Result<(), SettleFailure> {
        if self.step(vec![Step::Release]).await.is_ok() {
            self.finished = true;
            return Err(SettleFailure::Unavailable(ErrorCode::SettlementUnavailable));
        }
        if self.step(vec![Step::Lose]).await.is_ok() {
            return Err(SettleFailure::Pending {
                tx_hash: tx_hash.or(self.claim.tx_hash),
            });
        }
        self.reload().await?;
        if self.claim.payment == PaymentState::Settled {
            return self.reach_level(self.transaction(), deadline).await;
        }
        Err(SettleFailure::Pending {
            tx_hash: tx_hash.or(self.claim.tx_hash),
        })
    }

    async fn reload(&mut self) -> Result<(), SettleFailure> {
        match self.inner.store.claim_get(self.claim.key()).await {
            Ok(Some(claim)) if claim.epoch == self.claim.epoch => {
                *self.claim = claim;
                Ok(())
            }
            Ok(_) => Err(self.lost()),
            Err(error) => Err(store_failed(&error)),
        }
    }

    const fn lost(&mut self) -> SettleFailure {
        (self.finished, self.fenced) = (true, true);
        SettleFailure::Fenced
    }

    async fn step(&mut self, steps: Vec<Step>) -> Result<(), SettleFailure> {
        let (key, epoch) = (self.claim.key(), self.claim.epoch);
        let taken = Self::taken(
            self.inner
                .store
                .claim_advance(key, epoch, steps, UnixMicros::now())
                .await,
        )?;
        *self.claim = taken;
        Ok(())
    }

    fn taken(
        result: Result<Result<Claim, AdvanceError>, octroi_store::StoreError>,
    ) -> Result<Claim, SettleFailure> {
        match result {
            Ok(Ok(claim)) => Ok(claim),
            Ok(Err(AdvanceError::Fenced)) => Err(SettleFailure::Fenced),
            Ok(Err(AdvanceError::NoSuchStep { payment, work })) => {
                // Usual when the chain and the clock race; the caller looks again.
                warn!(?payment, ?work, "a claim could not take a step");
                Err(SettleFailure::Fenced)
            }
            Err(error) => Err(store_failed(&error)),
        }
    }

    /// The buyer was given the answer.
    pub fn deliver(mut self) {
        self.finished = true;
        self.finish(End::Delivered);
    }

    /// The answer broke off after its first byte: charged by the route's rule.
    pub fn break_off(mut self) {
        self.finished = true;
        match self.break_rule {
            BreakRule::ChargeFull => self.finish(End::Delivered),
            BreakRule::Credit => self.finish(End::GivenUp),
        }
    }

    /// No answer was given. Nothing is charged: what was not sent is released, and what was settled
    /// becomes a refund credit.
    pub async fn give_up(mut self) -> GivenUp {
        if self.finished {
            return if self.fenced {
                GivenUp::Open
            } else {
                GivenUp::Uncharged
            };
        }
        self.finished = true;
        let (inner, claim) = (Arc::clone(&self.inner), self.claim.clone());
        match end(&inner, *claim, End::GivenUp).await {
            Some(claim) => GivenUp::of(&claim),
            None => GivenUp::Open,
        }
    }

    /// Gives up after [`SettleFailure::TooEarly`]: the credit comes when the settlement is as sure as the
    /// route asks for, so that nothing is bought with less. A credit that was to pay is given back at
    /// once. A gate that stops waits no longer.
    pub async fn give_up_when_sure(mut self) {
        const LOOK: Duration = Duration::from_secs(1);
        // A settlement that vanished is of unknown fate, and no longer waited for here.
        while self.claim.payment == PaymentState::Settled && !self.inner.tasks.is_closed() {
            let paid_by = self.transaction();
            if self
                .reach_level(paid_by, Instant::now() + LOOK)
                .await
                .is_ok()
                || self.reload().await.is_err()
            {
                break;
            }
        }
        self.give_up().await;
    }

    fn finish(&self, end_kind: End) {
        let (inner, claim) = (Arc::clone(&self.inner), self.claim.clone());
        self.inner.tasks.spawn(async move {
            end(&inner, *claim, end_kind).await;
        });
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(End::GivenUp);
        }
    }
}

impl GivenUp {
    fn of(claim: &Claim) -> Self {
        match (claim.payment, claim.credit) {
            (PaymentState::Settled, Some(credit)) => Self::Credited(credit),
            (PaymentState::Released | PaymentState::Failed, _) => Self::Uncharged,
            (
                PaymentState::Claimed
                | PaymentState::Broadcast
                | PaymentState::Settled
                | PaymentState::Unknown
                | PaymentState::Covered,
                _,
            ) => Self::Open,
        }
    }
}

/// How a grant ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    GivenUp,
}

/// Writes the end of a claim, looking again when chain facts came in between, and again while the
/// store is unavailable: an end that is not written would look like a crash.
async fn end(inner: &Inner, mut claim: Claim, kind: End) -> Option<Claim> {
    const ATTEMPTS: u32 = 8;
    let mut pause = Duration::from_millis(50);
    for _ in 0..ATTEMPTS {
        let Some(steps) = last_steps(&claim, kind) else {
            return Some(claim);
        };
        let taken = inner
            .store
            .claim_advance(claim.key(), claim.epoch, steps, UnixMicros::now())
            .await;
        match taken {
            Ok(Ok(claim)) => return Some(claim),
            Ok(Err(AdvanceError::Fenced)) => return None,
            Ok(Err(AdvanceError::NoSuchStep { .. })) => {}
            Err(error) => {
                error!(error = %causes(&error), "the end of a claim could not be written; trying again");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
        }
        match inner.store.claim_get(claim.key()).await {
            Ok(Some(now)) if now.epoch == claim.epoch => claim = now,
            Ok(_) => return None,
            Err(_) => {}
        }
    }
    // Recovery finishes it: the node's heartbeat ends with the process, at the latest.
    error!(transaction = %claim.terms.transaction, "the end of a claim was not written");
    None
}

fn last_steps(claim: &Claim, kind: End) -> Option<Vec<Step>> {
    if kind == End::Delivered {
        return Some(vec![Step::Deliver]);
    }
    match claim.payment {
        PaymentState::Claimed => Some(vec![Step::Release]),
        PaymentState::Settled => {
            let credit = CreditId::derived(&claim.terms.id.uuid(), "refund");
            Some(vec![Step::Break {
                credit: Some(credit),
            }])
        }
        PaymentState::Broadcast | PaymentState::Unknown | PaymentState::Covered => {
            Some(vec![Step::Break { credit: None }])
        }
        PaymentState::Failed | PaymentState::Released => None,
    }
}

fn store_failed(error: &octroi_store::StoreError) -> SettleFailure {
    error!(error = %causes(error), "the store did not take a step of a claim");
    SettleFailure::Unavailable(ErrorCode::StoreUnavailable)
}
