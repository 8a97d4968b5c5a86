//! The use-cases of the gate: admit a payment, settle it, refund what was not delivered, recover
//! what a crash left open.
//!
//! Layer 3. Knows the ports (store, chain) and the pure rules, and knows nothing of HTTP: the
//! proxy asks [`Payments::admit`] for a [`Grant`] and tells the grant what became of the origin's
//! work; the grant keeps the books straight even if it is dropped half-way.

mod deal;
mod facilitator;
mod grant;
mod measure;
mod payments;
mod refusal;
mod upkeep;

pub use deal::{BreakRule, Deal};
pub use facilitator::{FacilitatorDesk, SupportedAsset};
pub use grant::{Grant, Receipt, SettleFailure};
pub use payments::{Checked, Payments, PaymentsOptions, Purchase};
pub use refusal::Refusal;
pub use upkeep::{Upkeep, UpkeepOptions};
