//! Dressing requests for an origin and answers for a client.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, FORWARDED, HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Frame;
use octroi_egress::{RequestBody, hop_by_hop};
use octroi_types::RequestId;
use octroi_x402::header;

use crate::catalogue::Origin;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers that let a client speak to the origin about another path, method or person than the
/// gate has seen (docs/integrating.md), and our own credentials, which no origin gets.
const NEVER_FORWARDED: [HeaderName; 9] = [
    FORWARDED,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-octroi-key"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

/// Who is calling, as far as an origin is told.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) address: IpAddr,
    pub(crate) https: bool,
    pub(crate) host: HeaderValue,
    pub(crate) request: RequestId,
}

/// What is asked of an origin.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Canonical, without the origin's prefix.
    pub(crate) path: &'a str,
    /// As it came.
    pub(crate) query: Option<&'a str>,
    /// Keeps what a switch to that protocol needs.
    pub(crate) websocket: bool,
}

/// Builds the request for the origin from the client's headers.
pub(crate) fn request(
    origin: &Origin,
    ask: Ask<'_>,
    mut headers: HeaderMap,
    caller: &Caller,
    body: RequestBody,
) -> Option<Request<RequestBody>> {
    hop_by_hop::strip_request(&mut headers);
    strip_request(&mut headers, origin.passes_authorization);
    for (name, value) in &origin.credentials {
        headers.insert(name, value.expose().clone());
    }
    // Whether the origin sees it is the upstream's setting.
    headers.insert(HOST, caller.host.clone());
    headers.insert(
        X_FORWARDED_FOR,
        HeaderValue::try_from(caller.address.to_string()).ok()?,
    );
    headers.insert(X_FORWARDED_HOST, caller.host.clone());
    let proto = if caller.https { "https" } else { "http" };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    headers.insert(
        X_REQUEST_ID,
        HeaderValue::try_from(caller.request.to_string()).ok()?,
    );
    if ask.websocket {
        hop_by_hop::set_websocket_upgrade(&mut headers);
    }
    let mut request = Request::new(body);
    *request.method_mut() = ask.method;
    *request.uri_mut() = target(origin, ask.path, ask.query)?;
    *request.headers_mut() = headers;
    Some(request)
}

fn target(origin: &Origin, path: &str, query: Option<&str>) -> Option<Uri> {
    let credential = origin
        .query_credential
        .as_ref()
        .map(|credential| credential.expose().as_str());
    let mut target = String::with_capacity(
        origin.path_prefix.len() + path.len() + query.map_or(0, str::len) + 32,
    );
    target.push_str(&origin.path_prefix);
    target.push_str(path);
    let mut separator = '?';
    for part in [query, credential].into_iter().flatten() {
        target.push(separator);
        target.push_str(part);
        separator = '&';
    }
    target.try_into().ok()
}

fn strip_request(headers: &mut HeaderMap, passes_authorization: bool) {
    strip_payment(headers);
    for name in NEVER_FORWARDED {
        headers.remove(name);
    }
    let ours = headers
        .get(AUTHORIZATION)
        .is_some_and(|value| header::is_payment_credential(value.as_bytes()));
    if ours || !passes_authorization {
        headers.remove(AUTHORIZATION);
    }
}

/// Dresses an origin's answer: it can neither forge a receipt nor keep the connection, and the HTTP that
/// it speaks is between it and the gate.
pub(crate) fn dress_response<B>(response: &mut Response<B>) {
    *response.version_mut() = Version::HTTP_11;
    strip_response(response.headers_mut());
}

fn strip_response(headers: &mut HeaderMap) {
    hop_by_hop::strip_response(headers);
    strip_payment(headers);
}

/// A part of a client's body for an origin. Trailers are heads that come late: what a head may not
/// carry, they may not carry either, and nobody signs in by one.
pub(crate) fn request_frame(frame: Frame<Bytes>) -> Frame<Bytes> {
    with_trailers(frame, |trailers| {
        hop_by_hop::strip_request(trailers);
        strip_request(trailers, false);
        for name in [
            HOST,
            X_FORWARDED_FOR,
            X_FORWARDED_HOST,
            X_FORWARDED_PROTO,
            X_REQUEST_ID,
        ] {
            trailers.remove(name);
        }
    })
}

/// A part of an origin's body for a client.
pub(crate) fn response_frame(frame: Frame<Bytes>) -> Frame<Bytes> {
    with_trailers(frame, strip_response)
}

fn with_trailers(frame: Frame<Bytes>, strip: impl FnOnce(&mut HeaderMap)) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            strip(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(frame) => frame,
    }
}

fn strip_payment(headers: &mut HeaderMap) {
    let ours: Vec<HeaderName> = headers
        .keys()
        .filter(|name| header::is_payment_header(name.as_str()))
        .cloned()
        .collect();
    for name in ours {
        headers.remove(name);
    }
}
