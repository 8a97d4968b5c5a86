//! What the gate keeps: the storage port, its records, the in-memory reference and the conformance
//! suite that every backend passes.
//!
//! The port takes whole intents and gives decisions. Each call is one atomic, durable step:
//! when it returns `Ok`, what it says survives a crash; when it returns an error, either nothing
//! was applied, or the same call with the same ids may be made again. Nobody reads, decides and
//! writes from outside.
//!
//! What becomes of a claim is decided by `octroi-claim`, what becomes of money by `octroi-ledger`;
//! a backend loads what they ask for, and writes what they answer, inside one transaction.

mod claim;
mod credit;
mod error;
mod settlement;
mod transaction;

pub use claim::{ClaimOutcome, ClaimRequest, ClaimStore};
pub use credit::Credit;
pub use error::StoreError;
pub use settlement::{
    Attempt, Fact, FactOutcome, Inclusion, NewSettlement, OpenOutcome, Settlement, SettlementState,
    SettlementStore,
};
pub use transaction::{
    Event, EventKind, NewTransaction, Page, Transaction, TransactionFilter, TransactionState,
    TransactionStore,
};

/// Everything a backend offers.
pub trait Store: ClaimStore + SettlementStore + TransactionStore {}

impl<T: ClaimStore + SettlementStore + TransactionStore> Store for T {}
