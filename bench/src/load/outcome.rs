//! What came of a load.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::histogram::Histogram;

/// The account of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// From the start to the last answer.
    pub elapsed: Duration,
    /// How many answers had each status.
    pub statuses: BTreeMap<u16, u64>,
    /// How long the answers took: from when the request was due to the end of the body.
    pub latency: Histogram,
    /// Bytes of all bodies.
    pub body_bytes: u64,
    /// Requests whose connection ended before the answer did, or never was of use.
    pub broken: u64,
    /// Requests that were answered with something else than HTTP/1.1.
    pub malformed: u64,
    /// Requests that were given up because nothing moved any more.
    pub unanswered: u64,
    /// Connections that the server closed in good order and that were opened again.
    pub reopened: u64,
}

impl Outcome {
    /// Requests that were answered, with whatever status.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.statuses.values().sum()
    }

    /// Requests that were answered with this status.
    #[must_use]
    pub fn answered_with(&self, status: u16) -> u64 {
        self.statuses.get(&status).copied().unwrap_or(0)
    }

    /// Requests that were not answered, or with another status than the expected one.
    #[must_use]
    pub fn failures(&self, expected_status: u16) -> u64 {
        let other = self.answered() - self.answered_with(expected_status);
        other + self.broken + self.malformed + self.unanswered
    }

    /// Answers a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        if self.elapsed.is_zero() {
            return 0.0;
        }
        self.answered() as f64 / self.elapsed.as_secs_f64()
    }

    /// Adds the account of a part of the same load that ran beside this one.
    pub fn merge(&mut self, other: &Self) {
        self.elapsed = self.elapsed.max(other.elapsed);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.latency.merge(&other.latency);
        self.body_bytes += other.body_bytes;
        self.broken += other.broken;
        self.malformed += other.malformed;
        self.unanswered += other.unanswered;
        self.reopened += other.reopened;
    }
}
