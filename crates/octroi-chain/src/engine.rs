//! What the tasks of one chain share.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use octroi_claim::{ClaimKey, Step};
use octroi_store::{Fact, FactOutcome, Store, StoreError};
use octroi_types::{Address, SettlementId, UnixMicros};
use octroi_x402::Reason;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::assets::Checked;
use crate::event::{SettlementEnd, SettlementEvent};
use crate::fees::TipCache;
use crate::finality::Watched;
use crate::heads::HeadWatch;
use crate::levels::{Levels, Words};
use crate::options::{ChainOptions, Settler};
use crate::outcome::SettleOutcome;
use crate::payer::PayerFacts;
use crate::queue::{Queue, Queued};
use crate::rpc::{Rpc, RpcError};
use crate::status::Lanes;
use crate::wallet::Wallet;

/// The engine of one chain.
pub(crate) struct Engine {
    pub(crate) options: ChainOptions,
    pub(crate) rpc: Rpc,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) heads: HeadWatch,
    pub(crate) levels: watch::Sender<Levels>,
    pub(crate) words: Words,
    pub(crate) tips: TipCache,
    pub(crate) payers: PayerFacts,
    pub(crate) queue: Queue,
    pub(crate) lanes: Lanes,
    /// Settlements that some task of this process sees through.
    pub(crate) followed: Mutex<HashSet<SettlementId>>,
    /// What was seen in a block that is not final.
    pub(crate) watched: Mutex<Vec<Watched>>,
    /// Claims whose authorization was seen unused while they were durable.
    unused: Mutex<HashSet<ClaimKey>>,
    /// Whether the tokens are what the configuration says (money rule 20).
    checked: AtomicBool,
    multicall: AtomicBool,
    tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
}

impl Engine {
    pub(crate) fn new(
        options: ChainOptions,
        rpc: Rpc,
        store: Arc<dyn Store>,
        heads: HeadWatch,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let lanes = match &options.settler {
            Settler::Wallets(wallets) => Lanes::new(wallets.iter().map(Wallet::address)),
            Settler::Facilitator(_) => Lanes::default(),
        };
        Self {
            options,
            rpc,
            store,
            heads,
            levels: watch::Sender::default(),
            words: Words::default(),
            tips: TipCache::default(),
            payers: PayerFacts::default(),
            queue: Queue::default(),
            lanes,
            followed: Mutex::default(),
            watched: Mutex::default(),
            unused: Mutex::default(),
            checked: AtomicBool::new(false),
            multicall: AtomicBool::new(false),
            tasks,
            cancel,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.options.name
    }

    /// The configuration fits the chain.
    pub(crate) fn accept(&self, checked: Checked) {
        self.multicall
            .store(checked.has_multicall, Ordering::Release);
        self.checked.store(true, Ordering::Release);
    }

    /// Whether payments can be taken: the node answers, the tokens were checked, and somebody can
    /// settle.
    pub(crate) fn is_ready(&self) -> bool {
        self.checked.load(Ordering::Acquire)
            && self.heads.borrow().is_some()
            && self.lanes.is_any_able()
    }

    /// Whether many calls can go in one. Known after the start-up check.
    pub(crate) fn has_multicall(&self) -> bool {
        self.multicall.load(Ordering::Acquire)
    }

    /// The wallet with this address, if its key is configured.
    pub(crate) fn wallet(&self, address: Address) -> Option<&Wallet> {
        match &self.options.settler {
            Settler::Wallets(wallets) => wallets.iter().find(|wallet| wallet.address() == address),
            Settler::Facilitator(_) => None,
        }
    }

    /// Watches a block until it is final.
    pub(crate) fn watch(&self, watched: Watched) {
        self.watched.lock().push(watched);
    }

    /// Notes that an authorization is unused while its claim is durable: whatever uses it from here
    /// on is later than the claim, whatever the clocks say.
    pub(crate) fn saw_unused(&self, key: ClaimKey) {
        const KEYS_MAX: usize = 65_536;
        let mut unused = self.unused.lock();
        if unused.len() >= KEYS_MAX {
            let now = UnixMicros::now().seconds();
            unused.retain(|key| key.valid_before > now);
        }
        if unused.len() < KEYS_MAX {
            unused.insert(key);
        }
    }

    /// Whether that was noted.
    pub(crate) fn was_unused(&self, key: ClaimKey) -> bool {
        self.unused.lock().contains(&key)
    }

    /// Tells that a settlement ended which was to be sent first at `since`.
    pub(crate) fn tell_ended(&self, end: SettlementEnd, since: UnixMicros) {
        let elapsed = UnixMicros::now().since(since);
        let event = SettlementEvent::Ended { end, elapsed };
        self.options.on_settlement.tell(event);
    }

    /// Spawns a task that shutdown waits for.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// These are not sent (again): the claims of which nothing left the gate are released under the
    /// epoch for which they were queued, and their callers told why. What was sent before stays of
    /// unknown fate, for reconciliation.
    pub(crate) async fn not_sent(&self, queued: Vec<Queued>, why: impl Fn() -> SettleOutcome) {
        join_all(queued.into_iter().map(|queued| self.give_up(queued, &why))).await;
    }

    async fn give_up(&self, mut queued: Queued, why: &impl Fn() -> SettleOutcome) {
        let transfer = &queued.call.transfer;
        let (key, epoch) = (transfer.claim, transfer.epoch);
        if queued.sent {
            self.learn(vec![(key, Fact::Unknown)]).await;
            return queued.answer(SettleOutcome::Pending { tx_hash: None });
        }
        match self.release(key, epoch).await {
            Ok(true) => queued.answer(why()),
            Ok(false) => queued.answer(SettleOutcome::Fenced),
            Err(error) => {
                // The caller is not told that it was released: it finds out by itself.
                error!(chain = self.name(), error = %error, "cannot release a claim");
                queued.answer(SettleOutcome::Pending { tx_hash: None });
            }
        }
    }

    /// Writes what the chain told, until the store has it.
    pub(crate) async fn learn(&self, facts: Vec<(ClaimKey, Fact)>) -> Option<Vec<FactOutcome>> {
        let write = || self.store.facts_apply(facts.clone(), UnixMicros::now());
        self.insist("facts", write).await
    }

    /// Releases a claim that was not sent. `false` if it is not the caller's any more.
    pub(crate) async fn release(&self, key: ClaimKey, epoch: u32) -> Result<bool, StoreError> {
        let now = UnixMicros::now();
        Ok(self
            .store
            .claim_advance(key, epoch, vec![Step::Release], now)
            .await?
            .is_ok())
    }

    /// Nothing of these left the gate, because the chain would refuse them.
    pub(crate) async fn refuse(&self, refused: Vec<(Queued, Reason)>) {
        let refusals = refused.into_iter().map(|(queued, reason)| {
            self.not_sent(vec![queued], move || SettleOutcome::Refused { reason })
        });
        join_all(refusals).await;
    }

    /// Writes to the store until it takes it, the gate stops, or the store says that it never will:
    /// what the chain told must not be lost, and repeating it is harmless.
    pub(crate) async fn insist<T, F>(&self, what: &str, mut write: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut pause = Duration::from_millis(50);
        loop {
            match write().await {
                Ok(done) => return Some(done),
                Err(error) => {
                    error!(chain = self.name(), error = %error, what, "the store failed");
                    if !matches!(error, StoreError::Unavailable { .. }) {
                        return None;
                    }
                }
            }
            if !self.pause(pause).await {
                return None;
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    /// Asks the node, and again if the question got lost: a batch in hand is worth a moment.
    pub(crate) async fn patiently<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, RpcError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        const ATTEMPTS: u32 = 3;
        let mut attempt = 1;
        loop {
            match ask().await {
                Err(error) if attempt < ATTEMPTS && !error.is_revert() => {
                    attempt += 1;
                    if !self.pause(Duration::from_millis(150)).await {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
    }

    /// Waits. `false` if the gate stops.
    pub(crate) async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            () = self.cancel.cancelled() => false,
            () = tokio::time::sleep(duration) => true,
        }
    }
}
