//! Rows of the same shape in SQLite, in full batches, by one thread that decides nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use octroi_types::TransferId;
use rusqlite::{Connection, Statement, params};

use super::callers::group_commits;
use super::{BALANCES, BATCH};

/// The columns and indexes that transfers and accounts have in the store.
const SCHEMA: &str = "
PRAGMA journal_mode = wal;
PRAGMA synchronous = full;
PRAGMA wal_autocheckpoint = 4000;
PRAGMA cache_size = -32768;
CREATE TABLE transfers (
    id BLOB PRIMARY KEY, tenant BLOB NOT NULL, mode INTEGER NOT NULL, debit BLOB NOT NULL,
    credit BLOB NOT NULL, amount INTEGER NOT NULL, kind INTEGER NOT NULL, hold BLOB,
    expires_at INTEGER, reason INTEGER NOT NULL, subject_kind INTEGER NOT NULL,
    subject BLOB NOT NULL, created_at INTEGER NOT NULL, batch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX transfers_hold ON transfers (hold) WHERE hold IS NOT NULL;
CREATE TABLE accounts (
    id BLOB PRIMARY KEY, debits_posted INTEGER NOT NULL, debits_pending INTEGER NOT NULL,
    credits_posted INTEGER NOT NULL, credits_pending INTEGER NOT NULL, version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

const INSERT: &str = "INSERT INTO transfers VALUES
    (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, 8, 1, ?9, ?10, ?11)";
const UPDATE: &str = "UPDATE accounts SET
    debits_posted = debits_posted + ?2, debits_pending = ?3, credits_posted = credits_posted + ?4,
    version = version + 1
WHERE id = ?1";

/// A database of rows.
#[derive(Debug)]
pub struct BareSqlite {
    connection: Connection,
    batches: i64,
    next: u32,
}

/// What one unit of work is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Post,
    HoldAndCapture,
}

impl BareSqlite {
    /// A new database in a folder.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(folder: &Path) -> Result<Self> {
        let connection = Connection::open(folder.join("bare.db")).context("bare.db")?;
        connection.execute_batch(SCHEMA)?;
        let open = "INSERT INTO accounts VALUES (?1, 0, 0, 0, 0, 0)";
        connection.execute_batch("BEGIN")?;
        for number in 0..=BALANCES {
            connection.execute(open, [account(number)])?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(Self {
            connection,
            batches: 0,
            next: 0,
        })
    }

    /// Posts a second.
    ///
    /// # Errors
    /// If the database fails.
    pub fn posts(&mut self, time: Duration) -> Result<f64> {
        self.run(time, Work::Post)
    }

    /// Pairs of a hold and its capture a second, each half in a batch of its own as callers have it
    /// who wait for the first.
    ///
    /// # Errors
    /// If the database fails.
    pub fn pairs(&mut self, time: Duration) -> Result<f64> {
        self.run(time, Work::HoldAndCapture)
    }

    /// Posts a second, for so many callers that each wait for the commit of their own.
    ///
    /// # Errors
    /// If the database fails.
    pub fn posts_for(&mut self, callers: usize, time: Duration) -> Result<f64> {
        let mut session = self.session()?;
        group_commits(callers, time, |calls| {
            session.take(calls);
            session.commit(1, None).map(drop)
        })
    }

    fn run(&mut self, time: Duration, work: Work) -> Result<f64> {
        let mut session = self.session()?;
        let (begun, mut done) = (Instant::now(), 0);
        while begun.elapsed() < time {
            session.take(BATCH);
            match work {
                Work::Post => drop(session.commit(1, None)?),
                Work::HoldAndCapture => {
                    let holds = session.commit(2, None)?;
                    session.commit(3, Some(&holds))?;
                }
            }
            done += BATCH as u64;
        }
        Ok(super::books::rate(done, begun.elapsed()))
    }

    fn session(&mut self) -> Result<Session<'_>> {
        Ok(Session {
            insert: self.connection.prepare(INSERT)?,
            update: self.connection.prepare(UPDATE)?,
            connection: &self.connection,
            batches: &mut self.batches,
            next: &mut self.next,
            balances: Vec::with_capacity(BATCH),
        })
    }
}

/// A connection with its statements, and the balances that the next batch debits.
struct Session<'s> {
    insert: Statement<'s>,
    update: Statement<'s>,
    connection: &'s Connection,
    batches: &'s mut i64,
    next: &'s mut u32,
    balances: Vec<u32>,
}

impl Session<'_> {
    /// The balances whose turn it is.
    fn take(&mut self, count: usize) {
        self.balances.clear();
        for _ in 0..count {
            self.balances.push(*self.next);
            *self.next = (*self.next + 1) % BALANCES;
        }
    }

    fn commit(&mut self, kind: i64, holds: Option<&[TransferId]>) -> Result<Vec<TransferId>> {
        *self.batches += 1;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let ids = insert_batch(&mut self.insert, &self.balances, kind, holds, *self.batches)?;
        update_batch(&mut self.update, &self.balances, kind)?;
        self.connection.execute_batch("COMMIT")?;
        Ok(ids)
    }
}

fn account(number: u32) -> [u8; 16] {
    let mut id = [0xac; 16];
    // Scattered, as derived ids are.
    id[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    id[12..].copy_from_slice(&number.to_be_bytes());
    id
}

fn insert_batch(
    insert: &mut Statement<'_>,
    balances: &[u32],
    kind: i64,
    holds: Option<&[TransferId]>,
    batch: i64,
) -> Result<Vec<TransferId>> {
    let revenue = account(BALANCES);
    let mut ids = Vec::with_capacity(balances.len());
    for (place, balance) in balances.iter().enumerate() {
        let id = TransferId::generate();
        let hold = holds.and_then(|holds| holds.get(place));
        insert.execute(params![
            id.as_bytes(),
            [1_u8; 16],
            account(*balance),
            revenue,
            1_000_000,
            kind,
            hold.map(TransferId::as_bytes),
            (kind == 2).then_some(i64::MAX),
            [2_u8; 16],
            1_700_000_000_000_000_i64,
            batch,
        ])?;
        ids.push(id);
    }
    Ok(ids)
}

fn update_batch(update: &mut Statement<'_>, balances: &[u32], kind: i64) -> Result<()> {
    let posted = if kind == 2 { 0 } else { 1_000_000 };
    for balance in balances {
        update.execute(params![account(*balance), posted, 0, 0])?;
    }
    let earned = posted * i64::try_from(balances.len())?;
    update.execute(params![account(BALANCES), 0, 0, earned])?;
    Ok(())
}
