//! What is measured. Each measurement starts what it needs and stops it.

mod free;
mod ledger;
mod memory;
mod paid;
mod settled;
mod unpaid;
mod verified;

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::Result;

use crate::load::{Load, Outcome, Pace, Stop};
use crate::process::ProcessId;
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
    /// The books on the embedded store, beside raw SQLite and a bare log.
    Ledger,
}

impl Measure {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Unpaid,
        Self::Verified,
        Self::Paid,
        Self::Settled,
        Self::Free,
        Self::Latency,
        Self::Memory,
        Self::Ledger,
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
            Self::Ledger => "ledger",
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
            Self::Ledger => ledger::measure(scale).await,
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

/// Requests that are sent to one server in a closed loop, and what came of all of them so far.
#[derive(Debug)]
struct ClosedLoop {
    target: Target,
    connections: usize,
    expected_status: u16,
    /// The server's processes.
    processes: Vec<ProcessId>,
    failures: u64,
    /// Processor time of an answer in each run, in microseconds.
    cpu_micros: Vec<f64>,
}

impl ClosedLoop {
    const fn new(
        target: Target,
        connections: usize,
        expected_status: u16,
        processes: Vec<ProcessId>,
    ) -> Self {
        Self {
            target,
            connections,
            expected_status,
            processes,
            failures: 0,
            cpu_micros: Vec::new(),
        }
    }

    /// Sends the same request for some time. Returns how many good answers came in a second.
    async fn run_for(&mut self, time: Duration) -> Result<f64> {
        let request = self.target.get(&[]);
        let outcome = self
            .run(Requests::Same(request.into()), Stop::After(time))
            .await?;
        Ok(self.good_per_second(&outcome))
    }

    /// Sends each of these requests once. Returns how many good answers came in a second.
    async fn run_all(&mut self, requests: Vec<Vec<u8>>) -> Result<f64> {
        let count = requests.len() as u64;
        let outcome = self
            .run(Requests::Distinct(requests.into()), Stop::Count(count))
            .await?;
        Ok(self.good_per_second(&outcome))
    }

    async fn run(&mut self, requests: Requests, stop: Stop) -> Result<Outcome> {
        let load = Load {
            target: self.target.clone(),
            requests,
            connections: NonZeroUsize::new(self.connections).unwrap_or(NonZeroUsize::MIN),
            threads: NonZeroUsize::MIN,
            pace: Pace::Closed,
            stop,
        };
        let before = self.cpu_time()?;
        let outcome = load.run_blocking().await?;
        let used = self.cpu_time()?.saturating_sub(before);
        self.cpu_micros
            .push(used.as_secs_f64() * 1e6 / (outcome.answered() as f64).max(1.0));
        self.failures += outcome.failures(self.expected_status);
        Ok(outcome)
    }

    fn good_per_second(&self, outcome: &Outcome) -> f64 {
        let good = outcome.answered_with(self.expected_status) as f64;
        good / outcome.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn cpu_time(&self) -> Result<Duration> {
        self.processes
            .iter()
            .map(|process| process.cpu_time())
            .sum()
    }

    /// The processor times of all runs but the first, which warmed up.
    fn counted_cpu(mut self) -> Vec<f64> {
        self.cpu_micros.drain(..1.min(self.cpu_micros.len()));
        self.cpu_micros
    }
}
