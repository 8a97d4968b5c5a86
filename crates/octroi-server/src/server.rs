//! The server: bound first, so that every mistake shows before anything is served, then served
//! until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use octroi_telemetry::fields;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::acme::ChallengeKind;
use crate::connection::Stop;
use crate::connection_cap::ConnectionCap;
use crate::error::ServerError;
use crate::forwarded::TrustedProxies;
use crate::handler::Handler;
use crate::listener::Listening;
use crate::options::{Limits, ListenerService, ServerOptions, Timeouts};
use crate::tls::Tls;

/// What one HTTP/1 connection may buffer in either direction while it is busy. An idle connection
/// keeps the 8 KiB with which each buffer starts.
const H1_BUFFER_BYTES_MAX: usize = 128 * 1_024;

/// Unread request bytes that a client may send ahead on one stream and on one connection (HTTP/2).
const H2_STREAM_WINDOW_BYTES: u32 = 256 * 1_024;
const H2_CONNECTION_WINDOW_BYTES: u32 = 1_024 * 1_024;

/// Answer bytes that may wait on one stream (HTTP/2).
const H2_SEND_BUFFER_BYTES_MAX: usize = 128 * 1_024;

/// Streams that a client may open and reset, unseen by any handler, before the connection is
/// ended; and those that may be in error. A legitimate client does neither in numbers.
const H2_RESETS_PENDING_MAX: usize = 20;
const H2_RESETS_LOCAL_MAX: usize = 200;

/// A server whose listeners are open.
pub struct Server {
    listening: Vec<Listening>,
    tls: Option<Arc<Tls>>,
    trusted_proxies: TrustedProxies,
    limits: Limits,
    timeouts: Timeouts,
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Connections that were open when the drain began.
    pub connections_open: usize,
    /// Of these, the ones still open when the time was up. They were cut off.
    pub connections_aborted: usize,
    /// Requests that were cut off with them.
    pub requests_aborted: u32,
}

/// What all connections share.
pub(crate) struct Shared<H> {
    pub(crate) handler: H,
    pub(crate) http1: http1::Builder,
    pub(crate) http2: http2::Builder<TokioExecutor>,
    pub(crate) tls: Option<Arc<Tls>>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
    pub(crate) cap: Arc<ConnectionCap>,
    pub(crate) connections: TaskTracker,
    pub(crate) stop: Stop,
    requests_aborted: AtomicU32,
}

impl<H> Shared<H> {
    pub(crate) fn note_aborted(&self, requests: u32) {
        self.requests_aborted.fetch_add(requests, Relaxed);
    }
}

impl Server {
    /// Opens every listener and loads every certificate. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ServerError`] if an address cannot be listened on, a listener would carry plain HTTP
    /// beyond the machine with no trusted proxy in front, or certificates cannot be used.
    pub fn bind(mut options: ServerOptions) -> Result<Self, ServerError> {
        let listeners = std::mem::take(&mut options.listeners);
        let listening = listeners
            .into_iter()
            .map(|listener| Listening::open(listener, &options))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(acme) = options.tls.as_ref().and_then(|tls| tls.acme.as_ref()) {
            check_challenge(acme.challenge, &listening)?;
        }
        let tls = options.tls.map(Tls::load).transpose()?.map(Arc::new);
        Ok(Self {
            listening,
            tls,
            trusted_proxies: options.trusted_proxies,
            limits: options.limits,
            timeouts: options.timeouts,
        })
    }

    /// Where the server listens, in the order of its options. Port 0 has become a real port.
    #[must_use]
    pub fn local_addresses(&self) -> Vec<(ListenerService, SocketAddr)> {
        let endpoints = self.listening.iter().map(|listening| listening.endpoint);
        endpoints.map(|end| (end.service, end.local)).collect()
    }

    /// The certificates, to reload them or to change the hosts that ACME keeps certificates for.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// Serves until `shutdown` is cancelled, then drains: listeners close, idle connections close,
    /// requests that were begun are finished, and what is left after [`Timeouts::drain`] is cut
    /// off. A connection that was upgraded belongs to its handler: it is waited for as long, but
    /// only the handler can end it.
    ///
    /// A refusal of the server itself has the JSON body of every error of the gate.
    pub async fn serve<H: Handler>(self, handler: H, shutdown: CancellationToken) -> DrainReport {
        let shared = Arc::new(Shared {
            handler,
            http1: http1_builder(&self.limits),
            http2: http2_builder(&self.limits, &self.timeouts),
            tls: self.tls,
            trusted_proxies: self.trusted_proxies,
            cap: Arc::new(ConnectionCap::new(
                self.limits.connections_max,
                self.limits.connections_per_address_max,
            )),
            limits: self.limits,
            timeouts: self.timeouts,
            connections: TaskTracker::new(),
            stop: Stop::default(),
            requests_aborted: AtomicU32::new(0),
        });
        let accepting = TaskTracker::new();
        for listening in self.listening {
            accepting.spawn(listening.accept_all(Arc::clone(&shared)));
        }
        let keeping = TaskTracker::new();
        if let Some(tls) = shared.tls.clone() {
            let interval = shared.timeouts.certificate_reload;
            keeping.spawn(tls.keep(interval, shared.stop.drain.clone()));
        }
        shutdown.cancelled().await;
        drain(&shared, &accepting, &keeping).await
    }
}

/// Orders that no listener can prove would fail one by one, long after the start.
fn check_challenge(challenge: ChallengeKind, listening: &[Listening]) -> Result<(), ServerError> {
    let over_tls = challenge == ChallengeKind::TlsAlpn01;
    let answers = |service| matches!(service, ListenerService::Tls(_)) == over_tls;
    if listening
        .iter()
        .any(|listening| answers(listening.endpoint.service))
    {
        return Ok(());
    }
    Err(ServerError::ChallengeUnanswered { challenge })
}

async fn drain<H>(
    shared: &Shared<H>,
    accepting: &TaskTracker,
    keeping: &TaskTracker,
) -> DrainReport {
    let connections_open = shared.cap.open();
    info!({ fields::COUNT } = connections_open, "draining connections");
    shared.stop.drain.cancel();
    accepting.close();
    accepting.wait().await;
    let drained = tokio::time::timeout(shared.timeouts.drain, shared.cap.all_closed()).await;
    let connections_aborted = shared.cap.open();
    if drained.is_err() {
        warn!(
            { fields::COUNT } = connections_aborted,
            "cutting off connections that did not drain"
        );
    }
    shared.stop.abort.cancel();
    shared.connections.close();
    shared.connections.wait().await;
    keeping.close();
    keeping.wait().await;
    DrainReport {
        connections_open,
        connections_aborted,
        requests_aborted: shared.requests_aborted.load(Relaxed),
    }
}

/// HTTP/1 as it is served here. The time limits are those of [`crate::activity`]: hyper's own
/// timer cannot tell a slow request head from an idle connection and is set anew for each request.
fn http1_builder(limits: &Limits) -> http1::Builder {
    let head_bytes_max = limits.head_bytes_max();
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(head_bytes_max)
        .max_buf_size(H1_BUFFER_BYTES_MAX.max(head_bytes_max));
    builder
}

fn http2_builder(limits: &Limits, timeouts: &Timeouts) -> http2::Builder<TokioExecutor> {
    let header_list_bytes_max = limits.header_bytes_max + limits.uri_bytes_max;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection_max)
        .max_header_list_size(u32::try_from(header_list_bytes_max).unwrap_or(u32::MAX))
        .initial_stream_window_size(H2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(H2_CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(H2_SEND_BUFFER_BYTES_MAX)
        .max_pending_accept_reset_streams(H2_RESETS_PENDING_MAX)
        .max_local_error_reset_streams(H2_RESETS_LOCAL_MAX)
        .keep_alive_interval(timeouts.ping)
        .keep_alive_timeout(timeouts.ping);
    builder
}
