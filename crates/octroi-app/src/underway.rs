//! Requests that are worked for although their client has left.
//!
//! A client whose time-out passed signs again and comes again, while the gate still works for the first
//! request and will settle it. The second payment would buy the answer once more. So it waits, like one
//! behind a payment of unknown fate, until the first has become nothing or a credit (money rule 14). The
//! same holds for a request that was told to come again, because its settlement is not sure enough yet.
//! A client that is still there may well want the same twice, and is not held up.
//!
//! Kept in this process, which is the one that works for the request; what a process that ended was
//! working for is found by recovery.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use octroi_claim::{Binding, ClaimKey};
use octroi_types::Address;
use parking_lot::Mutex;

/// Who asked for what.
type Asked = (Address, Binding);

/// The requests whose client has left.
#[derive(Default)]
pub(crate) struct LeftRequests {
    left: Mutex<HashMap<Asked, Vec<Left>>>,
    begun: AtomicU64,
}

/// A request whose client has left. Several may come with one payment.
struct Left {
    request: u64,
    payment: ClaimKey,
}

/// One request, from both ends.
struct Request {
    all: Arc<LeftRequests>,
    id: u64,
    asked: Asked,
    payment: ClaimKey,
    /// Whether somebody still works for it. Read and changed only while `all` is locked.
    underway: AtomicBool,
}

/// Held by whoever waits for the answer. Dropped before [`Waiting::answered`], the client has left.
#[must_use]
pub struct Waiting(Option<Arc<Request>>);

/// Held while the request is worked for.
#[must_use]
pub struct Underway(Arc<Request>);

impl LeftRequests {
    /// A payment for this whose client has left.
    pub(crate) fn earlier(&self, asked: Asked) -> Option<ClaimKey> {
        let left = self.left.lock();
        left.get(&asked)?.first().map(|left| left.payment)
    }

    pub(crate) fn begin(self: &Arc<Self>, asked: Asked, payment: ClaimKey) -> (Waiting, Underway) {
        let request = Arc::new(Request {
            all: Arc::clone(self),
            id: self.begun.fetch_add(1, Ordering::Relaxed),
            asked,
            payment,
            underway: AtomicBool::new(true),
        });
        (Waiting(Some(Arc::clone(&request))), Underway(request))
    }
}

impl Request {
    fn leave(&self) {
        let mut left = self.all.left.lock();
        if self.underway.load(Ordering::Relaxed) {
            left.entry(self.asked).or_default().push(Left {
                request: self.id,
                payment: self.payment,
            });
        }
    }
}

impl Waiting {
    /// The answer has come.
    pub fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(request) = self.0.take() {
            request.leave();
        }
    }
}

impl Underway {
    /// The client was told that it will not be answered now, and the work goes on.
    pub fn leave(&self) {
        self.0.leave();
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let request = &self.0;
        let mut left = request.all.left.lock();
        request.underway.store(false, Ordering::Relaxed);
        if let Some(requests) = left.get_mut(&request.asked) {
            requests.retain(|other| other.request != request.id);
            if requests.is_empty() {
                left.remove(&request.asked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use octroi_types::{B256, UnixSeconds};

    use super::*;

    fn payment(number: u8) -> ClaimKey {
        ClaimKey {
            identity: B256([number; 32]),
            valid_before: UnixSeconds(1),
        }
    }

    fn asked(path: &str) -> Asked {
        let binding = Binding::new(&[1; 16], "GET", path, None, None);
        (Address([1; 20]), binding)
    }

    #[test]
    fn only_what_its_client_left_is_waited_for_and_only_while_it_lasts() {
        let all = Arc::new(LeftRequests::default());
        let (waiting, underway) = all.begin(asked("/a"), payment(1));
        assert_eq!(all.earlier(asked("/a")), None);
        drop(waiting);
        assert_eq!(all.earlier(asked("/a")), Some(payment(1)));
        assert_eq!(all.earlier(asked("/b")), None);
        // The same payment comes again and goes.
        drop(all.begin(asked("/a"), payment(1)));
        assert_eq!(all.earlier(asked("/a")), Some(payment(1)));
        drop(underway);
        assert_eq!(all.earlier(asked("/a")), None);
        assert!(all.left.lock().is_empty());
    }

    #[test]
    fn whoever_leaves_late_or_with_an_answer_leaves_nothing_behind() {
        let all = Arc::new(LeftRequests::default());
        let (waiting, underway) = all.begin(asked("/a"), payment(1));
        drop(underway);
        drop(waiting);
        let (waiting, underway) = all.begin(asked("/a"), payment(2));
        waiting.answered();
        assert_eq!(all.earlier(asked("/a")), None);
        underway.leave();
        assert_eq!(all.earlier(asked("/a")), Some(payment(2)));
        drop(underway);
        assert!(all.left.lock().is_empty());
    }
}
