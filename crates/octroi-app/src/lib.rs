//! The use-cases of the gate: admit a payment, settle it, refund what was not delivered, recover
//! what a crash left open.
//!
//! Layer 3. Knows the ports (store, chain) and the pure rules, and knows nothing of HTTP: the
//! proxy asks [`Payments::admit`] for a [`Grant`] and tells the grant what became of the origin's
//! work; the grant keeps the books straight even if it is dropped half-way.

mod counted;
mod deal;
mod facilitator;
mod grant;
mod measure;
mod payments;
mod refusal;
mod screening;
mod underway;
mod upkeep;

pub use counted::CountedStore;
pub use deal::{BreakRule, Deal};
pub use facilitator::{FacilitatorDesk, SupportedAsset};
pub use grant::{GivenUp, Grant, Receipt, SettleFailure};
pub use payments::{Checked, Payments, PaymentsOptions, Purchase};
pub use refusal::Refusal;
pub use screening::DenyList;
pub use underway::{Underway, Waiting};
pub use upkeep::{Upkeep, UpkeepOptions};
