//! The books on the embedded store, and what the same work costs without them.
//!
//! The work is that of a prepaid product: many balances are debited and one seller is credited. Ours
//! goes through the store's port, from as many callers as wait at once. The bare sides write with the
//! same durability and decide nothing: SQLite with transfers of the same columns and indexes, in full
//! batches or for callers that wait, and a log that is only appended to.

mod bare_log;
mod bare_sqlite;
mod books;
mod callers;

pub use bare_log::BareLog;
pub use bare_sqlite::BareSqlite;
pub use books::{Books, Work};

/// Calls in one commit, at most: as the store has it.
const BATCH: usize = 1_024;
/// Balances that are debited in turns.
const BALANCES: u32 = 10_000;
