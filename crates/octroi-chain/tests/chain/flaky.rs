//! A store that fails, before or after it has done what it was asked.

use std::sync::Arc;

use async_trait::async_trait;
use octroi_chain::SettleOutcome;
use octroi_claim::{AdvanceError, Claim, ClaimKey, NodeId, PaymentState, Step};
use octroi_ledger::{Account, Intent, Outcome, Record, Transfer};
use octroi_store::{
    Arrival, Attempt, ClaimOutcome, ClaimRequest, ClaimStore, Credit, EarlierTerms, Event, Fact,
    FactOutcome, Inclusion, LedgerStore, MemoryStore, NewSettlement, OfferStore, OfferedTerms,
    OpenOutcome, Page, Settlement, SettlementStore, StoreError, Transaction, TransactionFilter,
    TransactionStore,
};
use octroi_types::{
    AccountId, Address, B256, ChainId, CreditId, SettlementId, TenantId, TransactionId, TransferId,
    UnixMicros, UnixSeconds,
};
use octroi_x402::Reason;
use parking_lot::Mutex;

use crate::bench::{Bench, PAYEE, PRICE, payer_address, settled, wallet};

/// When a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Before,
    After,
}

pub(crate) struct FlakyStore {
    inner: Arc<MemoryStore>,
    /// What is still to fail.
    failures: Mutex<Vec<(&'static str, Failure)>>,
}

impl FlakyStore {
    pub(crate) fn new(inner: &Arc<MemoryStore>, failures: &[(&'static str, Failure)]) -> Arc<Self> {
        let failures = Mutex::new(failures.to_vec());
        Arc::new(Self {
            inner: Arc::clone(inner),
            failures,
        })
    }

    /// Whether everything that was to fail has failed.
    pub(crate) fn is_spent(&self) -> bool {
        self.failures.lock().is_empty()
    }

    async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let failure = {
            let mut failures = self.failures.lock();
            let found = failures.iter().position(|(failing, _)| *failing == name);
            found.map(|index| failures.remove(index).1)
        };
        let error = StoreError::Unavailable {
            reason: "as the test wants".to_owned(),
        };
        match failure {
            None => work.await,
            Some(Failure::Before) => Err(error),
            Some(Failure::After) => {
                work.await?;
                Err(error)
            }
        }
    }
}

#[async_trait]
impl ClaimStore for FlakyStore {
    async fn node_beat(
        &self,
        node: NodeId,
        lease_until: UnixMicros,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.inner.node_beat(node, lease_until, now).await
    }

    async fn claim_make(&self, request: ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        self.inner.claim_make(request).await
    }

    async fn claim_advance(
        &self,
        key: ClaimKey,
        epoch: u32,
        steps: Vec<Step>,
        now: UnixMicros,
    ) -> Result<Result<Claim, AdvanceError>, StoreError> {
        self.call(
            "claim_advance",
            self.inner.claim_advance(key, epoch, steps, now),
        )
        .await
    }

    async fn claims_recover(
        &self,
        owner: NodeId,
        limit: usize,
        now: UnixMicros,
    ) -> Result<Vec<Claim>, StoreError> {
        self.inner.claims_recover(owner, limit, now).await
    }

    async fn claim_get(&self, key: ClaimKey) -> Result<Option<Claim>, StoreError> {
        self.inner.claim_get(key).await
    }

    async fn claims_unknown(&self, limit: usize) -> Result<Vec<Claim>, StoreError> {
        self.call("claims_unknown", self.inner.claims_unknown(limit))
            .await
    }

    async fn claims_prune(&self, before: UnixSeconds) -> Result<u64, StoreError> {
        self.inner.claims_prune(before).await
    }

    async fn credit_get(&self, id: CreditId) -> Result<Option<Credit>, StoreError> {
        self.inner.credit_get(id).await
    }
}

#[async_trait]
impl SettlementStore for FlakyStore {
    async fn settlement_open(&self, new: NewSettlement) -> Result<OpenOutcome, StoreError> {
        self.call("settlement_open", self.inner.settlement_open(new))
            .await
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
        let work = self.inner.settlement_included(id, inclusion, facts, now);
        self.call("settlement_included", work).await
    }

    async fn facts_apply(
        &self,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        self.call("facts_apply", self.inner.facts_apply(facts, now))
            .await
    }

    async fn settlements_final(&self, ids: Vec<SettlementId>) -> Result<(), StoreError> {
        self.call("settlements_final", self.inner.settlements_final(ids))
            .await
    }

    async fn settlement_vanished(
        &self,
        id: SettlementId,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.inner.settlement_vanished(id, now).await
    }

    async fn claims_watched(&self, chain: ChainId) -> Result<Vec<(Claim, Inclusion)>, StoreError> {
        self.call("claims_watched", self.inner.claims_watched(chain))
            .await
    }

    async fn claims_final(
        &self,
        chain: ChainId,
        claims: Vec<(ClaimKey, B256)>,
    ) -> Result<(), StoreError> {
        self.call("claims_final", self.inner.claims_final(chain, claims))
            .await
    }

    async fn settlements_unfinished(&self, chain: ChainId) -> Result<Vec<Settlement>, StoreError> {
        self.call(
            "settlements_unfinished",
            self.inner.settlements_unfinished(chain),
        )
        .await
    }

    async fn settlement_nonce_max(
        &self,
        chain: ChainId,
        wallet: Address,
    ) -> Result<Option<u64>, StoreError> {
        self.call(
            "settlement_nonce_max",
            self.inner.settlement_nonce_max(chain, wallet),
        )
        .await
    }

    async fn arrival(&self, transaction: TransactionId) -> Result<Arrival, StoreError> {
        self.call("arrival", self.inner.arrival(transaction)).await
    }
}

#[async_trait]
impl TransactionStore for FlakyStore {
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

#[tokio::test]
async fn a_store_that_fails_while_settling_costs_nothing_but_time() {
    use Failure::{After, Before};
    for failures in [
        [("settlement_open", Before), ("settlement_open", After)],
        [("settlement_open", After), ("settlement_included", Before)],
        [
            ("settlement_included", After),
            ("settlement_included", After),
        ],
        [
            ("settlement_nonce_max", Before),
            ("settlements_unfinished", Before),
        ],
    ] {
        let bench = Bench::new();
        let store = FlakyStore::new(&bench.store, &failures);
        let running = bench.start_on(Arc::clone(&store) as _).await;
        for payer in 0..3 {
            settled(running.chain.settle(bench.job(payer).await).await);
        }
        assert!(store.is_spent(), "{failures:?}");
        assert_eq!(bench.tokens(PAYEE), 3 * PRICE);
        // Each nonce was used once, and none was left out.
        let nonces: Vec<_> = bench
            .unfinished()
            .await
            .iter()
            .map(|row| row.nonce)
            .collect();
        assert!(
            nonces.windows(2).all(|pair| pair[0] + 1 == pair[1]),
            "{nonces:?}"
        );
        assert_eq!(bench.nonce(wallet(0).address()), 3);
        running.kill().await;
    }
}

#[tokio::test]
async fn nobody_is_told_of_a_release_that_is_not_written() {
    for failure in [Failure::Before, Failure::After] {
        let bench = Bench::new();
        let store = FlakyStore::new(&bench.store, &[("claim_advance", failure)]);
        let running = bench.start_on(Arc::clone(&store) as _).await;
        // The payer has no money: refused.
        let signed = bench.sign(40);
        let outcome = running.chain.settle(bench.claim(&signed).await).await;
        assert!(
            matches!(outcome, SettleOutcome::Pending { tx_hash: None }),
            "{outcome:?}"
        );
        assert!(store.is_spent());
        assert_eq!(bench.tokens(payer_address(40)), 0);
        running.kill().await;
    }
}

#[tokio::test]
async fn a_release_that_is_written_is_told_with_its_reason() {
    let bench = Bench::new();
    let store = FlakyStore::new(&bench.store, &[]);
    let running = bench.start_on(store as _).await;
    let outcome = running.chain.settle(bench.job(40).await).await;
    assert!(
        matches!(
            outcome,
            SettleOutcome::Refused {
                reason: Reason::InsufficientBalance
            }
        ),
        "{outcome:?}"
    );
    running.kill().await;
}

#[tokio::test]
async fn what_the_chain_tells_is_written_when_the_store_is_back() {
    let bench = Bench::new();
    let failures = [
        ("claims_unknown", Failure::Before),
        ("facts_apply", Failure::Before),
    ];
    let store = FlakyStore::new(&bench.store, &failures);
    let signed = bench.sign(0);
    let job = bench.claim(&signed).await;
    let (key, epoch) = (job.claim.key(), job.claim.epoch);
    let steps = vec![Step::Delegate, Step::Lose];
    bench
        .store
        .claim_advance(key, epoch, steps, UnixMicros::now())
        .await
        .unwrap()
        .unwrap();
    let running = bench.start_on(Arc::clone(&store) as _).await;
    bench.submit(&signed, 1);
    bench.reaches(key, PaymentState::Settled).await;
    assert!(store.is_spent());
    running.kill().await;
}

#[async_trait]
impl OfferStore for FlakyStore {
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
impl LedgerStore for FlakyStore {
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
