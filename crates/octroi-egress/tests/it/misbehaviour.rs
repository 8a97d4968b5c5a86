//! Origins that stall, lie about lengths, break off or say too much.

use std::time::Duration;

use http_body::Body;
use http_body_util::BodyExt;
use octroi_egress::{EgressError, Phase, UpstreamSpec};
use proptest::prelude::*;

use crate::origin::{Origin, eventually, exchange, get, post, within};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// First connection: one request, these bytes, then closed or held open. Later ones behave.
async fn first_answer(bytes: impl Into<Vec<u8>>, then_close: bool) -> Origin {
    let bytes = bytes.into();
    Origin::start(move |mut peer| {
        let bytes = bytes.clone();
        async move {
            if peer.index == 0 {
                peer.request().await;
                peer.write(bytes).await;
                if !then_close {
                    peer.until_closed().await;
                }
                return;
            }
            while peer.request().await.is_some() {
                peer.write(OK).await;
            }
        }
    })
    .await
}

fn impatient(spec: &mut UpstreamSpec) {
    spec.head_timeout = Duration::from_millis(400);
    spec.body_idle_timeout = Duration::from_millis(400);
}

/// The first exchange fails in this phase; the connection goes; the next exchange is sound.
async fn fails_in(phase: Phase, bytes: impl Into<Vec<u8>>, then_close: bool) -> EgressError {
    let origin = first_answer(bytes, then_close).await;
    let upstream = origin.upstream_with(impatient);
    let outcome = within("first exchange", exchange(&upstream, get("/"))).await;
    let error = outcome.expect_err("the exchange should fail");
    assert_eq!(error.phase(), phase, "{error:?}");
    assert!(error.may_have_been_sent());
    eventually("the connection is closed", || origin.closed() == 1).await;
    assert_eq!(upstream.stats().connections_idle, 0);
    let next = within("second exchange", exchange(&upstream, get("/"))).await;
    assert_eq!(next.unwrap().body(), "ok");
    assert_eq!(origin.accepted(), 2);
    error
}

#[tokio::test]
async fn silence_ends_in_a_head_timeout() {
    fails_in(Phase::HeadTimeout, "", false).await;
}

#[tokio::test]
async fn half_a_head_ends_in_a_head_timeout() {
    fails_in(Phase::HeadTimeout, "HTTP/1.1 200 OK\r\ncontent-le", false).await;
}

#[tokio::test]
async fn half_a_head_and_a_close_fail_at_once() {
    fails_in(Phase::Send, "HTTP/1.1 200 OK\r\ncontent-le", true).await;
}

#[tokio::test]
async fn a_close_without_a_word_fails_at_once() {
    fails_in(Phase::Send, "", true).await;
}

#[tokio::test]
async fn endless_interim_responses_end_in_a_head_timeout() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(50);
    fails_in(Phase::HeadTimeout, interim, false).await;
}

#[tokio::test]
async fn a_stalled_body_ends_in_a_body_timeout() {
    let stalled = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    fails_in(Phase::BodyTimeout, stalled, false).await;
    let stalled = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n";
    fails_in(Phase::BodyTimeout, stalled, false).await;
}

/// The connection goes with the error, not with the body.
#[tokio::test]
async fn a_failed_body_ends_and_holds_nothing() {
    let stalled = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let origin = first_answer(stalled, false).await;
    let upstream = origin.upstream_with(impatient);
    let mut body = upstream.send(get("/")).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    let error = within("stall", body.frame()).await.unwrap().unwrap_err();
    assert_eq!(error.phase(), Phase::BodyTimeout);
    eventually("the connection is closed", || origin.closed() == 1).await;
    assert!(body.is_end_stream());
    assert!(within("end", body.frame()).await.is_none());
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_an_end() {
    for cut in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf",
    ] {
        fails_in(Phase::Body, cut, true).await;
    }
}

#[tokio::test]
async fn broken_chunks_are_an_error() {
    for broken in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nhalf\r\n",
    ] {
        fails_in(Phase::Body, broken, false).await;
    }
}

#[tokio::test]
async fn unacceptable_heads_are_protocol_errors() {
    let many_headers: String = (0..300).map(|n| format!("x-{n}: y\r\n")).collect();
    let long_header = format!("x: {}\r\n", "y".repeat(100 * 1024));
    for head in [
        format!("HTTP/1.1 200 OK\r\n{many_headers}content-length: 2\r\n\r\nok"),
        format!("HTTP/1.1 200 OK\r\n{long_header}content-length: 2\r\n\r\nok"),
        // Obsolete line folding.
        "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok".into(),
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok".into(),
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok".into(),
        "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok".into(),
        "HTTP/1.1 20x OK\r\ncontent-length: 2\r\n\r\nok".into(),
        "SSH-2.0-OpenSSH_9.2\r\n".into(),
        "ok".repeat(40_000),
        // A switch of protocols that nobody asked for.
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n".into(),
    ] {
        fails_in(Phase::Protocol, head, false).await;
    }
}

/// The response is good, but nothing on that connection is trusted any more.
async fn served_once(bytes: &str) {
    let origin = first_answer(bytes, false).await;
    let upstream = origin.upstream_with(impatient);
    let first = within("first exchange", exchange(&upstream, get("/"))).await;
    assert_eq!(first.unwrap().body(), "ok", "{bytes}");
    eventually("the connection is closed", || origin.closed() == 1).await;
    let next = within("second exchange", exchange(&upstream, get("/"))).await;
    assert_eq!(next.unwrap().body(), "ok", "{bytes}");
    assert_eq!(origin.accepted(), 2, "{bytes}");
}

#[tokio::test]
async fn bytes_after_a_response_end_its_connection() {
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
    served_once(&format!("{OK}{smuggled}")).await;
    served_once(&format!("{OK}\r\n{smuggled}")).await;
    served_once(&format!("{OK}x")).await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    served_once(&format!("{chunked}{smuggled}")).await;
}

#[tokio::test]
async fn a_body_where_none_may_be_ends_the_connection() {
    for head in ["204 No Content", "304 Not Modified"] {
        let origin = first_answer(
            format!("HTTP/1.1 {head}\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad"),
            false,
        )
        .await;
        let upstream = origin.upstream();
        assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "");
        eventually("the connection is closed", || origin.closed() == 1).await;
        assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
    }
}

#[tokio::test]
async fn a_head_response_has_no_body_whatever_its_length_says() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
    let upstream = origin.upstream();
    for _ in 0..3 {
        let mut request = get("/");
        *request.method_mut() = http::Method::HEAD;
        let response = exchange(&upstream, request).await.unwrap();
        assert_eq!(response.headers()["content-length"], "1000");
        assert_eq!(response.body(), "");
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn contradictory_framing_ends_the_connection() {
    served_once(
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\ntransfer-encoding: chunked\r\n\r\n\
         2\r\nok\r\n0\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn http_1_0_is_understood_and_not_reused() {
    served_once("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok").await;
    let origin = first_answer("HTTP/1.0 200 OK\r\n\r\nok", true).await;
    let upstream = origin.upstream();
    assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
    assert_eq!(upstream.stats().connections_idle, 0);
}

#[tokio::test]
async fn connection_close_is_obeyed() {
    served_once("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
}

/// RFC 9112 §2.2 lets a recipient take a bare line feed for a line end. The parser does, and the next
/// response is still the next request's.
#[tokio::test]
async fn bare_line_feeds_in_a_head_do_not_shift_responses() {
    let origin = Origin::answering("HTTP/1.1 200 OK\ncontent-length: 2\n\nok").await;
    let upstream = origin.upstream();
    for _ in 0..3 {
        assert_eq!(exchange(&upstream, get("/")).await.unwrap().body(), "ok");
    }
    assert_eq!(origin.accepted(), 1);
}

#[tokio::test]
async fn an_early_answer_ends_the_upload_and_the_connection() {
    let origin = Origin::start(|mut peer| async move {
        if peer.index == 0 {
            // The head alone; the body is never read.
            peer.head().await;
            peer.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno")
                .await;
            peer.until_closed().await;
            return;
        }
        while peer.request().await.is_some() {
            peer.write(OK).await;
        }
    })
    .await;
    let upstream = origin.upstream();
    let endless = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>,
    >());
    let mut request = get("/");
    *request.method_mut() = http::Method::POST;
    *request.body_mut() = octroi_egress::RequestBody::stream(endless);
    let response = within("early answer", exchange(&upstream, request))
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(response.body(), "no");
    assert_eq!(upstream.stats().connections_idle, 0);
    eventually("the connection is closed", || origin.closed() == 1).await;
    assert_eq!(
        exchange(&upstream, post("/", "x")).await.unwrap().body(),
        "ok"
    );
}

#[test]
fn errors_show_no_payload_and_no_url() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let bytes = "HTTP/1.1 200 OK\r\nset-cookie: secret-value\0\r\n\r\n";
        let error = fails_in(Phase::Protocol, bytes, false).await;
        let mut shown = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            shown.push_str(&format!(" {cause} {cause:?}"));
            source = cause.source();
        }
        assert!(!shown.contains("secret-value"), "{shown}");
        assert!(!shown.contains("127.0.0.1"), "{shown}");
        assert_eq!(
            error.to_string(),
            "response of the origin breaks http rules"
        );
    });
}

/// Pieces that put together make good, bad and doubtful responses.
fn response_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
        Just("HTTP/1.0 200\r\n"),
        Just("content-length: 2\r\n"),
        Just("content-length: 5\r\n"),
        Just("transfer-encoding: chunked\r\n"),
        Just("transfer-encoding: gzip\r\n"),
        Just("connection: close\r\n"),
        Just("connection: keep-alive\r\n"),
        Just("trailer: x\r\n"),
        Just("\r\n"),
        Just("\n"),
        Just("ok"),
        Just("2\r\nok\r\n"),
        Just("0\r\n\r\n"),
        Just("0\r\nx: y\r\n\r\n"),
        Just("\0"),
        Just(" folded\r\n"),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the first connection says, the exchange ends, and the next exchange never sees any
    /// of it.
    #[test]
    fn nothing_an_origin_sends_reaches_the_next_request(bytes in response_bytes(), close: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let origin = Origin::start(move |mut peer| {
                let bytes = bytes.clone();
                async move {
                    let mut answered = false;
                    while let Some(request) = peer.request().await {
                        if peer.index == 0 && !answered {
                            answered = true;
                            peer.write(&bytes).await;
                            if close {
                                return;
                            }
                            continue;
                        }
                        let path = request.head.split(' ').nth(1).unwrap().to_owned();
                        let length = path.len();
                        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
                        peer.write(format!("{head}{path}")).await;
                    }
                }
            })
            .await;
            let upstream = origin.upstream();
            // A stall is ended by leaving.
            let first = exchange(&upstream, get("/first"));
            let _ = tokio::time::timeout(Duration::from_millis(20), first).await;
            let second = within("second exchange", exchange(&upstream, get("/second"))).await;
            assert_eq!(second.unwrap().body(), "/second");
        });
    }
}
