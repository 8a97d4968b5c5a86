//! Listening sockets and their accept loops.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use octroi_telemetry::metrics::{self, Listener};
use octroi_telemetry::{chain, fields};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tracing::{info, warn};

use crate::connection;
use crate::error::ServerError;
use crate::handler::Handler;
use crate::options::{
    ListenerOptions, ListenerRole, ListenerService, ListenerSocket, ServerOptions,
};
use crate::server::Shared;

/// Connections that the kernel may hold for us between two accepts.
const BACKLOG: i32 = 4_096;

/// After this long without a byte the kernel asks whether the other end still exists.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The first pause when there are no descriptors left, doubled each time up to the last.
const BACKOFF_FIRST: Duration = Duration::from_millis(10);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// Where connections come in, and what for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Endpoint {
    pub(crate) service: ListenerService,
    pub(crate) local: SocketAddr,
}

/// A socket that listens. It belongs to its accept loop and closes with it.
pub(crate) struct Listening {
    pub(crate) endpoint: Endpoint,
    listener: TcpListener,
}

impl Listening {
    /// Opens a listener, unless it would carry plain HTTP to places where others can read it.
    pub(crate) fn open(
        options: ListenerOptions,
        server: &ServerOptions,
    ) -> Result<Self, ServerError> {
        let service = options.service;
        let socket = match options.socket {
            ListenerSocket::Bind(address) => {
                check_exposure(address, service, server)?;
                bind(address).map_err(|source| ServerError::Bind { address, source })?
            }
            ListenerSocket::Inherited(socket) => {
                let address = socket.local_addr().map_err(ServerError::Inherited)?;
                check_exposure(address, service, server)?;
                prepare(&SockRef::from(&socket)).map_err(ServerError::Inherited)?;
                socket
            }
        };
        let local = socket.local_addr().map_err(ServerError::Inherited)?;
        let listener = TcpListener::from_std(socket).map_err(ServerError::Inherited)?;
        info!({ fields::LISTENER } = %local, "listening");
        Ok(Self {
            endpoint: Endpoint { service, local },
            listener,
        })
    }

    /// Accepts connections until the server drains. Nothing that accept returns ends it.
    pub(crate) async fn accept_all<H: Handler>(self, shared: Arc<Shared<H>>) {
        let mut backoff = BACKOFF_FIRST;
        loop {
            let accepted = tokio::select! {
                biased;
                () = shared.stop.drain.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff = BACKOFF_FIRST;
                    self.endpoint.admit(stream, peer, &shared);
                }
                Err(error) if concerns_one_connection(&error) => {}
                Err(error) => {
                    metrics::accept_failed();
                    if backoff == BACKOFF_FIRST {
                        let address = self.endpoint.local;
                        warn!({ fields::LISTENER } = %address, { fields::ERROR } = %chain(&error),
                            "cannot accept connections, trying again");
                    }
                    tokio::select! {
                        () = shared.stop.drain.cancelled() => return,
                        () = tokio::time::sleep(backoff) => {}
                    }
                    backoff = (backoff * 2).min(BACKOFF_LAST);
                }
            }
        }
    }
}

impl Endpoint {
    fn admit<H: Handler>(self, stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared<H>>) {
        let ip = peer.ip().to_canonical();
        let speaks_for_many = ip.is_loopback() || shared.trusted_proxies.contains(ip);
        let client = (!speaks_for_many).then_some(ip);
        match shared.cap.admit(client, self.label()) {
            Ok(permit) => {
                let serving = connection::serve(stream, peer, permit, self, Arc::clone(shared));
                shared.connections.spawn(serving);
            }
            // Closed at once: waiting in the backlog would look like a gate that is down.
            Err(refusal) => metrics::connection_refused(refusal),
        }
    }

    const fn label(self) -> Listener {
        match self.service {
            ListenerService::Plain(ListenerRole::Gate)
            | ListenerService::Tls(ListenerRole::Gate) => Listener::Gate,
            ListenerService::Plain(ListenerRole::Management)
            | ListenerService::Tls(ListenerRole::Management) => Listener::Management,
            ListenerService::Redirect => Listener::Redirect,
        }
    }
}

fn check_exposure(
    address: SocketAddr,
    service: ListenerService,
    server: &ServerOptions,
) -> Result<(), ServerError> {
    let beyond_loopback = !address.ip().to_canonical().is_loopback();
    match service {
        ListenerService::Plain(_) if beyond_loopback && server.trusted_proxies.is_empty() => {
            Err(ServerError::PlainBeyondLoopback { address })
        }
        ListenerService::Tls(_) if server.tls.is_none() => {
            Err(ServerError::NoCertificates { address })
        }
        ListenerService::Plain(_) | ListenerService::Tls(_) | ListenerService::Redirect => Ok(()),
    }
}

fn bind(address: SocketAddr) -> io::Result<net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the old process's connections to time out.
    socket.set_reuse_address(true)?;
    prepare(&SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Options that accepted sockets inherit, so that accepting needs no further system calls.
fn prepare(socket: &SockRef<'_>) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}

/// Errors of the connection that would have been accepted; the next one is not affected.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_inherit_the_listeners_options() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(false).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert!(accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), KEEPALIVE);
    }

    #[test]
    fn only_a_lack_of_resources_calls_for_a_pause() {
        let of = |code| concerns_one_connection(&io::Error::from_raw_os_error(code));
        // ECONNABORTED, EINTR; EMFILE, ENFILE, ENOMEM.
        assert!(of(103) && of(4));
        assert!(!of(24) && !of(23) && !of(12));
    }
}
