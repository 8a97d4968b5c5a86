//! The response body on its way to the caller, and with it the connection it comes on.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use crate::error::{EgressError, Phase};
use crate::h1::H1Connection;
use crate::h2::H2Stream;
use crate::upstream::Shared;

/// A streaming response body. Read to its end it returns the connection to the pool; dropped before,
/// it closes the connection (HTTP/1.1) or resets the stream (HTTP/2).
///
/// An HTTP/1.1 connection is driven by polling this body, so the rest of a request's upload moves only
/// while the response is read.
pub struct EgressBody {
    incoming: Incoming,
    lease: Lease,
    gap: Gap,
    has_failed: bool,
}

/// The time between two frames.
struct Gap {
    timeout: Duration,
    /// The timer is set for the present gap.
    is_running: bool,
}

enum Lease {
    /// Nothing to hold: everything is read already, or the connection belongs to an upgrade.
    None,
    H1(H1Lease),
    H2 {
        /// Kept for its drop.
        _stream: H2Stream,
        timer: Option<Pin<Box<Sleep>>>,
    },
}

/// An HTTP/1.1 connection in use. Dropped as it is, it closes the connection.
pub(crate) struct H1Lease {
    connection: Box<H1Connection>,
    /// Where the connection goes when it is idle again; `None` if it must not be used again.
    upstream: Option<Arc<Shared>>,
    /// Falls after the connection is back in the pool.
    permit: Option<OwnedSemaphorePermit>,
}

impl H1Lease {
    pub(crate) const fn new(
        connection: Box<H1Connection>,
        upstream: Option<Arc<Shared>>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            connection,
            upstream,
            permit,
        }
    }

    fn give_back(self) {
        let Self {
            connection,
            upstream,
            permit,
        } = self;
        match upstream {
            Some(upstream) if connection.is_idle() => {
                upstream.start_sweeper(upstream.pool.put(connection));
            }
            Some(_) | None => drop(connection),
        }
        drop(permit);
    }
}

impl EgressBody {
    pub(crate) fn from_h1(incoming: Incoming, lease: H1Lease, idle_timeout: Duration) -> Self {
        // hyper reports idle once it has read the whole response; what is left of it is in memory.
        let is_read = incoming.is_end_stream() || lease.connection.is_idle();
        let mut body = Self::new(incoming, Lease::H1(lease), idle_timeout);
        if is_read {
            body.finish();
        }
        body
    }

    pub(crate) fn from_h2(incoming: Incoming, stream: H2Stream, idle_timeout: Duration) -> Self {
        let lease = Lease::H2 {
            _stream: stream,
            timer: None,
        };
        let mut body = Self::new(incoming, lease, idle_timeout);
        if body.incoming.is_end_stream() {
            body.finish();
        }
        body
    }

    pub(crate) const fn detached(incoming: Incoming) -> Self {
        Self::new(incoming, Lease::None, Duration::ZERO)
    }

    const fn new(incoming: Incoming, lease: Lease, idle_timeout: Duration) -> Self {
        Self {
            incoming,
            lease,
            gap: Gap {
                timeout: idle_timeout,
                is_running: false,
            },
            has_failed: false,
        }
    }

    /// The response is complete: the connection goes back if it can.
    fn finish(&mut self) {
        if let Lease::H1(lease) = std::mem::replace(&mut self.lease, Lease::None) {
            lease.give_back();
        }
    }

    /// Nothing more will come: the connection is closed.
    fn fail(&mut self) {
        self.has_failed = true;
        self.lease = Lease::None;
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let incoming = &mut self.incoming;
        let mut next = |cx: &mut Context<'_>| {
            let polled = Pin::new(&mut *incoming).poll_frame(cx);
            polled.map(|frame| frame.map(|frame| frame.map_err(EgressError::in_body)))
        };
        let gap = &mut self.gap;
        match &mut self.lease {
            Lease::None => next(cx),
            Lease::H1(lease) => {
                let stalled = |cx: &mut Context<'_>, timer: Pin<&mut Sleep>| gap.poll(timer, cx);
                lease.connection.poll_with(cx, next, stalled)
            }
            Lease::H2 { timer, .. } => {
                if let Poll::Ready(frame) = next(cx) {
                    return Poll::Ready(frame);
                }
                let timer = timer.get_or_insert_with(|| Box::pin(sleep(gap.timeout)));
                gap.poll(timer.as_mut(), cx)
            }
        }
    }
}

impl Gap {
    /// Starts the timer with a gap and turns its end into an error.
    fn poll<T>(
        &mut self,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<T, EgressError>>> {
        if !std::mem::replace(&mut self.is_running, true) {
            timer.as_mut().reset(Instant::now() + self.timeout);
        }
        let ended = timer.poll(cx);
        ended.map(|()| Some(Err(EgressError::after_send(Phase::BodyTimeout))))
    }
}

impl Body for EgressBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        if self.has_failed {
            return Poll::Ready(None);
        }
        let polled = self.poll_incoming(cx);
        if polled.is_ready() {
            self.gap.is_running = false;
        }
        match &polled {
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Ok(_))) if self.incoming.is_end_stream() => self.finish(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
            Poll::Ready(Some(Err(_))) => self.fail(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.has_failed || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for EgressBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressBody").finish_non_exhaustive()
    }
}
