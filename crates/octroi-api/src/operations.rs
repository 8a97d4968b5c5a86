//! Health, readiness, metrics and the description of the gate's endpoints.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::openapi;

const METRICS_PATH: &str = "/metrics";

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

/// Every route; the OpenAPI document describes each.
pub(crate) fn routes() -> [(&'static str, MethodRouter<Arc<dyn Operations>>); 4] {
    [
        ("/healthz", get(healthz)),
        ("/readyz", get(readyz)),
        (METRICS_PATH, get(metrics)),
        ("/openapi.json", get(openapi)),
    ]
}

pub(crate) fn router(operations: Arc<dyn Operations>, with_metrics: bool) -> Router {
    routes()
        .into_iter()
        .filter(|(path, _)| with_metrics || *path != METRICS_PATH)
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
        .with_state(operations)
}

/// The process runs.
async fn healthz() -> Json<serde_json::Value> {
    Json(json!({"status": "ok"}))
}

/// The store takes writes and a chain can be asked: 200; else 503, naming what is missing.
async fn readyz(State(operations): State<Arc<dyn Operations>>) -> Response {
    let readiness = operations.readiness();
    let parts: serde_json::Map<_, _> = readiness
        .parts
        .into_iter()
        .map(|(name, works)| (name, json!(works)))
        .collect();
    let (status, text) = if readiness.ready {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not_ready")
    };
    (status, Json(json!({"status": text, "parts": parts}))).into_response()
}

async fn metrics(State(operations): State<Arc<dyn Operations>>) -> Response {
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4")],
        operations.metrics(),
    )
        .into_response()
}

async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi::DOCUMENT).into_response()
}
