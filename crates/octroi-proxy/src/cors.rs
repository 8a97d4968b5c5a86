//! What browsers must be allowed to send and read.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HeaderValue, ORIGIN,
};
use http::{HeaderMap, Method, Response, StatusCode};

use crate::body::GateBody;

/// Every header of ours that a browser client has to read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, WWW-Authenticate, Payment-Receipt, \
     X-Refund-Credit, X-Request-ID, Retry-After",
);
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Whether a request is a CORS preflight.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight for a priced route. Asking is free, and the origin is not asked.
pub(crate) fn preflight(headers: &HeaderMap, allowed_methods: HeaderValue) -> Response<GateBody> {
    let mut response = Response::new(GateBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, allowed_methods);
    // Clients ask for more than they need, the SDKs even for a response header: what is asked for
    // is allowed, since only the payment decides.
    let asked = headers
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .cloned()
        .unwrap_or(ANY);
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    answer.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lets a browser read an answer on a priced route. An origin's own policy on who may read is
/// kept; ours is added where it has none.
pub(crate) fn expose(headers: &mut HeaderMap) {
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    }
    headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
