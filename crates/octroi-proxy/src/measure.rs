//! Counting requests by what became of them.

use std::time::Instant;

use http::Response;
use octroi_telemetry::metrics::{self, Outcome, Surface};

use crate::body::GateBody;

/// Marks an answer with what it means; unmarked answers are free ones.
pub(crate) fn mark(response: &mut Response<GateBody>, outcome: Outcome) {
    response.extensions_mut().insert(outcome);
}

/// Counts an answer when its head is ready.
pub(crate) fn count(surface: Surface, response: &mut Response<GateBody>, begun: Instant) {
    let outcome = response
        .extensions_mut()
        .remove::<Outcome>()
        .unwrap_or(Outcome::Free);
    metrics::request_finished(surface, outcome, begun.elapsed());
}
