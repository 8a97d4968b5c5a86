//! The newest block, watched once for everybody on a chain.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::rpc::{BlockHead, BlockTag, Rpc, RpcError};

/// The newest head, or nothing while the node does not tell.
pub(crate) type HeadWatch = watch::Receiver<Option<BlockHead>>;

/// A node that is silent for so many blocks, and for at least [`GRACE_MIN`], counts as down. One
/// lost answer does not.
const GRACE_BLOCKS: u32 = 3;
const GRACE_MIN: Duration = Duration::from_secs(3);
/// However fast a chain is, it is not asked more often than that.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Follows the chain's head until cancelled: woken by the node where it pushes, else at the pace of
/// its blocks.
pub(crate) async fn follow(
    name: Arc<str>,
    rpc: Rpc,
    block_time: Duration,
    heads: watch::Sender<Option<BlockHead>>,
    cancel: CancellationToken,
) {
    let mut pushed = rpc.transport().blocks();
    let grace = (block_time * GRACE_BLOCKS).max(GRACE_MIN);
    let mut failing_since = None;
    loop {
        match rpc.block(BlockTag::Latest).await {
            Ok(Some(head)) => {
                if failing_since.take().is_some() {
                    info!(chain = %name, "the node answers again");
                }
                heads.send_if_modified(|known| known.replace(head) != Some(head));
            }
            failure => {
                let since = *failing_since.get_or_insert_with(|| {
                    let error = failure.err().unwrap_or(RpcError::Malformed);
                    warn!(chain = %name, error = %error, "the node does not tell its newest block");
                    Instant::now()
                });
                if since.elapsed() >= grace {
                    heads.send_if_modified(|known| known.take().is_some());
                }
            }
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(block_time.max(PAUSE_MIN)) => {}
            () = next_block(&mut pushed) => {}
        }
    }
}

async fn next_block(pushed: &mut Option<watch::Receiver<u64>>) {
    if let Some(blocks) = pushed
        && blocks.changed().await.is_ok()
    {
        return;
    }
    // Nobody pushes (any more): the pause decides.
    *pushed = None;
    std::future::pending::<()>().await;
}
