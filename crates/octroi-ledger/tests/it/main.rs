//! The books against a naive model, and what they promise one by one.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in test functions, not in what these share"
)]

mod chain;
mod exhaustive;
mod model;
mod product;
mod properties;
mod scenario;
mod unreadable;
mod workload;
