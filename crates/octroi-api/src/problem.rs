//! Errors as clients of the gate see them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use octroi_types::{ErrorCode, RequestId};
use serde_json::json;

/// A refusal with a stable code and a sentence that says what to do.
pub(crate) struct Problem {
    pub(crate) code: ErrorCode,
    pub(crate) message: &'static str,
    pub(crate) request: Option<RequestId>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({"error": {
            "code": self.code.as_str(),
            "message": self.message,
            "request_id": self.request,
        }});
        (status, Json(body)).into_response()
    }
}
