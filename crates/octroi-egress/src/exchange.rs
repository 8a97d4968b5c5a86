//! The way of one request through an upstream: admit, find or open a connection, send, hand back.

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::body::{EgressBody, H1Lease};
use crate::connect::Connected;
use crate::error::{EgressError, Phase};
use crate::h1::H1Connection;
use crate::h2::{H2Connection, H2Stream};
use crate::head_wait::HeadWait;
use crate::request_body::RequestBody;
use crate::target::Scheme;
use crate::tls::Alpn;
use crate::transport::Transport;
use crate::upstream::{Protocol, Shared};

/// An exchange that brought no response head.
pub(crate) enum Failure {
    /// The connection was of no use and gave the request back untouched.
    Returned(Box<Request<RequestBody>>, hyper::Error),
    /// The request is gone.
    Lost(EgressError),
}

/// What a connection under ALPN turned out to be.
enum Opened {
    Stream(H2Stream),
    Http1(Connected),
    /// Another request learned meanwhile that the origin speaks HTTP/1.1.
    KnownHttp1,
}

impl Shared {
    /// Sends a request and waits for the response head. `deadline` cuts the upstream's own limits short.
    pub(crate) async fn exchange(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
        deadline: Option<Instant>,
    ) -> Result<Response<EgressBody>, EgressError> {
        let websocket = self.origin.prepare(&mut request)?;
        let is_tls = self.spec.target.scheme() == Scheme::Https;
        match self.spec.protocol {
            Protocol::Http2 if websocket => {
                let reason = "a websocket needs http/1.1";
                Err(EgressError::unsent(Phase::Request, reason))
            }
            Protocol::Http2 => self.exchange_h2(request, Alpn::Http2, deadline).await,
            Protocol::Auto if is_tls && !websocket && !self.speaks_h1() => {
                self.exchange_h2(request, Alpn::Any, deadline).await
            }
            Protocol::Auto | Protocol::Http1 => {
                self.exchange_h1(request, websocket, deadline).await
            }
        }
    }

    /// HTTP/1.1: a pooled connection if there is one, else a new one. A pooled connection that gives
    /// the request back is replaced by a new one, once.
    async fn exchange_h1(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
        websocket: bool,
        deadline: Option<Instant>,
    ) -> Result<Response<EgressBody>, EgressError> {
        let permit = self.admit(deadline).await?;
        self.origin.shape_h1(&mut request);
        if let Some(mut connection) = self.pool.take() {
            let wait = self.head_wait(&request, deadline);
            match connection.exchange(request, &wait).await {
                Ok(response) => return self.respond_h1(connection, permit, response, websocket),
                Err(Failure::Returned(returned, _)) => request = *returned,
                Err(Failure::Lost(error)) => return Err(error.on_reused_connection(true)),
            }
        }
        let connected = self.connect(Alpn::Http1, deadline).await?;
        self.exchange_new_h1(connected.transport, permit, request, websocket, deadline)
            .await
    }

    async fn exchange_new_h1(
        self: &Arc<Self>,
        transport: Transport,
        permit: Option<OwnedSemaphorePermit>,
        request: Request<RequestBody>,
        websocket: bool,
        deadline: Option<Instant>,
    ) -> Result<Response<EgressBody>, EgressError> {
        let connection = H1Connection::open(transport).await;
        let mut connection = match connection {
            Ok(connection) => Box::new(connection),
            Err(error) => return Err(EgressError::unsent(Phase::Connect, error)),
        };
        let wait = self.head_wait(&request, deadline);
        match connection.exchange(request, &wait).await {
            Ok(response) => self.respond_h1(connection, permit, response, websocket),
            Err(Failure::Returned(_, error)) => Err(EgressError::unsent(Phase::Send, error)),
            Err(Failure::Lost(error)) => Err(error),
        }
    }

    fn respond_h1(
        self: &Arc<Self>,
        connection: Box<H1Connection>,
        permit: Option<OwnedSemaphorePermit>,
        response: Response<Incoming>,
        websocket: bool,
    ) -> Result<Response<EgressBody>, EgressError> {
        let (parts, incoming) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            if !websocket {
                let reason = "origin switched protocols unasked";
                return Err(EgressError::sent(Phase::Protocol, reason));
            }
            connection.hand_over(permit);
            return Ok(Response::from_parts(parts, EgressBody::detached(incoming)));
        }
        // A peer that frames a message in two ways, or speaks HTTP/1.0, gets no second request on the
        // connection. For 1.0 hyper would leave out bodies of unknown length.
        let two_framings = parts.headers.contains_key(TRANSFER_ENCODING)
            && parts.headers.contains_key(CONTENT_LENGTH);
        let reusable = parts.version == Version::HTTP_11 && !two_framings;
        let lease = H1Lease::new(connection, reusable.then(|| self.clone()), permit);
        let body = EgressBody::from_h1(incoming, lease, self.spec.body_idle_timeout);
        Ok(Response::from_parts(parts, body))
    }

    /// HTTP/2, or whatever ALPN says: a shared connection with room if there is one, else a new one. A
    /// connection that gives the request back is replaced, once.
    async fn exchange_h2(
        self: &Arc<Self>,
        mut request: Request<RequestBody>,
        alpn: Alpn,
        deadline: Option<Instant>,
    ) -> Result<Response<EgressBody>, EgressError> {
        let mut retried = false;
        loop {
            let shared = self.pool.stream(self.h2_connections_max());
            let reused = shared.is_some();
            let opened = match shared {
                Some(stream) => Opened::Stream(stream),
                None => self.open_h2(alpn, deadline).await?,
            };
            let stream = match opened {
                Opened::Stream(stream) => stream,
                Opened::KnownHttp1 => return self.exchange_h1(request, false, deadline).await,
                Opened::Http1(connected) => {
                    let permit = self.admit(deadline).await?;
                    self.origin.shape_h1(&mut request);
                    let transport = connected.transport;
                    return self
                        .exchange_new_h1(transport, permit, request, false, deadline)
                        .await;
                }
            };
            self.origin.shape_h2(&mut request);
            let wait = self.head_wait(&request, deadline);
            match stream.exchange(request, &wait).await {
                Ok(response) => {
                    let idle_timeout = self.spec.body_idle_timeout;
                    return Ok(response.map(|body| EgressBody::from_h2(body, stream, idle_timeout)));
                }
                Err(Failure::Returned(returned, _)) if !retried => {
                    retried = true;
                    request = *returned;
                }
                Err(Failure::Returned(_, error)) => {
                    return Err(EgressError::unsent(Phase::Send, error));
                }
                Err(Failure::Lost(error)) => return Err(error.on_reused_connection(reused)),
            }
        }
    }

    /// Opens a connection that is HTTP/2 or may turn out so, one at a time: requests that arrive
    /// together at a cold upstream share the first connection instead of opening one each.
    async fn open_h2(
        self: &Arc<Self>,
        alpn: Alpn,
        deadline: Option<Instant>,
    ) -> Result<Opened, EgressError> {
        let connect_deadline = self.until(self.spec.connect_timeout, deadline);
        let _turn = timeout_at(connect_deadline, self.opening.lock())
            .await
            .map_err(|elapsed| EgressError::unsent(Phase::Connect, elapsed))?;
        if alpn == Alpn::Any && self.speaks_h1() {
            return Ok(Opened::KnownHttp1);
        }
        if let Some(stream) = self.pool.stream(self.h2_connections_max()) {
            return Ok(Opened::Stream(stream));
        }
        let connected = self.connect(alpn, deadline).await?;
        if !connected.is_h2 {
            self.set_speaks_h1(true);
            return Ok(Opened::Http1(connected));
        }
        let opening = H2Connection::open(connected.transport, self.h2_streams_max.clone());
        let connection = match timeout_at(connect_deadline, opening).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(EgressError::unsent(Phase::Connect, error)),
            Err(elapsed) => return Err(EgressError::unsent(Phase::Connect, elapsed)),
        };
        let stream = connection.stream();
        self.start_sweeper(self.pool.share(connection));
        Ok(Opened::Stream(stream))
    }

    async fn connect(
        &self,
        alpn: Alpn,
        deadline: Option<Instant>,
    ) -> Result<Connected, EgressError> {
        let deadline = self.until(self.spec.connect_timeout, deadline);
        let connecting = self
            .connector
            .connect(&self.spec.target, &self.policy, alpn, deadline);
        let connected = connecting.await.inspect_err(|error| {
            // An origin that gave up HTTP/1.1 fails here; the next request asks it anew.
            if error.phase() == Phase::Tls {
                self.set_speaks_h1(false);
            }
        })?;
        self.pool.count_opened();
        Ok(connected)
    }

    /// Waits for a place under the connection limit, no longer than a connection may take.
    async fn admit(
        &self,
        deadline: Option<Instant>,
    ) -> Result<Option<OwnedSemaphorePermit>, EgressError> {
        let Some(places) = &self.places else {
            return Ok(None);
        };
        if let Ok(permit) = places.clone().try_acquire_owned() {
            return Ok(Some(permit));
        }
        let deadline = self.until(self.spec.connect_timeout, deadline);
        match timeout_at(deadline, places.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(closed)) => Err(EgressError::unsent(Phase::Connect, closed)),
            Err(elapsed) => Err(EgressError::unsent(Phase::Connect, elapsed)),
        }
    }

    fn head_wait(&self, request: &Request<RequestBody>, deadline: Option<Instant>) -> HeadWait {
        let upload = request.body().upload_clock();
        HeadWait::new(self.spec.head_timeout, deadline, upload)
    }

    fn until(&self, limit: Duration, deadline: Option<Instant>) -> Instant {
        let own = Instant::now() + limit;
        deadline.map_or(own, |deadline| deadline.min(own))
    }
}

impl From<TrySendError<Request<RequestBody>>> for Failure {
    fn from(mut error: TrySendError<Request<RequestBody>>) -> Self {
        match error.take_message() {
            Some(request) => Self::Returned(Box::new(request), error.into_error()),
            None => Self::Lost(EgressError::before_head(error.into_error())),
        }
    }
}
