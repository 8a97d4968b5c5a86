//! The client that speaks to the authority, handed in by whoever owns outgoing traffic.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};

/// What [`AcmeHttp::send`] returns.
pub type AcmeHttpFuture =
    Pin<Box<dyn Future<Output = Result<Response<Bytes>, Box<dyn Error + Send + Sync>>> + Send>>;

/// Sends a request to the authority and reads the whole answer. The implementation limits time,
/// answer size and addresses, verifies the authority's certificate and follows no redirects.
pub trait AcmeHttp: Send + Sync + 'static {
    /// Sends one request; its URI is absolute.
    fn send(&self, request: Request<Bytes>) -> AcmeHttpFuture;
}

/// Fits our client to the protocol library.
pub(super) struct Client(pub(super) Arc<dyn AcmeHttp>);

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let client = Arc::clone(&self.0);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            // The body is in memory and cannot fail.
            let Ok(body) = body.collect().await;
            let request = Request::from_parts(head, body.to_bytes());
            let response = client.send(request).await;
            let response = response.map_err(instant_acme::Error::Other)?;
            Ok(BytesResponse::from(response.map(Full::new)))
        })
    }
}
