//! Watching what was seen in a block until the block is final (money rule 18).

use std::collections::HashMap;
use std::sync::Arc;

use octroi_store::{Fact, SettlementState};
use octroi_types::{B256, SettlementId, UnixMicros};
use tracing::{debug, warn};

use crate::call::Transfer;
use crate::engine::Engine;
use crate::follow::{Followed, InFlight, find_receipt, follow};
use crate::levels::{self, Levels};
use crate::outcome::Included;
use crate::rebuild::rebuild;
use crate::resolve::resolve;
use crate::rpc::{BlockHead, BlockTag, RpcError};
use crate::uses::{Use, find_use};

/// How far back blocks are compared again when the newest does not follow on the last one seen.
/// What is replaced deeper is found when it should be final.
const RECENT_BLOCKS: u64 = 10;

/// Whose fate hangs on a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A settlement of ours, with what it carries.
    Settlement(SettlementId),
    /// One claim that a transaction of somebody else settled.
    Claim(Transfer),
}

/// Something that was seen in a block that is not final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watched {
    pub(crate) subject: Subject,
    pub(crate) included: Included,
    /// Whether the chain was seen to have the block since this was learned. What was learned of a
    /// block that was being replaced would else wait for finality to be noticed.
    is_confirmed: bool,
}

impl Watched {
    /// Something just seen.
    pub(crate) const fn new(subject: Subject, included: Included) -> Self {
        Self {
            subject,
            included,
            is_confirmed: false,
        }
    }
}

/// Watches until the gate stops, beginning with what earlier processes saw.
pub(crate) async fn run(engine: Arc<Engine>) {
    take_up(&engine).await;
    let mut heads = engine.heads.clone();
    let mut last: Option<BlockHead> = None;
    loop {
        tokio::select! {
            () = engine.cancel.cancelled() => return,
            Ok(()) = heads.changed() => {}
            () = tokio::time::sleep(engine.options.block_time) => {}
        }
        let Some(head) = *heads.borrow_and_update() else {
            continue;
        };
        if engine.watched.lock().is_empty() {
            last = Some(head);
            continue;
        }
        let follows_on = last.is_some_and(|last| {
            head.hash == last.hash
                || (head.number == last.number + 1 && head.parent_hash == last.hash)
        });
        last = match look(&engine, head, follows_on).await {
            Ok(()) => Some(head),
            Err(error) => {
                debug!(chain = engine.name(), error = %error, "cannot look at finality");
                None
            }
        };
    }
}

/// What earlier processes saw in a block, and what they left open under wallets whose keys are not
/// configured any more.
async fn take_up(engine: &Arc<Engine>) {
    let chain = engine.options.chain;
    let read = || engine.store.claims_watched(chain);
    for (claim, inclusion) in engine
        .insist("watched claims", read)
        .await
        .unwrap_or_default()
    {
        let subject = Subject::Claim(Transfer::of(&claim));
        engine.watch(Watched::new(subject, inclusion.into()));
    }
    let read = || engine.store.settlements_unfinished(chain);
    for settlement in engine
        .insist("unfinished settlements", read)
        .await
        .unwrap_or_default()
    {
        match (settlement.state, settlement.inclusion) {
            (SettlementState::Included, Some(inclusion)) => {
                let subject = Subject::Settlement(settlement.id);
                engine.watch(Watched::new(subject, inclusion.into()));
            }
            (SettlementState::Open, _) if engine.wallet(settlement.wallet).is_none() => {
                warn!(
                    chain = engine.name(),
                    wallet = %settlement.wallet,
                    "a settlement is open under a wallet whose key is not configured"
                );
                if let Some(flight) = rebuild(engine, settlement).await {
                    spawn_follow(engine, flight);
                }
            }
            (SettlementState::Included | SettlementState::Open | SettlementState::Final, _) => {}
        }
    }
}

fn spawn_follow(engine: &Arc<Engine>, flight: InFlight) {
    let task = Arc::clone(engine);
    engine.spawn(async move {
        if let Followed::NonceLost(queued) = follow(&task, flight).await {
            task.send_again(queued).await;
        }
    });
}

/// One look: what is final is watched no longer, what was replaced is seen through again.
async fn look(engine: &Arc<Engine>, head: BlockHead, follows_on: bool) -> Result<(), RpcError> {
    let finalized = levels::finalized(engine, head).await;
    let safe = levels::safe(engine, head, finalized).await;
    engine.levels.send_if_modified(|levels| {
        let new = Levels {
            safe: safe.or(levels.safe),
            finalized: finalized.or(levels.finalized),
        };
        std::mem::replace(levels, new) != new
    });
    let final_number = finalized.map(|finalized| finalized.number);
    let is_final = |watched: &Watched| Some(watched.included.block_number) <= final_number;
    let recent = head.number.saturating_sub(RECENT_BLOCKS);
    let is_due = |watched: &Watched| {
        let is_doubtful =
            !watched.is_confirmed || (!follows_on && watched.included.block_number >= recent);
        is_final(watched) || is_doubtful
    };
    let due: Vec<Watched> = engine
        .watched
        .lock()
        .extract_if(.., |watched| is_due(watched))
        .collect();
    sort_out(engine, due, is_final).await
}

async fn sort_out(
    engine: &Arc<Engine>,
    due: Vec<Watched>,
    is_final: impl Fn(&Watched) -> bool,
) -> Result<(), RpcError> {
    let mut hashes: HashMap<u64, Option<B256>> = HashMap::new();
    let mut done = Vec::new();
    let mut failure = None;
    for watched in due {
        let number = watched.included.block_number;
        let hash = match hashes.get(&number) {
            Some(hash) => *hash,
            None => match engine.rpc.block(BlockTag::Number(number)).await {
                Ok(block) => *hashes
                    .entry(number)
                    .or_insert(block.map(|block| block.hash)),
                Err(error) => {
                    failure = Some(error);
                    engine.watch(watched);
                    continue;
                }
            },
        };
        match hash {
            Some(hash) if hash == watched.included.block_hash => {
                if is_final(&watched) {
                    done.push(watched);
                } else {
                    engine.watch(Watched {
                        is_confirmed: true,
                        ..watched
                    });
                }
            }
            Some(_) => {
                if let Err(error) = replaced(engine, watched).await {
                    failure = Some(error);
                    engine.watch(watched);
                }
            }
            // A node that is behind, or a chain that is shorter for a moment.
            None => engine.watch(watched),
        }
    }
    finish(engine, &done).await;
    failure.map_or(Ok(()), Err)
}

/// What is in a final block needs no watching by anybody, in this process or the next.
async fn finish(engine: &Engine, done: &[Watched]) {
    let mut settlements = Vec::new();
    let mut claims = Vec::new();
    for watched in done {
        match watched.subject {
            Subject::Settlement(id) => settlements.push(id),
            Subject::Claim(transfer) => claims.push((transfer.claim, watched.included.block_hash)),
        }
    }
    if !settlements.is_empty() {
        finish_settlements(engine, settlements).await;
    }
    if !claims.is_empty() {
        let chain = engine.options.chain;
        let write = || engine.store.claims_final(chain, claims.clone());
        engine.insist("final claims", write).await;
    }
}

async fn finish_settlements(engine: &Engine, ids: Vec<SettlementId>) {
    let write = || engine.store.settlements_final(ids.clone());
    if engine.insist("final settlements", write).await.is_some() {
        return;
    }
    // One of them is unknown to the store, which then changes none.
    for id in ids {
        let alone = engine.store.settlements_final(vec![id]).await;
        debug!(
            chain = engine.name(),
            ok = alone.is_ok(),
            "finished one by one"
        );
    }
}

/// A block was replaced: what was in it is in another one, or nowhere and is sent again.
async fn replaced(engine: &Arc<Engine>, watched: Watched) -> Result<(), RpcError> {
    let included = watched.included;
    warn!(
        chain = engine.name(),
        tx_hash = %included.tx_hash,
        block = included.block_number,
        "the block of a settlement was replaced"
    );
    match watched.subject {
        Subject::Settlement(id) => settlement_replaced(engine, id).await,
        Subject::Claim(transfer) => claim_replaced(engine, &transfer).await,
    }
}

async fn settlement_replaced(engine: &Arc<Engine>, id: SettlementId) -> Result<(), RpcError> {
    let chain = engine.options.chain;
    let read = || engine.store.settlements_unfinished(chain);
    let unfinished = engine
        .insist("unfinished settlements", read)
        .await
        .unwrap_or_default();
    let Some(settlement) = unfinished
        .into_iter()
        .find(|settlement| settlement.id == id)
    else {
        return Ok(());
    };
    let receipt = find_receipt(engine, &settlement.attempts).await?;
    if receipt.is_none() {
        let write = || engine.store.settlement_vanished(id, UnixMicros::now());
        if engine
            .insist("a vanished settlement", write)
            .await
            .is_none()
        {
            return Ok(());
        }
    }
    let Some(flight) = rebuild(engine, settlement).await else {
        return Ok(());
    };
    match receipt {
        Some(receipt) => drop(resolve(engine, flight, &receipt).await),
        None => spawn_follow(engine, flight),
    }
    Ok(())
}

async fn claim_replaced(engine: &Engine, transfer: &Transfer) -> Result<(), RpcError> {
    let fact = match find_use(engine, transfer).await? {
        Use::Ours {
            inclusion,
            log_index,
        } => {
            let subject = Subject::Claim(*transfer);
            engine.watch(Watched::new(subject, inclusion.into()));
            Fact::Settled {
                inclusion,
                log_index,
            }
        }
        Use::Foreign { .. } | Use::Hidden | Use::None => Fact::Vanished,
    };
    engine.learn(vec![(transfer.claim, fact)]).await;
    Ok(())
}
