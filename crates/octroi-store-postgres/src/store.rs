//! The port, over the lanes' queue and the readers.

use std::sync::Arc;

use async_trait::async_trait;
use octroi_claim::{AdvanceError, Claim, ClaimKey, NodeId, Step};
use octroi_ledger::{Account, Intent, Outcome, Record, Seal, Transfer};
use octroi_store::{
    Arrival, Attempt, ClaimOutcome, ClaimRequest, ClaimStore, Credit, EarlierTerms, Event, Fact,
    FactOutcome, Inclusion, LedgerStore, NewSettlement, OfferStore, OfferedTerms, OpenOutcome,
    Page, Settlement, SettlementStore, StoreError, Transaction, TransactionFilter,
    TransactionStore,
};
use octroi_types::{
    AccountId, Address, B256, ChainId, CreditId, SettlementId, TenantId, TransactionId, TransferId,
    UnixMicros, UnixSeconds,
};
use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::audit::{AuditError, audit};
use crate::connection::{Connection, Connector};
use crate::fault::unavailable;
use crate::lane::Lane;
use crate::options::{OpenError, PostgresOptions};
use crate::readers::{Readers, Reading};
use crate::schema::{MIGRATIONS, migrate};
use crate::{
    accounts, arrivals, claims, credits, events, settlements, transactions, transfers, watched,
};
use octroi_store::call::{
    AddAttempt, Advance, Call, Command, Facts, Finish, Include, NodeBeat, Publish, Recover, Submit,
    Vanish,
};

/// A store in a PostgreSQL database, which it may share with the stores of other nodes.
pub struct PostgresStore {
    calls: Mutex<Option<mpsc::Sender<Command>>>,
    readers: Arc<Readers>,
    lanes: tokio::sync::Mutex<JoinSet<()>>,
    handle: Handle,
    runtime: Option<Runtime>,
}

impl PostgresStore {
    /// Connects to a database, and brings it to the newest schema, in a schema `octroi` of its own. Of
    /// nodes that start together, one does that and the others wait.
    ///
    /// The address is an URL, `postgresql://user:password@host:port/database`, or pairs `key=value`, with
    /// the parameters of libpq that tokio-postgres knows. With `sslmode=require` it must be TLS; whenever
    /// it is, the server's certificate is verified.
    ///
    /// The store works on threads of its own, so that no runtime of its callers matters to it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(address: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let connector = Connector::new(address, &options)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("octroi-store")
            .enable_all()
            .build()
            .map_err(OpenError::Threads)?;
        let handle = runtime.handle().clone();
        let (sender, queue) = mpsc::channel(options.queue_len.max(1));
        let mut store = Self {
            calls: Mutex::new(Some(sender)),
            readers: Arc::new(Readers::new(connector.clone(), options.readers)),
            lanes: tokio::sync::Mutex::default(),
            handle,
            runtime: Some(runtime),
        };
        let starter = connector.clone();
        let ended = |error: tokio::task::JoinError| OpenError::Database {
            reason: error.to_string(),
        };
        let started = store.handle.spawn(async move { start(&starter).await });
        started.await.map_err(ended)??;
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        for _ in 0..options.lanes.max(1) {
            let lane = Lane::new(connector.clone(), options.clone(), Arc::clone(&queue));
            store.lanes.get_mut().spawn_on(lane.run(), &store.handle);
        }
        Ok(store)
    }

    /// Answers every call that was made before, and disconnects. Calls made after it are refused.
    pub async fn close(&self) {
        drop(self.calls.lock().take());
        self.readers.close();
        let mut lanes = self.lanes.lock().await;
        while lanes.join_next().await.is_some() {}
    }

    /// Reads all of the books: whether they balance, and whether every row is the one that was written,
    /// by the chains over the batches. Returns the heads of the chains, one for each lane that ever wrote.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn audit(&self) -> Result<Vec<Seal>, AuditError> {
        // What is wrong with the books is an answer.
        let audited = self.read(|connection| {
            Box::pin(async move {
                match audit(connection).await {
                    Err(AuditError::Unreadable(error)) => Err(error.into()),
                    audited => Ok(audited),
                }
            })
        });
        audited.await.map_err(AuditError::Unreadable)?
    }

    async fn call<Q, A>(
        &self,
        command: fn(Box<Call<Q, A>>) -> Command,
        question: Q,
    ) -> Result<A, StoreError> {
        let (call, answer) = Call::new(question);
        let calls = self.calls.lock().clone();
        let calls = calls.ok_or_else(closed)?;
        calls.send(command(call)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl for<'c> Fn(&'c Connection) -> Reading<'c, T> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(&self.readers);
        let reading = self.handle.spawn(async move { readers.read(read).await });
        reading.await.map_err(|_| closed())?
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        // It may be dropped within another runtime, where nobody must wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn closed() -> StoreError {
    unavailable("the store is closed")
}

async fn start(connector: &Connector) -> Result<(), OpenError> {
    let connection = connector
        .connect()
        .await
        .map_err(|error| OpenError::Database {
            reason: error.reason(),
        })?;
    migrate(&connection, MIGRATIONS).await
}

#[async_trait]
impl ClaimStore for PostgresStore {
    async fn node_beat(
        &self,
        node: NodeId,
        lease_until: UnixMicros,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        let beat = NodeBeat {
            node,
            lease_until,
            now,
        };
        self.call(Command::NodeBeat, beat).await
    }

    async fn claim_make(&self, request: ClaimRequest) -> Result<ClaimOutcome, StoreError> {
        self.call(Command::ClaimMake, request).await
    }

    async fn claim_advance(
        &self,
        key: ClaimKey,
        epoch: u32,
        steps: Vec<Step>,
        now: UnixMicros,
    ) -> Result<Result<Claim, AdvanceError>, StoreError> {
        self.call(
            Command::ClaimAdvance,
            Advance {
                key,
                epoch,
                steps,
                now,
            },
        )
        .await
    }

    async fn claims_recover(
        &self,
        owner: NodeId,
        limit: usize,
        now: UnixMicros,
    ) -> Result<Vec<Claim>, StoreError> {
        self.call(Command::ClaimsRecover, Recover { owner, limit, now })
            .await
    }

    async fn claim_get(&self, key: ClaimKey) -> Result<Option<Claim>, StoreError> {
        self.read(move |connection| Box::pin(claims::get(connection, key)))
            .await
    }

    async fn claims_unknown(&self, limit: usize) -> Result<Vec<Claim>, StoreError> {
        self.read(move |connection| Box::pin(claims::unknown(connection, limit)))
            .await
    }

    async fn claims_prune(&self, before: UnixSeconds) -> Result<u64, StoreError> {
        self.call(Command::ClaimsPrune, before).await
    }

    async fn credit_get(&self, id: CreditId) -> Result<Option<Credit>, StoreError> {
        self.read(move |connection| Box::pin(credits::get(connection, id)))
            .await
    }
}

#[async_trait]
impl SettlementStore for PostgresStore {
    async fn settlement_open(&self, new: NewSettlement) -> Result<OpenOutcome, StoreError> {
        self.call(Command::SettlementOpen, new).await
    }

    async fn settlement_attempt(
        &self,
        id: SettlementId,
        attempt: Attempt,
    ) -> Result<(), StoreError> {
        self.call(Command::SettlementAttempt, AddAttempt { id, attempt })
            .await
    }

    async fn settlement_included(
        &self,
        id: SettlementId,
        inclusion: Inclusion,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        let include = Include {
            id,
            inclusion,
            facts: Facts { facts, now },
        };
        self.call(Command::SettlementIncluded, include).await
    }

    async fn facts_apply(
        &self,
        facts: Vec<(ClaimKey, Fact)>,
        now: UnixMicros,
    ) -> Result<Vec<FactOutcome>, StoreError> {
        self.call(Command::FactsApply, Facts { facts, now }).await
    }

    async fn settlements_final(&self, ids: Vec<SettlementId>) -> Result<(), StoreError> {
        self.call(Command::SettlementsFinal, ids).await
    }

    async fn settlement_vanished(
        &self,
        id: SettlementId,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.call(Command::SettlementVanished, Vanish { id, now })
            .await
    }

    async fn claims_watched(&self, chain: ChainId) -> Result<Vec<(Claim, Inclusion)>, StoreError> {
        self.read(move |connection| Box::pin(watched::of_chain(connection, chain)))
            .await
    }

    async fn claims_final(
        &self,
        chain: ChainId,
        claims: Vec<(ClaimKey, B256)>,
    ) -> Result<(), StoreError> {
        self.call(Command::ClaimsFinal, Finish { chain, claims })
            .await
    }

    async fn settlements_unfinished(&self, chain: ChainId) -> Result<Vec<Settlement>, StoreError> {
        self.read(move |connection| Box::pin(settlements::unfinished(connection, chain)))
            .await
    }

    async fn settlement_nonce_max(
        &self,
        chain: ChainId,
        wallet: Address,
    ) -> Result<Option<u64>, StoreError> {
        self.read(move |connection| Box::pin(settlements::nonce_max(connection, chain, wallet)))
            .await
    }

    async fn arrival(&self, transaction: TransactionId) -> Result<Arrival, StoreError> {
        self.read(move |connection| Box::pin(arrivals::of(connection, transaction)))
            .await
    }
}

#[async_trait]
impl TransactionStore for PostgresStore {
    async fn transactions_list(
        &self,
        filter: TransactionFilter,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Page<Transaction>, StoreError> {
        self.read(move |connection| {
            let filter = filter.clone();
            Box::pin(async move { transactions::list(connection, &filter, after, limit).await })
        })
        .await
    }

    async fn transaction_get(&self, id: TransactionId) -> Result<Option<Transaction>, StoreError> {
        self.read(move |connection| Box::pin(transactions::get(connection, id)))
            .await
    }

    async fn transaction_events(&self, id: TransactionId) -> Result<Vec<Event>, StoreError> {
        self.read(move |connection| Box::pin(events::list(connection, id)))
            .await
    }

    async fn transaction_transfers(&self, id: TransactionId) -> Result<Vec<Transfer>, StoreError> {
        self.read(move |connection| Box::pin(transfers::list(connection, id)))
            .await
    }

    async fn accounts_list(&self) -> Result<Vec<Account>, StoreError> {
        let accounts = self
            .read(|connection| Box::pin(accounts::list(connection)))
            .await?;
        Ok(accounts.into_iter().map(|(account, _)| account).collect())
    }
}

#[async_trait]
impl OfferStore for PostgresStore {
    async fn offers_publish(
        &self,
        tenant: TenantId,
        in_force: Vec<OfferedTerms>,
        now: UnixSeconds,
    ) -> Result<Vec<EarlierTerms>, StoreError> {
        let publish = Publish {
            tenant,
            in_force,
            now,
        };
        self.call(Command::OffersPublish, publish).await
    }
}

#[async_trait]
impl LedgerStore for PostgresStore {
    async fn ledger_submit(&self, intent: Intent, now: UnixMicros) -> Result<Outcome, StoreError> {
        self.call(Command::LedgerSubmit, Submit { intent, now })
            .await
    }

    async fn account_get(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.read(move |connection| Box::pin(accounts::get(connection, id)))
            .await
    }

    async fn transfer_get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        self.read(move |connection| Box::pin(transfers::record(connection, id)))
            .await
    }
}
