//! Health, readiness and metrics.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

/// Whether the gate can take payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// Each part by name, and whether it works.
    pub parts: Vec<(String, bool)>,
}

/// What the process knows of itself.
pub trait Operations: Send + Sync + 'static {
    /// Whether the gate can take payments.
    fn readiness(&self) -> Readiness;

    /// The metrics in Prometheus' text format.
    fn metrics(&self) -> String;
}

pub(crate) fn router(operations: Arc<dyn Operations>, with_metrics: bool) -> Router {
    let mut router =
        Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz));
    if with_metrics {
        router = router.route("/metrics", get(metrics));
    }
    router.with_state(operations)
}

/// The process runs.
async fn healthz() -> Json<serde_json::Value> {
    Json(json!({"status": "ok"}))
}

/// The store takes writes and every chain can be asked: 200; else 503, naming what is missing.
async fn readyz(State(operations): State<Arc<dyn Operations>>) -> Response {
    let readiness = operations.readiness();
    let parts: serde_json::Map<_, _> =
        readiness.parts.into_iter().map(|(name, works)| (name, json!(works))).collect();
    let (status, text) = if readiness.ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    (status, Json(json!({"status": text, "parts": parts}))).into_response()
}

async fn metrics(State(operations): State<Arc<dyn Operations>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], operations.metrics()).into_response()
}
