//! The SQLite store as its callers see it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failing one panics"
)]

mod conformance;
mod crash;
mod faults;
mod ownership;
mod tampering;
