//! Load: many keep-alive connections, few threads, and an account of what came back.
//!
//! A closed loop sends the next request on a connection when the last one is answered. A steady
//! rate sends requests when they are due, whatever became of earlier ones; their latency counts
//! from when they were due, so a server that stalls cannot hide the requests it kept waiting.

mod connection;
mod driver;
mod outcome;

use std::num::NonZeroUsize;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

pub use outcome::Outcome;

use self::connection::Connection;
use self::driver::{Driver, Share};
use crate::pacing::Schedule;
use crate::request::{Requests, Target};

/// How long a load waits for anything at all before it gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A load to put on a server.
#[derive(Clone, Debug)]
pub struct Load {
    /// The server.
    pub target: Target,
    /// What is sent.
    pub requests: Requests,
    /// Connections, opened before the clock starts.
    pub connections: NonZeroUsize,
    /// Threads that the connections are shared out to. One is enough for most servers, and leaves
    /// the processor to them.
    pub threads: NonZeroUsize,
    /// When requests are sent.
    pub pace: Pace,
    /// When the last one has been sent. The load ends when it is answered.
    pub stop: Stop,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// On each connection when the last request is answered.
    Closed,
    /// When they are due, on any connection that is free then, or else as soon as one is.
    Steady(Schedule),
}

/// When no more requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// After this time.
    After(Duration),
    /// After so many requests.
    Count(u64),
}

/// Whose turn it is: what to do about a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It may be sent, and was due so long after the start.
    Due(Duration),
    /// It will be due so long after the start.
    Later(Duration),
    /// It will not be sent.
    Never,
}

impl Load {
    /// Opens the connections and puts the load on the server. Blocks until all is answered.
    ///
    /// # Errors
    /// When a connection cannot be opened, or opened again after the server has closed it. Bad
    /// answers and missing ones are no errors but counted.
    pub fn run(&self) -> Result<Outcome> {
        let threads = self.threads.min(self.connections);
        let mut shares: Vec<Vec<Connection>> = Vec::new();
        shares.resize_with(threads.get(), Vec::new);
        for index in 0..self.connections.get() {
            let connection = Connection::open(self.target.address)
                .with_context(|| format!("connection {} to {}", index + 1, self.target.address))?;
            shares[index % threads].push(connection);
        }
        let start = Instant::now();
        let outcomes: Vec<_> = thread::scope(|scope| {
            let drive = |(thread, connections)| {
                let share = Share {
                    thread,
                    threads: threads.get() as u64,
                };
                scope.spawn(move || Driver::new(self, share, connections, start)?.run())
            };
            let running: Vec<_> = (0_u64..).zip(shares).map(drive).collect();
            running
                .into_iter()
                .map(thread::ScopedJoinHandle::join)
                .collect()
        });
        let mut total = Outcome::default();
        for outcome in outcomes {
            match outcome {
                Ok(outcome) => total.merge(&outcome?),
                Err(_) => bail!("a thread of the load has panicked"),
            }
        }
        Ok(total)
    }

    /// What to do about the request with this index so long after the start.
    fn turn(&self, index: u64, elapsed: Duration) -> Turn {
        if self.requests.get(index).is_none() {
            return Turn::Never;
        }
        let due = match self.pace {
            Pace::Closed => elapsed,
            // However late it is sent: what it waited for a connection is part of its latency.
            Pace::Steady(schedule) => schedule.due(index),
        };
        let ended = match self.stop {
            Stop::Count(count) => index >= count,
            Stop::After(time) => due >= time,
        };
        if ended {
            Turn::Never
        } else if due > elapsed {
            Turn::Later(due)
        } else {
            Turn::Due(due)
        }
    }

    /// [`Load::run`] for callers on a runtime.
    ///
    /// # Errors
    /// As there.
    pub async fn run_blocking(self) -> Result<Outcome> {
        tokio::task::spawn_blocking(move || self.run()).await?
    }
}

#[cfg(test)]
mod tests;
