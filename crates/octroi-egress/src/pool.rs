//! The open connections of one upstream: idle HTTP/1.1 ones, last in first out, and shared HTTP/2 ones.
//!
//! Taking and returning are a few instructions under a mutex that is never held across an await or a
//! system call. A sweeper task exists only while there is something to sweep; it closes what has been
//! idle too long or was closed by the origin.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::h1::H1Connection;
use crate::h2::{H2Connection, H2Stream};

/// How often the sweeper looks, unless idle connections live shorter.
const SWEEP_INTERVAL_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Pool {
    state: Mutex<State>,
    opened: AtomicU64,
    idle_max: usize,
    idle_timeout: Duration,
}

#[derive(Default)]
struct State {
    /// Oldest first.
    idle: Vec<Idle>,
    shared: Vec<Arc<H2Connection>>,
    sweeping: bool,
}

struct Idle {
    connection: Box<H1Connection>,
    since: Instant,
}

/// Whether the caller must start the sweeper.
#[derive(Clone, Copy)]
#[must_use]
pub(crate) struct StartSweeper(pub(crate) bool);

impl Pool {
    pub(crate) fn new(idle_max: usize, idle_timeout: Duration) -> Self {
        Self {
            state: Mutex::default(),
            opened: AtomicU64::new(0),
            idle_max,
            idle_timeout,
        }
    }

    /// The connection that was returned last: it is the least likely to have been closed, and the ones
    /// below it can grow old and go.
    pub(crate) fn take(&self) -> Option<Box<H1Connection>> {
        self.state.lock().idle.pop().map(|idle| idle.connection)
    }

    /// Takes a connection back; over the limit the oldest one is closed instead.
    pub(crate) fn put(&self, connection: Box<H1Connection>) -> StartSweeper {
        let since = Instant::now();
        let (surplus, start) = {
            let mut state = self.state.lock();
            state.idle.push(Idle { connection, since });
            let surplus = (state.idle.len() > self.idle_max).then(|| state.idle.remove(0));
            (surplus, !std::mem::replace(&mut state.sweeping, true))
        };
        drop(surplus);
        StartSweeper(start)
    }

    /// A stream on a shared connection with room. If none has room but as many connections as allowed
    /// are open, the least busy one: the request waits there for its turn.
    pub(crate) fn stream(&self, connections_max: usize) -> Option<H2Stream> {
        let mut state = self.state.lock();
        state.shared.retain(|connection| !connection.is_closed());
        let with_room = state.shared.iter().find(|connection| connection.has_room());
        if let Some(connection) = with_room {
            return Some(connection.stream());
        }
        if state.shared.len() < connections_max {
            return None;
        }
        let least_busy = state
            .shared
            .iter()
            .min_by_key(|connection| connection.streams());
        least_busy.map(H2Connection::stream)
    }

    pub(crate) fn share(&self, connection: Arc<H2Connection>) -> StartSweeper {
        let mut state = self.state.lock();
        state.shared.push(connection);
        StartSweeper(!std::mem::replace(&mut state.sweeping, true))
    }

    /// For a sweeper that could not be started: nothing idle may stay without one.
    pub(crate) fn close_idle(&self) {
        let closed = {
            let mut state = self.state.lock();
            state.sweeping = false;
            std::mem::take(&mut state.idle)
        };
        drop(closed);
    }

    pub(crate) fn sweep_interval(&self) -> Duration {
        self.idle_timeout.min(SWEEP_INTERVAL_MAX)
    }

    /// Closes what is too old or closed already. False when nothing is left, and with it the sweeper's
    /// reason to go on.
    pub(crate) fn sweep(&self, now: Instant) -> bool {
        let expired = |since: Instant| now.saturating_duration_since(since) >= self.idle_timeout;
        let (mut suspects, old) = {
            let mut state = self.state.lock();
            let old: Vec<_> = state
                .idle
                .extract_if(.., |idle| expired(idle.since))
                .collect();
            let woken = |idle: &mut Idle| idle.connection.was_woken();
            let suspects: Vec<_> = state.idle.extract_if(.., woken).collect();
            state.shared.retain(|connection| {
                !connection.is_closed() && !connection.idle_since().is_some_and(expired)
            });
            (suspects, old)
        };
        // Closing and reading are system calls, so both happen outside the lock.
        drop(old);
        suspects.retain_mut(|idle| idle.connection.is_alive());
        let mut state = self.state.lock();
        state.idle.splice(0..0, suspects);
        state.sweeping = !state.idle.is_empty() || !state.shared.is_empty();
        state.sweeping
    }

    pub(crate) fn count_opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn idle(&self) -> usize {
        self.state.lock().idle.len()
    }

    pub(crate) fn shared(&self) -> usize {
        self.state.lock().shared.len()
    }
}
