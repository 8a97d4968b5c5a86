//! What can go wrong on the way out, and whether the origin may have seen the request.

use std::error::Error;
use std::fmt;

use crate::request_body::{BoxError, RequestBodyError};

/// A failed exchange. `Display` is this layer's sentence alone; the cause is in `source()`. Neither
/// holds URLs, headers or bodies.
#[derive(Debug, thiserror::Error)]
#[error("{phase}")]
pub struct EgressError {
    phase: Phase,
    may_have_been_sent: bool,
    connection_reused: bool,
    source: Option<BoxError>,
}

/// How far the exchange had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The address policy or the redirect rules forbid the target.
    Policy,
    /// The request cannot be put to this origin: `CONNECT`, or a WebSocket where only HTTP/2 is spoken.
    Request,
    /// The name did not resolve in time or at all.
    Resolve,
    /// No TCP connection, or none free under the upstream's connection limit, in time.
    Connect,
    /// The TLS handshake failed: certificate, protocol or time.
    Tls,
    /// The connection failed between the first byte of the request and the response head.
    Send,
    /// The caller's request body ended with an error.
    RequestBody,
    /// No response head in time.
    HeadTimeout,
    /// The connection failed inside the response body, which is therefore incomplete.
    Body,
    /// No progress of the response body in time.
    BodyTimeout,
    /// The response is larger than the caller accepts.
    BodyTooLarge,
    /// What the origin sent is not acceptable HTTP.
    Protocol,
}

/// Whose doing a failure is, for status codes and alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The origin or the network to it.
    Origin,
    /// The caller: its request, its body or the target it chose.
    Caller,
}

impl EgressError {
    /// A failure before anything of the request could leave.
    pub(crate) fn unsent(phase: Phase, source: impl Into<BoxError>) -> Self {
        Self {
            phase,
            may_have_been_sent: false,
            connection_reused: false,
            source: Some(source.into()),
        }
    }

    /// A failure after the request was handed to a connection.
    pub(crate) fn sent(phase: Phase, source: impl Into<BoxError>) -> Self {
        Self {
            may_have_been_sent: true,
            ..Self::unsent(phase, source)
        }
    }

    /// As [`Self::sent`], with no cause beyond the phase.
    pub(crate) const fn after_send(phase: Phase) -> Self {
        Self {
            phase,
            may_have_been_sent: true,
            connection_reused: false,
            source: None,
        }
    }

    /// A failure of hyper's before the response head, with the request gone.
    pub(crate) fn before_head(error: hyper::Error) -> Self {
        let phase = if caused_by::<RequestBodyError>(&error).is_some() {
            Phase::RequestBody
        } else if error.is_parse() {
            Phase::Protocol
        } else {
            Phase::Send
        };
        if is_unprocessed_stream(&error) {
            return Self::unsent(phase, error);
        }
        Self::sent(phase, error)
    }

    /// A failure of hyper's inside the response body.
    pub(crate) fn in_body(error: hyper::Error) -> Self {
        let phase = match caused_by::<RequestBodyError>(&error) {
            Some(_) => Phase::RequestBody,
            None => Phase::Body,
        };
        Self::sent(phase, error)
    }

    pub(crate) const fn on_reused_connection(mut self, reused: bool) -> Self {
        self.connection_reused = reused;
        self
    }

    /// How far the exchange had come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whose doing it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self.phase {
            Phase::Policy | Phase::Request | Phase::RequestBody => Fault::Caller,
            Phase::Resolve
            | Phase::Connect
            | Phase::Tls
            | Phase::Send
            | Phase::HeadTimeout
            | Phase::Body
            | Phase::BodyTimeout
            | Phase::BodyTooLarge
            | Phase::Protocol => Fault::Origin,
        }
    }

    /// Whether the origin may have seen any part of the request. If not, it is safe to repeat it.
    #[must_use]
    pub const fn may_have_been_sent(&self) -> bool {
        self.may_have_been_sent
    }

    /// Whether the connection had served earlier requests. With [`Phase::Send`] this is most often an
    /// origin closing an idle connection at the wrong moment, which an idempotent request survives
    /// by being repeated (RFC 9110 §9.2.2).
    #[must_use]
    pub const fn connection_reused(&self) -> bool {
        self.connection_reused
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policy => "target is not allowed",
            Self::Request => "request cannot be put to this origin",
            Self::Resolve => "name of the origin did not resolve",
            Self::Connect => "no connection to the origin",
            Self::Tls => "tls handshake with the origin failed",
            Self::Send => "connection to the origin failed before a response",
            Self::RequestBody => "request body ended with an error",
            Self::HeadTimeout => "origin sent no response head in time",
            Self::Body => "connection to the origin failed inside the response body",
            Self::BodyTimeout => "origin stalled inside the response body",
            Self::BodyTooLarge => "response body is larger than accepted",
            Self::Protocol => "response of the origin breaks http rules",
        })
    }
}

/// A stream that the peer says it did not process: refused (RFC 9113 §8.7), or above the last stream
/// of a graceful GOAWAY (§6.8).
fn is_unprocessed_stream(error: &hyper::Error) -> bool {
    caused_by::<::h2::Error>(error).is_some_and(|error| {
        let refused = error.reason() == Some(::h2::Reason::REFUSED_STREAM);
        let left_out = error.is_go_away() && error.reason() == Some(::h2::Reason::NO_ERROR);
        error.is_remote() && (refused || left_out)
    })
}

fn caused_by<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
