//! How a store is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whoever wants to know of commits.
pub type CommitHook = Arc<dyn Fn(&Commit) + Send + Sync>;

/// How a store is opened. The defaults suit a node of a few.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Connections that write. Each commits what waits for it by itself, so that the others need not
    /// wait for the disk.
    pub lanes: usize,
    /// Connections that read, at most; they are made when they are needed.
    pub readers: usize,
    /// Threads that the lanes and readers run on.
    pub threads: usize,
    /// Calls that may wait for the lanes; more wait in their callers.
    pub queue_len: usize,
    /// Calls in one commit, at most.
    pub batch_max: usize,
    /// How long to try to connect.
    pub connect_timeout: Duration,
    /// How long to wait for a row that another node has locked. It must be well below the lease of a
    /// node.
    pub lock_timeout: Duration,
    /// How far the clock of this node may be off the database's, so that nodes agree on whose lease
    /// has run out; `None` for any distance. It must be well below the lease of a node.
    pub clock_skew_max: Option<Duration>,
    /// Certificate authorities, as PEM, that the server may be signed by beside the public ones.
    pub extra_roots_pem: Option<Vec<u8>>,
    /// Told after each commit and before its calls are answered.
    pub on_commit: Option<CommitHook>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            lanes: 4,
            readers: 4,
            threads: 2,
            queue_len: 4_096,
            batch_max: 1_024,
            connect_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(5),
            clock_skew_max: Some(Duration::from_secs(5)),
            extra_roots_pem: None,
            on_commit: None,
        }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("lanes", &self.lanes)
            .field("readers", &self.readers)
            .field("threads", &self.threads)
            .field("queue_len", &self.queue_len)
            .field("batch_max", &self.batch_max)
            .field("connect_timeout", &self.connect_timeout)
            .field("lock_timeout", &self.lock_timeout)
            .field("clock_skew_max", &self.clock_skew_max)
            .finish_non_exhaustive()
    }
}

/// A commit that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    /// How many calls it answered.
    pub calls: usize,
    /// How many calls waited for a lane by then.
    pub waiting: usize,
    /// From the first call taken to the server's acknowledgement.
    pub elapsed: Duration,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address of the database cannot be read. It is not repeated, because it may hold a password.
    #[error("the address of the database cannot be read")]
    Address(#[source] tokio_postgres::Error),
    /// The extra certificate authorities cannot be used.
    #[error("the extra certificate authorities cannot be used")]
    Roots(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The schema `octroi` of the database was made by another program.
    #[error("the database has a schema octroi that is not Octroi's")]
    Foreign,
    /// A later version of the program wrote it.
    #[error("the database has schema {found}, and this program knows up to {known}")]
    Newer {
        /// The schema of the database.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// The schema was made by another text than the one this program has for it.
    #[error("migration {version} of the database is not the one this program knows")]
    Altered {
        /// The migration.
        version: u32,
    },
    /// The store's threads cannot be started.
    #[error("the writers cannot be started")]
    Threads(#[source] std::io::Error),
    /// The database cannot be reached, or refused.
    #[error("the database cannot be used: {reason}")]
    Database {
        /// What the server or the connection says; no values, and no password.
        reason: String,
    },
}
