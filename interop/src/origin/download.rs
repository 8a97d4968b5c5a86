//! A large body that is cheap to make and whose every chunk differs, so that a lost, repeated or swapped
//! one shows in the digest.

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::Body;

const CHUNK: usize = 64 * 1024;
const DEFAULT_LENGTH: usize = 100_000_000;

/// The digest, in hex, of the first `length` bytes that `/download` sends.
#[must_use]
pub fn pattern_sha256(length: usize) -> String {
    let mut digest = Sha256::new();
    for chunk in chunks(length) {
        digest.update(&chunk);
    }
    hex::encode(digest.finalize())
}

pub(super) fn response(query: Option<&str>) -> Response<Body> {
    let length = query
        .and_then(|query| query.strip_prefix("bytes="))
        .and_then(|length| length.parse().ok())
        .unwrap_or(DEFAULT_LENGTH);
    let frames = stream::iter(chunks(length).map(|chunk| Ok(Frame::data(chunk))));
    let mut response = Response::new(StreamBody::new(frames).boxed());
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// Chunks of zeroes, each beginning with its own offset.
fn chunks(length: usize) -> impl Iterator<Item = Bytes> + Send + Sync {
    (0..length).step_by(CHUNK).map(move |offset| {
        let mut chunk = BytesMut::zeroed(CHUNK);
        chunk[..8].copy_from_slice(&offset.to_le_bytes());
        chunk.truncate(length - offset);
        chunk.freeze()
    })
}
