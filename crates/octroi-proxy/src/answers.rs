//! Small answers that were delivered, kept in memory for a while, for payers who lost them.
//!
//! A payment header is public once it is on the chain, so repeating it proves nothing. Repeating the
//! secret that was bound to the claim does (money rule 9): whoever knows it is the payer. An answer is
//! therefore found by payer and secret together, and given for the request that it answered alone. The
//! payer is known by a payment that passed every check: the one that bought the answer or, from a
//! client that signs anew whenever it asks again, another one, which is then never claimed.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use octroi_app::{Checked, Purchase};
use octroi_claim::{Binding, SecretHash};
use octroi_types::{Address, TransactionId};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::body::GateBody;

/// The largest body that is kept, in bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 * 1_024;
/// All answers together, in bytes.
const MEMORY_BYTES_MAX: usize = 8 << 20;
const KEPT_FOR: Duration = Duration::from_secs(5 * 60);

/// The answers of one gate.
#[derive(Default)]
pub(crate) struct AnswerMemory {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<TransactionId, (Bought, Answer)>,
    names: HashMap<Name, TransactionId>,
    /// Oldest first.
    order: VecDeque<(Instant, TransactionId)>,
    bytes: usize,
}

/// By what a payer fetches an answer again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) payer: Address,
    pub(crate) secret: SecretHash,
}

/// A purchase whose answer may be fetched again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bought {
    pub(crate) name: Name,
    /// The request.
    pub(crate) binding: Binding,
}

impl Bought {
    /// What a payment is to buy, if its answer may be asked for again: not without a secret.
    pub(crate) fn of(checked: &Checked, purchase: &Purchase) -> Option<Self> {
        let name = Name {
            payer: checked.payer(),
            secret: purchase.secret?,
        };
        Some(Self {
            name,
            binding: purchase.binding,
        })
    }
}

/// What is known of a payment that comes with a secret.
pub(crate) enum Recalled {
    /// Its answer was given before.
    Answer(Answer),
    /// The secret belongs to another request.
    OtherRequest,
}

/// An answer as it was given, receipt included.
#[derive(Clone)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// About what it takes in memory, in bytes.
    fn size(&self) -> usize {
        const EACH: usize = 64;
        let fields = self.headers.iter();
        let head: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len() + EACH)
            .sum();
        self.body.len() + head + EACH
    }

    pub(crate) fn response(self) -> Response<GateBody> {
        let mut response = Response::new(GateBody::Own(Some(self.body)));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

impl AnswerMemory {
    /// Keeps a delivered answer; the oldest make room.
    pub(crate) fn keep(
        &self,
        transaction: TransactionId,
        bought: Bought,
        answer: Answer,
        now: Instant,
    ) {
        let mut kept = self.kept.lock();
        kept.bytes += answer.size();
        kept.order.push_back((now, transaction));
        kept.names.insert(bought.name, transaction);
        kept.answers.insert(transaction, (bought, answer));
        kept.forget(now);
    }

    /// What a payer asks for again, before anything is claimed for it.
    pub(crate) fn find(&self, asked: &Bought, now: Instant) -> Option<Recalled> {
        let mut kept = self.kept.lock();
        kept.forget(now);
        let transaction = kept.names.get(&asked.name)?;
        let (bought, answer) = kept.answers.get(transaction)?;
        Some(if bought.binding == asked.binding {
            Recalled::Answer(answer.clone())
        } else {
            Recalled::OtherRequest
        })
    }

    /// The answer that a payment bought, if it is still here.
    pub(crate) fn recall(&self, transaction: TransactionId, now: Instant) -> Option<Answer> {
        let mut kept = self.kept.lock();
        kept.forget(now);
        kept.answers
            .get(&transaction)
            .map(|(_, answer)| answer.clone())
    }
}

impl Kept {
    fn forget(&mut self, now: Instant) {
        while let Some((since, transaction)) = self.order.front().copied() {
            if self.bytes <= MEMORY_BYTES_MAX && now.duration_since(since) < KEPT_FOR {
                return;
            }
            self.order.pop_front();
            let Some((bought, answer)) = self.answers.remove(&transaction) else {
                continue;
            };
            self.bytes -= answer.size();
            // Two purchases at once may have had one name, which is then the later one's.
            if self.names.get(&bought.name) == Some(&transaction) {
                self.names.remove(&bought.name);
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

    fn bought(payer: u8, secret: &str, path: &str) -> Bought {
        Bought {
            name: Name {
                payer: Address([payer; 20]),
                secret: SecretHash::of(secret).unwrap(),
            },
            binding: Binding::new(&[0; 16], "GET", path, None, None),
        }
    }

    const SECRET: &str = "9c1f7a52-6f0e-4d29-8d43-2f0b51c9a7de";

    #[test]
    fn the_oldest_make_room_and_time_ends_all() {
        let memory = AnswerMemory::default();
        let now = Instant::now();
        let ids: Vec<_> = (0..200).map(|_| TransactionId::generate()).collect();
        for (payer, id) in (0..).zip(&ids) {
            let bought = bought(payer, SECRET, "/a");
            memory.keep(*id, bought, answer(ANSWER_BYTES_MAX), now);
        }
        let found = |payer, at| memory.find(&bought(payer, SECRET, "/a"), at).is_some();
        assert!(memory.recall(ids[0], now).is_none() && !found(0, now));
        assert!(memory.recall(ids[199], now).is_some() && found(199, now));
        assert!(memory.kept.lock().bytes <= MEMORY_BYTES_MAX);
        let late = now + KEPT_FOR;
        assert!(memory.recall(ids[199], late).is_none() && !found(199, late));
        let kept = memory.kept.lock();
        assert_eq!((kept.bytes, kept.names.len()), (0, 0));
    }

    #[test]
    fn payer_secret_and_request_must_be_those_of_the_purchase() {
        let memory = AnswerMemory::default();
        let now = Instant::now();
        let id = TransactionId::generate();
        memory.keep(id, bought(1, SECRET, "/a"), answer(1), now);
        let find = |payer, secret, path| memory.find(&bought(payer, secret, path), now);
        assert!(matches!(
            find(1, SECRET, "/a"),
            Some(Recalled::Answer(answer)) if answer.body.len() == 1
        ));
        assert!(matches!(
            find(1, SECRET, "/b"),
            Some(Recalled::OtherRequest)
        ));
        assert!(find(2, SECRET, "/a").is_none());
        let other = "9c1f7a52-6f0e-4d29-8d43-2f0b51c9a7df";
        assert!(find(1, other, "/a").is_none());
    }

    #[test]
    fn a_name_is_the_later_purchases() {
        let memory = AnswerMemory::default();
        let (first, later) = (Instant::now(), Instant::now() + KEPT_FOR / 2);
        for (bytes, at) in [(1, first), (2, later)] {
            let id = TransactionId::generate();
            memory.keep(id, bought(1, SECRET, "/a"), answer(bytes), at);
        }
        let found = memory.find(&bought(1, SECRET, "/a"), first + KEPT_FOR);
        assert!(matches!(found, Some(Recalled::Answer(answer)) if answer.body.len() == 2));
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
