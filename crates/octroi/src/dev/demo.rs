//! A small real origin to put a price on, and the local node's JSON-RPC beside it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::{StreamExt as _, stream};
use octroi_types::UnixMicros;
use serde_json::json;

use super::Node;

const EVENTS: u32 = 10;
const EVENT_EVERY: Duration = Duration::from_millis(300);
const FILE_BYTES_MAX: u64 = 4 << 30;
static CHUNK: [u8; 64 * 1024] = [b'o'; 64 * 1024];

/// The demo origin, on a free port of this machine.
pub(crate) struct Demo {
    address: SocketAddr,
}

impl Demo {
    pub(crate) async fn start(node: Node) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let app = Router::new()
            .route("/today", get(today))
            .route("/stream", get(events))
            .route("/echo", post(echo))
            .route("/files/{bytes}", get(file))
            .route("/rpc", post(rpc))
            .with_state(node);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn today() -> impl IntoResponse {
    let body = json!({"line": "The toll is paid; the gate is open.", "time": UnixMicros::now()});
    ([(CONTENT_TYPE, "application/json")], body.to_string())
}

async fn events() -> impl IntoResponse {
    let events = stream::iter(1..=EVENTS).then(|number| async move {
        tokio::time::sleep(EVENT_EVERY).await;
        Ok::<_, Infallible>(format!(
            "id: {number}\ndata: event {number} of {EVENTS}\n\n"
        ))
    });
    (
        [(CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(events),
    )
}

async fn echo(body: Bytes) -> Bytes {
    body
}

async fn file(Path(bytes): Path<u64>) -> Response {
    if bytes > FILE_BYTES_MAX {
        return StatusCode::NOT_FOUND.into_response();
    }
    let chunks = stream::unfold(bytes, |left| async move {
        let size = usize::try_from(left)
            .unwrap_or(CHUNK.len())
            .min(CHUNK.len());
        let chunk = Bytes::from_static(&CHUNK).slice(..size);
        (size > 0).then(|| (Ok::<_, Infallible>(chunk), left.saturating_sub(size as u64)))
    });
    (
        [(CONTENT_TYPE, "application/octet-stream")],
        Body::from_stream(chunks),
    )
        .into_response()
}

/// The local node, for wallets and clients that speak JSON-RPC.
async fn rpc(State(node): State<Node>, body: Bytes) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, "application/json")],
        node.handle_body(&body),
    )
}
