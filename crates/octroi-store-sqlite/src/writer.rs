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

use crate::connection::{ProcessLock, open_writer_again};
use crate::engine::{BatchFault, Engine};
use crate::fault::{store_error, unavailable};
use crate::options::{Commit, OpenError, SqliteOptions};
use crate::session::Leases;
use octroi_store::call::Command;

/// The writer.
pub(crate) struct Writer {
    path: PathBuf,
    options: SqliteOptions,
    calls: mpsc::Receiver<Message>,
    /// Taken from the queue and not yet looked at.
    messages: Vec<Message>,
    batch: Vec<Command>,
    leases: Leases,
    _lock: ProcessLock,
}

/// What comes through the queue.
pub(crate) enum Message {
    /// A call.
    Call(Command),
    /// Answer what waits, then end.
    Close,
}

impl Writer {
    pub(crate) fn new(
        path: PathBuf,
        options: SqliteOptions,
        calls: mpsc::Receiver<Message>,
        lock: ProcessLock,
    ) -> Self {
        let messages = Vec::with_capacity(options.batch_max);
        let batch = Vec::with_capacity(options.batch_max);
        Self {
            path,
            options,
            calls,
            messages,
            batch,
            leases: Leases::new(),
            _lock: lock,
        }
    }

    /// Writes until it is closed and all that waited is answered.
    pub(crate) fn run(mut self, connection: Connection) {
        let mut connection = Some(connection);
        loop {
            let outcome = match connection.take() {
                Some(open) => {
                    let outcome = self.write_with(&open);
                    close(open);
                    outcome
                }
                // The last one failed. Whether the next does better is seen when it is needed.
                None if self.receive() => match open_writer_again(&self.path, &self.options) {
                    Ok(open) => {
                        connection = Some(open);
                        continue;
                    }
                    Err(error) => Err(unavailable(&chain(&error))),
                },
                None => Ok(()),
            };
            match outcome {
                Ok(()) => return,
                Err(error) => {
                    error!(%error, calls = self.batch.len(), "calls were not committed");
                    self.fail(&error);
                }
            }
        }
    }

    /// Takes what waits, unless there is something in hand; waits for the first. `false` if there
    /// is nothing and never will be.
    fn receive(&mut self) -> bool {
        while self.batch.is_empty() {
            let taken = self
                .calls
                .blocking_recv_many(&mut self.messages, self.options.batch_max.max(1));
            if taken == 0 {
                return false;
            }
            for message in self.messages.drain(..) {
                match message {
                    Message::Call(command) => self.batch.push(command),
                    // What is queued is still taken; nothing more can be.
                    Message::Close => self.calls.close(),
                }
            }
        }
        true
    }

    /// Writes batches over one connection, until it fails or there is nothing more to do.
    fn write_with(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let load = || Engine::load(connection).map_err(|error| store_error(&error));
        let mut engine = load()?;
        while self.receive() {
            match self.write_batch(&mut engine) {
                Ok(()) => {}
                Err(BatchFault::OfDatabase(error)) => return Err(error),
                Err(BatchFault::OfOneCall(error)) => {
                    warn!(%error, calls = self.batch.len(), "a call failed; one by one");
                    engine = load()?;
                    self.write_one_by_one(&mut engine, &load)?;
                }
            }
        }
        Ok(())
    }

    fn write_batch(&mut self, engine: &mut Engine<'_>) -> Result<(), BatchFault> {
        let begun = Instant::now();
        engine.commit(&mut self.leases, &mut self.batch)?;
        self.committed(self.batch.len(), begun);
        self.batch.drain(..).for_each(Command::answer);
        Ok(())
    }

    /// Runs the calls of a failed batch each in its own transaction. On an error, those that were
    /// not answered are in hand again.
    fn write_one_by_one<'c>(
        &mut self,
        engine: &mut Engine<'c>,
        load: &impl Fn() -> Result<Engine<'c>, StoreError>,
    ) -> Result<(), StoreError> {
        let mut waiting = std::mem::take(&mut self.batch).into_iter();
        while let Some(command) = waiting.next() {
            let begun = Instant::now();
            let mut alone = [command];
            let outcome = engine.commit(&mut self.leases, &mut alone);
            let [command] = alone;
            let failed = match outcome {
                Ok(()) => {
                    self.committed(1, begun);
                    command.answer();
                    None
                }
                Err(BatchFault::OfOneCall(error)) => {
                    warn!(%error, "a call failed");
                    command.fail(error);
                    load().map(|loaded| *engine = loaded).err()
                }
                Err(BatchFault::OfDatabase(error)) => {
                    self.batch.push(command);
                    Some(error)
                }
            };
            if let Some(error) = failed {
                self.batch.extend(waiting);
                return Err(error);
            }
        }
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

    fn fail(&mut self, error: &StoreError) {
        for command in self.batch.drain(..) {
            command.fail(error.clone());
        }
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
