//! Callers that wait for one commit each, and nothing else.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::BATCH;
use super::books::{rate, runtime};

type Reply = oneshot::Sender<()>;

/// Calls a second, by so many callers. What waits is taken together, up to a batch, and `commit` is told
/// how many that are; then all of them are answered. It runs on this thread.
pub(super) fn group_commits(
    callers: usize,
    time: Duration,
    mut commit: impl FnMut(usize) -> Result<()>,
) -> Result<f64> {
    let runtime = runtime()?;
    let (calls, mut queue) = mpsc::channel::<Reply>(4 * BATCH);
    let begun = Instant::now();
    let tasks = runtime.spawn(async move {
        let mut tasks = JoinSet::new();
        for _ in 0..callers {
            tasks.spawn(call_until(calls.clone(), begun + time));
        }
        drop(calls);
        tasks.join_all().await.into_iter().sum::<u64>()
    });
    let mut waiting = Vec::with_capacity(BATCH);
    while queue.blocking_recv_many(&mut waiting, BATCH) > 0 {
        commit(waiting.len())?;
        for reply in waiting.drain(..) {
            // A caller whose time is up is gone.
            let _ = reply.send(());
        }
    }
    let done = runtime.block_on(tasks)?;
    Ok(rate(done, begun.elapsed()))
}

async fn call_until(calls: mpsc::Sender<Reply>, end: Instant) -> u64 {
    let mut done = 0;
    while Instant::now() < end {
        let (reply, committed) = oneshot::channel();
        if calls.send(reply).await.is_err() || committed.await.is_err() {
            break;
        }
        done += 1;
    }
    done
}
