//! The one thread that writes.
//!
//! It drains the calls that wait, decides each in order within one transaction, commits once, and
//! then answers all of them. If one call fails in a way that is its own, the transaction is rolled
//! back and its calls are run one by one, so that it fails alone. If the database fails (disk full,
//! I/O error), all of them are answered that it is unavailable, and the next batch tries with a new
//! connection: no restart is needed when there is room again.

use std::path::PathBuf;
use std::time::Instant;

use octroi_store::StoreError;
use rusqlite::Connection;
use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::command::Command;
use crate::connection::{ProcessLock, open_writer_again};
use crate::fault::{Fault, is_environmental, store_error, unavailable};
use crate::options::{Commit, OpenError, SqliteOptions};
use crate::session::{Leases, Session, Tables};
use crate::transfers::SqlBooks;

/// The writer, before it has a thread.
pub(crate) struct Writer {
    path: PathBuf,
    options: SqliteOptions,
    calls: mpsc::Receiver<Message>,
    batch: Vec<Command>,
    leases: Leases,
    closing: bool,
    _lock: ProcessLock,
}

/// What comes through the queue.
pub(crate) enum Message {
    /// A call.
    Call(Command),
    /// Answer what waits, then end.
    Close,
}

/// Why a batch was not committed.
enum BatchFault {
    /// One of its calls failed.
    OfOneCall(StoreError),
    /// The database failed.
    OfDatabase(StoreError),
}

impl Writer {
    pub(crate) fn new(
        path: PathBuf,
        options: SqliteOptions,
        calls: mpsc::Receiver<Message>,
        lock: ProcessLock,
    ) -> Self {
        let batch = Vec::with_capacity(options.batch_max);
        let leases = Leases::new();
        Self {
            path,
            options,
            calls,
            batch,
            leases,
            closing: false,
            _lock: lock,
        }
    }

    /// Writes until it is closed and all that waited is answered.
    pub(crate) fn run(mut self, connection: Connection) {
        let mut connection = Some(connection);
        loop {
            let opened = match connection.take() {
                Some(opened) => Ok(opened),
                // The last one failed. Whether the next does better is seen when it is needed.
                None if self.receive() => open_writer_again(&self.path, &self.options),
                None => return,
            };
            match opened {
                Ok(opened) if self.write_with(&opened) => {}
                Ok(opened) => {
                    close(opened);
                    return;
                }
                Err(error) => {
                    error!(error = %chain(&error), "the database cannot be opened again");
                    self.fail(&unavailable("the database cannot be opened"));
                }
            }
        }
    }

    /// Takes what waits, if nothing is in hand yet; waits for the first. `false` if there is
    /// nothing and never will be.
    fn receive(&mut self) -> bool {
        if !self.batch.is_empty() {
            return true;
        }
        let mut messages = Vec::with_capacity(self.options.batch_max);
        while self.batch.is_empty() {
            if self
                .calls
                .blocking_recv_many(&mut messages, self.options.batch_max)
                == 0
            {
                return false;
            }
            for message in messages.drain(..) {
                match message {
                    Message::Call(command) => self.batch.push(command),
                    Message::Close => self.closing = true,
                }
            }
            if self.closing {
                self.calls.close();
            }
        }
        true
    }

    /// Writes batches over one connection. `true` if it failed and another one is needed.
    fn write_with(&mut self, connection: &Connection) -> bool {
        loop {
            let loaded = Tables::load(connection)
                .and_then(|tables| Ok((tables, SqlBooks::prepare(connection)?)));
            let (mut tables, books) = match loaded {
                Ok(loaded) => loaded,
                Err(error) => {
                    error!(%error, "the database cannot be read");
                    if self.receive() {
                        self.fail(&store_error(&error));
                    }
                    return !self.closing;
                }
            };
            loop {
                if !self.receive() {
                    return false;
                }
                match self.write_batch(connection, &mut tables, &books) {
                    Ok(()) => {}
                    Err(BatchFault::OfDatabase(error)) => {
                        error!(%error, calls = self.batch.len(), "a batch was not committed");
                        self.fail(&error);
                        return true;
                    }
                    Err(BatchFault::OfOneCall(error)) => {
                        warn!(%error, calls = self.batch.len(), "a call failed; one by one");
                        break;
                    }
                }
            }
            if let Err(error) = self.write_one_by_one(connection) {
                error!(%error, "a call was not committed");
                self.fail(&error);
                return true;
            }
        }
    }

    fn write_batch<'c>(
        &mut self,
        connection: &'c Connection,
        tables: &mut Tables<'c>,
        books: &SqlBooks<'c>,
    ) -> Result<(), BatchFault> {
        let begun = Instant::now();
        commit(connection, tables, books, &mut self.leases, &mut self.batch)?;
        self.committed(self.batch.len(), begun);
        self.batch.drain(..).for_each(Command::answer);
        Ok(())
    }

    fn committed(&self, calls: usize, begun: Instant) {
        if let Some(on_commit) = &self.options.on_commit {
            let (waiting, elapsed) = (self.calls.len(), begun.elapsed());
            on_commit(&Commit {
                calls,
                waiting,
                elapsed,
            });
        }
    }

    /// Runs the calls of a failed batch each in its own transaction.
    fn write_one_by_one(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let load = || -> rusqlite::Result<_> {
            Ok((Tables::load(connection)?, SqlBooks::prepare(connection)?))
        };
        let (mut tables, mut books) = load().map_err(|error| store_error(&error))?;
        let mut waiting = std::mem::take(&mut self.batch).into_iter();
        while let Some(command) = waiting.next() {
            let begun = Instant::now();
            let mut alone = [command];
            let outcome = commit(
                connection,
                &mut tables,
                &books,
                &mut self.leases,
                &mut alone,
            );
            let [command] = alone;
            match outcome {
                Ok(()) => {
                    self.committed(1, begun);
                    command.answer();
                }
                Err(BatchFault::OfOneCall(error)) => {
                    error!(%error, "a call failed");
                    command.fail(error);
                    match load() {
                        Ok(loaded) => (tables, books) = loaded,
                        Err(error) => {
                            self.batch.extend(waiting);
                            return Err(store_error(&error));
                        }
                    }
                }
                Err(BatchFault::OfDatabase(error)) => {
                    self.batch.push(command);
                    self.batch.extend(waiting);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: &StoreError) {
        for command in self.batch.drain(..) {
            command.fail(error.clone());
        }
    }
}

/// Decides calls and commits them, or rolls all of them back.
fn commit<'c>(
    connection: &'c Connection,
    tables: &mut Tables<'c>,
    books: &SqlBooks<'c>,
    leases: &mut Leases,
    calls: &mut [Command],
) -> Result<(), BatchFault> {
    let fault = match try_commit(connection, tables, books, leases, calls) {
        Ok(()) => return Ok(()),
        Err(fault) => fault,
    };
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        return Err(BatchFault::OfDatabase(store_error(&error)));
    }
    Err(fault)
}

fn try_commit<'c>(
    connection: &'c Connection,
    tables: &mut Tables<'c>,
    books: &SqlBooks<'c>,
    leases: &mut Leases,
    calls: &mut [Command],
) -> Result<(), BatchFault> {
    let of_database = |error: rusqlite::Error| BatchFault::OfDatabase(store_error(&error));
    connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(of_database)?;
    let mut session = Session::new(tables, leases, books);
    for call in calls {
        session.run(call).map_err(batch_fault)?;
    }
    let effects = session.into_ledger().into_effects();
    books.write(&effects).map_err(of_database)?;
    connection.execute_batch("COMMIT").map_err(of_database)
}

fn batch_fault(fault: Fault) -> BatchFault {
    match fault {
        Fault::Refused(error) | Fault::Broken(error) => BatchFault::OfOneCall(error),
        Fault::Database(error) if is_environmental(&error) => {
            BatchFault::OfDatabase(store_error(&error))
        }
        Fault::Database(error) => BatchFault::OfOneCall(store_error(&error)),
    }
}

fn close(connection: Connection) {
    if let Err((_, error)) = connection.close() {
        warn!(%error, "the database was not closed in order; it is recovered when it is opened");
    }
}

/// An error with its causes.
fn chain(error: &OpenError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
