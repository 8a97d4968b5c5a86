//! Bodies and trailers in both directions, framing of requests, WebSocket.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::TokioIo;
use octroi_egress::{HostHeader, Phase, RequestBody, hop_by_hop};
use pin_project_lite::pin_project;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::origin::{Origin, eventually, exchange, get, header, post, within};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An origin that tells back the head and raw body of what it received.
async fn mirror() -> Origin {
    Origin::start(|mut peer| async move {
        while let Some(request) = peer.request().await {
            let mut text = request.head.into_bytes();
            text.extend(request.body);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len());
            peer.write(head).await;
            peer.write(text).await;
        }
    })
    .await
}

async fn mirrored(request: Request<RequestBody>, host: HostHeader) -> String {
    let origin = mirror().await;
    let upstream = origin.upstream_with(|spec| spec.host_header = host);
    let body = exchange(&upstream, request).await.unwrap().into_body();
    String::from_utf8(body.to_vec())
        .unwrap()
        .replace(&origin.address.to_string(), "ORIGIN")
}

fn frames(frames: impl IntoIterator<Item = Frame<Bytes>, IntoIter: Send + 'static>) -> RequestBody {
    let frames = frames.into_iter().map(Ok::<_, Infallible>);
    RequestBody::stream(StreamBody::new(futures_util::stream::iter(frames)))
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

fn with_body(method: Method, body: RequestBody) -> Request<RequestBody> {
    Request::builder()
        .method(method)
        .uri("/x")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn requests_are_framed_by_their_body_alone() {
    let empty = RequestBody::empty;
    let sized = || RequestBody::from(Bytes::from_static(b"abc"));
    let unsized_body = || frames([data("ab"), data("c")]);
    for (method, body, expected) in [
        (Method::GET, empty(), None),
        (Method::DELETE, empty(), None),
        (Method::POST, empty(), Some("content-length: 0\r\n")),
        (Method::PUT, empty(), Some("content-length: 0\r\n")),
        (Method::POST, sized(), Some("content-length: 3\r\n")),
        (Method::GET, sized(), Some("content-length: 3\r\n")),
        (
            Method::POST,
            unsized_body(),
            Some("transfer-encoding: chunked\r\n"),
        ),
        (
            Method::GET,
            unsized_body(),
            Some("transfer-encoding: chunked\r\n"),
        ),
        (
            Method::DELETE,
            unsized_body(),
            Some("transfer-encoding: chunked\r\n"),
        ),
    ] {
        let shown = format!("{method} {body:?}");
        let is_empty = format!("{body:?}").contains("empty");
        let mut request = with_body(method, body);
        // What came in with the request must not matter.
        for (name, value) in [
            ("content-length", "999"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
        ] {
            request
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        let text = mirrored(request, HostHeader::Origin).await;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let head = format!("{head}\r\n");
        let framing: Vec<_> = ["content-length", "transfer-encoding"]
            .into_iter()
            .filter(|name| header(&head, name).is_some())
            .collect();
        assert_eq!(
            framing.len(),
            usize::from(expected.is_some()),
            "{shown}: {head}"
        );
        assert!(
            expected.is_none_or(|line| head.contains(line)),
            "{shown}: {head}"
        );
        assert_eq!(header(&head, "expect"), None);
        let sent = match header(&head, "transfer-encoding") {
            Some(_) => "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            None if is_empty => "",
            None => "abc",
        };
        assert_eq!(body, sent, "{shown}");
    }
}

#[tokio::test]
async fn the_target_is_in_origin_form_with_the_right_host() {
    let request = |uri: &str, host: Option<&'static str>| {
        let mut request = get(uri);
        if let Some(host) = host {
            request
                .headers_mut()
                .insert("host", HeaderValue::from_static(host));
        }
        request
    };
    for (uri, host, kind, line, expected) in [
        ("/a?b=c", None, HostHeader::Origin, "/a?b=c", "ORIGIN"),
        (
            "/a",
            Some("buyer.example"),
            HostHeader::Origin,
            "/a",
            "ORIGIN",
        ),
        (
            "/a",
            Some("buyer.example"),
            HostHeader::FromRequest,
            "/a",
            "buyer.example",
        ),
        ("/a", None, HostHeader::FromRequest, "/a", "ORIGIN"),
        (
            "https://b.example:8443/a?q",
            Some("c.example"),
            HostHeader::FromRequest,
            "/a?q",
            "b.example:8443",
        ),
        ("http://b.example", None, HostHeader::Origin, "/", "ORIGIN"),
        (
            "http://b.example?q",
            None,
            HostHeader::Origin,
            "/?q",
            "ORIGIN",
        ),
        ("*", None, HostHeader::Origin, "*", "ORIGIN"),
    ] {
        let text = mirrored(request(uri, host), kind).await;
        assert!(
            text.starts_with(&format!("GET {line} HTTP/1.1\r\n")),
            "{uri}: {text}"
        );
        assert_eq!(header(&text, "host"), Some(expected), "{uri}: {text}");
    }
}

#[tokio::test]
async fn te_trailers_is_nominated_and_connect_is_refused() {
    let mut request = get("/");
    request
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    let text = mirrored(request, HostHeader::Origin).await;
    assert_eq!(header(&text, "te"), Some("trailers"));
    assert_eq!(header(&text, "connection"), Some("te"));

    let origin = mirror().await;
    let mut request = get("example.com:443");
    *request.method_mut() = Method::CONNECT;
    let error = origin.upstream().send(request).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Request);
    assert!(!error.may_have_been_sent());
    assert_eq!(origin.accepted(), 0);
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let origin = Origin::start(|mut peer| async move {
        while let Some(request) = peer.request().await {
            assert_eq!(request.body, b"2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n");
            peer.write(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-count\r\n\r\n\
                 2\r\nok\r\n0\r\nx-count: 7\r\n\r\n",
            )
            .await;
        }
    })
    .await;
    let upstream = origin.upstream();
    for _ in 0..3 {
        let trailers =
            HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from_static("42"))]);
        let mut request = with_body(
            Method::POST,
            frames([data("hi"), Frame::trailers(trailers)]),
        );
        request
            .headers_mut()
            .insert("trailer", HeaderValue::from_static("x-sum"));
        let response = within("response", upstream.send(request)).await.unwrap();
        let body = within("body", response.into_body().collect())
            .await
            .unwrap();
        assert_eq!(body.trailers().unwrap()["x-count"], "7");
        assert_eq!(body.to_bytes(), "ok");
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn interim_responses_are_skipped() {
    let origin = Origin::answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let upstream = origin.upstream();
    for _ in 0..3 {
        let response = exchange(&upstream, post("/", "x")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!response.headers().contains_key("link"));
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn large_bodies_stream_both_ways_at_once() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 128;
    // Echoes while it still receives: neither side may wait for the other to finish.
    let origin = Origin::start(|mut peer| async move {
        peer.head().await.unwrap();
        let total = CHUNK * CHUNKS;
        peer.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {total}\r\n\r\n"
        ))
        .await;
        let mut echoed = 0;
        while echoed < total {
            let body = peer.raw().await;
            echoed += body.len();
            peer.write(body).await;
        }
        peer.until_closed().await;
    })
    .await;
    let upstream = origin.upstream();
    let chunks = (0..CHUNKS).map(|n| {
        let byte = u8::try_from(n).unwrap();
        Ok::<_, Infallible>(Frame::data(Bytes::from(vec![byte; CHUNK])))
    });
    let body = Sized {
        inner: StreamBody::new(futures_util::stream::iter(chunks)),
        length: CHUNK * CHUNKS,
    };
    let request = with_body(Method::POST, RequestBody::stream(body));
    let response = within("head", upstream.send(request)).await.unwrap();
    let echoed = within("body", response.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    assert_eq!(echoed.len(), CHUNK * CHUNKS);
    let expected = (0..CHUNKS).flat_map(|n| vec![u8::try_from(n).unwrap(); CHUNK]);
    assert!(echoed.iter().copied().eq(expected));
    assert_eq!(upstream.stats().connections_idle, 1);
}

pin_project! {
    /// A stream that knows its length, as a proxied body does.
    struct Sized<B> {
        #[pin]
        inner: B,
        length: usize,
    }
}

impl<B: http_body::Body> http_body::Body for Sized<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.project().inner.poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(u64::try_from(self.length).unwrap())
    }
}

#[tokio::test]
async fn a_response_streams_frame_by_frame() {
    let (go, going) = mpsc::channel::<()>(1);
    let going = std::sync::Arc::new(tokio::sync::Mutex::new(going));
    let origin = Origin::start(move |mut peer| {
        let going = going.clone();
        async move {
            peer.request().await;
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await;
            while going.lock().await.recv().await.is_some() {
                peer.write("5\r\nevent\r\n").await;
            }
            peer.write("0\r\n\r\n").await;
            peer.until_closed().await;
        }
    })
    .await;
    let upstream = origin.upstream();
    let mut body = within("head", upstream.send(get("/")))
        .await
        .unwrap()
        .into_body();
    for _ in 0..3 {
        go.send(()).await.unwrap();
        let frame = within("frame", body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "event");
    }
    assert_eq!(upstream.stats().connections_idle, 0);
    drop(go);
    assert!(within("end", body.frame()).await.is_none());
    assert_eq!(upstream.stats().connections_idle, 1);
}

/// The time for the head is the origin's, not the buyer's.
#[tokio::test]
async fn a_slow_upload_is_not_the_origins_delay() {
    let origin = Origin::answering(OK).await;
    let upstream = origin.upstream_with(|spec| {
        spec.head_timeout = Duration::from_millis(500);
    });
    let ticks = tokio::time::interval(Duration::from_millis(100));
    let chunks = futures_util::stream::unfold((ticks, 0), |(mut ticks, sent)| async move {
        ticks.tick().await;
        (sent < 10).then_some((Ok::<_, Infallible>(data("x")), (ticks, sent + 1)))
    });
    let body = RequestBody::stream(StreamBody::new(chunks));
    let response = within("answer", exchange(&upstream, with_body(Method::POST, body))).await;
    assert_eq!(response.unwrap().body(), "ok");
}

#[tokio::test]
async fn a_failing_request_body_is_the_callers_fault() {
    let origin = Origin::answering(OK).await;
    let upstream = origin.upstream();
    let broken = futures_util::stream::iter([Ok(data("ab")), Err("buyer left")]);
    let body = RequestBody::stream(StreamBody::new(broken));
    let error = exchange(&upstream, with_body(Method::POST, body))
        .await
        .unwrap_err();
    assert_eq!(error.phase(), Phase::RequestBody);
    assert_eq!(error.fault(), octroi_egress::Fault::Caller);
    assert!(error.may_have_been_sent());
    eventually("the connection is closed", || {
        origin.closed() == origin.accepted()
    })
    .await;
    assert_eq!(upstream.stats().connections_idle, 0);
}

#[tokio::test]
async fn a_body_shorter_than_announced_is_never_completed() {
    let origin = Origin::answering(OK).await;
    let upstream = origin.upstream();
    let body = Sized {
        inner: StreamBody::new(futures_util::stream::iter([Ok::<_, Infallible>(data(
            "ab",
        ))])),
        length: 10,
    };
    let request = with_body(Method::POST, RequestBody::stream(body));
    let error = exchange(&upstream, request).await.unwrap_err();
    assert!(error.may_have_been_sent());
    eventually("the connection is closed", || origin.closed() == 1).await;
}

fn websocket_request() -> Request<RequestBody> {
    let mut request = get("/socket");
    hop_by_hop::set_websocket_upgrade(request.headers_mut());
    request.headers_mut().insert(
        "sec-websocket-key",
        HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="),
    );
    request
}

#[tokio::test]
async fn a_websocket_passes_through_and_counts_as_a_connection() {
    let origin = Origin::start(|mut peer| async move {
        let request = peer.request().await.unwrap();
        assert_eq!(header(&request.head, "upgrade"), Some("websocket"));
        assert_eq!(header(&request.head, "connection"), Some("upgrade"));
        peer.write(
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello ",
        )
        .await;
        let said = peer.raw().await;
        peer.write(said).await;
        peer.until_closed().await;
    })
    .await;
    let upstream = origin.upstream_with(|spec| {
        spec.connections_max = Some(1);
        spec.connect_timeout = Duration::from_millis(50);
    });
    let response = within("101", upstream.send(websocket_request()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let upgraded = within("upgrade", hyper::upgrade::on(response))
        .await
        .unwrap();
    let mut socket = TokioIo::new(upgraded);
    socket.write_all(b"gate").await.unwrap();
    let mut said = [0; 10];
    within("echo", socket.read_exact(&mut said)).await.unwrap();
    assert_eq!(&said, b"hello gate");

    let error = upstream.send(get("/")).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Connect);
    drop(socket);
    eventually("the origin sees the close", || origin.closed() == 1).await;
}

#[tokio::test]
async fn a_refused_websocket_is_an_ordinary_response() {
    let origin = Origin::answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    let upstream = origin.upstream();
    for _ in 0..2 {
        let response = exchange(&upstream, websocket_request()).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn other_upgrades_do_not_leave() {
    let mut request = get("/");
    let headers = request.headers_mut();
    headers.insert(
        "connection",
        HeaderValue::from_static("upgrade, http2-settings"),
    );
    headers.insert("upgrade", HeaderValue::from_static("h2c"));
    let text = mirrored(request, HostHeader::Origin).await;
    assert_eq!(header(&text, "upgrade"), None);
    assert_eq!(header(&text, "connection"), None);
}
