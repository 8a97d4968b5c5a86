//! The origin behind every proxy that is measured: small answers at little cost, and large ones.
//!
//! | path | answer |
//! |---|---|
//! | `/download?bytes=N` | N bytes |
//! | anything else | [`SMALL_BODY`] |

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The body of a small answer.
pub const SMALL_BODY: &str = r#"{"message":"hello from the origin","items":[1,2,3]}"#;

const PIECE: Bytes = Bytes::from_static(&[b'x'; 64 * 1024]);

/// Answers requests on `listener`, one connection beside the other, until it is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener) -> Result<Infallible> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(|request| std::future::ready(answer(&request)));
            // An error here is a connection that the peer has cut.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer(request: &Request<Incoming>) -> Result<Response<Content>, Infallible> {
    let download = request.uri().path() == "/download";
    let bytes = request
        .uri()
        .query()
        .and_then(|query| query.strip_prefix("bytes="));
    let content = match bytes.and_then(|bytes| bytes.parse().ok()) {
        Some(bytes) if download => Content {
            piece: PIECE,
            left: bytes,
        },
        _ => Content {
            piece: Bytes::from_static(SMALL_BODY.as_bytes()),
            left: SMALL_BODY.len() as u64,
        },
    };
    let mut response = Response::new(content);
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

/// `left` bytes of `piece` over and over. Their number is known, so they go out with a length.
#[derive(Debug)]
struct Content {
    piece: Bytes,
    left: u64,
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(self.piece.len());
        self.left -= length as u64;
        Poll::Ready(Some(Ok(Frame::data(self.piece.slice(..length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
