//! What came out, for people and for the record.

use std::fmt::Write as _;

use octroi_types::UnixMicros;
use serde_json::{Map, Value, json};

use crate::machine::Machine;
use crate::rounds::{Rounds, median};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// So many in a second.
    PerSecond,
    /// Microseconds of processor time for each.
    Micros,
    /// Milliseconds.
    Millis,
    /// Millions of bytes.
    Megabytes,
}

impl Unit {
    /// How it is written after a number.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::PerSecond => "/s",
            Self::Micros => "µs",
            Self::Millis => "ms",
            Self::Megabytes => "MB",
        }
    }

    fn show(self, value: f64) -> String {
        let digits = match value.abs() {
            100.0.. => 0,
            10.0.. => 1,
            1.0.. => 2,
            _ => 3,
        };
        format!("{value:.digits$} {}", self.symbol())
    }
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At least so many times the peer.
    RatioAtLeast(f64),
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// At most so much more than the peer.
    AtMostOverPeer(f64),
    /// Nothing: it is there to compare others with.
    None,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was done.
    pub work: String,
    /// What the numbers count.
    pub unit: Unit,
    /// The numbers.
    pub rounds: Rounds,
    /// Who the peer is, where there is one.
    pub peer: Option<String>,
    /// What is to be reached.
    pub goal: Goal,
    /// The processor time of one answer in each round, in microseconds; empty where it says nothing.
    pub cpu_micros: Rounds,
    /// Requests of ours that were not answered as they should have been.
    pub failures: u64,
}

impl Row {
    /// Ours: the median of the rounds.
    #[must_use]
    pub fn measured(&self) -> Option<f64> {
        median(self.rounds.ours.clone())
    }

    /// The peer's: the median of the rounds.
    #[must_use]
    pub fn peer_measured(&self) -> Option<f64> {
        median(self.rounds.peer.clone())
    }

    /// Whether the goal is reached. With a failure it is not.
    #[must_use]
    pub fn reached(&self) -> bool {
        let reached = match self.goal {
            Goal::RatioAtLeast(least) => self.rounds.ratio().is_some_and(|ratio| ratio >= least),
            Goal::AtLeast(least) => self.measured().is_some_and(|value| value >= least),
            Goal::AtMost(most) => self.measured().is_some_and(|value| value <= most),
            Goal::AtMostOverPeer(most) => self
                .rounds
                .difference()
                .is_some_and(|difference| difference <= most),
            Goal::None => true,
        };
        reached && self.failures == 0
    }

    fn goal_text(&self) -> String {
        match self.goal {
            Goal::RatioAtLeast(least) => format!("≥ {least} × peer"),
            Goal::AtLeast(least) => format!("≥ {least} {}", self.unit.symbol()),
            Goal::AtMost(most) => format!("≤ {most} {}", self.unit.symbol()),
            Goal::AtMostOverPeer(most) => format!("≤ peer + {most} {}", self.unit.symbol()),
            Goal::None => "for comparison".to_owned(),
        }
    }

    /// Of other goals the ratio says little: differences may be near zero.
    fn ratio_text(&self) -> String {
        match (self.goal, self.rounds.ratio()) {
            (Goal::RatioAtLeast(_), Some(ratio)) => format!("{ratio:.2}"),
            _ => String::new(),
        }
    }

    fn cells(&self) -> [String; HEADINGS.len()] {
        let show = |value: Option<f64>| value.map(|value| self.unit.show(value));
        let peer = show(self.peer_measured()).zip(self.peer.as_ref());
        let cpu = median(self.cpu_micros.ours.clone()).map(|micros| Unit::Micros.show(micros));
        let verdict = match (self.reached(), self.failures) {
            (true, _) => "yes".to_owned(),
            (false, 0) => "no".to_owned(),
            (false, failures) => format!("no, {failures} failed"),
        };
        [
            self.work.clone(),
            show(self.measured()).unwrap_or_default(),
            peer.map(|(value, name)| format!("{value} ({name})"))
                .unwrap_or_default(),
            self.ratio_text(),
            self.goal_text(),
            verdict,
            cpu.unwrap_or_default(),
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "work": self.work,
            "unit": self.unit.symbol(),
            "measured": self.measured(),
            "peer": self.peer,
            "peer_measured": self.peer_measured(),
            "ratio": self.rounds.ratio(),
            "goal": self.goal_text(),
            "failures": self.failures,
            "reached": self.reached(),
            "rounds": {"measured": self.rounds.ours, "peer": self.rounds.peer},
            "cpu_micros": {"measured": self.cpu_micros.ours, "peer": self.cpu_micros.peer},
        })
    }
}

/// A whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When it began.
    pub started: UnixMicros,
    /// Whether the rounds were cut short.
    pub quick: bool,
    /// Where.
    pub machine: Machine,
    /// With what, by name.
    pub versions: Vec<(&'static str, String)>,
    /// What came out.
    pub rows: Vec<Row>,
    /// What could not be measured, and why.
    pub missing: Vec<(&'static str, String)>,
}

const HEADINGS: [&str; 7] = [
    "work",
    "measured",
    "peer",
    "ratio",
    "to reach",
    "reached",
    "processor time each",
];

impl Report {
    /// The table.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut lines = vec![HEADINGS.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        let widths: Vec<usize> = (0..HEADINGS.len())
            .map(|column| {
                lines
                    .iter()
                    .map(|cells| cells[column].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for (number, cells) in lines.iter().enumerate() {
            let padded: Vec<_> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            let _ = writeln!(text, "{}", padded.join("  ").trim_end());
            if number == 0 {
                let rules: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
                let _ = writeln!(text, "{}", rules.join("  "));
            }
        }
        for (what, why) in &self.missing {
            let _ = writeln!(text, "{what}: not measured: {why}");
        }
        let reached = self.rows.iter().filter(|row| row.reached()).count();
        let _ = writeln!(text, "{reached} of {} reached", self.rows.len());
        text
    }

    /// Everything, the rounds included.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let object = |pairs: &[(&'static str, String)]| -> Map<String, Value> {
            pairs
                .iter()
                .map(|(name, text)| ((*name).to_owned(), json!(text)))
                .collect()
        };
        json!({
            "date": self.started,
            "quick": self.quick,
            "machine": self.machine.to_json(),
            "versions": object(&self.versions),
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "missing": object(&self.missing),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(goal: Goal, ours: &[f64], peer: &[f64]) -> Row {
        Row {
            work: "work".to_owned(),
            unit: Unit::Millis,
            rounds: Rounds {
                ours: ours.to_vec(),
                peer: peer.to_vec(),
            },
            peer: Some("nginx".to_owned()),
            goal,
            cpu_micros: Rounds::default(),
            failures: 0,
        }
    }

    #[test]
    fn goals_are_judged_by_the_median() {
        for (goal, ours, peer, reached) in [
            (
                Goal::RatioAtLeast(0.5),
                [1.0, 5.0, 9.0],
                &[10.0, 10.0, 10.0][..],
                true,
            ),
            (
                Goal::RatioAtLeast(0.6),
                [1.0, 5.0, 9.0],
                &[10.0, 10.0, 10.0],
                false,
            ),
            (Goal::RatioAtLeast(0.5), [1.0, 5.0, 9.0], &[], false),
            (Goal::AtLeast(5.0), [1.0, 5.0, 9.0], &[], true),
            (Goal::AtLeast(5.1), [1.0, 5.0, 9.0], &[], false),
            (Goal::AtMost(5.0), [1.0, 5.0, 9.0], &[], true),
            (Goal::AtMost(4.9), [1.0, 5.0, 9.0], &[], false),
            (
                Goal::AtMostOverPeer(1.0),
                [2.0, 3.0, 4.0],
                &[1.0, 2.0, 3.0],
                true,
            ),
            (
                Goal::AtMostOverPeer(0.9),
                [2.0, 3.0, 4.0],
                &[1.0, 2.0, 3.0],
                false,
            ),
        ] {
            assert_eq!(row(goal, &ours, peer).reached(), reached, "{goal:?}");
        }
    }

    #[test]
    fn a_failure_spoils_everything() {
        let row = Row {
            failures: 1,
            ..row(Goal::AtLeast(1.0), &[2.0], &[])
        };
        assert!(!row.reached());
        assert_eq!(row.cells()[5], "no, 1 failed");
    }

    #[test]
    fn columns_stand_under_each_other() {
        let cpu_micros = Rounds {
            ours: vec![12.5],
            peer: Vec::new(),
        };
        let row = Row {
            cpu_micros,
            ..row(Goal::RatioAtLeast(0.5), &[0.0425], &[170.0])
        };
        let report = Report {
            started: UnixMicros(0),
            quick: true,
            machine: Machine::this().unwrap(),
            versions: vec![("octroi", "0.1.0".to_owned())],
            rows: vec![row],
            missing: vec![("latency", "nginx is not installed".to_owned())],
        };
        assert_eq!(
            report.to_text(),
            "work  measured  peer            ratio  to reach      reached  processor time each\n\
             ----  --------  --------------  -----  ------------  -------  -------------------\n\
             work  0.043 ms  170 ms (nginx)  0.00   ≥ 0.5 × peer  no       12.5 µs\n\
             latency: not measured: nginx is not installed\n\
             0 of 1 reached\n"
        );
        assert_eq!(
            report.to_json()["rows"][0]["rounds"]["peer"],
            json!([170.0])
        );
    }
}
