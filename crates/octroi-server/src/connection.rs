//! One connection from accept to close.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use octroi_telemetry::metrics::{self, Expiry, Refusal};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::activity::{Activity, Ending};
use crate::connection_cap::Permit;
use crate::exchange::{Context, exchange};
use crate::handler::{Alpn, ConnectionInfo, Handler, TlsInfo};
use crate::head_guard::HeadGuard;
use crate::io::{Io, Prefix, Stream};
use crate::listener::Endpoint;
use crate::options::{ListenerRole, ListenerService, Timeouts};
use crate::server::Shared;

/// What every HTTP/2 connection starts with (RFC 9113, 3.4).
const PREFACE: &[u8; Prefix::LEN] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The tokens that end connections: first let requests finish, then not even that.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    pub(crate) drain: CancellationToken,
    pub(crate) abort: CancellationToken,
}

/// Serves a connection until it closes.
pub(crate) async fn serve<H: Handler>(
    stream: TcpStream,
    peer: SocketAddr,
    permit: Permit,
    endpoint: Endpoint,
    shared: Arc<Shared<H>>,
) {
    let timeouts = &shared.timeouts;
    // Boxed, as HTTP/2 below: what only some connections need, or only at first, must not be part
    // of the task that every idle connection keeps.
    let opening = Box::pin(open(stream, endpoint.service, &shared));
    let opening = timeout(timeouts.handshake, opening);
    let opened = tokio::select! {
        biased;
        () = shared.stop.drain.cancelled() => return,
        opened = opening => opened,
    };
    let (stream, prefix, tls) = match opened {
        Ok(Ok(Some(opened))) => opened,
        Ok(Ok(None)) => return,
        Ok(Err(error)) => {
            debug!(%error, "connection did not open");
            metrics::connection_refused(Refusal::Handshake);
            return;
        }
        Err(_) => {
            metrics::connection_refused(Refusal::Handshake);
            return;
        }
    };
    let alpn = tls.as_ref().and_then(|tls| tls.alpn);
    let multiplexed = alpn == Some(Alpn::H2) || prefix.filled() == PREFACE;
    let activity = Arc::new(Activity::new(multiplexed));
    let context = Arc::new(Context {
        peer_trusted: shared.trusted_proxies.contains(peer.ip()),
        redirects: endpoint.service == ListenerService::Redirect,
        info: Arc::new(ConnectionInfo {
            peer,
            local: endpoint.local,
            tls,
            role: role(endpoint.service),
        }),
        activity: Arc::clone(&activity),
        shared: Arc::clone(&shared),
    });
    let guard = if multiplexed {
        HeadGuard::idle(&shared.limits, Arc::clone(&activity))
    } else {
        HeadGuard::new(&shared.limits, Arc::clone(&activity))
    };
    let io = Io::new(stream, prefix, guard, Arc::clone(&activity), permit);
    let io = TokioIo::new(io);
    let service = service_fn(move |request| exchange(Arc::clone(&context), request));
    if multiplexed {
        let mut connection = Box::pin(shared.http2.serve_connection(io, service));
        let finish = http2::Connection::graceful_shutdown;
        drive(connection.as_mut(), finish, &activity, &shared).await;
    } else {
        let connection = shared.http1.serve_connection(io, service);
        let connection = pin!(connection.with_upgrades());
        let finish = http1::UpgradeableConnection::graceful_shutdown;
        drive(connection, finish, &activity, &shared).await;
    }
}

const fn role(service: ListenerService) -> ListenerRole {
    match service {
        ListenerService::Plain(role) | ListenerService::Tls(role) => role,
        ListenerService::Redirect => ListenerRole::Gate,
    }
}

/// Gets to the first byte of HTTP; `None` if the connection was for something else and is done.
async fn open<H>(
    stream: TcpStream,
    service: ListenerService,
    shared: &Shared<H>,
) -> io::Result<Option<(Stream, Prefix, Option<TlsInfo>)>> {
    match (service, &shared.tls) {
        (ListenerService::Tls(_), Some(tls)) => {
            let Some((stream, info)) = tls.accept(stream).await? else {
                return Ok(None);
            };
            let stream = Stream::Tls(Box::new(stream));
            Ok(Some((stream, Prefix::default(), Some(info))))
        }
        // Server::bind refuses a TLS listener without certificates.
        (ListenerService::Tls(_), None) => Ok(None),
        (ListenerService::Plain(_) | ListenerService::Redirect, _) => {
            let mut stream = stream;
            let prefix = read_prefix(&mut stream).await?;
            Ok(prefix.map(|prefix| (Stream::Plain(stream), prefix, None)))
        }
    }
}

/// Reads until the bytes are the HTTP/2 preface or cannot become it; `None` if the client left.
async fn read_prefix(stream: &mut TcpStream) -> io::Result<Option<Prefix>> {
    let mut prefix = Prefix::default();
    loop {
        let count = stream.read(&mut prefix.bytes[prefix.filled..]).await?;
        if count == 0 {
            return Ok(None);
        }
        prefix.filled += count;
        if prefix.filled == Prefix::LEN || !PREFACE.starts_with(prefix.filled()) {
            return Ok(Some(prefix));
        }
    }
}

/// Polls a connection until it is done, is told to stop, or has used up the gate's patience;
/// `finish` lets it complete the requests at hand and take no more.
async fn drive<C: Future, H>(
    mut connection: Pin<&mut C>,
    finish: impl Fn(Pin<&mut C>),
    activity: &Activity,
    shared: &Shared<H>,
) {
    let (timeouts, stop) = (&shared.timeouts, &shared.stop);
    let mut drain = pin!(stop.drain.cancelled());
    let mut abort = pin!(stop.abort.cancelled());
    let mut alarm = pin!(sleep_until(activity.opened() + timeouts.idle));
    let mut draining = false;
    poll_fn(|cx| {
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if abort.as_mut().poll(cx).is_ready() {
                shared.note_aborted(activity.requests_in_flight());
                return Poll::Ready(());
            }
            if !draining && drain.as_mut().poll(cx).is_ready() {
                draining = true;
                finish(connection.as_mut());
                continue;
            }
            match poll_alarm(alarm.as_mut(), activity, timeouts, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ending::Expired(Expiry::Idle)) => {
                    metrics::connection_expired(Expiry::Idle);
                    finish(connection.as_mut());
                    activity.closing();
                }
                // The connection gets to answer it.
                Poll::Ready(Ending::Expired(Expiry::Head)) if activity.give_up_on_head() => {
                    metrics::connection_expired(Expiry::Head);
                }
                Poll::Ready(Ending::Expired(expiry)) => {
                    metrics::connection_expired(expiry);
                    return Poll::Ready(());
                }
                Poll::Ready(Ending::Closing) => return Poll::Ready(()),
            }
        }
    })
    .await;
}

/// Ready when the connection has to be ended. The alarm is set again only when it fires too early
/// or would fire too late, which for most requests it does not.
fn poll_alarm(
    mut alarm: Pin<&mut Sleep>,
    activity: &Activity,
    timeouts: &Timeouts,
    cx: &mut TaskContext<'_>,
) -> Poll<Ending> {
    loop {
        let deadline = activity.deadline(timeouts);
        if let Some((at, _)) = deadline
            && at < alarm.deadline()
        {
            alarm.as_mut().reset(at);
        }
        if alarm.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        match deadline {
            Some((at, ending)) if at <= Instant::now() => return Poll::Ready(ending),
            Some((at, _)) => alarm.as_mut().reset(at),
            None => alarm.as_mut().reset(Instant::now() + timeouts.idle),
        }
    }
}
