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

pub mod call;
mod claim;
mod credit;
mod error;
mod event;
mod ledger;
mod listing;
mod memory;
mod offer;
pub mod plan;
mod settlement;
mod transaction;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use claim::{ClaimOutcome, ClaimRequest, ClaimStore};
pub use credit::Credit;
pub use error::StoreError;
pub use event::{Event, EventKind};
pub use ledger::LedgerStore;
pub use listing::{Page, TransactionFilter};
pub use memory::MemoryStore;
pub use offer::{EarlierTerms, OfferStore, OfferedTerms};
pub use plan::refund_credit_id;
pub use settlement::{
    Arrival, Attempt, Fact, FactOutcome, Inclusion, NewSettlement, OpenOutcome, Settlement,
    SettlementState, SettlementStore,
};
pub use transaction::{NewTransaction, Transaction, TransactionState, TransactionStore};

/// Everything a backend offers.
pub trait Store:
    ClaimStore + SettlementStore + TransactionStore + OfferStore + LedgerStore
{
}

impl<T: ClaimStore + SettlementStore + TransactionStore + OfferStore + LedgerStore> Store for T {}
