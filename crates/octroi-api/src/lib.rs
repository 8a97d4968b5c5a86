//! The gate's own HTTP surfaces beside the paywalls: operations and the facilitator.
//!
//! Layer 4. Knows the use-cases of `octroi-app` only: no storage, no chain, no rules.

mod bearer;
mod facilitator;
mod openapi;
mod operations;
mod problem;

use std::sync::Arc;

use axum::Router;
use octroi_app::FacilitatorDesk;

pub use bearer::BearerTokens;
pub use operations::{Operations, Readiness};

/// Operations: `/healthz`, `/readyz`, `/openapi.json` and, if wanted, `/metrics`.
pub fn operations(operations: Arc<dyn Operations>, metrics: bool) -> Router {
    operations::router(operations, metrics)
}

/// The facilitator: `/facilitator/{verify,settle,supported}`, for holders of a token.
pub fn facilitator(desk: FacilitatorDesk, tokens: BearerTokens) -> Router {
    facilitator::router(desk, tokens)
}
