//! How sure blocks are: in the chain's own words, or by how many blocks lie on top of them.

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::engine::Engine;
use crate::options::Level;
use crate::outcome::Included;
use crate::rpc::{BlockHead, BlockTag, RpcError};

/// Blocks that make a block final on a chain which has no word for it, unless the configuration says
/// otherwise. More than public chains have replaced without being attacked.
const CONFIRMATIONS: u64 = 256;

/// The newest blocks of each level of sureness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) safe: Option<BlockHead>,
    pub(crate) finalized: Option<BlockHead>,
}

/// Whether the node has a word for final blocks; unknown until it was asked.
#[derive(Debug, Default)]
pub(crate) struct Words {
    known: Mutex<Option<bool>>,
}

impl Words {
    fn are_known(&self) {
        *self.known.lock() = Some(true);
    }

    fn are_lacking(&self) -> bool {
        *self.known.lock() == Some(false)
    }

    /// Notes a refusal. A node that used the word before has it, whatever it says now. Says whether
    /// that is news.
    fn were_refused(&self) -> bool {
        let mut known = self.known.lock();
        let is_news = known.is_none();
        known.get_or_insert(false);
        is_news
    }
}

/// The newest block that cannot be replaced, as far as the node tells.
pub(crate) async fn finalized(engine: &Engine, head: BlockHead) -> Option<BlockHead> {
    if let Some(confirmations) = engine.options.final_confirmations {
        return block_below(engine, head, confirmations).await;
    }
    match engine.rpc.block(BlockTag::Finalized).await {
        Ok(Some(block)) => {
            engine.words.are_known();
            return Some(block);
        }
        Err(error) if !error.is_refusal() => return None,
        Ok(None) | Err(_) => {}
    }
    if engine.words.were_refused() {
        warn!(
            chain = engine.name(),
            confirmations = CONFIRMATIONS,
            "the node knows no `finalized` block: blocks this deep count as final"
        );
    }
    if engine.words.are_lacking() {
        block_below(engine, head, CONFIRMATIONS).await
    } else {
        None
    }
}

/// The newest block that is unlikely to be replaced: by the node's own word, or with half as many
/// blocks on top as make final. What is final is safe at least.
pub(crate) async fn safe(
    engine: &Engine,
    head: BlockHead,
    finalized: Option<BlockHead>,
) -> Option<BlockHead> {
    let confirmations = match engine.options.final_confirmations {
        None if engine.words.are_lacking() => Some(CONFIRMATIONS),
        configured => configured,
    };
    let safe = match confirmations {
        Some(confirmations) => block_below(engine, head, confirmations.div_ceil(2)).await,
        None => engine.rpc.block(BlockTag::Safe).await.ok().flatten(),
    };
    safe.or(finalized)
}

/// The block that has so many blocks on top.
async fn block_below(engine: &Engine, head: BlockHead, confirmations: u64) -> Option<BlockHead> {
    let number = head.number.checked_sub(confirmations)?;
    let block = engine.rpc.block(BlockTag::Number(number)).await;
    block.ok().flatten()
}

/// Waits until a block in which a settlement was seen is as sure as wanted. `false` if it is not by the
/// deadline, or if it was replaced. Where the transaction went then is not for its receipt to say: it
/// may have failed there.
pub(crate) async fn wait_level(
    engine: &Engine,
    included: Included,
    level: Level,
    deadline: Instant,
) -> bool {
    let mut levels = engine.levels.subscribe();
    let reached = async {
        loop {
            let at = match level {
                Level::Included => return true,
                Level::Safe => levels.borrow_and_update().safe,
                Level::Final => levels.borrow_and_update().finalized,
            };
            if at.is_some_and(|at| at.number >= included.block_number) {
                match is_there(engine, included).await {
                    Ok(is_there) => return is_there,
                    Err(error) => debug!(chain = engine.name(), error = %error, "cannot look"),
                }
            }
            if levels.changed().await.is_err() {
                return false;
            }
        }
    };
    tokio::select! {
        () = engine.cancel.cancelled() => false,
        reached = tokio::time::timeout_at(deadline, reached) => reached.unwrap_or(false),
    }
}

/// Whether the chain has the block in which a settlement was seen.
async fn is_there(engine: &Engine, included: Included) -> Result<bool, RpcError> {
    let number = BlockTag::Number(included.block_number);
    let block = engine.rpc.block(number).await?;
    Ok(block.is_some_and(|block| block.hash == included.block_hash))
}
