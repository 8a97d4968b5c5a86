//! How the gate tells its operator what it does: logs and metrics.
//!
//! Both have a fixed vocabulary, in one place each: [`fields`] names what a log line may carry and
//! [`metrics`] lists every metric with its labels. Neither ever sees a payload, a secret or a
//! client address.

mod chain;
pub mod fields;
mod logging;
pub mod metrics;

pub use chain::{Chain, chain};
pub use logging::{LogError, LogFormat, LogOptions, init_logging};
