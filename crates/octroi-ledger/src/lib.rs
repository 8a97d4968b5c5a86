//! The books: a double-entry state machine (docs/money.md, rules 1–3 and 22–32).
//!
//! Callers make whole [`Intent`]s: one or more linked transfers that happen together or not at
//! all, with ids they chose, so that a retry is harmless. [`decide`] reads the [`Books`] and says
//! what happens: an [`Outcome`] to answer and the [`Effects`] to write. Stores do nothing else, so
//! every backend decides alike. [`Batch`] decides many intents for one commit, and [`Seal`] chains
//! the batches so that a changed row is found.
//!
//! What always holds:
//! - every transfer debits one account and credits another of the same [`Ledger`] by one amount,
//!   so the sums of debits and credits are equal in each asset;
//! - an account's limit holds with every hold counted as if it were taken in full;
//! - transfers are only ever added; a hold is open until one further transfer resolves it;
//! - a transfer id is used once: it was applied, it failed, or it is free.
//!
//! Pure: no clock, no storage, no randomness. Time comes in as an argument.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]

#[macro_use]
mod code;

mod account;
mod audit;
mod batch;
mod books;
mod chain;
mod chart;
mod decide;
mod decision;
mod intent;
mod memory;
mod product;
mod refusal;
mod transfer;

pub use account::{Account, AccountKind, AccountLimit, Ledger, NewAccount, Sums};
pub use audit::{Recount, Totals, trial_balance};
pub use batch::Batch;
pub use books::{Books, Corruption, LedgerError, Record};
pub use chain::{BatchRows, ChainFault, LaneId, Seal, checkpoint, verify};
pub use chart::{Holder, derived_transfer_id};
pub use decide::decide;
pub use decision::{AccountChange, Decision, Effects, Outcome, Part, Refused};
pub use intent::{Action, Intent, LINKED_MAX, NewTransfer};
pub use memory::MemoryBooks;
pub use product::{ChargeParts, Draw, GrantSource, charge_hold_id, credit_hold_id};
pub use refusal::Refusal;
pub use transfer::{Cause, Failure, Reason, Resolution, Subject, Transfer, TransferKind};
