//! Prepaid money: who may spend it, on what, and from which grants (docs/money.md, rules 1–3 and
//! 22–28).
//!
//! A buyer's [`Balance`] is made of [`Grant`]s, each an account in the books. A [`Key`] spends it
//! within its caps. [`decide_charge`] says what becomes of a request that shows a key: which grants
//! are drawn from, in the one order that [`Grant::order`] fixes, or why nothing is. When the work is
//! done, [`capture`] says what each hold gives, and where the rest comes from if the work cost more.
//! Both become intents of `octroi-ledger`, which has the last word on what is there.
//!
//! Pure: no clock, no storage, no randomness. What is read and what is written belongs to one store
//! transaction.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]

mod balance;
mod capture;
mod charge;
mod grant;
mod key;
mod rate;
mod secret;

pub use balance::{Balance, BalanceEvent};
pub use capture::{Capture, capture};
pub use charge::{Ask, Charge, ChargeRefusal, decide_charge};
pub use grant::{Category, GRANTS_MAX, Grant, Scope, Usable, draw, usable};
pub use key::{Caps, Key, Spending};
pub use rate::{BasisPoints, BasisPointsError};
pub use secret::{KeyHash, KeySecret};
