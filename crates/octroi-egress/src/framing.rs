//! The last look at a request before it is written: framing, `Host`, the form of its target.
//!
//! The body alone decides the framing. Whatever `Content-Length` or `Transfer-Encoding` came with the
//! request is dropped, so the two can never stand side by side or disagree with what is sent.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme};
use http::{Method, Request, Uri, Version};
use http_body::Body as _;

use crate::error::{EgressError, Phase};
use crate::hop_by_hop::{asks_for_websocket, has_token};
use crate::request_body::RequestBody;
use crate::target::{Scheme, Target, TargetError};
use crate::upstream::HostHeader;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// What every request to one origin shares, made once; clones are reference counts.
pub(crate) struct Origin {
    scheme: UriScheme,
    authority: Authority,
    host: HeaderValue,
    host_header: HostHeader,
}

impl Origin {
    pub(crate) fn new(target: &Target, host_header: HostHeader) -> Result<Self, TargetError> {
        let text = target.authority();
        let authority = Authority::try_from(text.as_str()).map_err(|_| TargetError::Host)?;
        let host = HeaderValue::from_maybe_shared(bytes::Bytes::from(text));
        Ok(Self {
            scheme: match target.scheme() {
                Scheme::Http => UriScheme::HTTP,
                Scheme::Https => UriScheme::HTTPS,
            },
            authority,
            host: host.map_err(|_| TargetError::Host)?,
            host_header,
        })
    }

    /// Prepares what does not depend on the HTTP version. Returns whether the request asks for a
    /// WebSocket; any other upgrade is dropped.
    ///
    /// `Expect: 100-continue` is dropped too: the body is polled, and thereby asked of the buyer, only
    /// once the origin's connection takes it, and an origin that answers early ends the upload.
    pub(crate) fn prepare(&self, request: &mut Request<RequestBody>) -> Result<bool, EgressError> {
        if request.method() == Method::CONNECT {
            let reason = "connect is not forwarded";
            return Err(EgressError::unsent(Phase::Request, reason));
        }
        let authority = request.uri().authority().cloned();
        let headers = request.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        headers.remove(EXPECT);
        match (self.host_header, authority) {
            (HostHeader::Origin, _) => {
                headers.insert(HOST, self.host.clone());
            }
            (HostHeader::FromRequest, Some(authority)) => {
                let value = HeaderValue::from_str(authority.as_str());
                headers.insert(HOST, value.unwrap_or_else(|_| self.host.clone()));
            }
            (HostHeader::FromRequest, None) => {
                if headers.get_all(HOST).iter().count() != 1 {
                    headers.insert(HOST, self.host.clone());
                }
            }
        }
        if !headers.contains_key(UPGRADE) {
            return Ok(false);
        }
        let websocket = asks_for_websocket(headers);
        if !websocket {
            headers.remove(UPGRADE);
            headers.remove(CONNECTION);
        }
        Ok(websocket)
    }

    /// Gives a prepared request its HTTP/1.1 form.
    pub(crate) fn shape_h1(&self, request: &mut Request<RequestBody>) {
        *request.version_mut() = Version::HTTP_11;
        if request.uri().authority().is_some() {
            *request.uri_mut() = Uri::from(path_of(request.uri()));
        }
        // Gone if an HTTP/2 connection gave the request back.
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, self.host.clone());
        }
        let is_empty = request.body().is_end_stream();
        let is_sized = request.body().size_hint().exact().is_some();
        match *request.method() {
            // hyper leaves a body of unknown length out of these unless told to chunk it.
            Method::GET | Method::HEAD if !is_empty && !is_sized => {
                let chunked = HeaderValue::from_static("chunked");
                request.headers_mut().insert(TRANSFER_ENCODING, chunked);
            }
            // Origins answer 411 to these without any length (RFC 9110 §8.6).
            Method::POST | Method::PUT | Method::PATCH if is_empty => {
                let zero = HeaderValue::from_static("0");
                request.headers_mut().insert(CONTENT_LENGTH, zero);
            }
            _ => {}
        }
        // TE belongs to the connection, so it must be nominated (RFC 9110 §10.1.4).
        let headers = request.headers_mut();
        if headers.contains_key(TE) && !has_token(headers, &CONNECTION, "te") {
            headers.append(CONNECTION, HeaderValue::from_static("te"));
        }
    }

    /// Gives a prepared request its HTTP/2 form: `:authority` instead of `Host`, no header of a
    /// connection (RFC 9113 §8.2.2).
    pub(crate) fn shape_h2(&self, request: &mut Request<RequestBody>) {
        *request.version_mut() = Version::HTTP_2;
        let path = path_of(request.uri());
        let headers = request.headers_mut();
        let authority = match headers.remove(HOST) {
            Some(host) if host != self.host => {
                Authority::try_from(host.as_bytes()).unwrap_or_else(|_| self.authority.clone())
            }
            Some(_) | None => self.authority.clone(),
        };
        for name in [
            CONNECTION,
            KEEP_ALIVE,
            PROXY_CONNECTION,
            UPGRADE,
            TRANSFER_ENCODING,
        ] {
            headers.remove(name);
        }
        if headers.contains_key(TE) && !only_trailers(headers) {
            headers.remove(TE);
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(authority);
        parts.path_and_query = Some(path);
        // All three parts are there, which is the one thing this checks.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
}

fn path_of(uri: &Uri) -> PathAndQuery {
    match uri.path_and_query() {
        // An absolute URL may have a query without a path; on the wire it needs the slash.
        Some(path) if path.as_str().starts_with(['/', '*']) => path.clone(),
        Some(path) => PathAndQuery::try_from(format!("/{}", path.as_str()))
            .unwrap_or_else(|_| PathAndQuery::from_static("/")),
        None => PathAndQuery::from_static("/"),
    }
}

fn only_trailers(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(TE).iter();
    values.next().is_some_and(|value| value == "trailers") && values.next().is_none()
}
