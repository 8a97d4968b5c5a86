//! A store that counts the steps of the claims in it.

use std::sync::Arc;

use async_trait::async_trait;
use octroi_claim::{AdvanceError, Claim, ClaimKey, NodeId, PaymentState, Step, WorkState};
use octroi_ledger::{Account, Intent, Outcome, Record, Transfer};
use octroi_store::{
    Arrival, Attempt, ClaimOutcome, ClaimRequest, ClaimStore, Credit, EarlierTerms, Event, Fact,
    FactOutcome, Inclusion, LedgerStore, NewSettlement, OfferStore, OfferedTerms, OpenOutcome,
    Page, Settlement, SettlementStore, Store, StoreError, Transaction, TransactionFilter,
    TransactionStore,
};
use octroi_telemetry::metrics::{claim_payment_moved, claim_work_moved};
use octroi_types::{
    AccountId, Address, B256, ChainId, CreditId, SettlementId, TenantId, TransactionId, TransferId,
    UnixMicros, UnixSeconds,
};

/// Every step of a claim passes the store, whoever takes it: a request, a lane of the chain, or
/// upkeep. What they ask for is passed on as it is.
///
/// Two steps are not seen here. A payment that is sent at the response head is answered in the same
/// step, and only its grant knows in which order it settles: the grant counts that. And the claims of
/// a settlement whose block was replaced become unknown without being named.
pub struct CountedStore {
    inner: Arc<dyn Store>,
}

impl CountedStore {
    /// Counts what happens in this store.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner }
    }
}

/// What a step that was taken led to.
fn count_step(step: Step, now: &Claim) {
    match step {
        Step::Execute => claim_work_moved(WorkState::Executing),
        Step::Answer => claim_work_moved(WorkState::Answered),
        Step::Deliver => claim_work_moved(WorkState::Delivered),
        Step::Lose | Step::Settle { .. } | Step::Vanish => claim_payment_moved(now.payment),
        Step::Release | Step::Withdraw | Step::Fail => count_both(now),
        Step::Break { .. } => {
            claim_work_moved(WorkState::Broken);
            if now.payment == PaymentState::Released {
                claim_payment_moved(PaymentState::Released);
            }
        }
        Step::Broadcast { .. } | Step::Delegate => {
            claim_payment_moved(PaymentState::Broadcast);
        }
    }
}

fn count_both(now: &Claim) {
    claim_payment_moved(now.payment);
    claim_work_moved(now.work);
}

fn count_recovered(now: &Claim) {
    // Money that has arrived stays where it is; the credit for it ends the work.
    if now.payment != PaymentState::Settled {
        claim_payment_moved(now.payment);
    }
    claim_work_moved(now.work);
}

fn count_facts(facts: &[(ClaimKey, Fact)], outcomes: &[FactOutcome]) {
    for ((_, fact), outcome) in facts.iter().zip(outcomes) {
        match (fact, outcome) {
            (Fact::Failed, FactOutcome::Applied(now)) => count_both(now),
            (_, FactOutcome::Applied(now)) => claim_payment_moved(now.payment),
            (_, FactOutcome::LogTaken { .. }) => claim_payment_moved(PaymentState::Unknown),
            (_, FactOutcome::Unchanged(_) | FactOutcome::Refused(_) | FactOutcome::NoSuchClaim) => {
            }
        }
    }
}

#[async_trait]
impl ClaimStore for CountedStore {
    async fn node_beat(
        &self,
        node: NodeId,
        lease_until: UnixMicros,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.inner.node_beat(node, lease_until, now).await
    }

    async fn claim_make(&self, request: ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        let outcome = self.inner.claim_make(request).await?;
        if let ClaimOutcome::Granted(claim) = &outcome {
            count_both(claim);
        }
        Ok(outcome)
    }

    async fn claim_advance(
        &self,
        key: ClaimKey,
        epoch: u32,
        steps: Vec<Step>,
        now: UnixMicros,
    ) -> Result<Result<Claim, AdvanceError>, StoreError> {
        let taken = self
            .inner
            .claim_advance(key, epoch, steps.clone(), now)
            .await?;
        if let Ok(claim) = &taken {
            steps.into_iter().for_each(|step| count_step(step, claim));
        }
        Ok(taken)
    }

    async fn claims_recover(
        &self,
        owner: NodeId,
        limit: usize,
        now: UnixMicros,
    ) -> Result<Vec<Claim>, StoreError> {
        let recovered = self.inner.claims_recover(owner, limit, now).await?;
        recovered.iter().for_each(count_recovered);
        Ok(recovered)
    }

    async fn claim_get(&self, key: ClaimKey) -> Result<Option<Claim>, StoreError> {
        self.inner.claim_get(key).await
    }

    async fn claims_unknown(&self, limit: usize) -> Result<Vec<Claim>, StoreError> {
        self.inner.claims_unknown(limit).await
    }

    async fn claims_prune(&self, before: UnixSeconds) -> Result<u64, StoreError> {
        self.inner.claims_prune(before).await
    }

    async fn credit_get(&self, id: CreditId) -> Result<Option<Credit>, StoreError> {
        self.inner.credit_get(id).await
    }
}

#[async_trait]
impl SettlementStore for CountedStore {
    async fn settlement_open(&self, new: NewSettlement) -> Result<OpenOutcome, StoreError> {
        let claims = new.claims.len();
        let outcome = self.inner.settlement_open(new).await?;
        if outcome == OpenOutcome::Opened {
            (0..claims).for_each(|_| claim_payment_moved(PaymentState::Broadcast));
        }
        Ok(outcome)
    }

    async fn settlement_attempt(
        &self,
        id: SettlementId,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        self.inner.settlement_attempt(id, attempt).await
    }

    async fn settlement_included(
        &self,
        id: SettlementId,
        inclusion: Inclusion,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        let outcomes = self
            .inner
            .settlement_included(id, inclusion, facts.clone(), now)
            .await?;
        count_facts(&facts, &outcomes);
        Ok(outcomes)
    }

    async fn facts_apply(
        &self,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        let outcomes = self.inner.facts_apply(facts.clone(), now).await?;
        count_facts(&facts, &outcomes);
        Ok(outcomes)
    }

    async fn settlements_final(&self, ids: Vec<SettlementId>) -> Result<(), StoreError> {
        self.inner.settlements_final(ids).await
    }

    async fn settlement_vanished(
        &self,
        id: SettlementId,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.inner.settlement_vanished(id, now).await
    }

    async fn claims_watched(&self, chain: ChainId) -> Result<Vec<(Claim, Inclusion)>, StoreError> {
        self.inner.claims_watched(chain).await
    }

    async fn claims_final(
        &self,
        chain: ChainId,
        claims: Vec<(ClaimKey, B256)>,
    ) -> Result<(), StoreError> {
        self.inner.claims_final(chain, claims).await
    }

    async fn settlements_unfinished(&self, chain: ChainId) -> Result<Vec<Settlement>, StoreError> {
        self.inner.settlements_unfinished(chain).await
    }

    async fn settlement_nonce_max(
        &self,
        chain: ChainId,
        wallet: Address,
    ) -> Result<Option<u64>, StoreError> {
        self.inner.settlement_nonce_max(chain, wallet).await
    }

    async fn arrival(&self, transaction: TransactionId) -> Result<Arrival, StoreError> {
        self.inner.arrival(transaction).await
    }
}

#[async_trait]
impl TransactionStore for CountedStore {
    async fn transactions_list(
        &self,
        filter: TransactionFilter,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Page<Transaction>, StoreError> {
        self.inner.transactions_list(filter, after, limit).await
    }

    async fn transaction_get(&self, id: TransactionId) -> Result<Option<Transaction>, StoreError> {
        self.inner.transaction_get(id).await
    }

    async fn transaction_events(&self, id: TransactionId) -> Result<Vec<Event>, StoreError> {
        self.inner.transaction_events(id).await
    }

    async fn transaction_transfers(&self, id: TransactionId) -> Result<Vec<Transfer>, StoreError> {
        self.inner.transaction_transfers(id).await
    }

    async fn accounts_list(&self) -> Result<Vec<Account>, StoreError> {
        self.inner.accounts_list().await
    }
}

#[async_trait]
impl OfferStore for CountedStore {
    async fn offers_publish(
        &self,
        tenant: TenantId,
        in_force: Vec<OfferedTerms>,
        now: UnixSeconds,
    ) -> Result<Vec<EarlierTerms>, StoreError> {
        self.inner.offers_publish(tenant, in_force, now).await
    }
}

#[async_trait]
impl LedgerStore for CountedStore {
    async fn ledger_submit(&self, intent: Intent, now: UnixMicros) -> Result<Outcome, StoreError> {
        self.inner.ledger_submit(intent, now).await
    }

    async fn account_get(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.inner.account_get(id).await
    }

    async fn transfer_get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        self.inner.transfer_get(id).await
    }
}
