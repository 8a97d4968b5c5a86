//! One chain, as the layers above see it.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use octroi_claim::Claim;
use octroi_store::Store;
use octroi_types::{Address, Amount, ChainId};
use octroi_x402::{CheckedAuthorization, Reason, Terms, Version};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::assets::{self, Checked, StartError};
use crate::call::TransferCall;
use crate::delegate::{WORKERS, Worker};
use crate::engine::Engine;
use crate::finality;
use crate::heads;
use crate::lane::Lane;
use crate::levels;
use crate::options::{ChainOptions, Level, Settler};
use crate::outcome::{Included, SettleJob, SettleOutcome};
use crate::payer;
use crate::queue::Rejected;
use crate::reconcile::Reconciler;
use crate::rpc::{BlockTag, Rpc, RpcError, Transport};
use crate::status::ChainStatus;

/// How long the start waits for a node before it goes on without.
const START_WAIT: Duration = Duration::from_secs(5);
/// Pauses between attempts to check the tokens of a chain whose node was down.
const CHECK_PAUSE_MIN: Duration = Duration::from_millis(500);
const CHECK_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Why a chain could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The node does not answer, its tokens are not checked yet, or nobody can settle.
    #[error("the chain is not ready")]
    NotReady,
    /// The node gave no good answer.
    #[error("the chain could not be asked")]
    Node(#[source] RpcError),
}

/// One chain: its facts about payers, and the engine that settles on it. Cheap to clone; when the
/// last clone is dropped, the engine stops, and what it had under way is durable.
#[derive(Clone)]
pub struct Chain {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    _stop: DropGuard,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain")
            .field("name", &self.inner.engine.name())
            .finish_non_exhaustive()
    }
}

impl Chain {
    /// Opens a chain: checks its node and tokens against the configuration (money rule 20), takes up
    /// what earlier processes left, and begins to settle. Its tasks run on `tasks` until `cancel`.
    ///
    /// A node that does not answer is no reason to refuse: the chain is then not ready until it
    /// does.
    ///
    /// # Errors
    /// [`StartError`] if configuration and chain contradict each other.
    pub async fn start(
        options: ChainOptions,
        transport: Arc<dyn Transport>,
        store: Arc<dyn Store>,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, StartError> {
        check_options(&options)?;
        let cancel = cancel.child_token();
        let rpc = Rpc::new(transport);
        let checked = match tokio::time::timeout(START_WAIT, check(&rpc, &options)).await {
            Ok(Ok(checked)) => Some(checked?),
            Ok(Err(_)) | Err(_) => None,
        };
        let head = match checked {
            Some(_) => rpc.block(BlockTag::Latest).await.ok().flatten(),
            None => None,
        };
        let (heads, head_watch) = watch::channel(head);
        let name: Arc<str> = options.name.as_str().into();
        let follow_heads =
            heads::follow(name, rpc.clone(), options.block_time, heads, cancel.clone());
        tasks.spawn(follow_heads);
        let engine = Engine::new(options, rpc, store, head_watch, tasks, cancel.clone());
        let engine = Arc::new(engine);
        match checked {
            Some(checked) => begin(&engine, checked),
            None => {
                warn!(
                    chain = engine.name(),
                    "the node does not answer; not ready until it does"
                );
                let task = Arc::clone(&engine);
                engine.spawn(check_later(task));
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                engine,
                _stop: cancel.drop_guard(),
            }),
        })
    }

    /// The chain.
    #[must_use]
    pub fn id(&self) -> ChainId {
        self.inner.engine.options.chain
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        self.inner.engine.name()
    }

    /// Whether payments can be taken.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.inner.engine.is_ready()
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> ChainStatus {
        let engine = &self.inner.engine;
        ChainStatus {
            ready: engine.is_ready(),
            head: engine
                .heads
                .borrow()
                .map(|head| (head.number, head.timestamp)),
            waiting: engine.queue.len(),
            unfinal: engine.watched.lock().len(),
            lanes: engine.lanes.list(),
        }
    }

    /// The settlement wallets; none if somebody else settles.
    #[must_use]
    pub fn signers(&self) -> Vec<Address> {
        match &self.inner.engine.options.settler {
            Settler::Wallets(wallets) => wallets.iter().map(|wallet| wallet.address()).collect(),
            Settler::Facilitator(_) => Vec::new(),
        }
    }

    /// Checks what only the chain knows of a payer: whether it really signed, and whether it has
    /// the money, as of one block ago at most. Its balance, if all is well.
    ///
    /// # Errors
    /// [`ChainError`]; nothing is known then.
    pub async fn check_payer(
        &self,
        authorization: &CheckedAuthorization,
        terms: &Terms,
    ) -> Result<Result<Amount, Reason>, ChainError> {
        let engine = &self.inner.engine;
        if !engine.options.accepts(terms) {
            return Ok(Err(Reason::InvalidRequirements));
        }
        if !engine.is_ready() {
            return Err(ChainError::NotReady);
        }
        payer::check(engine, authorization, terms)
            .await
            .map_err(ChainError::Node)
    }

    /// Settles a claimed payment, and waits for what becomes of it.
    ///
    /// The caller sets its own time limit and may drop the future at any time: what was made durable
    /// until then is seen through all the same, and what was not is the caller's to release.
    pub async fn settle(&self, job: SettleJob) -> SettleOutcome {
        let engine = &self.inner.engine;
        let SettleJob {
            claim,
            authorization,
            terms,
        } = job;
        if !engine.options.accepts(&terms) {
            let reason = Reason::InvalidRequirements;
            return self.unsent(&claim, SettleOutcome::Refused { reason }).await;
        }
        if !engine.is_ready() {
            return self.unsent(&claim, SettleOutcome::Unavailable).await;
        }
        // The claim was admitted by these facts; the simulation or the chain has the last word, so
        // their age does not matter here.
        let facts = engine
            .payers
            .get(&engine.rpc, terms.asset(), authorization.payer, None)
            .await;
        let Ok(facts) = facts else {
            return self.unsent(&claim, SettleOutcome::Unavailable).await;
        };
        let factories = &engine.options.erc6492_factories;
        let check = match authorization.payer_check(facts.has_code, factories) {
            Ok(check) => check,
            Err(reason) => return self.unsent(&claim, SettleOutcome::Refused { reason }).await,
        };
        let call = TransferCall::new(&claim, &authorization, &check);
        let (reply, answer) = oneshot::channel();
        match engine.queue.push(call, reply) {
            Ok(()) => answer
                .await
                .unwrap_or(SettleOutcome::Pending { tx_hash: None }),
            Err(Rejected::Full) => self.unsent(&claim, SettleOutcome::Unavailable).await,
            Err(Rejected::InHand) => SettleOutcome::Fenced,
        }
    }

    /// Releases a claim that was not even queued.
    async fn unsent(&self, claim: &Claim, outcome: SettleOutcome) -> SettleOutcome {
        match self.inner.engine.release(claim.key(), claim.epoch).await {
            Ok(true) => outcome,
            Ok(false) => SettleOutcome::Fenced,
            Err(error) => {
                error!(chain = self.name(), error = %error, "cannot release a claim");
                SettleOutcome::Pending { tx_hash: None }
            }
        }
    }

    /// Waits until a block in which a settlement was seen is as sure as wanted. `false` if it is not by
    /// the deadline, or if it was replaced: then the books tell where the money is now.
    pub async fn wait_level(&self, included: Included, level: Level, deadline: Instant) -> bool {
        levels::wait_level(&self.inner.engine, included, level, deadline).await
    }
}

/// What is wrong with a configuration whatever the chain says.
fn check_options(options: &ChainOptions) -> Result<(), StartError> {
    let name = || options.name.clone();
    for accepted in &options.tokens {
        let configured = accepted.token.chain();
        if configured != options.chain {
            let (chain, token) = (options.chain, accepted.token.address());
            return Err(StartError::TokenOfOtherChain {
                name: name(),
                chain,
                token,
                configured,
            });
        }
    }
    if let Settler::Wallets(wallets) = &options.settler {
        if wallets.is_empty() {
            return Err(StartError::NoSettler { name: name() });
        }
        let mut seen = HashSet::new();
        for wallet in wallets.iter().map(crate::Wallet::address) {
            if !seen.insert(wallet) {
                return Err(StartError::WalletTwice {
                    name: name(),
                    wallet,
                });
            }
        }
    }
    Ok(())
}

/// Compares the configuration with the chain, and with what the facilitator says, if it answers.
async fn check(rpc: &Rpc, options: &ChainOptions) -> Result<Result<Checked, StartError>, RpcError> {
    if let Settler::Facilitator(facilitator) = &options.settler {
        match facilitator.supported().await {
            Ok(supported) if !supported.covers(Version::V2, options.chain) => {
                let (name, chain) = (options.name.clone(), options.chain);
                return Ok(Err(StartError::NotSettledThere { name, chain }));
            }
            Ok(_) => {}
            Err(error) => {
                warn!(chain = options.name, error = %error, "the facilitator was not asked");
            }
        }
    }
    assets::check(rpc, options).await
}

/// Checks again until the node answers. What then contradicts the configuration keeps the chain from
/// ever being ready.
async fn check_later(engine: Arc<Engine>) {
    let mut pause = CHECK_PAUSE_MIN;
    while engine.pause(pause).await {
        match check(&engine.rpc, &engine.options).await {
            Ok(Ok(checked)) => {
                info!(
                    chain = engine.name(),
                    "the node answers and fits the configuration"
                );
                return begin(&engine, checked);
            }
            Ok(Err(error)) => {
                error!(chain = engine.name(), error = %error, "the chain is not used");
                return;
            }
            Err(_) => pause = (pause * 2).min(CHECK_PAUSE_MAX),
        }
    }
}

/// Begins to settle on a chain that fits its configuration.
fn begin(engine: &Arc<Engine>, checked: Checked) {
    if !checked.has_multicall {
        let multicall = engine.options.multicall;
        warn!(chain = engine.name(), %multicall, "no Multicall3: one payment for each transaction");
    }
    engine.accept(checked);
    match &engine.options.settler {
        Settler::Wallets(wallets) => {
            for wallet in wallets {
                engine.spawn(Lane::new(Arc::clone(engine), wallet.clone()).run());
            }
        }
        Settler::Facilitator(facilitator) => {
            for _ in 0..WORKERS {
                let facilitator = Arc::clone(facilitator);
                engine.spawn(Worker::new(Arc::clone(engine), facilitator).run());
            }
        }
    }
    engine.spawn(finality::run(Arc::clone(engine)));
    engine.spawn(Reconciler::new(Arc::clone(engine)).run());
}

/// Compiles only while what the layers above rely on holds.
const fn _is_shared<T: Clone + Send + Sync + 'static>() {}
const _: () = _is_shared::<Chain>();
fn _settle_is_send(chain: &Chain, job: SettleJob) -> impl Future<Output = SettleOutcome> + Send {
    chain.settle(job)
}
