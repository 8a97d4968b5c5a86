//! The reference backend: everything in memory, behind one lock, as plain as it can be.
//!
//! It is what the other backends are compared with, and good enough for tests and demonstrations.
//! It keeps nothing beyond the process, and looks through whole tables where a database has an
//! index.

mod state;

use async_trait::async_trait;
use octroi_claim::{AdvanceError, Claim, ClaimKey, NodeId, PaymentState, Step};
use octroi_ledger::{Account, Books as _, Intent, Outcome, Record, Transfer};
use octroi_types::{
    AccountId, Address, B256, ChainId, CreditId, SettlementId, TenantId, TransactionId, TransferId,
    UnixMicros, UnixSeconds,
};
use parking_lot::Mutex;

use crate::claim::{ClaimOutcome, ClaimRequest, ClaimStore};
use crate::credit::Credit;
use crate::error::StoreError;
use crate::event::Event;
use crate::ledger::LedgerStore;
use crate::listing::{Page, TransactionFilter};
use crate::offer::{EarlierTerms, OfferStore, OfferedTerms};
use crate::plan;
use crate::settlement::{
    Arrival, Attempt, Fact, FactOutcome, Inclusion, NewSettlement, OpenOutcome, Settlement,
    SettlementState, SettlementStore,
};
use crate::transaction::{Transaction, TransactionStore};
use state::State;

/// A store in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a new process would find if all this had been durable: the same, with every node dead.
    #[must_use]
    pub fn reopened(&self) -> Self {
        let mut state = self.state.lock().clone();
        state.nodes.clear();
        Self {
            state: Mutex::new(state),
        }
    }
}

#[async_trait]
impl ClaimStore for MemoryStore {
    async fn node_beat(
        &self,
        node: NodeId,
        lease_until: UnixMicros,
        _now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.state.lock().nodes.insert(node, lease_until);
        Ok(())
    }

    async fn claim_make(&self, request: ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        self.state.lock().claim_make(&request)
    }

    async fn claim_advance(
        &self,
        key: ClaimKey,
        epoch: u32,
        steps: Vec<Step>,
        now: UnixMicros,
    ) -> Result<Result<Claim, AdvanceError>, StoreError> {
        self.state.lock().claim_advance(key, epoch, &steps, now)
    }

    async fn claims_recover(
        &self,
        owner: NodeId,
        limit: usize,
        now: UnixMicros,
    ) -> Result<Vec<Claim>, StoreError> {
        self.state.lock().claims_recover(owner, limit, now)
    }

    async fn claim_get(&self, key: ClaimKey) -> Result<Option<Claim>, StoreError> {
        Ok(self.state.lock().claim(key).cloned())
    }

    async fn claims_unknown(&self, limit: usize) -> Result<Vec<Claim>, StoreError> {
        let state = self.state.lock();
        let mut unknown: Vec<_> = state
            .claims
            .values()
            .filter(|claim| claim.payment == PaymentState::Unknown)
            .collect();
        unknown.sort_by_key(|claim| claim.terms.transaction);
        Ok(unknown.into_iter().take(limit).cloned().collect())
    }

    async fn claims_prune(&self, before: UnixSeconds) -> Result<u64, StoreError> {
        Ok(self.state.lock().claims_prune(before))
    }

    async fn credit_get(&self, id: CreditId) -> Result<Option<Credit>, StoreError> {
        Ok(self.state.lock().credits.get(&id).cloned())
    }
}

#[async_trait]
impl SettlementStore for MemoryStore {
    async fn settlement_open(&self, new: NewSettlement) -> Result<OpenOutcome, StoreError> {
        self.state.lock().settlement_open(&new)
    }

    async fn settlement_attempt(
        &self,
        id: SettlementId,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        self.state.lock().settlement_attempt(id, attempt)
    }

    async fn settlement_included(
        &self,
        id: SettlementId,
        inclusion: Inclusion,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        self.state
            .lock()
            .settlement_included(id, inclusion, &facts, now)
    }

    async fn facts_apply(
        &self,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        self.state.lock().facts_apply(&facts, now)
    }

    async fn settlements_final(&self, ids: Vec<SettlementId>) -> Result<(), StoreError> {
        self.state.lock().settlements_final(&ids)
    }

    async fn settlement_vanished(
        &self,
        id: SettlementId,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.state.lock().settlement_vanished(id, now)
    }

    async fn claims_watched(&self, chain: ChainId) -> Result<Vec<(Claim, Inclusion)>, StoreError> {
        Ok(self.state.lock().claims_watched(chain))
    }

    async fn claims_final(
        &self,
        chain: ChainId,
        claims: Vec<(ClaimKey, B256)>,
    ) -> Result<(), StoreError> {
        self.state.lock().claims_final(chain, &claims);
        Ok(())
    }

    async fn settlements_unfinished(&self, chain: ChainId) -> Result<Vec<Settlement>, StoreError> {
        let state = self.state.lock();
        let mut unfinished: Vec<_> = state
            .settlements
            .values()
            .filter(|row| row.chain == chain && row.state != SettlementState::Final)
            .cloned()
            .collect();
        unfinished.sort_by_key(|row| (row.nonce, row.wallet));
        Ok(unfinished)
    }

    async fn settlement_nonce_max(
        &self,
        chain: ChainId,
        wallet: Address,
    ) -> Result<Option<u64>, StoreError> {
        let state = self.state.lock();
        let of_wallet = state
            .settlements
            .values()
            .filter(|row| (row.chain, row.wallet) == (chain, wallet));
        Ok(of_wallet.map(|row| row.nonce).max())
    }

    async fn arrival(&self, transaction: TransactionId) -> Result<Arrival, StoreError> {
        Ok(self.state.lock().arrival(transaction))
    }
}

#[async_trait]
impl TransactionStore for MemoryStore {
    async fn transactions_list(
        &self,
        filter: TransactionFilter,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Page<Transaction>, StoreError> {
        let state = self.state.lock();
        let rows = state
            .transactions
            .values()
            .rev()
            .filter(|row| after.is_none_or(|after| row.id < after) && filter.matches(row))
            .take(Page::rows_for(limit) + 1)
            .cloned()
            .collect();
        Ok(Page::of(rows, limit))
    }

    async fn transaction_get(&self, id: TransactionId) -> Result<Option<Transaction>, StoreError> {
        Ok(self.state.lock().transactions.get(&id).cloned())
    }

    async fn transaction_events(&self, id: TransactionId) -> Result<Vec<Event>, StoreError> {
        Ok(self
            .state
            .lock()
            .events
            .get(&id)
            .cloned()
            .unwrap_or_default())
    }

    async fn transaction_transfers(&self, id: TransactionId) -> Result<Vec<Transfer>, StoreError> {
        Ok(self.state.lock().transfers_of(id))
    }

    async fn accounts_list(&self) -> Result<Vec<Account>, StoreError> {
        let mut accounts: Vec<_> = self.state.lock().books.accounts().copied().collect();
        accounts.sort_by_key(|account| account.id);
        Ok(accounts)
    }
}

#[async_trait]
impl OfferStore for MemoryStore {
    async fn offers_publish(
        &self,
        tenant: TenantId,
        in_force: Vec<OfferedTerms>,
        now: UnixSeconds,
    ) -> Result<Vec<EarlierTerms>, StoreError> {
        let mut state = self.state.lock();
        let offers = state.offers.entry(tenant).or_default();
        *offers = plan::publish(offers, in_force, now);
        Ok(plan::earlier(offers))
    }
}

#[async_trait]
impl LedgerStore for MemoryStore {
    async fn ledger_submit(&self, intent: Intent, now: UnixMicros) -> Result<Outcome, StoreError> {
        self.state.lock().ledger_submit(&intent, now)
    }

    async fn account_get(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        let Ok(account) = self.state.lock().books.account(id);
        Ok(account)
    }

    async fn transfer_get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        let Ok(record) = self.state.lock().books.record(id);
        Ok(record)
    }
}
