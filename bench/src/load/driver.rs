//! One thread of a load: its connections, in one loop around epoll.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use super::connection::{Connection, Reading, Sending};
use super::outcome::Outcome;
use super::{Load, PATIENCE, Turn};

const EVENTS_MAX: usize = 256;
/// Large enough for one read of most answers, small enough to stay in the cache.
const BUFFER_BYTES: usize = 64 * 1024;
/// How late the kernel may wake the thread for a request that is due, in nanoseconds. Its default
/// of 50,000 would be part of every latency at a steady rate.
const TIMER_SLACK_NS: Option<NonZeroU64> = NonZeroU64::new(1_000);

/// Which of a load's requests are a thread's: every `threads`th, from `thread` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) thread: u64,
    pub(super) threads: u64,
}

/// A thread's part of a load.
pub(super) struct Driver<'l> {
    load: &'l Load,
    start: Instant,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Connections without a request, the one that has waited longest first.
    free: VecDeque<usize>,
    /// The next request.
    next: u64,
    step: u64,
    buffer: Vec<u8>,
    outcome: Outcome,
}

impl<'l> Driver<'l> {
    pub(super) fn new(
        load: &'l Load,
        share: Share,
        connections: Vec<Connection>,
        start: Instant,
    ) -> Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("epoll")?;
        let driver = Self {
            load,
            start,
            epoll,
            free: (0..connections.len()).collect(),
            connections,
            next: share.thread,
            step: share.threads,
            buffer: vec![0; BUFFER_BYTES],
            outcome: Outcome::default(),
        };
        for index in 0..driver.connections.len() {
            driver.register(index)?;
        }
        Ok(driver)
    }

    pub(super) fn run(mut self) -> Result<Outcome> {
        rustix::thread::set_current_timer_slack(TIMER_SLACK_NS)?;
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut moved = Instant::now();
        loop {
            let now = Instant::now();
            let wake = self.dispatch(now)?;
            if wake.is_none() && self.free.len() == self.connections.len() {
                break;
            }
            let give_up = moved + PATIENCE;
            let wait = wake
                .map_or(give_up, |due| due.min(give_up))
                .saturating_duration_since(now);
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&timespec(wait)),
            ) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error).context("epoll"),
            }
            let now = Instant::now();
            if events.is_empty() && now >= give_up {
                let waiting = self.connections.len() - self.free.len();
                self.outcome.unanswered += waiting as u64;
                break;
            }
            if !events.is_empty() {
                moved = now;
            }
            for event in events.drain(..) {
                let index = usize::try_from(event.data.u64())?;
                self.react(index, event.flags)?;
            }
        }
        Ok(self.outcome)
    }

    /// Sends what is due on free connections. Returns when to come again for the next request;
    /// `None` if that depends on a connection becoming free, or there are no more requests.
    fn dispatch(&mut self, now: Instant) -> Result<Option<Instant>> {
        // Counted, because a connection that fails at once is free again.
        for _ in 0..self.free.len() {
            let elapsed = now.saturating_duration_since(self.start);
            match self.load.turn(self.next, elapsed) {
                Turn::Due(due) => {
                    let Some(index) = self.free.pop_front() else {
                        break;
                    };
                    let request = self.next;
                    self.next += self.step;
                    self.ask(index, request, self.start + due)?;
                }
                Turn::Later(due) => return Ok(Some(self.start + due)),
                Turn::Never => return Ok(None),
            }
        }
        Ok(if self.free.is_empty() {
            None
        } else {
            Some(now)
        })
    }

    fn ask(&mut self, index: usize, request: u64, due: Instant) -> Result<()> {
        let bytes = self.load.requests.get(request).unwrap_or_default();
        match self.connections[index].ask(request, due, bytes) {
            Ok(Sending::Done) => Ok(()),
            Ok(Sending::Waits) => self.watch(index, EventFlags::IN | EventFlags::OUT),
            Err(_) => {
                self.outcome.broken += 1;
                self.reopen(index)
            }
        }
    }

    /// Goes on with a connection on which something has happened.
    fn react(&mut self, index: usize, flags: EventFlags) -> Result<()> {
        if flags.contains(EventFlags::OUT)
            && let Some(asked) = self.connections[index].asked
        {
            let bytes = self.load.requests.get(asked.index).unwrap_or_default();
            match self.connections[index].send(bytes) {
                Ok(Sending::Done) => self.watch(index, EventFlags::IN)?,
                Ok(Sending::Waits) => {}
                // What the server said before it stopped reading can still be read.
                Err(_) => self.watch(index, EventFlags::IN)?,
            }
        }
        if flags == EventFlags::OUT {
            return Ok(());
        }
        match self.connections[index].read(&mut self.buffer) {
            Reading::Waits => Ok(()),
            Reading::Answered {
                response,
                asked_due,
                closed,
            } => {
                let now = Instant::now();
                let outcome = &mut self.outcome;
                *outcome.statuses.entry(response.status).or_default() += 1;
                outcome
                    .latency
                    .record(now.saturating_duration_since(asked_due));
                outcome.body_bytes += response.body_bytes;
                outcome.elapsed = now.saturating_duration_since(self.start);
                if closed {
                    outcome.reopened += 1;
                    self.reopen(index)?;
                } else {
                    self.free.push_back(index);
                }
                // At once, so that the server does not wait for the other events of this round.
                self.dispatch(now).map(drop)
            }
            Reading::Closed => {
                self.outcome.reopened += 1;
                self.free.retain(|free| *free != index);
                self.reopen(index)
            }
            Reading::Broken => {
                self.outcome.broken += 1;
                self.reopen(index)
            }
            Reading::Malformed => {
                self.outcome.malformed += 1;
                self.free.retain(|free| *free != index);
                self.reopen(index)
            }
        }
    }

    /// Replaces a connection by a new one, which is free.
    fn reopen(&mut self, index: usize) -> Result<()> {
        // The old socket leaves epoll as it is closed.
        self.connections[index] = Connection::open(self.load.target.address)
            .with_context(|| format!("the server at {} has gone", self.load.target.address))?;
        self.register(index)?;
        self.free.push_back(index);
        Ok(())
    }

    fn register(&self, index: usize) -> Result<()> {
        let data = EventData::new_u64(index as u64);
        let stream = &self.connections[index].stream;
        epoll::add(&self.epoll, stream, data, EventFlags::IN).context("epoll")
    }

    fn watch(&self, index: usize, flags: EventFlags) -> Result<()> {
        let data = EventData::new_u64(index as u64);
        epoll::modify(&self.epoll, &self.connections[index].stream, data, flags).context("epoll")
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
