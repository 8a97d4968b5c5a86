//! Small answers that were delivered, kept in memory for a while, for payers who lost them.
//!
//! A payment header is public once it is on the chain, so repeating it proves nothing. Repeating the
//! secret that was bound to the claim does (money rule 9): whoever knows it is the payer.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use octroi_types::TransactionId;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::body::GateBody;

/// The largest body that is kept, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1_024;
/// All bodies together, in bytes.
const MEMORY_BYTES_MAX: usize = 8 << 20;
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);

/// The answers of one gate.
#[derive(Default)]
pub(crate) struct AnswerMemory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<TransactionId, Answer>,
    /// Oldest first.
    order: VecDeque<(Instant, TransactionId)>,
    bytes: usize,
}

/// An answer as it was given, receipt included.
#[derive(Clone)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(crate) fn response(self) -> Response<GateBody> {
        let mut response = Response::new(GateBody::Own(Some(self.body)));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl AnswerMemory {
    /// Keeps a delivered answer; the oldest make room.
    pub(crate) fn keep(&self, transaction: TransactionId, answer: Answer, now: Instant) {
        let mut kept = self.kept.lock();
        kept.bytes += answer.body.len();
        kept.order.push_back((now, transaction));
        kept.answers.insert(transaction, answer);
        kept.forget(now);
    }

    /// The answer that a payment bought, if it is still here.
    pub(crate) fn recall(&self, transaction: TransactionId, now: Instant) -> Option<Answer> {
        let mut kept = self.kept.lock();
        kept.forget(now);
        kept.answers.get(&transaction).cloned()
    }
}

impl Kept {
    fn forget(&mut self, now: Instant) {
        while let Some((since, transaction)) = self.order.front().copied() {
            if self.bytes <= MEMORY_BYTES_MAX && now.duration_since(since) < KEPT_FOR {
                return;
            }
            self.order.pop_front();
            if let Some(answer) = self.answers.remove(&transaction) {
                self.bytes -= answer.body.len();
            }
        }
    }
}

/// Takes a copy of an answer as it streams by, and gives up when it is not small.
pub(crate) struct Recorder {
    status: StatusCode,
    headers: HeaderMap,
    body: Option<BytesMut>,
}

impl Recorder {
    pub(crate) fn new(response: &Response<GateBody>) -> Self {
        Self {
            status: response.status(),
            headers: response.headers().clone(),
            body: Some(BytesMut::new()),
        }
    }

    /// Sees a frame; `None` for one that is not data, which ends the copy.
    pub(crate) fn see(&mut self, data: Option<&Bytes>) {
        let fits = self.body.as_mut().zip(data).is_some_and(|(body, data)| {
            let fits = body.len() + data.len() <= ANSWER_BYTES_MAX;
            if fits {
                body.extend_from_slice(data);
            }
            fits
        });
        if !fits {
            self.body = None;
        }
    }

    pub(crate) fn finish(self) -> Option<Answer> {
        let body = self.body?.freeze();
        Some(Answer {
            status: self.status,
            headers: self.headers,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(bytes: usize) -> Answer {
        Answer {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; bytes]),
        }
    }

    #[tokio::test]
    async fn the_oldest_make_room_and_time_ends_all() {
        let memory = AnswerMemory::default();
        let now = Instant::now();
        let ids: Vec<_> = (0..200).map(|_| TransactionId::generate()).collect();
        for id in &ids {
            memory.keep(*id, answer(ANSWER_BYTES_MAX), now);
        }
        assert!(memory.recall(ids[0], now).is_none());
        assert!(memory.recall(ids[199], now).is_some());
        assert!(memory.kept.lock().bytes <= MEMORY_BYTES_MAX);
        assert!(memory.recall(ids[199], now + KEPT_FOR).is_none());
        assert_eq!(memory.kept.lock().bytes, 0);
    }

    #[test]
    fn large_answers_and_trailers_are_not_copied() {
        let response = Response::new(GateBody::empty());
        let small = Bytes::from_static(b"ab");
        let mut recorder = Recorder::new(&response);
        recorder.see(Some(&small));
        recorder.see(Some(&small));
        assert_eq!(recorder.finish().unwrap().body, "abab");
        let mut recorder = Recorder::new(&response);
        recorder.see(Some(&Bytes::from(vec![0; ANSWER_BYTES_MAX])));
        recorder.see(Some(&small));
        assert!(recorder.finish().is_none());
        let mut recorder = Recorder::new(&response);
        recorder.see(None);
        assert!(recorder.finish().is_none());
    }
}
