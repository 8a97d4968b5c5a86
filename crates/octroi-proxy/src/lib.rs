//! The data plane: match → identify → decide → admit → forward → settle → record.
//!
//! Layer 4. Speaks HTTP on both sides and knows the use-cases of `octroi-app`; knows no database,
//! no chain and no configuration file. A request for something priced becomes a [`sale`]; what must
//! not be interrupted by a client that leaves runs in an [`exchange`] of its own.

mod answers;
mod body;
mod bound_body;
mod caching;
mod catalogue;
mod client_body;
mod cors;
mod evidence;
mod exchange;
mod forward;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod measure;
mod refused;
mod respond;
mod sale;
mod upgrade;

pub use body::{BoxError, GateBody, PaidBody};
pub use catalogue::{BodyBinding, Catalogue, Origin, Paywall, Service, Site};
pub use gate::{ClientInfo, Gate, GateOptions, Surfaces};
