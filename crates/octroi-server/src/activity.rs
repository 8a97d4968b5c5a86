//! What a connection is doing, and when the gate loses patience with it.
//!
//! The socket and the requests note what happens in a few atomics. A connection's one timer looks
//! at them when it fires and usually goes back to sleep: a request costs two clock readings and no
//! timer operation.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use octroi_telemetry::metrics::Expiry;
use tokio::time::Instant;

use crate::options::Timeouts;
use crate::refusal::Refusal;

/// Notes of one connection. Times are milliseconds since it opened, plus one; 0 means never.
pub(crate) struct Activity {
    opened: Instant,
    /// Whether requests overlap (HTTP/2), so that bytes between them mean no request head.
    multiplexed: bool,
    in_flight: AtomicU32,
    begun: AtomicU32,
    /// Number of the last answered request, doubled, and whether it left HTTP (HTTP/1).
    answered: AtomicU64,
    /// The request whose head was refused, by its number, and why.
    refused: OnceLock<(u32, Refusal)>,
    head_late: AtomicBool,
    body_expected: AtomicBool,
    idle_since: AtomicU64,
    head_since: AtomicU64,
    blocked_since: AtomicU64,
    closing_since: AtomicU64,
}

/// A request that was begun; it ends when its answer was handed over or given up.
pub(crate) struct InFlight {
    activity: Arc<Activity>,
    /// Counts the requests of the connection, from 1.
    pub(crate) number: u32,
}

/// Why a connection should be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A limit was passed.
    Expired(Expiry),
    /// It was to be closed and the other side does not let go.
    Closing,
}

/// The notes at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    in_flight: bool,
    idle_since: Duration,
    head_since: Option<Duration>,
    blocked_since: Option<Duration>,
    closing_since: Option<Duration>,
}

impl Activity {
    pub(crate) fn new(multiplexed: bool) -> Self {
        Self {
            opened: Instant::now(),
            multiplexed,
            in_flight: AtomicU32::new(0),
            begun: AtomicU32::new(0),
            answered: AtomicU64::new(0),
            refused: OnceLock::new(),
            head_late: AtomicBool::new(false),
            body_expected: AtomicBool::new(false),
            idle_since: AtomicU64::new(1),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            closing_since: AtomicU64::new(0),
        }
    }

    /// When the connection opened.
    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    /// A request head came; `with_body` tells whether more of it is to follow.
    pub(crate) fn begin(self: &Arc<Self>, with_body: bool) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.head_since.store(0, Relaxed);
        self.body_expected.store(with_body, Relaxed);
        InFlight {
            activity: Arc::clone(self),
            number: self.begun.fetch_add(1, Relaxed).wrapping_add(1),
        }
    }

    /// A request has its answer, which may be that the connection leaves HTTP.
    pub(crate) fn answered(&self, number: u32, upgraded: bool) {
        let mark = u64::from(number) << 1 | u64::from(upgraded);
        self.answered.store(mark, Relaxed);
    }

    /// Whether the connection left HTTP with this request; `None` while it is not answered.
    pub(crate) fn upgraded(&self, number: u32) -> Option<bool> {
        let mark = self.answered.load(Relaxed);
        (mark >> 1 >= u64::from(number)).then_some(mark & 1 == 1)
    }

    /// The head of the request of this number is not in order. There is no request behind it.
    pub(crate) fn refuse(&self, number: u32, refusal: Refusal) {
        let _ = self.refused.set((number, refusal));
    }

    /// Why the request of this number is not what it seems.
    pub(crate) fn refusal(&self, number: u32) -> Option<Refusal> {
        let (refused, refusal) = self.refused.get()?;
        (*refused == number).then_some(*refusal)
    }

    /// A head takes too long. Whether that is news.
    pub(crate) fn give_up_on_head(&self) -> bool {
        !self.head_late.swap(true, Relaxed)
    }

    /// Whether a head took too long.
    pub(crate) fn head_is_late(&self) -> bool {
        self.head_late.load(Relaxed)
    }

    /// Bytes came.
    pub(crate) fn received(&self) {
        let between_requests = self.in_flight.load(Relaxed) == 0;
        if between_requests && !self.multiplexed && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(self.now(), Relaxed);
        }
    }

    /// The socket takes no more bytes for now.
    pub(crate) fn write_blocked(&self) {
        if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(self.now(), Relaxed);
        }
    }

    /// The socket took bytes.
    pub(crate) fn write_moved(&self) {
        if self.blocked_since.load(Relaxed) != 0 {
            self.blocked_since.store(0, Relaxed);
        }
    }

    /// The connection is being closed.
    pub(crate) fn closing(&self) {
        self.closing_since.store(self.now(), Relaxed);
    }

    /// Whether the client may still be sending something that nobody will read.
    pub(crate) fn unread_input(&self) -> bool {
        self.body_expected.load(Relaxed)
            || self.head_since.load(Relaxed) != 0
            || self.refused.get().is_some()
    }

    /// Requests that were begun and have not ended.
    pub(crate) fn requests_in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// When the connection has to be ended if nothing more happens on it, and why.
    pub(crate) fn deadline(&self, timeouts: &Timeouts) -> Option<(Instant, Ending)> {
        let (after, ending) = self.moment().deadline(timeouts)?;
        Some((self.opened + after, ending))
    }

    fn moment(&self) -> Moment {
        let since = |mark: &AtomicU64| match mark.load(Relaxed) {
            0 => None,
            mark => Some(Duration::from_millis(mark - 1)),
        };
        Moment {
            in_flight: self.requests_in_flight() > 0,
            idle_since: since(&self.idle_since).unwrap_or_default(),
            head_since: since(&self.head_since),
            blocked_since: since(&self.blocked_since),
            closing_since: since(&self.closing_since),
        }
    }

    fn now(&self) -> u64 {
        let elapsed = self.opened.elapsed().as_millis();
        u64::try_from(elapsed).unwrap_or(u64::MAX - 1) + 1
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.idle_since.store(activity.now(), Relaxed);
        activity.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Moment {
    fn deadline(self, timeouts: &Timeouts) -> Option<(Duration, Ending)> {
        if let Some(since) = self.closing_since {
            return Some((since + timeouts.linger, Ending::Closing));
        }
        let stalled = self
            .blocked_since
            .map(|since| (since + timeouts.stalled, Expiry::Stalled));
        let waiting = match self.head_since {
            _ if self.in_flight => None,
            Some(since) => Some((since + timeouts.head, Expiry::Head)),
            None => Some((self.idle_since + timeouts.idle, Expiry::Idle)),
        };
        let (at, expiry) = match (stalled, waiting) {
            (Some(stalled), Some(waiting)) if waiting.0 < stalled.0 => waiting,
            (stalled, waiting) => stalled.or(waiting)?,
        };
        Some((at, Ending::Expired(expiry)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn due(moment: Moment) -> Option<(Duration, Ending)> {
        let timeouts = Timeouts {
            head: secs(10),
            idle: secs(75),
            stalled: secs(60),
            linger: secs(3),
            ..Timeouts::default()
        };
        moment.deadline(&timeouts)
    }

    #[test]
    fn between_requests_the_idle_time_counts_and_from_the_first_byte_the_head_time() {
        let idle = Moment {
            idle_since: secs(5),
            ..Moment::default()
        };
        let expired = |expiry| Ending::Expired(expiry);
        assert_eq!(due(idle), Some((secs(80), expired(Expiry::Idle))));
        let head = Moment {
            head_since: Some(secs(20)),
            ..idle
        };
        assert_eq!(due(head), Some((secs(30), expired(Expiry::Head))));
    }

    #[test]
    fn a_request_in_flight_waits_for_nothing_but_a_client_that_reads() {
        let working = Moment {
            in_flight: true,
            head_since: Some(secs(1)),
            ..Moment::default()
        };
        assert_eq!(due(working), None);
        let stalled = Moment {
            blocked_since: Some(secs(100)),
            ..working
        };
        let expected = (secs(160), Ending::Expired(Expiry::Stalled));
        assert_eq!(due(stalled), Some(expected));
    }

    #[test]
    fn a_closing_connection_has_the_linger_time_whatever_else_goes_on() {
        let closing = Moment {
            in_flight: true,
            blocked_since: Some(secs(1)),
            closing_since: Some(secs(7)),
            ..Moment::default()
        };
        assert_eq!(due(closing), Some((secs(10), Ending::Closing)));
    }

    #[test]
    fn notes_follow_a_request() {
        let activity = Arc::new(Activity::new(false));
        assert!(!activity.unread_input());
        activity.received();
        assert!(activity.moment().head_since.is_some());
        assert!(activity.unread_input());

        let request = activity.begin(true);
        activity.received();
        let moment = activity.moment();
        assert!(moment.in_flight && moment.head_since.is_none());
        assert!(activity.unread_input());

        activity.write_blocked();
        assert!(activity.moment().blocked_since.is_some());
        activity.write_moved();
        assert!(activity.moment().blocked_since.is_none());

        drop(request);
        assert!(!activity.moment().in_flight);
        drop(activity.begin(false));
        assert!(!activity.unread_input());
    }

    #[test]
    fn bytes_between_streams_are_no_request_head() {
        let activity = Activity::new(true);
        activity.received();
        assert_eq!(activity.moment().head_since, None);
    }
}
