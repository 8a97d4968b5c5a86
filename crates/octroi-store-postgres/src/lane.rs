//! A lane: one connection that writes.
//!
//! It takes the calls that wait, decides them within one transaction, commits once, and then answers all
//! of them; meanwhile the other lanes do the same with what came later. If one call fails in a way that
//! is its own, the transaction is rolled back and its calls are run one by one, so that it fails alone.
//! What somebody else was first at is decided again, a few times.

use std::sync::Arc;
use std::time::Instant;

use octroi_ledger::{LaneId, Seal};
use octroi_store::StoreError;
use tokio::sync::{Mutex, mpsc};
use tracing::{error, warn};

use crate::columns::Columns;
use crate::connection::{Connection, Connector};
use crate::days::{self, Days};
use crate::fault::{Fault, Remedy, store_error, unavailable};
use crate::options::{Commit, PostgresOptions};
use crate::postings::Posted;
use crate::session::{self, Session};
use crate::transfers;
use octroi_store::call::Command;

/// How often a batch is decided again on what others did before it.
const ATTEMPTS: u32 = 6;

/// A number that no other connection has, for as long as this one lives.
const TAKE_LANE: &str = "SELECT pg_try_advisory_lock(1330868339, $1)";

/// More connections than a server has.
const LANES_MAX: i32 = 100_000;

/// What the lanes take their calls from.
pub(crate) type Queue = Arc<Mutex<mpsc::Receiver<Command>>>;

/// One lane, with a connection as long as it works.
pub(crate) struct Lane {
    connector: Connector,
    options: PostgresOptions,
    queue: Queue,
    writer: Option<Writer>,
}

/// Why a batch was not committed.
enum BatchFault {
    /// One of its calls failed.
    OfOneCall(StoreError),
    /// The database failed, and would for any call; or it is not known whether it committed.
    OfDatabase(StoreError),
}

/// How an attempt ended that did not commit.
enum Attempt {
    Failed(Fault),
    /// The connection ended before the answer to the commit.
    Unknown(tokio_postgres::Error),
}

impl<F: Into<Fault>> From<F> for Attempt {
    fn from(fault: F) -> Self {
        Self::Failed(fault.into())
    }
}

impl Lane {
    pub(crate) const fn new(connector: Connector, options: PostgresOptions, queue: Queue) -> Self {
        Self {
            connector,
            options,
            queue,
            writer: None,
        }
    }

    /// Writes until the queue is closed and all that waited is answered.
    pub(crate) async fn run(mut self) {
        let batch_max = self.options.batch_max.max(1);
        loop {
            let mut batch = Vec::new();
            let waiting = {
                let mut queue = self.queue.lock().await;
                if queue.recv_many(&mut batch, batch_max).await == 0 {
                    return;
                }
                queue.len()
            };
            self.write(batch, waiting).await;
        }
    }

    async fn write(&mut self, batch: Vec<Command>, waiting: usize) {
        let (pruning, mut batch): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|command| matches!(command, Command::ClaimsPrune(_)));
        for command in pruning {
            self.prune(command).await;
        }
        if batch.is_empty() {
            return;
        }
        match self.commit(&mut batch, waiting).await {
            Err(BatchFault::OfOneCall(fault)) if batch.len() > 1 => {
                warn!(error = %fault, calls = batch.len(), "a call failed; one by one");
                for command in batch {
                    let mut alone = vec![command];
                    let committed = self.commit(&mut alone, waiting).await;
                    answer(alone, committed);
                }
            }
            committed => answer(batch, committed),
        }
    }

    async fn commit(&mut self, batch: &mut [Command], waiting: usize) -> Result<(), BatchFault> {
        let begun = Instant::now();
        let mut last = unavailable("the database was not asked");
        for _ in 0..ATTEMPTS {
            let writer = self.writer().await.map_err(BatchFault::OfDatabase)?;
            match writer.attempt(batch).await {
                Ok(()) => {
                    self.committed(batch.len(), waiting, begun);
                    return Ok(());
                }
                Err(Attempt::Unknown(error)) => {
                    self.writer = None;
                    return Err(BatchFault::OfDatabase(store_error(&error)));
                }
                Err(Attempt::Failed(Fault::Refused(error) | Fault::Broken(error))) => {
                    self.roll_back().await;
                    return Err(BatchFault::OfOneCall(error));
                }
                Err(Attempt::Failed(Fault::Database(error))) => {
                    last = store_error(&error);
                    match Remedy::of(&error) {
                        Remedy::Again => self.roll_back().await,
                        Remedy::Reconnect => self.writer = None,
                        Remedy::None => {
                            self.roll_back().await;
                            return Err(BatchFault::OfOneCall(last));
                        }
                    }
                }
            }
        }
        Err(BatchFault::OfOneCall(last))
    }

    /// The writer, with a new connection if there is none.
    async fn writer(&mut self) -> Result<&mut Writer, StoreError> {
        let writer = match self.writer.take().filter(|writer| !writer.is_closed()) {
            Some(writer) => writer,
            None => Writer::connect(&self.connector, &self.options).await?,
        };
        Ok(self.writer.insert(writer))
    }

    async fn roll_back(&mut self) {
        if let Some(writer) = &mut self.writer
            && writer.roll_back().await.is_err()
        {
            self.writer = None;
        }
    }

    async fn prune(&mut self, command: Command) {
        let Command::ClaimsPrune(mut call) = command else {
            return;
        };
        let before = *call.question();
        let pruned = match self.writer().await {
            Ok(writer) => days::prune(&writer.connection, before).await,
            Err(error) => Err(error.into()),
        };
        if pruned.is_err() {
            self.roll_back().await;
        }
        let pruned = pruned.map_err(Fault::into_store_error);
        // The answer is there, so that deciding on it cannot fail.
        call.decide(|_| pruned.map_err(Fault::Refused)).ok();
        Command::ClaimsPrune(call).answer();
    }

    fn committed(&self, calls: usize, waiting: usize, begun: Instant) {
        if let Some(on_commit) = &self.options.on_commit {
            let elapsed = begun.elapsed();
            on_commit(&Commit {
                calls,
                waiting,
                elapsed,
            });
        }
    }
}

fn answer(batch: Vec<Command>, committed: Result<(), BatchFault>) {
    let error = match committed {
        Ok(()) => return batch.into_iter().for_each(Command::answer),
        Err(BatchFault::OfOneCall(error)) => {
            warn!(%error, "a call failed");
            error
        }
        Err(BatchFault::OfDatabase(error)) => {
            error!(%error, calls = batch.len(), "calls were not committed");
            error
        }
    };
    for command in batch {
        command.fail(error.clone());
    }
}

/// A connection of a lane, and the chain that it writes.
struct Writer {
    connection: Connection,
    options: PostgresOptions,
    head: Seal,
    days: Days,
}

impl Writer {
    async fn connect(connector: &Connector, options: &PostgresOptions) -> Result<Self, StoreError> {
        let connection = connector
            .connect()
            .await
            .map_err(|error| unavailable(&error.reason()))?;
        let head = chain_of_own(&connection)
            .await
            .map_err(Fault::into_store_error)?;
        Ok(Self {
            connection,
            options: options.clone(),
            head,
            days: Days::default(),
        })
    }

    fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    async fn roll_back(&mut self) -> Result<(), tokio_postgres::Error> {
        self.days.forget();
        self.connection.run("ROLLBACK").await
    }

    async fn attempt(&mut self, batch: &mut [Command]) -> Result<(), Attempt> {
        let connection = &self.connection;
        let days = session::days(batch);
        self.days.ensure(connection, &days).await?;
        connection.run("BEGIN").await?;
        let mut session = Session::load(connection, batch, self.options.clock_skew_max).await?;
        for command in &mut *batch {
            session.run(command)?;
        }
        let Posted { head, outcomes } = session.write(connection, self.head).await?;
        session::answer(batch, outcomes);
        match connection.run("COMMIT").await {
            Ok(()) => {
                self.head = head;
                Ok(())
            }
            Err(error) if Remedy::of(&error) == Remedy::Reconnect => Err(Attempt::Unknown(error)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Takes a lane of the books that nobody writes, and reads the head of its chain.
async fn chain_of_own(connection: &Connection) -> Result<Seal, Fault> {
    for number in 0..LANES_MAX {
        let row = connection.query_opt(TAKE_LANE, &[&number]).await?;
        if row.map_or(Ok(false), |row| Columns::of(&row).get())? {
            let lane = LaneId(number.cast_unsigned());
            return transfers::head(connection, lane).await;
        }
    }
    Err(unavailable("every lane of the books is taken").into())
}
