//! What a server is told before it starts.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::forwarded::TrustedProxies;
use crate::tls::TlsOptions;

/// The most header fields a request may have; hyper's parser keeps this many on its stack.
pub const HEADER_COUNT_MAX: usize = 100;

/// Everything a [`crate::Server`] needs to know.
#[derive(Debug)]
pub struct ServerOptions {
    /// Where it listens.
    pub listeners: Vec<ListenerOptions>,
    /// The proxies in front of it, whose word on client addresses and request ids is taken.
    pub trusted_proxies: TrustedProxies,
    /// Certificates; needed as soon as a listener speaks TLS.
    pub tls: Option<TlsOptions>,
    /// How much a client may ask for.
    pub limits: Limits,
    /// How long a client may take.
    pub timeouts: Timeouts,
}

/// One listener.
#[derive(Debug)]
pub struct ListenerOptions {
    /// The socket.
    pub socket: ListenerSocket,
    /// What it serves.
    pub service: ListenerService,
}

/// Where a listener's socket comes from.
#[derive(Debug)]
pub enum ListenerSocket {
    /// Bind this address; port 0 takes a free one.
    Bind(SocketAddr),
    /// A socket that is listening already, such as one handed over by a service manager.
    Inherited(TcpListener),
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerService {
    /// HTTP/1.1 and HTTP/2 with prior knowledge. On loopback, or behind trusted proxies.
    Plain(ListenerRole),
    /// HTTP/1.1 and HTTP/2 over TLS, by ALPN.
    Tls(ListenerRole),
    /// Plain HTTP on any address that answers HTTP-01 challenges, redirects to `https` on the
    /// hosts that have a certificate, and serves nothing else.
    Redirect,
}

/// Whom a listener is for. The handler decides by it what it serves there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerRole {
    /// Buyers and sites, and everything else unless a management listener is split off.
    Gate,
    /// Management, dashboard, health and metrics.
    Management,
}

/// How much a client may ask for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections in all. Those above are closed at once.
    pub connections_max: usize,
    /// Connections from one IPv4 address or IPv6 /64. Loopback and trusted proxies are exempt:
    /// they speak for many.
    pub connections_per_address_max: usize,
    /// Bytes of a request target.
    pub uri_bytes_max: usize,
    /// Bytes of all header names and values of a request; at most 1 MiB.
    pub header_bytes_max: usize,
    /// Requests at the same time on one HTTP/2 connection.
    pub streams_per_connection_max: u32,
}

impl Limits {
    /// Bytes of a request head as it is read (HTTP/1), in hyper and before it. Above the sum of the limits that
    /// are answered with a reason, by what separators and one read may add.
    pub(crate) const fn head_bytes_max(&self) -> usize {
        (self.header_bytes_max + self.uri_bytes_max) * 2
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            connections_per_address_max: 1_000,
            uri_bytes_max: 8 * 1_024,
            header_bytes_max: 16 * 1_024,
            streams_per_connection_max: 100,
        }
    }
}

/// How long a client may take.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From accept to the end of the TLS handshake, or on plain HTTP to the first byte.
    pub handshake: Duration,
    /// From a request head's first byte to its last (HTTP/1).
    pub head: Duration,
    /// From the last answer to the next request.
    pub idle: Duration,
    /// How long a client may leave an answer unread before it is cut off.
    pub stalled: Duration,
    /// How long a closing connection is read on, so that a client that still sends a body gets to
    /// see the answer that refused it.
    pub linger: Duration,
    /// How often an HTTP/2 connection is probed, and how long it may take to react.
    pub ping: Duration,
    /// How often certificate files are looked at for changes.
    pub certificate_reload: Duration,
    /// How long requests may take to finish once shutdown began.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(60),
            linger: Duration::from_secs(3),
            ping: Duration::from_secs(30),
            certificate_reload: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}
