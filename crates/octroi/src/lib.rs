//! The gate, put together from its parts: what `octroi serve` and `octroi dev` run, and what tests of
//! the whole gate start.

pub mod local_node;
pub mod wire;
