//! The body of a client's request, which may pause only so long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use octroi_egress::BoxError;
use tokio::time::{Instant, Sleep, sleep};

use crate::forward;

/// The client sent nothing more of a body that is not at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client paused for too long within its body")]
pub(crate) struct Stalled;

/// A body that fails with [`Stalled`] when its next part takes longer than `pause_max`. Only the time
/// counts in which a part is asked for: an origin that does not read does not use up the client's.
pub(crate) struct ClientBody<B = Incoming> {
    body: B,
    pause_max: Duration,
    /// Made by the first pause, and used again by the next ones.
    timer: Option<Pin<Box<Sleep>>>,
    paused: bool,
}

impl<B> ClientBody<B> {
    pub(crate) const fn new(body: B, pause_max: Duration) -> Self {
        Self {
            body,
            pause_max,
            timer: None,
            paused: false,
        }
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let pause_max = self.pause_max;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(pause_max)));
        if !self.paused {
            timer.as_mut().reset(Instant::now() + pause_max);
            self.paused = true;
        }
        timer.as_mut().poll(cx)
    }
}

impl<B> Body for ClientBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.paused = false;
            let frame = frame.map(|frame| frame.map(forward::request_frame));
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(self.poll_pause(cx));
        Poll::Ready(Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tokio::sync::mpsc;

    use super::*;

    const PAUSE_MAX: Duration = Duration::from_secs(10);

    /// A body whose parts come from a channel; it ends with it.
    struct Parts(mpsc::UnboundedReceiver<&'static str>);

    impl Body for Parts {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.0
                .poll_recv(cx)
                .map(|part| part.map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes())))))
        }
    }

    fn body() -> (mpsc::UnboundedSender<&'static str>, ClientBody<Parts>) {
        let (sender, parts) = mpsc::unbounded_channel();
        (sender, ClientBody::new(Parts(parts), PAUSE_MAX))
    }

    async fn next(body: &mut ClientBody<Parts>) -> Option<Result<Bytes, BoxError>> {
        let frame = body.frame().await?;
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn every_part_has_the_whole_time() {
        let (sender, mut body) = body();
        tokio::spawn(async move {
            for part in ["a", "b", "c"] {
                tokio::time::sleep(PAUSE_MAX - Duration::from_millis(1)).await;
                sender.send(part).unwrap();
            }
        });
        for part in ["a", "b", "c"] {
            assert_eq!(next(&mut body).await.unwrap().unwrap(), part);
        }
        assert!(next(&mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_longer_pause_ends_the_body() {
        let (sender, mut body) = body();
        sender.send("a").unwrap();
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "a");
        let error = next(&mut body).await.unwrap().unwrap_err();
        assert!(error.is::<Stalled>(), "{error}");
        drop(sender);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_does_not_ask_does_not_use_up_the_time() {
        let (sender, mut body) = body();
        tokio::time::sleep(2 * PAUSE_MAX).await;
        let late = tokio::spawn(async move {
            tokio::time::sleep(PAUSE_MAX / 2).await;
            sender.send("a").unwrap();
        });
        assert_eq!(next(&mut body).await.unwrap().unwrap(), "a");
        late.await.unwrap();
    }
}
