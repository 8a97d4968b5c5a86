//! Transfers that wait for a lane.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use octroi_claim::ClaimKey;
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::call::TransferCall;
use crate::outcome::SettleOutcome;

/// Most transfers that wait. What is above is refused at once instead of waiting in vain.
pub(crate) const WAITING_MAX: usize = 16_384;

/// A transfer in the engine's hands, and who wants to know what becomes of it.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) call: TransferCall,
    /// Whether it is part of a durable settlement: from then on it may have been sent, and is never
    /// given up without a word to the store.
    pub(crate) sent: bool,
    reply: Option<oneshot::Sender<SettleOutcome>>,
    _in_hand: InHand,
}

impl Queued {
    /// Tells the caller, if it still listens.
    pub(crate) fn answer(&mut self, outcome: SettleOutcome) {
        if let Some(reply) = self.reply.take() {
            drop(reply.send(outcome));
        }
    }

    /// Whether its caller is gone before anything was sent.
    fn is_abandoned(&self) -> bool {
        !self.sent && self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// A claim under the epoch for which it was made. When it was released and made again, the engine may
/// still hold the first, which the store will not let it send: the second must not wait for that.
type Held = (ClaimKey, u32);

/// Keeps a second copy of a claim out while the first is in hand.
#[derive(Debug)]
struct InHand {
    keys: Arc<Mutex<HashSet<Held>>>,
    key: Held,
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.key);
    }
}

/// Why a transfer was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejected {
    /// Too many wait.
    Full,
    /// The claim is being settled already.
    InHand,
}

/// First come, first served, in two rows: what may share a transaction and what travels alone.
/// Numbers of arrival keep the order between the rows.
#[derive(Debug, Default)]
struct Rows {
    sharing: VecDeque<(u64, Queued)>,
    alone: VecDeque<(u64, Queued)>,
    arrivals: u64,
}

/// The queue of one chain.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    rows: Mutex<Rows>,
    keys: Arc<Mutex<HashSet<Held>>>,
    arrived: Notify,
}

impl Queue {
    /// Takes a transfer into hand that was sent before. `None` if it is in hand already.
    pub(crate) fn resume(&self, call: TransferCall) -> Option<Queued> {
        let in_hand = self.take_in_hand(&call)?;
        Some(Queued {
            call,
            sent: true,
            reply: None,
            _in_hand: in_hand,
        })
    }

    fn take_in_hand(&self, call: &TransferCall) -> Option<InHand> {
        let key = (call.transfer.claim, call.transfer.epoch);
        let is_new = self.keys.lock().insert(key);
        is_new.then(|| InHand {
            keys: Arc::clone(&self.keys),
            key,
        })
    }

    /// Lets a transfer wait for a lane.
    pub(crate) fn push(
        &self,
        call: TransferCall,
        reply: oneshot::Sender<SettleOutcome>,
    ) -> Result<(), Rejected> {
        if self.len() >= WAITING_MAX {
            return Err(Rejected::Full);
        }
        let in_hand = self.take_in_hand(&call).ok_or(Rejected::InHand)?;
        self.put(Queued {
            call,
            sent: false,
            reply: Some(reply),
            _in_hand: in_hand,
        });
        Ok(())
    }

    /// Lets a transfer wait that was in hand before, however many wait.
    pub(crate) fn put(&self, queued: Queued) {
        let mut rows = self.rows.lock();
        rows.arrivals += 1;
        let arrival = rows.arrivals;
        let row = if queued.call.shares() {
            &mut rows.sharing
        } else {
            &mut rows.alone
        };
        row.push_back((arrival, queued));
        drop(rows);
        self.arrived.notify_one();
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        let rows = self.rows.lock();
        rows.sharing.len() + rows.alone.len()
    }

    /// The next transfers for one transaction, as soon as there are any: one that travels alone, or
    /// up to `batch_max` that may share. Takes what waits and never waits for more.
    pub(crate) async fn next(&self, batch_max: usize) -> Vec<Queued> {
        loop {
            let batch = self.take(batch_max);
            if !batch.is_empty() {
                if self.len() > 0 {
                    // One permit may stand for several arrivals.
                    self.arrived.notify_one();
                }
                return batch;
            }
            self.arrived.notified().await;
        }
    }

    /// Everything that waits, for when nobody can settle it.
    pub(crate) fn drain(&self) -> Vec<Queued> {
        let mut rows = self.rows.lock();
        let Rows { sharing, alone, .. } = &mut *rows;
        sharing
            .drain(..)
            .chain(alone.drain(..))
            .map(|(_, queued)| queued)
            .collect()
    }

    fn take(&self, batch_max: usize) -> Vec<Queued> {
        let mut rows = self.rows.lock();
        let mut abandoned = Vec::new();
        let batch = rows.take(batch_max, &mut abandoned);
        drop(rows);
        // Dropped here: their claims are their callers' to end.
        drop(abandoned);
        batch
    }
}

impl Rows {
    fn take(&mut self, batch_max: usize, abandoned: &mut Vec<Queued>) -> Vec<Queued> {
        let mut batch = Vec::new();
        loop {
            let alone_first = match (self.sharing.front(), self.alone.front()) {
                (None, None) => return batch,
                (Some((sharing, _)), Some((alone, _))) => alone < sharing,
                (sharing, _) => sharing.is_none(),
            };
            let row = match (alone_first, batch.is_empty()) {
                (true, true) => &mut self.alone,
                (false, _) => &mut self.sharing,
                // The batch is of those that share; those that do not have their turn later.
                (true, false) if self.sharing.is_empty() => return batch,
                (true, false) => &mut self.sharing,
            };
            let Some((_, queued)) = row.pop_front() else {
                return batch;
            };
            if queued.is_abandoned() {
                abandoned.push(queued);
                continue;
            }
            let shares = queued.call.shares();
            batch.push(queued);
            if !shares || batch.len() >= batch_max {
                return batch;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::CallSignature;
    use crate::call::tests::call;

    fn alone(nonce: u8) -> TransferCall {
        let wallet = octroi_types::Redacted::new(CallSignature::Wallet(Vec::new()));
        TransferCall {
            signature: wallet,
            ..call(nonce)
        }
    }

    fn nonces(batch: &[Queued]) -> Vec<u8> {
        batch
            .iter()
            .map(|queued| queued.call.transfer.nonce.0[0])
            .collect()
    }

    fn push(queue: &Queue, call: TransferCall) -> oneshot::Receiver<SettleOutcome> {
        let (reply, answer) = oneshot::channel();
        queue.push(call, reply).unwrap();
        answer
    }

    #[tokio::test]
    async fn those_that_share_travel_together_and_the_others_alone() {
        let queue = Queue::default();
        let _answers: Vec<_> = [call(1), alone(2), call(3), call(4), alone(5), call(6)]
            .into_iter()
            .map(|call| push(&queue, call))
            .collect();
        assert_eq!(nonces(&queue.next(3).await), [1, 3, 4]);
        assert_eq!(nonces(&queue.next(3).await), [2]);
        assert_eq!(nonces(&queue.next(3).await), [5]);
        assert_eq!(nonces(&queue.next(3).await), [6]);
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn a_copy_is_kept_out_until_the_first_is_done() {
        let queue = Queue::default();
        let _answer = push(&queue, call(1));
        let (reply, _second) = oneshot::channel();
        assert_eq!(queue.push(call(1), reply), Err(Rejected::InHand));
        let batch = queue.next(64).await;
        let (reply, _third) = oneshot::channel();
        assert_eq!(queue.push(call(1), reply), Err(Rejected::InHand));
        drop(batch);
        let _again = push(&queue, call(1));
    }

    #[tokio::test]
    async fn a_claim_that_was_made_again_does_not_wait_for_the_first() {
        let queue = Queue::default();
        let abandoned = push(&queue, call(1));
        let batch = queue.next(64).await;
        drop(abandoned);
        let mut again = call(1);
        again.transfer.epoch += 1;
        let _answer = push(&queue, again);
        assert_eq!(nonces(&queue.next(64).await), [1]);
        drop(batch);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_sent() {
        let queue = Queue::default();
        drop(push(&queue, call(1)));
        let _answer = push(&queue, call(2));
        // Nobody asked for this one either, but it was sent before.
        queue.put(queue.resume(call(3)).unwrap());
        assert_eq!(nonces(&queue.next(64).await), [2, 3]);
        // The place of the abandoned one is free again.
        let _answer = push(&queue, call(1));
    }

    #[tokio::test]
    async fn there_is_an_end_to_waiting() {
        let queue = Queue::default();
        let template = call(0);
        let mut answers = Vec::new();
        for index in 0..WAITING_MAX as u64 {
            let mut call = template.clone();
            call.transfer.claim.identity.0[..8].copy_from_slice(&index.to_be_bytes());
            answers.push(push(&queue, call));
        }
        let (reply, _answer) = oneshot::channel();
        assert_eq!(queue.push(call(255), reply), Err(Rejected::Full));
        assert_eq!(queue.drain().len(), WAITING_MAX);
        let _answer = push(&queue, call(255));
    }

    #[tokio::test]
    async fn every_waiting_lane_is_woken() {
        let queue = Arc::new(Queue::default());
        let lanes: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move { queue.next(1).await.len() })
            })
            .collect();
        tokio::task::yield_now().await;
        let _answers = [
            push(&queue, call(1)),
            push(&queue, call(2)),
            push(&queue, call(3)),
        ];
        for lane in lanes {
            assert_eq!(lane.await.unwrap(), 1);
        }
    }
}
