//! The one body type of outgoing requests: nothing, one buffer, or a stream.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use crate::head_wait::UploadClock;

/// Any error, as bodies carry them.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The body of an outgoing request. Only a stream costs an allocation.
#[derive(Default)]
pub struct RequestBody {
    kind: Kind,
}

#[derive(Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Stream {
        body: UnsyncBoxBody<Bytes, RequestBodyError>,
        clock: UploadClock,
    },
}

/// The error of a caller's own body, marked so that it is found again in the chain that comes back.
#[derive(Debug, thiserror::Error)]
#[error("request body failed")]
pub struct RequestBodyError(#[source] BoxError);

impl RequestBody {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self { kind: Kind::Empty }
    }

    /// Passes a body on frame by frame, trailers included.
    ///
    /// Its `size_hint` decides the framing: exact becomes `Content-Length`, anything else `chunked`. A
    /// wrapper should therefore pass the hint of what it wraps.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        let marked = body.map_err(|error| RequestBodyError(error.into()));
        Self {
            kind: Kind::Stream {
                body: marked.boxed_unsync(),
                clock: UploadClock::new(),
            },
        }
    }

    /// Shows how the upload moves; only a stream takes time that is not the origin's.
    pub(crate) fn upload_clock(&self) -> Option<UploadClock> {
        match &self.kind {
            Kind::Stream { clock, .. } => Some(clock.clone()),
            Kind::Empty | Kind::Full(_) => None,
        }
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Full(bytes),
        }
    }
}

impl From<Incoming> for RequestBody {
    fn from(body: Incoming) -> Self {
        Self::stream(body)
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Empty => "RequestBody(empty)",
            Kind::Full(_) => "RequestBody(full)",
            Kind::Stream { .. } => "RequestBody(stream)",
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                self.kind = Kind::Empty;
                Poll::Ready(Some(Ok(frame)))
            }
            Kind::Stream { body, clock } => {
                let polled = Pin::new(body).poll_frame(cx);
                if polled.is_ready() {
                    clock.moved();
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Stream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Kind::Stream { body, .. } => body.size_hint(),
        }
    }
}
