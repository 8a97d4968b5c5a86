//! HTTP/2 on the same port, with its own ways to go wrong.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::gate::{Gate, PATIENCE, Raw, options};

type Client = SendRequest<Full<Bytes>>;

async fn connect(gate: &Gate) -> (Client, JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(gate.addresses[0]).await.unwrap();
    let io = TokioIo::new(stream);
    let (client, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    (client, tokio::spawn(connection))
}

fn request(path: &str) -> Request<Full<Bytes>> {
    let target = format!("http://gate.test{path}");
    Request::get(target).body(Full::default()).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn prior_knowledge_is_enough() {
    let gate = Gate::plain();
    let (mut client, _connection) = connect(&gate).await;
    let response = client.send_request(request("/a?b")).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(text(response).await, "GET /a 0");
    let seen = gate.last();
    assert_eq!(seen.headers["host"], "gate.test");
    assert_eq!(seen.request_id.to_string(), id);
    gate.stop().await;
}

/// The first bytes could still become either protocol.
#[tokio::test]
async fn a_preface_may_come_in_pieces() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    for piece in PREFACE.chunks(5) {
        client.send(piece).await;
        // The server gets its turn to see the piece alone.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }
    let head = block(&[&GET_ROOT[..], &[(":authority", "a.test")]].concat());
    let headers = frame(HEADERS, END_OF_STREAM_AND_HEADERS, 1, &head);
    client
        .send([frame(SETTINGS, 0, 0, &[]), headers].concat())
        .await;
    let served = async {
        while gate.lines().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, served).await.unwrap();
    drop(client);
    gate.stop().await;
}

#[tokio::test]
async fn streams_at_hand_are_finished_in_a_drain() {
    let mut gate = Gate::plain();
    let (mut client, connection) = connect(&gate).await;
    let held = tokio::spawn(client.send_request(request("/hold")));
    gate.held().await;
    gate.begin_shutdown();
    let address = gate.addresses[0];
    while TcpStream::connect(address).await.is_ok() {}
    gate.handler.release.add_permits(1);
    let response = timeout(PATIENCE, held).await.unwrap().unwrap().unwrap();
    assert_eq!(text(response).await, "GET /hold 0");
    timeout(PATIENCE, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(gate.finished().await.requests_aborted, 0);
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let mut impatient = options();
    impatient.timeouts.idle = Duration::from_millis(50);
    let gate = Gate::start(impatient);
    let (mut client, connection) = connect(&gate).await;
    let response = client.send_request(request("/")).await.unwrap();
    assert_eq!(text(response).await, "GET / 0");
    // Closed in order, not cut off.
    timeout(PATIENCE, connection)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    gate.stop().await;
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_OF_STREAM_AND_HEADERS: u8 = 5;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields as HPACK literals without indexing, which need no table.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            assert!(text.len() < 127);
            block.extend(text.as_bytes());
        }
    }
    block
}

const GET_ROOT: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "http"), (":path", "/")];

/// Sends one request made of these fields; what the handler saw, and all that came back.
async fn ask(fields: &[(&str, &str)]) -> (Vec<String>, Vec<u8>) {
    let mut impatient = options();
    impatient.timeouts.idle = Duration::from_millis(200);
    // This client does not react to being told to go.
    impatient.timeouts.linger = Duration::from_millis(50);
    let gate = Gate::start(impatient);
    let mut client = gate.connect().await;
    client.send(PREFACE).await;
    client.send(frame(SETTINGS, 0, 0, &[])).await;
    client
        .send(frame(HEADERS, END_OF_STREAM_AND_HEADERS, 1, &block(fields)))
        .await;
    let came = client.rest().await;
    let lines = gate.lines();
    gate.stop().await;
    (lines, came)
}

fn holds(came: &[u8], text: &str) -> bool {
    came.windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn authority_and_host_must_agree() {
    let agreeing = [
        &GET_ROOT[..],
        &[(":authority", "a.test"), ("host", "A.test")],
    ]
    .concat();
    let (lines, _) = ask(&agreeing).await;
    assert_eq!(lines, ["GET /"]);

    let bad: [&[(&str, &str)]; 4] = [
        &[(":authority", "a.test"), ("host", "b.test")],
        &[("host", "a.test"), ("host", "a.test")],
        &[(":authority", "u@a.test")],
        &[],
    ];
    for fields in bad {
        let (lines, came) = ask(&[&GET_ROOT[..], fields].concat()).await;
        assert!(lines.is_empty(), "{fields:?}: {lines:?}");
        let answered = holds(&came, "malformed_host");
        let reset = came.windows(4).any(|window| window[3] == RST_STREAM);
        assert!(answered || reset, "{fields:?}");
    }
}

/// Fields that mean something to HTTP/1 only would be framing for an origin behind us.
#[tokio::test]
async fn framing_of_http_1_is_refused() {
    let bad: [&[(&str, &str)]; 4] = [
        &[("transfer-encoding", "chunked")],
        &[("connection", "close")],
        &[("content-length", "5")],
        &[("te", "gzip")],
    ];
    for fields in bad {
        let all = [&GET_ROOT[..], &[(":authority", "a.test")], fields].concat();
        let (lines, _) = ask(&all).await;
        assert!(lines.is_empty(), "{fields:?}: {lines:?}");
    }
    for path in ["*", ""] {
        let all = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "a.test"),
            (":path", path),
        ];
        let (lines, _) = ask(&all).await;
        assert!(lines.is_empty(), "{path:?}: {lines:?}");
    }
}

/// Streams that are opened and reset at once cost the client its connection, not us our handlers.
#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let head = block(&[&GET_ROOT[..], &[(":authority", "a.test")]].concat());
    let cancel = 8_u32.to_be_bytes();
    for stream in (1..20_000).step_by(2) {
        bytes.extend(frame(HEADERS, END_OF_STREAM_AND_HEADERS, stream, &head));
        bytes.extend(frame(RST_STREAM, 0, stream, &cancel));
    }
    client.send(bytes).await;
    assert_eq!(
        goaway_code(&mut client).await,
        Some(11),
        "ENHANCE_YOUR_CALM"
    );
    assert!(gate.lines().len() < 1_000, "{}", gate.lines().len());
    gate.stop().await;
}

/// The error code of the first GOAWAY, if one comes before the end.
async fn goaway_code(client: &mut Raw) -> Option<u32> {
    loop {
        let mut head = [0; 9];
        let read = timeout(PATIENCE, client.0.read_exact(&mut head))
            .await
            .unwrap();
        read.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        client.0.read_exact(&mut payload).await.ok()?;
        if head[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
}

#[tokio::test]
async fn large_heads_are_refused() {
    let gate = Gate::plain();
    let (mut client, _connection) = connect(&gate).await;
    let mut large = request("/");
    let value = "x".repeat(60 * 1_024).parse().unwrap();
    large.headers_mut().insert("x", value);
    let refused = match client.send_request(large).await {
        Ok(response) => response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Err(_) => true,
    };
    assert!(refused);
    assert!(gate.lines().is_empty());
    gate.stop().await;
}
