//! The edge of the gate: sockets, TLS, HTTP/1.1 and HTTP/2, limits, and an orderly end.
//!
//! [`Server::bind`] opens listeners and loads certificates; [`Server::serve`] hands checked
//! requests to a [`Handler`] until it is told to stop and then drains. Certificates come from
//! files, which are read again when they change, or from an ACME authority.
//!
//! A connection goes through `listener` (accept, caps), `connection` (protocol, TLS,
//! time limits), `head_guard` (malformed and ambiguous heads) and hyper; each request through
//! `exchange` (id, rules, own answers). This crate knows nothing of routes or payments.

pub mod acme;
mod activity;
mod connection;
mod connection_cap;
mod error;
mod exchange;
mod forwarded;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handler;
mod head_guard;
mod io;
mod listener;
mod options;
mod refusal;
mod request_rules;
mod server;
pub mod tls;

pub use error::{CertificateError, ServerError};
pub use forwarded::{ForwardedField, TrustedProxies, client_address};
pub use handler::{Alpn, ConnectionInfo, Handler, TlsInfo};
pub use options::{
    HEADER_COUNT_MAX, Limits, ListenerOptions, ListenerRole, ListenerService, ListenerSocket,
    ServerOptions, Timeouts,
};
pub use server::{DrainReport, Server};
