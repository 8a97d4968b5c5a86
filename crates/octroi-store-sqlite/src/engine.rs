//! A batch of calls as one transaction.

use octroi_store::StoreError;
use rusqlite::Connection;

use crate::fault::{Fault, fails_all, store_error};
use crate::session::{Leases, Session, Tables};
use crate::transfers::SqlBooks;
use octroi_store::call::Command;

/// What commits batches over one connection. After a batch that was not committed it knows things
/// that are not stored, and another one must be loaded.
pub(crate) struct Engine<'c> {
    connection: &'c Connection,
    tables: Tables<'c>,
    books: SqlBooks<'c>,
}

/// Why a batch was not committed.
pub(crate) enum BatchFault {
    /// One of its calls failed.
    OfOneCall(StoreError),
    /// The database failed, and would for any call.
    OfDatabase(StoreError),
}

impl<'c> Engine<'c> {
    /// Prepares every statement, and reads what is unfinished.
    pub(crate) fn load(connection: &'c Connection) -> rusqlite::Result<Self> {
        let (tables, books) = (Tables::load(connection)?, SqlBooks::prepare(connection)?);
        Ok(Self {
            connection,
            tables,
            books,
        })
    }

    /// Decides calls and commits them, or rolls all of them back.
    pub(crate) fn commit(
        &mut self,
        leases: &mut Leases,
        calls: &mut [Command],
    ) -> Result<(), BatchFault> {
        let Err(fault) = self.try_commit(leases, calls) else {
            return Ok(());
        };
        // SQLite has rolled back by itself after some errors.
        if !self.connection.is_autocommit() {
            self.connection
                .execute_batch("ROLLBACK")
                .map_err(of_database)?;
        }
        Err(fault)
    }

    fn try_commit(&mut self, leases: &mut Leases, calls: &mut [Command]) -> Result<(), BatchFault> {
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(of_database)?;
        let mut session = Session::new(&mut self.tables, leases, &self.books);
        for call in calls {
            session.run(call).map_err(of_call)?;
        }
        let effects = session.into_ledger().into_effects();
        self.books.write(&effects).map_err(of_database)?;
        self.connection.execute_batch("COMMIT").map_err(of_database)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err's function")]
fn of_database(error: rusqlite::Error) -> BatchFault {
    BatchFault::OfDatabase(store_error(&error))
}

fn of_call(fault: Fault) -> BatchFault {
    match fault {
        Fault::Refused(error) | Fault::Broken(error) => BatchFault::OfOneCall(error),
        Fault::Database(error) if fails_all(&error) => of_database(error),
        Fault::Database(error) => BatchFault::OfOneCall(store_error(&error)),
    }
}
