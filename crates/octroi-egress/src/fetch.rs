//! Whole small messages: JSON-RPC, facilitators, webhooks. One call, one deadline, one bounded body.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::body::EgressBody;
use crate::client::Client;
use crate::error::{EgressError, Phase};
use crate::policy::RefusedTarget;
use crate::redirect::{self, Follow, RedirectError};
use crate::request_body::RequestBody;
use crate::target::{Target, TargetError};
use crate::upstream::{Upstream, UpstreamSpec};

const TIMEOUT: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Origins whose connections are kept for reuse. Webhook targets are many, so there is an end to it.
const ORIGINS_MAX: usize = 256;
/// Idle connections kept for each of them.
const IDLE_MAX: usize = 8;
/// The upstream's own limits stand back behind the call's deadline.
const LIMIT_MAX: Duration = Duration::from_secs(3600);

/// A request whose whole response fits in memory.
#[derive(Clone)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// An absolute `http` or `https` URL without credentials.
    pub url: String,
    /// Headers beside `Host` and the framing, which are set here.
    pub headers: HeaderMap,
    /// The request body.
    pub body: Bytes,
    /// Longest acceptable response body. Default: 1 MiB.
    pub body_bytes_max: usize,
    /// End of the whole call: connecting, every redirect, the last byte. Default: 10 s.
    pub timeout: Duration,
    /// How many redirects are followed. Default: none, a redirect is the response.
    ///
    /// Each hop is judged like a first request. Credentials do not follow to another origin, and https
    /// never leads to http.
    pub redirects_max: u8,
}

/// A response in memory.
#[derive(Clone)]
pub struct FetchResponse {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// The upstreams that calls share, bounded; the one unused for longest makes room.
#[derive(Default)]
pub(crate) struct Origins {
    upstreams: Mutex<HashMap<Target, Origin>>,
}

struct Origin {
    upstream: Upstream,
    last_used: Instant,
}

impl FetchRequest {
    /// A request without body and with every default.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            body_bytes_max: BODY_BYTES_MAX,
            timeout: TIMEOUT,
            redirects_max: 0,
        }
    }

    /// `POST` of a value as JSON.
    pub fn post_json<T: Serialize + ?Sized>(
        url: impl Into<String>,
        value: &T,
    ) -> Result<Self, serde_json::Error> {
        let json = HeaderValue::from_static("application/json");
        let mut request = Self::new(Method::POST, url);
        request.body = Bytes::from(serde_json::to_vec(value)?);
        request.headers.insert(CONTENT_TYPE, json.clone());
        request.headers.insert(ACCEPT, json);
        Ok(request)
    }
}

impl FetchResponse {
    /// The body read as JSON, whatever its `Content-Type` says.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}

impl Client {
    /// Sends one request and reads the whole response. Connections are reused for each origin.
    pub async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, EgressError> {
        let deadline = Instant::now() + request.timeout;
        let mut hops_left = request.redirects_max;
        let mut hop = Hop::first(&request)?;
        loop {
            let upstream = self.origin(&hop.target)?;
            let response = upstream.send_until(hop.request(), deadline).await?;
            let follow = redirect::follow(response.status(), &hop.method);
            let (Some(follow), 1..) = (follow, request.redirects_max) else {
                return read(response, request.body_bytes_max, deadline).await;
            };
            if hops_left == 0 {
                return Err(redirected(RedirectError::TooMany));
            }
            hops_left -= 1;
            hop.advance(response.headers(), follow)?;
        }
    }

    fn origin(&self, target: &Target) -> Result<Upstream, EgressError> {
        let now = Instant::now();
        if let Some(known) = self.origins().upstreams.lock().get_mut(target) {
            known.last_used = now;
            return Ok(known.upstream.clone());
        }
        let mut spec = UpstreamSpec::new(target.clone());
        spec.pool_idle_max = IDLE_MAX;
        spec.head_timeout = LIMIT_MAX;
        spec.body_idle_timeout = LIMIT_MAX;
        let upstream = self.upstream(spec)?;
        let origin = Origin {
            upstream: upstream.clone(),
            last_used: now,
        };
        self.origins().insert(target.clone(), origin);
        Ok(upstream)
    }
}

impl Origins {
    fn insert(&self, target: Target, origin: Origin) {
        let mut upstreams = self.upstreams.lock();
        if upstreams.len() >= ORIGINS_MAX {
            let oldest = upstreams.iter().min_by_key(|(_, origin)| origin.last_used);
            if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
                upstreams.remove(&oldest);
            }
        }
        upstreams.insert(target, origin);
    }
}

/// One request on a chain of redirects.
struct Hop {
    uri: Uri,
    target: Target,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
}

impl Hop {
    fn first(request: &FetchRequest) -> Result<Self, EgressError> {
        let malformed = |error| EgressError::unsent(Phase::Policy, RefusedTarget::Malformed(error));
        let uri: Uri = request
            .url
            .parse()
            .map_err(|_| malformed(TargetError::NotAbsolute))?;
        Ok(Self {
            target: Target::from_uri(&uri).map_err(malformed)?,
            uri,
            method: request.method.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        })
    }

    fn request(&self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    fn advance(&mut self, headers: &HeaderMap, follow: Follow) -> Result<(), EgressError> {
        let uri = redirect::next_hop(&self.uri, headers).map_err(redirected)?;
        let target = Target::from_uri(&uri)
            .map_err(|error| EgressError::sent(Phase::Policy, RefusedTarget::Malformed(error)))?;
        redirect::prune(&mut self.headers, &self.target, &target, follow);
        if follow == Follow::Get {
            self.method = Method::GET;
            self.body = Bytes::new();
        }
        self.uri = uri;
        self.target = target;
        Ok(())
    }
}

fn redirected(error: RedirectError) -> EgressError {
    EgressError::sent(Phase::Policy, error)
}

/// Collects the body, refusing early what announces itself as too large.
async fn read(
    response: Response<EgressBody>,
    body_bytes_max: usize,
    deadline: Instant,
) -> Result<FetchResponse, EgressError> {
    let (parts, mut body) = response.into_parts();
    let too_large = || EgressError::after_send(Phase::BodyTooLarge);
    let announced = http_body::Body::size_hint(&body).lower();
    if usize::try_from(announced).map_or(true, |announced| announced > body_bytes_max) {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut collected = BytesMut::new();
    loop {
        let frame = timeout_at(deadline, body.frame())
            .await
            .map_err(|_elapsed| EgressError::after_send(Phase::BodyTimeout))?;
        let Some(frame) = frame.transpose()? else {
            break;
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + collected.len() + data.len() > body_bytes_max {
            return Err(too_large());
        }
        // Most bodies come in one frame, which then needs no copy.
        if first.is_empty() && collected.is_empty() {
            first = data;
        } else {
            collected.extend_from_slice(&std::mem::take(&mut first));
            collected.extend_from_slice(&data);
        }
    }
    Ok(FetchResponse {
        status: parts.status,
        headers: parts.headers,
        body: if collected.is_empty() {
            first
        } else {
            collected.freeze()
        },
    })
}

impl fmt::Debug for FetchRequest {
    /// Method and limits only: URLs carry keys, headers carry tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest")
            .field("method", &self.method)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FetchResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchResponse")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::ClientOptions;

    #[test]
    fn the_origin_unused_for_longest_makes_room() {
        let client = Client::new(ClientOptions::default()).unwrap();
        let target = |n: usize| Target::parse(&format!("https://{n}.origins.example")).unwrap();
        for n in 0..ORIGINS_MAX {
            client.origin(&target(n)).unwrap();
        }
        client.origin(&target(0)).unwrap();
        client.origin(&target(ORIGINS_MAX)).unwrap();
        let upstreams = client.origins().upstreams.lock();
        assert_eq!(upstreams.len(), ORIGINS_MAX);
        assert!(upstreams.contains_key(&target(0)));
        assert!(!upstreams.contains_key(&target(1)));
        assert!(upstreams.contains_key(&target(ORIGINS_MAX)));
    }
}
