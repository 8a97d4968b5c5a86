//! The ways in which an origin lets its callers down.

use std::{fmt, io};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::sync::watch;

use super::{Body, text_response};

const HALF: &[u8] = &[b'x'; 500];

/// Makes hyper close the connection instead of answering.
#[derive(Debug)]
pub(super) struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut on purpose")
    }
}

impl std::error::Error for Cut {}

pub(super) async fn stall(released: watch::Receiver<bool>) -> Response<Body> {
    wait(released).await;
    text_response(StatusCode::OK, "at last")
}

pub(super) fn stall_in_body(released: watch::Receiver<bool>) -> Response<Body> {
    halves(stream::once(async {
        wait(released).await;
        Ok(Frame::data(Bytes::from_static(HALF)))
    }))
}

pub(super) fn cut_in_body() -> Response<Body> {
    halves(stream::once(async {
        // The first half has to leave before the error takes the connection.
        tokio::task::yield_now().await;
        Err(io::Error::other("cut on purpose"))
    }))
}

/// A response that announces two halves, sends one, and leaves the other to `second`.
fn halves(
    second: impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send + Sync + 'static,
) -> Response<Body> {
    let first = stream::once(async { Ok(Frame::data(Bytes::from_static(HALF))) });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(first.chain(second))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(2 * HALF.len()));
    response
}

async fn wait(mut released: watch::Receiver<bool>) {
    // Fails when the origin is dropped, which is a release too.
    let _ = released.wait_for(|released| *released).await;
}
