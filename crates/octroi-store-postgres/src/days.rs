//! The days that have a partition of claims: made when one is first needed, dropped whole (money rule
//! 32).

use std::collections::BTreeSet;

use octroi_claim::ClaimKey;
use octroi_store::plan;
use octroi_types::UnixSeconds;

use crate::columns::Columns;
use crate::connection::Connection;
use crate::fault::Fault;
use crate::{settlements, watched};

const LIST: &str = "SELECT day FROM claim_days";
const BEFORE: &str = "SELECT day FROM claim_days WHERE day < $1 ORDER BY day";
const INSERT: &str = "INSERT INTO claim_days (day) VALUES ($1) ON CONFLICT DO NOTHING";
const COUNT: &str = "SELECT count(*) FROM claims WHERE day = $1";
const DELETE: &str = "DELETE FROM claim_days WHERE day = $1";

/// Those that a claim of is not finished.
const UNFINISHED: &str = "SELECT DISTINCT valid_before FROM open_claims";

/// One at a time makes a day. Its lock is of no table, so that nobody else waits.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1330868338, 1)";

/// The days that are known to have a partition.
#[derive(Default)]
pub(crate) struct Days {
    known: BTreeSet<u64>,
}

impl Days {
    /// Makes what is missing, each in a transaction of its own.
    pub(crate) async fn ensure(
        &mut self,
        connection: &Connection,
        needed: &BTreeSet<u64>,
    ) -> Result<(), Fault> {
        if needed.is_subset(&self.known) {
            return Ok(());
        }
        self.known = list(connection).await?;
        for day in needed.difference(&self.known.clone()) {
            connection.run("BEGIN").await?;
            create(connection, *day).await?;
            connection.run("COMMIT").await?;
            self.known.insert(*day);
        }
        Ok(())
    }

    /// Another process may have dropped one.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }
}

async fn list(connection: &Connection) -> Result<BTreeSet<u64>, Fault> {
    let rows = connection.query(LIST, &[]).await?;
    rows.iter()
        .map(|row| Columns::of(row).get::<i64>().map(i64::cast_unsigned))
        .collect()
}

/// A table is made and then attached, because that lets others write to the other days meanwhile.
async fn create(connection: &Connection, day: u64) -> Result<(), Fault> {
    connection.query(LOCK, &[]).await?;
    if connection.execute(INSERT, &[&day.cast_signed()]).await? == 0 {
        return Ok(());
    }
    let (table, value) = (table(day), day.cast_signed());
    connection
        .run(&format!(
            "CREATE TABLE {table} (LIKE claims INCLUDING ALL);
            ALTER TABLE claims ATTACH PARTITION {table} FOR VALUES IN ({value})"
        ))
        .await?;
    Ok(())
}

/// The name of a day's table.
fn table(day: u64) -> String {
    format!("claims_{day}")
}

/// Drops the days that are over and done. Returns how many claims they had.
pub(crate) async fn prune(connection: &Connection, before: UnixSeconds) -> Result<u64, Fault> {
    let end = plan::prune_end(before);
    let mut dropped: u64 = 0;
    for day in done(connection, end).await? {
        let count = connection.query_opt(COUNT, &[&day.cast_signed()]).await?;
        let count: i64 = count.map_or(Ok(0), |row| Columns::of(&row).get())?;
        if drop_day(connection, day, end).await? {
            dropped = dropped.saturating_add(count.cast_unsigned());
        }
    }
    Ok(dropped)
}

/// The days before one that nothing needs any more.
async fn done(connection: &Connection, end: u64) -> Result<Vec<u64>, Fault> {
    let mut kept = BTreeSet::new();
    for row in connection.query(UNFINISHED, &[]).await? {
        let valid_before = Columns::of(&row).seconds()?;
        kept.insert(valid_before.0 / 86_400);
    }
    let carried = settlements::unfinished_claims(connection).await?;
    kept.extend(carried.iter().map(ClaimKey::day));
    let watched = watched::keys(connection).await?;
    kept.extend(watched.iter().map(ClaimKey::day));
    let rows = connection.query(BEFORE, &[&end.cast_signed()]).await?;
    let mut days = Vec::new();
    for row in rows {
        let day = Columns::of(&row).get::<i64>()?.cast_unsigned();
        if !kept.contains(&day) {
            days.push(day);
        }
    }
    Ok(days)
}

/// Drops a day unless somebody needs it again. Everybody who claims waits meanwhile; it is a matter of
/// the catalogue, and done once a day.
async fn drop_day(connection: &Connection, day: u64, end: u64) -> Result<bool, Fault> {
    connection.run("BEGIN").await?;
    connection
        .run("LOCK TABLE claims IN ACCESS EXCLUSIVE MODE")
        .await?;
    let is_done = done(connection, end).await?.contains(&day);
    if is_done {
        connection
            .run(&format!("DROP TABLE {}", table(day)))
            .await?;
        connection.execute(DELETE, &[&day.cast_signed()]).await?;
    }
    connection.run("COMMIT").await?;
    Ok(is_done)
}
