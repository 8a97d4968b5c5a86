//! The store of one node: SQLite, owned by one process.
//!
//! One thread writes. It drains the calls that wait, decides each in order, commits once with
//! `synchronous=FULL`, and only then answers: many callers share one flush of the disk, and nobody
//! waits for a timer. A few connections read beside it.
//!
//! Because one process owns the file, the writer keeps the unfinished claims and the accounts in
//! memory; the database can rebuild them at any time, and does so whenever a commit fails.
//!
//! Nothing outside this crate knows SQL.

mod accounts;
mod arrivals;
mod audit;
mod backup;
mod claims;
mod columns;
mod connection;
mod credits;
mod engine;
mod events;
mod fault;
mod offers;
mod open_claims;
mod options;
mod proofs;
#[cfg(test)]
mod query_plans;
mod read_only;
mod readers;
mod schema;
mod session;
mod settlements;
mod store;
mod transactions;
mod transfers;
mod watched;
mod writer;

pub use audit::AuditError;
pub use backup::{CopyError, Copying, ExamineError, Examined, Snapshot, examine};
pub use options::{Commit, CommitHook, OpenError, SqliteOptions};
pub use read_only::SqliteReader;
pub use store::SqliteStore;
