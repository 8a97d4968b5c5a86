//! Events, in the order of commits. The history of a transaction is read from its last event
//! backwards.

use octroi_claim::NewClaim;
use octroi_store::{Event, EventKind};
use octroi_types::{TransactionId, UnixMicros};
use rusqlite::{Connection, OptionalExtension, Statement, params};

use crate::columns::{Columns, mode_code};

const INSERT: &str = "INSERT INTO events (
    number, tenant, mode, transaction_id, ordinal, previous, kind, at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const HIGHEST: &str = "SELECT coalesce(max(number), 0) FROM events";

const LAST: &str = "SELECT last_event FROM transaction_states WHERE id = ?1";

const GET: &str = "SELECT ordinal, previous, kind, at FROM events WHERE number = ?1";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[INSERT, HIGHEST, LAST, GET];

/// How far a history is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History {
    /// The number of the last event.
    pub(crate) last: i64,
    /// How many events there are.
    pub(crate) len: u32,
}

/// The writer's statement.
pub(crate) struct Events<'c> {
    insert: Statement<'c>,
    highest: i64,
}

impl<'c> Events<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let highest = connection.query_row(HIGHEST, [], |row| row.get(0))?;
        Ok(Self {
            insert: connection.prepare(INSERT)?,
            highest,
        })
    }

    /// Appends to the history of a claim's transaction, or begins it.
    pub(crate) fn append(
        &mut self,
        terms: &NewClaim,
        history: Option<History>,
        kinds: &[EventKind],
        now: UnixMicros,
    ) -> rusqlite::Result<History> {
        let mut previous = history.map(|history| history.last);
        let mut len = history.map_or(0, |history| history.len);
        for kind in kinds {
            self.highest += 1;
            self.insert.execute(params![
                self.highest,
                terms.tenant.as_bytes(),
                mode_code(terms.mode),
                terms.transaction.as_bytes(),
                len,
                previous,
                kind.code(),
                now.0
            ])?;
            previous = Some(self.highest);
            len = len.saturating_add(1);
        }
        Ok(History {
            last: previous.unwrap_or(0),
            len,
        })
    }
}

/// The events of a transaction, oldest first.
pub(crate) fn list(
    connection: &Connection,
    transaction: TransactionId,
) -> rusqlite::Result<Vec<Event>> {
    let mut next: Option<i64> = connection
        .prepare_cached(LAST)?
        .query_row([transaction.as_bytes()], |row| row.get(0))
        .optional()?;
    let mut statement = connection.prepare_cached(GET)?;
    let mut events = Vec::new();
    while let Some(number) = next {
        let (event, previous) = statement.query_row([number], |row| {
            let mut columns = Columns::of(row);
            let ordinal = columns.get()?;
            let previous = columns.get()?;
            let kind = columns.read(EventKind::from_code)?;
            Ok((
                Event::new(transaction, ordinal, kind, columns.micros()?),
                previous,
            ))
        })?;
        events.push(event);
        next = previous;
    }
    events.reverse();
    Ok(events)
}
