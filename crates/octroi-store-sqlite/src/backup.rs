//! Copies of a database that its owner goes on writing, and whether a copy can be trusted.

use std::ffi::c_int;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use octroi_ledger::Seal;
use octroi_types::UnixMicros;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, ffi};

use crate::audit::{AuditError, audit};
use crate::connection::{ProcessLock, make_private, open_reader};
use crate::options::OpenError;
use crate::read_only::SqliteReader;
use crate::schema::migrate;

/// Pages that are copied between two pauses: 4 MiB.
const STEP_PAGES: c_int = 1_024;

const COUNT: &str = "SELECT count(*), max(created_at) FROM transactions";

/// How far a copy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copying {
    /// Pages that were copied.
    pub done: u64,
    /// Pages that there are.
    pub all: u64,
}

/// A database as it was at one moment, in a file beside it that is removed when this is dropped.
///
/// It is as readable as the database, and therefore goes nowhere else.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    _lock: ProcessLock,
}

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The database cannot be read, or is being copied by another process.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What an earlier copy left behind cannot be removed.
    #[error("{path} cannot be removed")]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite refused.
    #[error("the database cannot be copied to {path}")]
    Copy {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// Whoever was told of the progress wanted no more of it.
    #[error("the copy was stopped")]
    Stopped,
}

/// What was found in a database that was read as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// Payment attempts.
    pub transactions: u64,
    /// When the newest of them came.
    pub newest_at: Option<UnixMicros>,
    /// The newest batch of the books, and the hash over all of them.
    pub head: Seal,
}

/// Why a database cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// A gate could not start with it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is not as long as it says.
    #[error("the database has {found} bytes and not {expected}")]
    Length {
        /// The length of the file.
        found: u64,
        /// What its first page says.
        expected: u64,
    },
    /// SQLite's own check found something.
    #[error("the database is damaged: {problem}")]
    Damaged {
        /// The first thing that was found.
        problem: String,
    },
    /// Its books are not what was written.
    #[error("the books do not pass the audit")]
    Books(#[from] AuditError),
}

impl Snapshot {
    /// Copies a database, which another process may be writing. Blocks.
    ///
    /// The copy is of the moment at which it began, however much is written meanwhile: a reader's
    /// view is held until the end, which keeps no writer waiting. The log cannot be cut for as long,
    /// so it grows by what is written. Half of the time the disk is left to others.
    ///
    /// # Errors
    /// [`CopyError`]; in particular if `progress` breaks off, or the schema is not the newest.
    pub fn take(
        database: &Path,
        progress: impl FnMut(Copying) -> ControlFlow<()>,
    ) -> Result<Self, CopyError> {
        // A copy that was renewed on its way would be no way back for the program that wrote it.
        SqliteReader::open(database)?;
        let path = beside(database, ".snapshot");
        let lock = ProcessLock::take(&path)?;
        remove(&path)?;
        let snapshot = Self { path, _lock: lock };
        copy(database, &snapshot.path, STEP_PAGES, progress)?;
        Ok(snapshot)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // What stays is removed by the next one.
        remove(&self.path).ok();
    }
}

/// Removes a copy, and what SQLite put beside it if it was killed.
fn remove(copy: &Path) -> Result<(), CopyError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = beside(copy, suffix);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CopyError::Remove {
                    path,
                    source: error,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn copy(
    from: &Path,
    to: &Path,
    step_pages: c_int,
    mut progress: impl FnMut(Copying) -> ControlFlow<()>,
) -> Result<(), CopyError> {
    let failed = |source| CopyError::Copy {
        path: to.to_owned(),
        source,
    };
    let source = open_reader(from).map_err(OpenError::Database)?;
    // Within a transaction SQLite copies what that sees; outside of one it would begin anew
    // whenever the owner commits. What it sees is settled by its first read.
    let view = source.unchecked_transaction().map_err(failed)?;
    view.pragma_query(None, "user_version", |_| Ok(()))
        .map_err(failed)?;
    make_private(to);
    let mut target = open_existing(to).map_err(failed)?;
    // Nothing of it is worth keeping before it is whole.
    target
        .pragma_update(None, "synchronous", "off")
        .and_then(|()| target.pragma_update(None, "journal_mode", "off"))
        .map_err(failed)?;
    let backup = Backup::new(&view, &mut target).map_err(failed)?;
    loop {
        let began = Instant::now();
        let step = backup.step(step_pages).map_err(failed)?;
        if progress(copying(&backup)).is_break() {
            return Err(CopyError::Stopped);
        }
        match step {
            StepResult::Done => break,
            StepResult::More => thread::sleep(began.elapsed()),
            // Neither can be: the view has its lock, and nobody else knows the target.
            _ => {
                let busy = ffi::Error::new(ffi::SQLITE_BUSY);
                return Err(failed(rusqlite::Error::SqliteFailure(busy, None)));
            }
        }
    }
    Ok(())
}

fn copying(backup: &Backup<'_, '_>) -> Copying {
    let progress = backup.progress();
    let pages = |count: c_int| u64::try_from(count).unwrap_or(0);
    let all = pages(progress.pagecount);
    Copying {
        done: all.saturating_sub(pages(progress.remaining)),
        all,
    }
}

/// Opens a database that nobody else has open.
fn open_existing(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Reads all of a database that nobody else has open: whether it is whole, whether a gate would
/// start with it, and whether its books are as they were written. Blocks.
///
/// An older schema is renewed, as a gate does when it starts. What is left is one file without a
/// log, which can be read where nothing can be written.
///
/// # Errors
/// [`ExamineError`].
pub fn examine(path: &Path) -> Result<Examined, ExamineError> {
    let mut connection = open_existing(path).map_err(OpenError::Database)?;
    check_whole(&connection, path)?;
    connection
        .pragma_update(None, "journal_mode", "delete")
        .map_err(OpenError::Database)?;
    migrate(&mut connection, path)?;
    let head = audit(&connection)?;
    let (transactions, newest_at) = connection
        .query_row(COUNT, [], |row| {
            let newest_at: Option<i64> = row.get(1)?;
            Ok((row.get::<_, i64>(0)?, newest_at.map(UnixMicros)))
        })
        .map_err(OpenError::Database)?;
    Ok(Examined {
        transactions: transactions.unsigned_abs(),
        newest_at,
        head,
    })
}

fn check_whole(connection: &Connection, path: &Path) -> Result<(), ExamineError> {
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(OpenError::Database)
    };
    // A file without content is a good database to SQLite, and one to fill to a gate.
    if pragma("application_id")? == 0 {
        let path = path.to_owned();
        return Err(OpenError::Foreign { path }.into());
    }
    let pages = pragma("page_count")?.unsigned_abs();
    let expected = pages.saturating_mul(pragma("page_size")?.unsigned_abs());
    let found = std::fs::metadata(path).map_or(0, |file| file.len());
    if found != expected {
        return Err(ExamineError::Length { found, expected });
    }
    let problem: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(OpenError::Database)?;
    if problem == "ok" {
        Ok(())
    } else {
        Err(ExamineError::Damaged { problem })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use octroi_store::conformance::Payment;
    use octroi_store::{ClaimOutcome, ClaimStore as _};

    use super::*;
    use crate::{SqliteOptions, SqliteStore};

    const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

    async fn claim(store: &SqliteStore, number: u32) {
        let made = store.claim_make(Payment::new(number).arrive()).await;
        assert!(matches!(made, Ok(ClaimOutcome::Granted(_))), "{made:?}");
    }

    /// A folder with a store of so many claims, that stays open.
    async fn filled(claims: u32) -> (tempfile::TempDir, PathBuf, SqliteStore) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("octroi.db");
        let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
        for number in 1..=claims {
            claim(&store, number).await;
        }
        (folder, path, store)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_copy_is_of_one_moment_and_ends_while_the_owner_writes() {
        let (folder, path, store) = filled(100).await;
        let (store, to) = (Arc::new(store), folder.path().join("copy"));
        let (from, target, writer) = (path.clone(), to.clone(), Arc::clone(&store));
        let runtime = tokio::runtime::Handle::current();
        let copied = tokio::task::spawn_blocking(move || {
            let mut steps = Vec::new();
            let copied = copy(&from, &target, 1, |copying| {
                // Each page is followed by a commit, which a copy without a view would answer by
                // beginning anew.
                let number = 101 + u32::try_from(steps.len()).unwrap();
                runtime.block_on(claim(&writer, number));
                steps.push(copying);
                if steps.len() < 1_000 {
                    GO_ON
                } else {
                    ControlFlow::Break(())
                }
            });
            copied.map(|()| steps)
        });
        let steps = copied.await.unwrap().unwrap();
        let pages = steps[0].all;
        assert!(pages > 20, "{pages}");
        let expected: Vec<_> = (1..=pages)
            .map(|done| Copying { done, all: pages })
            .collect();
        assert_eq!(steps, expected);
        assert_eq!(examine(&to).unwrap().transactions, 100);
        let written = 100 + u64::try_from(steps.len()).unwrap();
        store.close().await;
        assert_eq!(examine(&path).unwrap().transactions, written);
    }

    #[tokio::test]
    async fn a_snapshot_is_alone_private_and_gone_when_it_is_dropped() {
        let (folder, path, store) = filled(3).await;
        // As one that was killed left it.
        std::fs::write(folder.path().join("octroi.db.snapshot"), "half").unwrap();
        let snapshot = Snapshot::take(&path, |_| GO_ON).unwrap();
        let examined = examine(snapshot.path()).unwrap();
        assert_eq!(examined.transactions, 3);
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".snapshot"))
            .collect();
        names.sort();
        assert_eq!(names, ["octroi.db.snapshot", "octroi.db.snapshot.lock"]);
        assert_eq!(examined.head, store.audit().await.unwrap());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = snapshot.path().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let second = Snapshot::take(&path, |_| GO_ON);
        assert!(matches!(
            second,
            Err(CopyError::Open(OpenError::InUse { .. }))
        ));
        let to = snapshot.path().to_owned();
        drop(snapshot);
        assert!(!to.exists());
        let stopped = Snapshot::take(&path, |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(CopyError::Stopped)));
        assert!(!to.exists());
        store.close().await;
    }

    #[tokio::test]
    async fn what_is_not_whole_or_not_ours_is_not_trusted() {
        let (folder, path, store) = filled(100).await;
        store.close().await;
        let whole = std::fs::read(&path).unwrap();
        let copy = folder.path().join("copy");
        let examined = |bytes: &[u8]| {
            std::fs::write(&copy, bytes).unwrap();
            examine(&copy)
        };
        examined(&whole).unwrap();
        let lengths = [0, 1, 16, 99, 100, 511, 512, 4_095, 4_096, 4_097, 40_960];
        for length in lengths.into_iter().chain([whole.len() - 1]) {
            let refused = examined(&whole[..length]);
            assert!(refused.is_err(), "{length}: {refused:?}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(matches!(
            examined(&longer),
            Err(ExamineError::Length { .. })
        ));
        let mut torn = whole.clone();
        torn[8_192..12_288].fill(0);
        assert!(examined(&torn).is_err());

        let sql = |sql: &str| {
            std::fs::write(&copy, &whole).unwrap();
            rusqlite::Connection::open(&copy)
                .unwrap()
                .execute_batch(sql)
                .unwrap();
            examine(&copy)
        };
        let newer = sql("PRAGMA user_version = 1000");
        assert!(matches!(
            newer,
            Err(ExamineError::Open(OpenError::Newer { found: 1000, .. }))
        ));
        let foreign = sql("PRAGMA application_id = 7");
        assert!(matches!(
            foreign,
            Err(ExamineError::Open(OpenError::Foreign { .. }))
        ));
        let cooked = sql("INSERT INTO batches SELECT 9, zeroblob(32), zeroblob(32)");
        assert!(matches!(cooked, Err(ExamineError::Books(_))), "{cooked:?}");
    }
}
