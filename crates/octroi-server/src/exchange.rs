//! One request from its head to its answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use octroi_types::{ErrorCode, RequestId};
use pin_project_lite::pin_project;

use crate::activity::{Activity, InFlight};
use crate::handler::{ConnectionInfo, Handler};
use crate::refusal::Refusal;
use crate::request_rules;
use crate::server::Shared;

/// The request's id, ours unless a trusted proxy gave one.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where a certificate authority looks for the answer to an HTTP-01 challenge (RFC 8555, 8.3).
const CHALLENGE_PATH: &str = "/.well-known/acme-challenge/";

/// What the requests of one connection share.
pub(crate) struct Context<H> {
    pub(crate) shared: Arc<Shared<H>>,
    pub(crate) info: Arc<ConnectionInfo>,
    pub(crate) activity: Arc<Activity>,
    /// Whether the socket belongs to a trusted proxy.
    pub(crate) peer_trusted: bool,
    /// Whether the listener only redirects to TLS.
    pub(crate) redirects: bool,
}

/// Answers one request.
pub(crate) async fn exchange<H: Handler>(
    context: Arc<Context<H>>,
    mut request: Request<Incoming>,
) -> Result<Response<ExchangeBody<H::Body>>, Infallible> {
    let in_flight = context.activity.begin(!request.body().is_end_stream());
    let number = in_flight.number;
    let request_id = request_id(&request, context.peer_trusted);
    let checked = match context.activity.refusal(number) {
        Some(refusal) => Err(refusal),
        None => request_rules::check(&mut request, &context.shared.limits),
    };
    let own = match checked {
        Err(refusal) => Some(refusal.response(request_id)),
        Ok(()) => own_answer(&context, &request, request_id),
    };
    let mut response = if let Some(response) = own {
        response.map(|bytes| ExchangeBody::own(bytes, in_flight))
    } else {
        // Nobody behind us is to take a client's word for it.
        request.headers_mut().remove(X_REQUEST_ID);
        request.extensions_mut().insert(request_id);
        let response = context.shared.handler.handle(request, &context.info).await;
        response.map(|body| ExchangeBody::handler(body, in_flight))
    };
    if let Ok(value) = HeaderValue::try_from(request_id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let upgraded = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    context.activity.answered(number, upgraded);
    Ok(response)
}

/// An id that a trusted proxy gave is kept if it is of our form, so that one request has one name
/// in both logs.
fn request_id<B>(request: &Request<B>, peer_trusted: bool) -> RequestId {
    let given = || {
        let text = request.headers().get(X_REQUEST_ID)?.to_str().ok()?;
        text.parse().ok()
    };
    peer_trusted
        .then(given)
        .flatten()
        .unwrap_or_else(RequestId::generate)
}

/// What the server answers without asking the handler: HTTP-01 challenges, and everything on a
/// listener that redirects.
fn own_answer<H, B>(
    context: &Context<H>,
    request: &Request<B>,
    request_id: RequestId,
) -> Option<Response<Bytes>> {
    let plain = context.info.tls.is_none();
    if plain && let Some(token) = request.uri().path().strip_prefix(CHALLENGE_PATH) {
        let tls = context.shared.tls.as_ref();
        if let Some(answer) = tls.and_then(|tls| tls.challenges().http_answer(token)) {
            return Some(Response::new(Bytes::from(answer)));
        }
    }
    context
        .redirects
        .then(|| redirect(context, request, request_id))
}

/// Sends the client to the same page over TLS, if its host has a certificate. Only requests that
/// carry nothing are redirected: what was sent in the clear once should not be taught to work.
fn redirect<H, B>(
    context: &Context<H>,
    request: &Request<B>,
    request_id: RequestId,
) -> Response<Bytes> {
    const UNKNOWN: Refusal = Refusal::new(ErrorCode::NotFound, "no such host here");
    const INSECURE: Refusal = Refusal::new(ErrorCode::Forbidden, "use https");
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .and_then(|host| host.split(':').next())
        .unwrap_or_default();
    let tls = context.shared.tls.as_ref();
    if !tls.is_some_and(|tls| tls.certificates().names(host)) {
        return UNKNOWN.response(request_id);
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return INSECURE.response(request_id);
    }
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let Ok(location) = HeaderValue::try_from(format!("https://{host}{path}")) else {
        return UNKNOWN.response(request_id);
    };
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, location);
    response
}

pin_project! {
    /// The body of an answer. Its end, or its drop, is the end of the request.
    pub(crate) struct ExchangeBody<B> {
        #[pin]
        content: Content<B>,
        in_flight: InFlight,
    }
}

pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        Handler { #[pin] body: B },
        Own { bytes: Option<Bytes> },
    }
}

impl<B> ExchangeBody<B> {
    fn handler(body: B, in_flight: InFlight) -> Self {
        Self {
            content: Content::Handler { body },
            in_flight,
        }
    }

    fn own(bytes: Bytes, in_flight: InFlight) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self {
            content: Content::Own { bytes },
            in_flight,
        }
    }
}

impl<B> Body for ExchangeBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().content.project() {
            ContentProjection::Handler { body } => body.poll_frame(cx),
            ContentProjection::Own { bytes } => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Handler { body } => body.is_end_stream(),
            Content::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Handler { body } => body.size_hint(),
            Content::Own { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
