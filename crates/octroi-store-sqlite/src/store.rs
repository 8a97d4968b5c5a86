//! The port, over the writer's queue and the readers.

use std::path::Path;
use std::thread::JoinHandle;

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
use tokio::sync::mpsc;

use crate::audit::{AuditError, audit};
use crate::connection::{ProcessLock, open_writer};
use crate::engine::Engine;
use crate::fault::unavailable;
use crate::options::{OpenError, SqliteOptions};
use crate::readers::Readers;
use crate::writer::{Message, Writer};
use crate::{
    accounts, arrivals, claims, credits, events, settlements, transactions, transfers, watched,
};
use octroi_store::call::{
    AddAttempt, Advance, Call, Command, Facts, Finish, Include, NodeBeat, Publish, Recover, Submit,
    Vanish,
};

/// A store in one SQLite file, owned by this process until it is closed.
pub struct SqliteStore {
    calls: mpsc::Sender<Message>,
    readers: Readers,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Opens a database, or makes one, and brings it to the newest schema. Blocks.
    ///
    /// All claims that are open in it belong to dead nodes, because only one process can have it.
    ///
    /// # Errors
    /// [`OpenError`]; in particular if another process has it.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let lock = ProcessLock::take(path)?;
        let connection = open_writer(path, &options)?;
        // The writer loads it for itself; what cannot be read is to be known before.
        Engine::load(&connection).map_err(OpenError::Database)?;
        let (calls, queue) = mpsc::channel(options.queue_len.max(1));
        let readers = Readers::new(path.to_owned(), options.readers);
        let writer = Writer::new(path.to_owned(), options, queue, lock);
        let thread = std::thread::Builder::new()
            .name("octroi-store".to_owned())
            .spawn(move || writer.run(connection))
            .map_err(OpenError::Thread)?;
        Ok(Self {
            calls,
            readers,
            writer: Mutex::new(Some(thread)),
        })
    }

    /// Answers every call that was made before, and closes the database. Calls made after it are
    /// refused. Another process can open it when this returns.
    pub async fn close(&self) {
        // An error says that it is closing already.
        self.calls.send(Message::Close).await.ok();
        self.readers.close();
        let thread = self.writer.lock().take();
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(|| thread.join()).await.ok();
        }
    }

    /// Reads all of the books: whether they balance, and whether every row is the one that was
    /// written, by the chain over the batches. Returns the head of the chain.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn audit(&self) -> Result<Seal, AuditError> {
        match self.readers.with_connection(audit).await {
            Ok(audited) => audited,
            Err(_) => Err(AuditError::Unavailable),
        }
    }

    async fn call<Q, A>(
        &self,
        command: fn(Box<Call<Q, A>>) -> Command,
        question: Q,
    ) -> Result<A, StoreError> {
        let (call, answer) = Call::new(question);
        let closed = || unavailable("the store is closed");
        self.calls
            .send(Message::Call(command(call)))
            .await
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

#[async_trait]
impl ClaimStore for SqliteStore {
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
        self.readers
            .read(move |connection| claims::get(connection, key))
            .await
    }

    async fn claims_unknown(&self, limit: usize) -> Result<Vec<Claim>, StoreError> {
        let unknown = self.readers.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            claims::unfinished(&snapshot, true, limit)
        });
        Ok(unknown
            .await?
            .into_iter()
            .map(|stored| stored.claim)
            .collect())
    }

    async fn claims_prune(&self, before: UnixSeconds) -> Result<u64, StoreError> {
        self.call(Command::ClaimsPrune, before).await
    }

    async fn credit_get(&self, id: CreditId) -> Result<Option<Credit>, StoreError> {
        self.readers
            .read(move |connection| credits::get(connection, id))
            .await
    }
}

#[async_trait]
impl SettlementStore for SqliteStore {
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
        self.readers
            .read(move |connection| watched::of_chain(connection, chain))
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
        self.readers
            .read(move |connection| settlements::unfinished(connection, chain))
            .await
    }

    async fn settlement_nonce_max(
        &self,
        chain: ChainId,
        wallet: Address,
    ) -> Result<Option<u64>, StoreError> {
        self.readers
            .read(move |connection| settlements::nonce_max(connection, chain, wallet))
            .await
    }

    async fn arrival(&self, transaction: TransactionId) -> Result<Arrival, StoreError> {
        self.readers
            .read(move |connection| arrivals::of(connection, transaction))
            .await
    }
}

#[async_trait]
impl TransactionStore for SqliteStore {
    async fn transactions_list(
        &self,
        filter: TransactionFilter,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Page<Transaction>, StoreError> {
        self.readers
            .read(move |connection| transactions::list(connection, &filter, after, limit))
            .await
    }

    async fn transaction_get(&self, id: TransactionId) -> Result<Option<Transaction>, StoreError> {
        self.readers
            .read(move |connection| transactions::get(connection, id))
            .await
    }

    async fn transaction_events(&self, id: TransactionId) -> Result<Vec<Event>, StoreError> {
        self.readers
            .read(move |connection| events::list(connection, id))
            .await
    }

    async fn transaction_transfers(&self, id: TransactionId) -> Result<Vec<Transfer>, StoreError> {
        self.readers
            .read(move |connection| transfers::list(connection, id))
            .await
    }

    async fn accounts_list(&self) -> Result<Vec<Account>, StoreError> {
        let accounts = self.readers.read(accounts::list).await?;
        Ok(accounts.into_iter().map(|(account, _)| account).collect())
    }
}

#[async_trait]
impl OfferStore for SqliteStore {
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
impl LedgerStore for SqliteStore {
    async fn ledger_submit(&self, intent: Intent, now: UnixMicros) -> Result<Outcome, StoreError> {
        self.call(Command::LedgerSubmit, Submit { intent, now })
            .await
    }

    async fn account_get(&self, id: AccountId) -> Result<Option<Account>, StoreError> {
        self.readers
            .read(move |connection| accounts::get(connection, id))
            .await
    }

    async fn transfer_get(&self, id: TransferId) -> Result<Option<Record>, StoreError> {
        self.readers
            .read(move |connection| transfers::record(connection, id))
            .await
    }
}
