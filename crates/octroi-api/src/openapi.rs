//! The OpenAPI description of the gate's own endpoints: `openapi/gate.json`, as it is.
//!
//! It is written by hand, because half of what it describes is the data plane, which knows no routes;
//! the tests hold it against the routers, the wire types and the answers.

/// The document.
pub(crate) const DOCUMENT: &str = include_str!("../../../openapi/gate.json");

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
