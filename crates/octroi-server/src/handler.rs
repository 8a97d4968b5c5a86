//! What the server hands requests to.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::options::ListenerRole;

/// Answers requests.
///
/// Requests come checked: the target is a path, there is exactly one well-formed `Host` field (on
/// HTTP/2 made from `:authority`), framing is unambiguous, and the extensions hold the request's
/// [`octroi_types::RequestId`]. The host is in `Host` and never in `uri()`, whose authority only
/// some protocols fill.
///
/// Nothing is boxed here, and HTTP/1 keeps room for one future per open connection: a handler
/// whose future is large should box it, or idle connections will hold its memory.
pub trait Handler: Send + Sync + 'static {
    /// The body of an answer.
    type Body: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers one request. Dropped when the client leaves; work that must go on is to be spawned.
    fn handle(
        &self,
        request: Request<Incoming>,
        connection: &Arc<ConnectionInfo>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// What is known of a connection.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// The other end of the socket: the client, or the last proxy before us.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// The TLS session, if there is one.
    pub tls: Option<TlsInfo>,
    /// Whom the listener is for.
    pub role: ListenerRole,
}

/// What is known of a TLS session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// The name that the client asked for.
    pub sni: Option<String>,
    /// The protocol that was agreed on.
    pub alpn: Option<Alpn>,
}

/// The protocols that can be agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// `http/1.1`
    Http11,
    /// `h2`
    H2,
}
