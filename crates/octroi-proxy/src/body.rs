//! Bodies that pass through the gate. None is ever collected whole in order to charge for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
pub use octroi_egress::BoxError;
use octroi_egress::EgressBody;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use crate::client_body::ClientBody;
use crate::forward;

/// A response body.
pub enum GateBody {
    /// The gate's own words.
    Own(Option<Bytes>),
    /// An origin's answer, straight from its connection.
    Origin(EgressBody),
    /// A paid answer, pumped by the task that keeps its books.
    Paid(PaidBody),
    /// Another surface's answer.
    Surface(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl GateBody {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self::Own(None)
    }
}

impl From<Vec<u8>> for GateBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Own(Some(bytes.into()))
    }
}

impl Body for GateBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Origin(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                let frame = frame.map(|frame| frame.map(forward::response_frame));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Self::Paid(body) => body.poll_frame(cx),
            Self::Surface(body) => body.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.is_none(),
            Self::Origin(body) => body.is_end_stream(),
            Self::Paid(_) => false,
            Self::Surface(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Origin(body) => body.size_hint(),
            Self::Paid(_) => SizeHint::default(),
            Self::Surface(body) => body.size_hint(),
        }
    }
}

/// Frames of a paid answer on their way to the client's connection.
pub struct PaidBody {
    frames: mpsc::Receiver<Result<Frame<Bytes>, BoxError>>,
    taken: Arc<AtomicUsize>,
}

/// The other end of a [`PaidBody`].
pub(crate) struct PaidSender {
    pub(crate) frames: mpsc::Sender<Result<Frame<Bytes>, BoxError>>,
    taken: Arc<AtomicUsize>,
}

/// A body through which at most `waiting` frames wait, and what feeds it.
pub(crate) fn paid_body(waiting: usize) -> (PaidSender, PaidBody) {
    let (sender, frames) = mpsc::channel(waiting);
    let taken = Arc::new(AtomicUsize::new(0));
    let sender = PaidSender {
        frames: sender,
        taken: Arc::clone(&taken),
    };
    (sender, PaidBody { frames, taken })
}

impl PaidBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.frames.poll_recv(cx));
        if matches!(frame, Some(Ok(_))) {
            self.taken.fetch_add(1, Ordering::Release);
        }
        Poll::Ready(frame)
    }
}

impl PaidSender {
    /// How many frames the client's connection took. It drops the body as soon as it has what
    /// `Content-Length` announced, so that a closed queue alone does not mean that the client left.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }
}

/// The body was not the one that its digest announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body does not match its Content-Digest")]
pub(crate) struct DigestMismatch;

/// A body that must have a certain SHA-256. The newest part is held back until another one comes or the
/// digest is known to be right, so that an origin never sees a complete request with a wrong body.
pub(crate) struct VerifiedBody {
    prefix: Bytes,
    rest: Option<ClientBody>,
    held: Option<Bytes>,
    hasher: Sha256,
    expected: [u8; 32],
    /// Told about a mismatch; the error that the origin connection reports says less.
    mismatch: Option<tokio::sync::oneshot::Sender<DigestMismatch>>,
    done: bool,
}

impl VerifiedBody {
    /// A body that begins with `prefix`, goes on with `rest` and must hash to `expected`.
    pub(crate) fn new(
        prefix: Bytes,
        rest: ClientBody,
        expected: [u8; 32],
    ) -> (Self, tokio::sync::oneshot::Receiver<DigestMismatch>) {
        let (mismatch, told) = tokio::sync::oneshot::channel();
        let body = Self {
            prefix,
            rest: Some(rest),
            held: None,
            hasher: Sha256::new(),
            expected,
            mismatch: Some(mismatch),
            done: false,
        };
        (body, told)
    }

    fn finish(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        self.done = true;
        self.rest = None;
        let digest: [u8; 32] = std::mem::take(&mut self.hasher).finalize().into();
        if digest == self.expected {
            return self.held.take().map(|data| Ok(Frame::data(data)));
        }
        self.held = None;
        if let Some(mismatch) = self.mismatch.take() {
            // Nobody listens any more only if the exchange is over already.
            let _ = mismatch.send(DigestMismatch);
        }
        Some(Err(DigestMismatch.into()))
    }
}

impl Body for VerifiedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.done {
            return Poll::Ready(None);
        }
        loop {
            let next = if self.prefix.is_empty() {
                match &mut self.rest {
                    Some(rest) => ready!(Pin::new(rest).poll_frame(cx)),
                    None => None,
                }
            } else {
                Some(Ok(Frame::data(std::mem::take(&mut self.prefix))))
            };
            match next {
                Some(Ok(frame)) => {
                    // Trailers of a bound body are dropped: they are outside the digest.
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if data.is_empty() {
                        continue;
                    }
                    self.hasher.update(&data);
                    if let Some(before) = self.held.replace(data) {
                        return Poll::Ready(Some(Ok(Frame::data(before))));
                    }
                }
                Some(Err(error)) => {
                    self.done = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(self.finish()),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let known = (self.prefix.remaining() + self.held.as_ref().map_or(0, Bytes::len)) as u64;
        let mut hint = self.rest.as_ref().map(Body::size_hint).unwrap_or_default();
        if let Some(exact) = hint.exact() {
            hint.set_exact(exact.saturating_add(known));
        } else {
            hint = SizeHint::default();
        }
        hint
    }
}
