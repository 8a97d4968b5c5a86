//! Counting requests by what became of them, here and at the origin.

use std::time::{Duration, Instant};

use http::Response;
use octroi_egress::{EgressBody, EgressError, Phase};
use octroi_telemetry::metrics::{self, OriginFailure, Outcome, Surface};

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

/// Counts what came of asking an origin, `elapsed` after the request was handed over.
pub(crate) fn origin(answer: &Result<Response<EgressBody>, EgressError>, elapsed: Duration) {
    match answer {
        Ok(_) => metrics::origin_answered(elapsed),
        Err(error) => {
            if let Some(reason) = origin_failure(error.phase()) {
                metrics::origin_failed(reason);
            }
        }
    }
}

/// `None` for what was the client's doing.
const fn origin_failure(phase: Phase) -> Option<OriginFailure> {
    match phase {
        Phase::Policy => Some(OriginFailure::Address),
        Phase::Resolve | Phase::Connect | Phase::Tls => Some(OriginFailure::Connect),
        Phase::HeadTimeout | Phase::BodyTimeout => Some(OriginFailure::Timeout),
        Phase::Send | Phase::Body | Phase::BodyTooLarge | Phase::Protocol => {
            Some(OriginFailure::Broken)
        }
        Phase::Request | Phase::RequestBody => None,
    }
}
