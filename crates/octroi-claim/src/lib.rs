//! One payment, one grant: the state machine of a claim (docs/money.md, rules 5–14).
//!
//! A *claim* is the durable right to deliver one answer for one payment. It is inserted before the
//! origin is called and carries two fields, because money and work fail independently: what
//! happened to the payment, and what happened to the work. Whoever works on a claim owns it while
//! its heartbeat lasts; every change is a compare-and-set on the claim's epoch, so that an owner
//! that was declared dead cannot write after its successor.
//!
//! Pure: no clock, no storage, no randomness. Stores load a claim, ask this crate what becomes of
//! it and save the answer inside one transaction, so that every backend decides alike.

mod binding;
mod claim;
mod decide;
mod recovery;
mod state;
#[cfg(test)]
mod tests;

pub use binding::{Binding, SecretHash};
pub use claim::{Claim, ClaimKey, NewClaim, NodeId, SettleOrder};
pub use decide::{ClaimDecision, PayerStanding, RefusedClaim, decide_claim};
pub use recovery::{Recovery, recover};
pub use state::{Advance, AdvanceError, PaymentState, Step, WorkState, advance};
