//! One HTTP/2 connection to an origin, shared by many exchanges and driven on a task of its own.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::error::{EgressError, Phase};
use crate::exchange::Failure;
use crate::h1::HEAD_BYTES_MAX;
use crate::head_wait::HeadWait;
use crate::request_body::RequestBody;
use crate::transport::Transport;

/// A connection with open streams is asked for a sign of life this often.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// And given up when none comes in this time.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams that are opened before the origin has named its limit (RFC 9113 §6.5.2 recommends no less).
pub(crate) const STREAMS_UNTIL_SETTINGS: usize = 100;

/// An open connection. It closes by itself when the last handle is dropped.
pub(crate) struct H2Connection {
    sender: SendRequest<RequestBody>,
    streams: AtomicUsize,
    streams_max: Arc<AtomicUsize>,
    idle_since: Mutex<Instant>,
}

/// One exchange's share of a connection.
pub(crate) struct H2Stream {
    connection: Arc<H2Connection>,
}

impl H2Connection {
    /// `streams_max` is what the origin's earlier connections have learned of its limit; a new one starts
    /// with it, because streams over the limit are refused.
    pub(crate) async fn open(
        transport: Transport,
        streams_max: Arc<AtomicUsize>,
    ) -> hyper::Result<Arc<Self>> {
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .initial_max_send_streams(streams_max.load(Ordering::Relaxed).max(1))
            .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(transport))
            .await?;
        let limit = streams_max.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = poll_fn(|cx| {
                let polled = connection.as_mut().poll(cx);
                limit.store(connection.current_max_send_streams(), Ordering::Relaxed);
                polled
            });
            if let Err(error) = ended.await {
                tracing::debug!(%error, "h2 connection ended");
            }
        });
        Ok(Arc::new(Self {
            sender,
            streams: AtomicUsize::new(0),
            streams_max,
            idle_since: Mutex::new(Instant::now()),
        }))
    }

    /// Takes a share, whatever the number of streams already is.
    pub(crate) fn stream(self: &Arc<Self>) -> H2Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        H2Stream {
            connection: self.clone(),
        }
    }

    /// Closed by either side, or the origin has sent GOAWAY: no new streams.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Streams in use.
    pub(crate) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Whether the origin would let another stream start now.
    pub(crate) fn has_room(&self) -> bool {
        self.streams() < self.streams_max.load(Ordering::Relaxed)
    }

    /// Since when the connection carries no stream; `None` while it does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        (self.streams() == 0).then(|| *self.idle_since.lock())
    }
}

impl H2Stream {
    /// Sends a request and waits for the response head. Above the origin's stream limit the request
    /// waits its turn inside that time.
    pub(crate) async fn exchange(
        &self,
        request: Request<RequestBody>,
        wait: &HeadWait,
    ) -> Result<Response<Incoming>, Failure> {
        let mut response = pin!(self.connection.sender.clone().try_send_request(request));
        let mut end = Some(wait.end(Instant::now()));
        while let Some(until) = end {
            if let Ok(response) = timeout_at(until, response.as_mut()).await {
                return response.map_err(Failure::from);
            }
            end = wait.extended(Instant::now());
        }
        Err(Failure::Lost(EgressError::after_send(Phase::HeadTimeout)))
    }
}

impl Drop for H2Stream {
    fn drop(&mut self) {
        // Before the count falls, so that nobody sees zero streams with an old time.
        *self.connection.idle_since.lock() = Instant::now();
        self.connection.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
