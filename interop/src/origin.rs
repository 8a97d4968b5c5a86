//! A real HTTP origin to put behind the gate, well-behaved and not, which remembers what it was asked.
//!
//! | path | answer |
//! |---|---|
//! | `/json` | `{"message":"hello","call":n}` |
//! | `/files/…` | what [`Origin::publish`] put there, with ETag, public caching, conditional and single-range requests |
//! | `/events` | `text/event-stream`, each event sent by the test through [`Origin::event_stream`] |
//! | `/download?bytes=n` | n bytes (100 MB where unsaid) whose digest [`pattern_sha256`] knows |
//! | `/upload` | `{"bytes":n,"sha256":"…"}` of the request's body |
//! | `/status/n` | status n with a short text |
//! | `/stall` | nothing, until [`Origin::release`] |
//! | `/stall-in-body` | a head and half a body, the rest after [`Origin::release`] |
//! | `/cut` | the connection closes without an answer |
//! | `/cut-in-body` | a head, half a body, and the connection closes |
//!
//! Anything else is 404. Every path takes any method.

mod download;
mod event_stream;
mod failure;
mod files;

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};

pub use self::download::pattern_sha256;
pub use self::event_stream::EventStream;
use crate::listener::{Body, Listener};

/// A running origin. Dropping it stops it from accepting and ends what it was doing.
#[derive(Debug)]
pub struct Origin {
    url: String,
    shared: Arc<Shared>,
    event_streams: tokio::sync::Mutex<mpsc::UnboundedReceiver<EventStream>>,
    _listener: Listener,
}

/// A request as the origin saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its method.
    pub method: Method,
    /// Its target: path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
}

#[derive(Debug)]
struct Shared {
    seen: watch::Sender<Vec<Seen>>,
    files: Mutex<files::Files>,
    released: watch::Sender<bool>,
    event_streams: mpsc::UnboundedSender<EventStream>,
}

impl Origin {
    /// Starts an origin on a free loopback port; it speaks HTTP/1.1, and HTTP/2 to those who begin with it.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start() -> Result<Self> {
        let (opened, event_streams) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            seen: watch::Sender::default(),
            files: Mutex::default(),
            released: watch::Sender::default(),
            event_streams: opened,
        });
        let answering = Arc::clone(&shared);
        let listener =
            Listener::start(move |request| answer(Arc::clone(&answering), request)).await?;
        Ok(Self {
            url: format!("http://{}", listener.address()),
            shared,
            event_streams: tokio::sync::Mutex::new(event_streams),
            _listener: listener,
        })
    }

    /// Its address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every request so far, in the order of arrival.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.borrow().clone()
    }

    /// How many requests have come for `path`, whatever their query.
    #[must_use]
    pub fn calls(&self, path: &str) -> usize {
        calls(&self.shared.seen.borrow(), path)
    }

    /// Waits until `path` has been asked for `count` times.
    ///
    /// # Errors
    /// When patience runs out.
    pub async fn called(&self, path: &str, count: usize) -> Result<()> {
        let mut seen = self.shared.seen.subscribe();
        let enough = seen.wait_for(|seen| calls(seen, path) >= count);
        tokio::time::timeout(crate::PATIENCE, enough)
            .await
            .with_context(|| {
                format!("{path} was called {} of {count} times", self.calls(path))
            })??;
        Ok(())
    }

    /// Serves `content` at `/files/<name>`.
    pub fn publish(&self, name: &str, content_type: &str, content: impl Into<Bytes>) {
        self.shared
            .files
            .lock()
            .publish(name, content_type, content.into());
    }

    /// The next `/events` request, once it has come.
    ///
    /// # Errors
    /// When patience runs out.
    pub async fn event_stream(&self) -> Result<EventStream> {
        let mut streams = self.event_streams.lock().await;
        tokio::time::timeout(crate::PATIENCE, streams.recv())
            .await
            .context("nobody asked for /events")?
            .context("the origin has stopped")
    }

    /// Lets everything that stalls go on, now and from now on.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }
}

/// Fails only to have the connection closed.
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Body>, failure::Cut> {
    let path = request.uri().path().to_owned();
    let target = request
        .uri()
        .path_and_query()
        .map_or("", |target| target.as_str());
    let seen = Seen {
        method: request.method().clone(),
        target: target.to_owned(),
        headers: request.headers().clone(),
    };
    shared.seen.send_modify(|all| all.push(seen));

    Ok(match path.as_str() {
        "/json" => {
            let call = calls(&shared.seen.borrow(), &path);
            json_response(&json!({"message": "hello", "call": call}))
        }
        "/events" => event_stream::open(&shared.event_streams),
        "/download" => download::response(request.uri().query()),
        "/upload" => upload(request.into_body()).await,
        "/stall" => failure::stall(shared.released.subscribe()).await,
        "/stall-in-body" => failure::stall_in_body(shared.released.subscribe()),
        "/cut" => return Err(failure::Cut),
        "/cut-in-body" => failure::cut_in_body(),
        other => {
            if let Some(name) = other.strip_prefix("/files/") {
                shared.files.lock().response(name, request.headers())
            } else if let Some(status) = other.strip_prefix("/status/").and_then(|s| s.parse().ok())
            {
                text_response(status, "a status as asked for")
            } else {
                text_response(StatusCode::NOT_FOUND, "no such path")
            }
        }
    })
}

async fn upload(mut body: Incoming) -> Response<Body> {
    let mut digest = Sha256::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => {
                length += data.len();
                digest.update(&data);
            }
            Ok(Err(_trailers)) => {}
            Err(_) => return text_response(StatusCode::BAD_REQUEST, "the body broke off"),
        }
    }
    json_response(&json!({"bytes": length, "sha256": hex::encode(digest.finalize())}))
}

fn calls(seen: &[Seen], path: &str) -> usize {
    seen.iter()
        .filter(|seen| seen.target.split('?').next() == Some(path))
        .count()
}

fn json_response(value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}

fn text_response(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("text/plain"),
    );
    response
}

fn whole(content: impl Into<Bytes>) -> Body {
    Full::new(content.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}
