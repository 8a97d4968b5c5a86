//! Server-sent events paced by the test.

use std::io;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::mpsc;

use super::Body;

/// The origin's end of one `/events` response. Dropping it ends the body as it should end.
#[derive(Debug)]
pub struct EventStream {
    frames: mpsc::Sender<io::Result<Bytes>>,
}

impl EventStream {
    /// Sends one event with this data.
    ///
    /// # Errors
    /// When whoever asked has gone.
    pub async fn send(&self, data: &str) -> Result<()> {
        let event = Bytes::from(format!("data: {data}\n\n"));
        self.frames
            .send(Ok(event))
            .await
            .context("nobody listens any more")
    }

    /// Breaks the connection off in the middle of the body.
    ///
    /// # Errors
    /// When whoever asked has gone.
    pub async fn cut(self) -> Result<()> {
        let error = io::Error::other("cut on purpose");
        self.frames
            .send(Err(error))
            .await
            .context("nobody listens any more")
    }

    /// Waits until whoever asked has gone.
    ///
    /// # Errors
    /// When patience runs out.
    pub async fn abandoned(&self) -> Result<()> {
        tokio::time::timeout(crate::PATIENCE, self.frames.closed())
            .await
            .context("still listened to")
    }
}

pub(super) fn open(opened: &mpsc::UnboundedSender<EventStream>) -> Response<Body> {
    // Room for one: an event is on its way before the next is taken.
    let (frames, body) = mpsc::channel(1);
    // Fails only while the origin is being dropped; the body is then empty.
    let _ = opened.send(EventStream { frames });
    let body = stream::unfold(body, async |mut body| {
        let frame = body.recv().await?;
        Some((frame.map(Frame::data), body))
    });
    let mut response = Response::new(StreamBody::new(body).boxed());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
