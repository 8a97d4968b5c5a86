//! Claims of unknown fate: what the chain tells about them (money rules 16 and 17).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use octroi_claim::{Claim, ClaimKey, PaymentState};
use octroi_store::{EventKind, Fact, FactOutcome, Inclusion};
use octroi_types::UnixMicros;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::call::Transfer;
use crate::engine::Engine;
use crate::event::SettlementEnd;
use crate::finality::{Subject, Watched};
use crate::levels;
use crate::rpc::{BlockHead, BlockTag, RpcError};
use crate::token::{authorization_used, authorizations_used};
use crate::uses::{Use, locate};

/// Most claims that are looked at in one round, of all chains together.
const CLAIMS_MAX: usize = 4_096;
/// How often it is looked, however fast the chain is.
const ROUND_MIN: Duration = Duration::from_millis(100);
const ROUND_MAX: Duration = Duration::from_secs(5);
/// A search of logs that told nothing is repeated after ever longer pauses.
const SEARCH_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How many claims are searched for at once.
const SEARCHES: usize = 16;

/// When the logs are searched again for a claim.
struct Patience {
    next: Instant,
    pause: Duration,
}

/// The reconciliation of one chain.
pub(crate) struct Reconciler {
    engine: Arc<Engine>,
    patience: HashMap<ClaimKey, Patience>,
    wrong_chain: bool,
}

impl Reconciler {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            patience: HashMap::new(),
            wrong_chain: false,
        }
    }

    /// Looks until the gate stops.
    pub(crate) async fn run(mut self) {
        let pause = self.round_pause();
        while self.engine.pause(pause).await {
            let Some(head) = *self.engine.heads.borrow() else {
                continue;
            };
            if let Err(error) = self.round(head).await {
                warn!(chain = self.engine.name(), error = %error, "reconciliation is interrupted");
            }
        }
    }

    fn round_pause(&self) -> Duration {
        self.engine.options.block_time.clamp(ROUND_MIN, ROUND_MAX)
    }

    async fn round(&mut self, head: BlockHead) -> Result<(), RpcError> {
        let transfers = self.unknown().await;
        let known: HashSet<_> = transfers.iter().map(|transfer| transfer.claim).collect();
        self.patience.retain(|key, _| known.contains(key));
        if transfers.is_empty() || !self.is_right_chain().await? {
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let finalized = levels::finalized(&engine, head).await;
        let states = authorizations_used(&engine, &transfers).await?;
        let mut searches = Vec::new();
        for (transfer, state) in transfers.into_iter().zip(states) {
            let Some(is_used) = state else { continue };
            let is_past = finalized.is_some_and(|head| head.timestamp >= transfer.valid_before);
            if (is_used || is_past) && self.is_search_due(&transfer) {
                searches.push((transfer, is_used));
            }
        }
        let tip = Tip { head, finalized };
        let search = |(transfer, is_used)| search(&engine, transfer, is_used, tip);
        let learned: Vec<_> = stream::iter(searches)
            .map(search)
            .buffer_unordered(SEARCHES)
            .collect()
            .await;
        self.learn(learned.into_iter().flatten().collect()).await;
        Ok(())
    }

    async fn unknown(&self) -> Vec<Transfer> {
        let chain = self.engine.options.chain;
        match self.engine.store.claims_unknown(CLAIMS_MAX).await {
            Ok(claims) => claims
                .iter()
                .filter(|claim| claim.terms.chain == chain)
                .map(Transfer::of)
                .collect(),
            Err(error) => {
                error!(chain = self.engine.name(), error = %error, "cannot list unknown claims");
                Vec::new()
            }
        }
    }

    /// A node that was exchanged for one of another chain knows nothing about our payments.
    async fn is_right_chain(&mut self) -> Result<bool, RpcError> {
        let told = self.engine.rpc.chain_id().await?;
        let right = told == self.engine.options.chain;
        if !right && !self.wrong_chain {
            let expected = self.engine.options.chain;
            error!(chain = self.engine.name(), %told, %expected, "the node is of another chain");
        }
        self.wrong_chain = !right;
        Ok(right)
    }

    fn is_search_due(&mut self, transfer: &Transfer) -> bool {
        let now = Instant::now();
        let first_pause = self.round_pause();
        let Some(patience) = self.patience.get_mut(&transfer.claim) else {
            let patience = Patience {
                next: now + first_pause,
                pause: first_pause,
            };
            self.patience.insert(transfer.claim, patience);
            return true;
        };
        if now < patience.next {
            return false;
        }
        patience.pause = (patience.pause * 2).min(SEARCH_PAUSE_MAX);
        patience.next = now + patience.pause;
        true
    }

    async fn learn(&mut self, learned: Vec<(Transfer, Fact)>) {
        if learned.is_empty() {
            return;
        }
        let engine = &self.engine;
        let facts = learned
            .iter()
            .map(|(transfer, fact)| (transfer.claim, *fact))
            .collect();
        let Some(outcomes) = engine.learn(facts).await else {
            return;
        };
        for ((transfer, fact), outcome) in learned.into_iter().zip(outcomes) {
            match &outcome {
                FactOutcome::Applied(claim) => {
                    let end = match claim.payment {
                        PaymentState::Settled => SettlementEnd::Settled,
                        _ => SettlementEnd::Failed,
                    };
                    engine.tell_ended(end, sent_at(engine, claim).await);
                }
                // Somebody else was quicker.
                FactOutcome::Unchanged(_) => {}
                FactOutcome::Refused(_)
                | FactOutcome::LogTaken { .. }
                | FactOutcome::NoSuchClaim => continue,
            }
            self.patience.remove(&transfer.claim);
            match fact {
                Fact::Settled { inclusion, .. } => {
                    let tx_hash = inclusion.tx_hash;
                    info!(chain = engine.name(), %tx_hash, "an unknown claim is settled");
                    let subject = Subject::Claim(transfer);
                    engine.watch(Watched::new(subject, inclusion.into()));
                }
                Fact::Failed | Fact::Unknown | Fact::Vanished => {
                    info!(chain = engine.name(), "an unknown claim has failed");
                }
            }
        }
    }
}

/// When a claim's payment was to be sent first.
async fn sent_at(engine: &Engine, claim: &Claim) -> UnixMicros {
    let id = claim.terms.transaction;
    let events = engine.store.transaction_events(id).await;
    let sent = events.ok().and_then(|events| {
        let mut sent = events
            .iter()
            .filter(|event| event.kind == EventKind::Broadcast);
        sent.next().map(|event| event.at)
    });
    sent.unwrap_or(claim.terms.created_at)
}

/// Where the chain ends in this round.
#[derive(Clone, Copy)]
struct Tip {
    head: BlockHead,
    finalized: Option<BlockHead>,
}

/// What the chain tells about a claim, if it tells.
async fn search(
    engine: &Engine,
    transfer: Transfer,
    is_used: bool,
    tip: Tip,
) -> Option<(Transfer, Fact)> {
    let learned = if is_used {
        used(engine, &transfer, tip.finalized).await
    } else {
        unused(engine, &transfer, tip).await
    };
    match learned {
        Ok(fact) => fact.map(|fact| (transfer, fact)),
        Err(error) => {
            warn!(chain = engine.name(), error = %error, "cannot tell a claim's fate yet");
            None
        }
    }
}

/// The authorization was used: by whom decides.
async fn used(
    engine: &Engine,
    transfer: &Transfer,
    finalized: Option<BlockHead>,
) -> Result<Option<Fact>, RpcError> {
    match locate(engine, transfer).await? {
        Some(Use::Ours {
            inclusion,
            log_index,
        }) => Ok(Some(Fact::Settled {
            inclusion,
            log_index,
        })),
        Some(Use::Foreign { inclusion }) => {
            let is_final = match finalized {
                Some(finalized) => is_in(engine, inclusion, finalized).await?,
                None => false,
            };
            Ok(is_final.then_some(Fact::Failed))
        }
        Some(Use::None | Use::Hidden) | None => Ok(None),
    }
}

/// Unused now. It has failed when it can never be used: a final block is past its window, it is
/// unused there, and no log speaks against it.
///
/// The state of the final block may be older than what a node keeps. But what was used once stays
/// used, so what is unused in the newest block was unused in every one before.
async fn unused(engine: &Engine, transfer: &Transfer, tip: Tip) -> Result<Option<Fact>, RpcError> {
    let Some(finalized) = tip.finalized else {
        return Ok(None);
    };
    if finalized.timestamp < transfer.valid_before {
        return Ok(None);
    }
    // By its number, so that a node that is behind cannot answer for it.
    let newest = BlockTag::Number(tip.head.number.max(finalized.number));
    let is_used = authorization_used(engine, transfer, newest).await?
        || locate(engine, transfer).await?.is_some();
    Ok((!is_used).then_some(Fact::Failed))
}

/// Whether a block is in the chain that ends with a final block.
async fn is_in(
    engine: &Engine,
    inclusion: Inclusion,
    finalized: BlockHead,
) -> Result<bool, RpcError> {
    if inclusion.block_number > finalized.number {
        return Ok(false);
    }
    let block = engine
        .rpc
        .block(BlockTag::Number(inclusion.block_number))
        .await?;
    Ok(block.is_some_and(|block| block.hash == inclusion.block_hash))
}
