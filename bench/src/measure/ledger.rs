//! The books of the embedded store.

use anyhow::Result;

use super::Scale;
use crate::ledger::{BareLog, BareSqlite, Books, Work};
use crate::report::{Goal, Row, Unit};
use crate::rounds::Rounds;

const MANY: usize = 1_024;
const FEW: usize = 64;

/// On threads of its own: the store and its callers are not to share one with the measuring.
pub(super) async fn measure(scale: &Scale) -> Result<Vec<Row>> {
    let scale = *scale;
    tokio::task::spawn_blocking(move || rows(&scale)).await?
}

fn rows(scale: &Scale) -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let books = Books::create(folder.path())?;
    let mut sqlite = BareSqlite::create(folder.path())?;
    let mut log = BareLog::create(folder.path())?;
    let (count, time) = (scale.rounds, scale.time);
    let rows = vec![
        row(
            "durable transfers, 1024 callers",
            "bare SQLite, batches of 1024",
            Goal::RatioAtLeast(0.6),
            Rounds::in_turns_blocking(
                count,
                || books.run(Work::Post, MANY, time),
                || sqlite.posts(time),
            )?,
        ),
        row(
            "durable transfers, 64 callers",
            "bare SQLite, 64 callers",
            Goal::RatioAtLeast(0.8),
            Rounds::in_turns_blocking(
                count,
                || books.run(Work::Post, FEW, time),
                || sqlite.posts_for(FEW, time),
            )?,
        ),
        row(
            "bare SQLite, 64 callers",
            "bare log, 64 callers",
            Goal::None,
            Rounds::in_turns_blocking(
                count,
                || sqlite.posts_for(FEW, time),
                || log.appends(FEW, time),
            )?,
        ),
        row(
            "hold and capture, 1024 callers",
            "bare SQLite, batches of 1024",
            Goal::RatioAtLeast(0.6),
            Rounds::in_turns_blocking(
                count,
                || books.run(Work::HoldAndCapture, MANY, time),
                &mut || sqlite.pairs(time),
            )?,
        ),
        row(
            "one account credited by all, 1024 callers",
            "credited accounts spread",
            Goal::RatioAtLeast(0.7),
            Rounds::in_turns_blocking(
                count,
                || books.run(Work::Post, MANY, time),
                || books.run(Work::Spread, MANY, time),
            )?,
        ),
    ];
    books.finish()?;
    Ok(rows)
}

fn row(work: &str, peer: &str, goal: Goal, rounds: Rounds) -> Row {
    Row {
        work: work.to_owned(),
        unit: Unit::PerSecond,
        rounds,
        peer: Some(peer.to_owned()),
        goal,
        cpu_micros: Rounds::default(),
        failures: 0,
    }
}
