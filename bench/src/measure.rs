//! What is measured. Each measurement starts what it needs and stops it.

mod free;
mod memory;
mod paid;
mod settled;
mod unpaid;
mod verified;

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;

use crate::load::{Load, Outcome, Pace, Stop};
use crate::report::Row;
use crate::request::{Requests, Target};

/// A measurement, or several that need the same servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Unpaid requests, beside the official Express stack.
    Unpaid,
    /// Offline verification, beside a bare recovery.
    Verified,
    /// Paid requests on the local test network.
    Paid,
    /// Paid requests settled on anvil, beside the official Express stack.
    Settled,
    /// Free requests through the gate, beside nginx: how many, and what they cost.
    Free,
    /// What the gate adds to the latency of a free request, beside nginx.
    Latency,
    /// Resident memory.
    Memory,
}

impl Measure {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Unpaid,
        Self::Verified,
        Self::Paid,
        Self::Settled,
        Self::Free,
        Self::Latency,
        Self::Memory,
    ];

    /// What it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Verified => "verified",
            Self::Paid => "paid",
            Self::Settled => "settled",
            Self::Free => "free",
            Self::Latency => "latency",
            Self::Memory => "memory",
        }
    }

    /// Measures.
    ///
    /// # Errors
    /// When something is not installed, does not start or stops.
    pub async fn run(self, scale: &Scale) -> Result<Vec<Row>> {
        match self {
            Self::Unpaid => unpaid::measure(scale).await,
            Self::Verified => verified::measure(scale).await,
            Self::Paid => paid::measure(scale).await,
            Self::Settled => settled::measure(scale).await,
            Self::Free => free::throughput(scale).await,
            Self::Latency => free::latency(scale).await,
            Self::Memory => memory::measure(scale).await,
        }
    }
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Rounds that count.
    pub rounds: usize,
    /// How long each side's part of a round lasts where time bounds it.
    pub time: Duration,
    /// Payments in a round on the test network.
    pub payments: usize,
    /// Payments in a round on anvil, ours and the official stack's.
    pub settlements: (usize, usize),
    /// Connections held open.
    pub open_connections: usize,
    /// Size of the paid download, in bytes.
    pub download_bytes: u64,
}

impl Scale {
    /// For numbers to rely on: a few minutes.
    pub const FULL: Self = Self {
        rounds: 5,
        time: Duration::from_secs(2),
        payments: 15_000,
        settlements: (1_500, 128),
        open_connections: 5_000,
        download_bytes: 1_000_000_000,
    };
    /// To see that everything works, and roughly how well.
    pub const QUICK: Self = Self {
        rounds: 2,
        time: Duration::from_millis(500),
        payments: 3_000,
        settlements: (256, 64),
        open_connections: 5_000,
        download_bytes: 100_000_000,
    };
}

/// Requests that are sent in a closed loop, and how often they have failed so far.
#[derive(Debug)]
struct ClosedLoop {
    connections: usize,
    expected_status: u16,
    failures: u64,
}

impl ClosedLoop {
    const fn new(connections: usize, expected_status: u16) -> Self {
        Self {
            connections,
            expected_status,
            failures: 0,
        }
    }

    /// The same request for some time.
    async fn run_for(&mut self, time: Duration, target: &Target) -> Result<Outcome> {
        let request = target.get(&[]);
        self.run(target, Requests::Same(request.into()), Stop::After(time))
            .await
    }

    /// Each of these requests once.
    async fn run_all(&mut self, target: &Target, requests: Vec<Vec<u8>>) -> Result<Outcome> {
        let count = requests.len() as u64;
        self.run(
            target,
            Requests::Distinct(requests.into()),
            Stop::Count(count),
        )
        .await
    }

    async fn run(&mut self, target: &Target, requests: Requests, stop: Stop) -> Result<Outcome> {
        let load = Load {
            target: target.clone(),
            requests,
            connections: NonZeroUsize::new(self.connections).unwrap_or(NonZeroUsize::MIN),
            threads: NonZeroUsize::MIN,
            pace: Pace::Closed,
            stop,
        };
        let outcome = load.run_blocking().await?;
        self.failures += outcome.failures(self.expected_status);
        Ok(outcome)
    }

    /// Answers with the expected status in a second.
    fn good_per_second(&self, outcome: &Outcome) -> f64 {
        let good = outcome.answered_with(self.expected_status) as f64;
        good / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
