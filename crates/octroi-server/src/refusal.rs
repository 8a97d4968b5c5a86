//! The answers that the server gives itself.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use octroi_types::{ErrorCode, RequestId};
use serde::Serialize;

/// Why a request goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// For the client; says what is wrong and repeats nothing that it sent.
    pub(crate) message: &'static str,
}

impl Refusal {
    pub(crate) const URI_TOO_LONG: Self =
        Self::new(ErrorCode::UriTooLong, "the request target is too long");
    pub(crate) const HEADERS_TOO_LARGE: Self = Self::new(
        ErrorCode::HeadersTooLarge,
        "the request has too many header fields, or they are too large",
    );

    pub(crate) const fn new(code: ErrorCode, message: &'static str) -> Self {
        Self { code, message }
    }

    /// The answer. The connection ends with it: after a request that is not understood, nobody
    /// knows where the next one starts.
    pub(crate) fn response(self, request_id: RequestId) -> Response<Bytes> {
        #[derive(Serialize)]
        struct Body {
            error: Error,
        }
        #[derive(Serialize)]
        struct Error {
            code: &'static str,
            message: &'static str,
            request_id: RequestId,
        }
        let body = Body {
            error: Error {
                code: self.code.as_str(),
                message: self.message,
                request_id,
            },
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
