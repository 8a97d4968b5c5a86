//! Connections and the lock that keeps other processes out.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::options::{OpenError, SqliteOptions};
use crate::schema::migrate;

/// Pages of the log after which it is copied into the database: enough that a page which changes
/// in many commits is copied once.
const CHECKPOINT_PAGES: u32 = 8_192;

/// How long to wait for a lock that a tool beside us may hold.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Held by the process that owns a database, until it is dropped.
#[derive(Debug)]
pub(crate) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock. SQLite's own locks allow many processes, so it is a file beside the
    /// database.
    ///
    /// # Errors
    /// [`OpenError::InUse`] if another process has it.
    pub(crate) fn take(database: &Path) -> Result<Self, OpenError> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let lock_error = |source| OpenError::Lock {
            path: path.clone(),
            source,
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(lock_error)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: database.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(lock_error(source)),
        }
    }
}

/// Opens the writer's connection, with the newest schema.
pub(crate) fn open_writer(path: &Path, options: &SqliteOptions) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    make_private(path);
    let mut connection = Connection::open_with_flags(path, flags).map_err(OpenError::Database)?;
    configure(&connection, options).map_err(OpenError::Database)?;
    migrate(&mut connection, path)?;
    Ok(connection)
}

/// Makes the file, where there is none, for its owner alone: the books are nobody else's to read.
/// SQLite gives the files beside it the same mode.
pub(crate) fn make_private(path: &Path) {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // A file that is there keeps its mode, and what is wrong with the path SQLite will say.
    drop(options.open(path));
}

/// Opens the writer's connection again after it failed, and makes room: what the log holds goes
/// into the database, and the log is cut to nothing.
pub(crate) fn open_writer_again(
    path: &Path,
    options: &SqliteOptions,
) -> Result<Connection, OpenError> {
    let connection = open_writer(path, options)?;
    // Without success the log stays as it is, which loses nothing.
    connection
        .pragma_update_and_check(None, "wal_checkpoint", "truncate", |_| Ok(()))
        .ok();
    Ok(connection)
}

fn configure(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // There are no foreign keys: the writer is the only one who could break one.
    connection.pragma_update(None, "foreign_keys", false)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "cache_size", -i64::from(options.cache_kib))?;
    if let Some(pages) = options.pages_max {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    Ok(())
}

/// Opens a connection that cannot write.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_flushed_and_a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("octroi.db");
        let writer = open_writer(&path, &SqliteOptions::default()).unwrap();
        let pragma = |connection: &Connection, name| {
            connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        assert_eq!(
            pragma(&writer, "journal_mode").unwrap(),
            "wal".to_owned().into()
        );
        // 2 is FULL: the log is flushed with each commit.
        assert_eq!(pragma(&writer, "synchronous").unwrap(), 2.into());
        assert_eq!(pragma(&writer, "foreign_keys").unwrap(), 0.into());
        let reader = open_reader(&path).unwrap();
        assert!(reader.execute("DELETE FROM events", []).is_err());
        assert!(writer.execute("DELETE FROM events", []).is_ok());
    }
}
