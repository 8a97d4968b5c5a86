//! How a store is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Whoever wants to know of commits.
pub type CommitHook = Arc<dyn Fn(&Commit) + Send + Sync>;

/// How a store is opened. The defaults suit one node.
#[derive(Clone)]
pub struct SqliteOptions {
    /// Calls that may wait for the writer; more wait in their callers.
    pub queue_len: usize,
    /// Calls in one commit, at most.
    pub batch_max: usize,
    /// Connections that read beside the writer.
    pub readers: usize,
    /// Memory for the writer's pages, in KiB.
    pub cache_kib: u32,
    /// The most pages that the database may have, of 4 KiB each; `None` for as many as the disk
    /// holds. At the limit the store is unavailable for what needs room.
    pub pages_max: Option<u32>,
    /// Told after each commit and before its calls are answered, on the writer's thread.
    pub on_commit: Option<CommitHook>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            queue_len: 4_096,
            batch_max: 1_024,
            readers: 3,
            cache_kib: 32 * 1_024,
            pages_max: None,
            on_commit: None,
        }
    }
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("queue_len", &self.queue_len)
            .field("batch_max", &self.batch_max)
            .field("readers", &self.readers)
            .field("cache_kib", &self.cache_kib)
            .field("pages_max", &self.pages_max)
            .finish_non_exhaustive()
    }
}

/// A commit that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// How many calls it answered.
    pub calls: usize,
    /// How many calls waited for the next one by then.
    pub waiting: usize,
    /// From the first call taken to the disk's acknowledgement.
    pub elapsed: Duration,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("{path} is not an Octroi database")]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// A later version of the program wrote it.
    #[error("the database has schema {found}, and this program knows up to {known}")]
    Newer {
        /// The schema of the database.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// An earlier version of the program wrote it, and a reader cannot bring it up to date.
    #[error("{path} has an older schema, which the gate renews when it starts")]
    Older {
        /// The database.
        path: PathBuf,
    },
    /// The schema was made by another text than the one this program has for it.
    #[error("migration {version} of the database is not the one this program knows")]
    Altered {
        /// The migration.
        version: u32,
    },
    /// The lock file cannot be used.
    #[error("the lock file {path} cannot be used")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("the writer cannot be started")]
    Thread(#[source] std::io::Error),
    /// SQLite refused.
    #[error("the database cannot be used")]
    Database(#[source] rusqlite::Error),
}
