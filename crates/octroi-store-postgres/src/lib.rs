//! The store of several nodes: PostgreSQL, shared by all of them.
//!
//! # Lanes
//!
//! A few connections write, the lanes. Each drains the calls that wait, decides them in one transaction,
//! commits once and only then answers: many callers share one commit, and nobody waits for a timer. A
//! call that fails by its own fault fails alone. What the calls of a batch are decided by is read with a
//! few statements for all of them, they are decided in memory, and what they did is written with one
//! statement for each table.
//!
//! Each lane chains its own batches of the books, so that lanes do not wait for each other.
//!
//! # Locks
//!
//! Transactions are `READ COMMITTED`, and everything that decides is read after it was locked. Locks are
//! rows, and taken in one order by everybody:
//!
//! 1. what a tenant offers (an advisory lock, for calls about offers alone),
//! 2. settlements, by id,
//! 3. wallets, by id: one row for each chain, token and payer. It covers all claims, credits and proofs of
//!    payments of that wallet, and the payer's exposure,
//! 4. ids of transfers that are submitted and may be refused (advisory locks of groups of ids, because what is
//!    refused has no row that a copy of it would meet),
//! 5. accounts of the books, by id.
//!
//! No lock is of a table or of everybody's, but for the moment in which a day of old claims is dropped.
//! A row that does not exist yet cannot be locked: who makes it second meets its key, is rolled back, and
//! decides again on what is there then. So does who loses a deadlock, which the order leaves to rows that
//! two make at once.
//!
//! # Nodes
//!
//! Nothing is kept in memory from one transaction to the next, so that any number of nodes can work on one
//! database. A node is alive until its lease runs out by the clock of whoever looks. A claim whose owner is
//! dead can be taken over, which raises its epoch; every step names the epoch that its author believes in,
//! so that an owner who was only slow is turned away. To keep clocks from declaring living nodes dead, a
//! node whose own is too far off the database's is refused when it beats, and so is not ready.
//!
//! # Lost connections
//!
//! A batch whose connection ends before the commit was sent is run again over another one. If it ends
//! before the commit is answered, nobody knows: its calls fail as unavailable, and each may be made again
//! with the same ids.
//!
//! Nothing outside this crate knows SQL.

mod accounts;
mod arrivals;
mod audit;
mod claims;
#[cfg(feature = "test-cluster")]
pub mod cluster;
mod columns;
mod connection;
mod credits;
mod days;
mod events;
mod failures;
mod fault;
mod lane;
mod nodes;
mod offers;
mod open_claims;
mod options;
mod postings;
mod proofs;
mod readers;
mod schema;
mod session;
mod settlements;
mod states;
mod store;
mod transactions;
mod transfers;
mod wallets;
mod watched;

pub use audit::AuditError;
pub use options::{Commit, CommitHook, OpenError, PostgresOptions};
pub use store::PostgresStore;
