//! The certificate authority, reached through the gate's only way out.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use octroi_egress::{Client, FetchRequest};
use octroi_server::acme::{AcmeHttp, AcmeHttpFuture};

const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 256 * 1_024;

/// Sends the authority's requests through egress.
pub(super) struct EgressAcme(pub(super) Client);

impl AcmeHttp for EgressAcme {
    fn send(&self, request: Request<Bytes>) -> AcmeHttpFuture {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let fetch = FetchRequest {
                headers: parts.headers,
                body,
                body_bytes_max: ANSWER_BYTES_MAX,
                timeout: TIMEOUT,
                ..FetchRequest::new(parts.method, parts.uri.to_string())
            };
            let fetched = client.fetch(fetch).await?;
            let mut response = Response::new(fetched.body);
            *response.status_mut() = fetched.status;
            *response.headers_mut() = fetched.headers;
            Ok(response)
        })
    }
}
