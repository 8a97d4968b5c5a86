//! Requests that two parsers could cut differently.
//!
//! Each case ends in bytes that a naive parser would take for a request for `/smuggled`. Whatever
//! the server thinks of the rest, that request must never reach the handler: the request is refused
//! or the connection is closed behind it.

use crate::gate::Gate;

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n";

/// What the server does with a case.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Verdict {
    /// Answers this status with a code and a reason, and closes.
    Refused(u16),
    /// The head is fine; the body turns out to be malformed, so the handler sees it break.
    BodyBroken,
}
use Verdict::{BodyBroken, Refused};

/// Name, what comes before the smuggled request, verdict.
const CASES: &[(&str, &str, Verdict)] = &[
    (
        "CL.TE: the length would hide a request behind the last chunk",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 52\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "TE.CL: the chunks would hide a request behind the length",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "TE.TE: a second coding that one side may not understand",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "TE.TE the other way round",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding that would be lost",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "chunked that is not last",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding that only looks like chunked",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "a vertical tab before chunked",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding with HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "a coding with HTTP/1.0 that asks to stay",
        "POST / HTTP/1.0\r\nHost: gate.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\nContent-Length: 47\r\n\r\n",
        Refused(400),
    ),
    (
        "two lengths in one field",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0, 47\r\n\r\n",
        Refused(400),
    ),
    (
        "a length with a sign",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: +0\r\n\r\n",
        Refused(400),
    ),
    (
        "a negative length",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: -1\r\n\r\n",
        Refused(400),
    ),
    (
        "a length in hexadecimal",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0x0\r\n\r\n",
        Refused(400),
    ),
    (
        "a length that overflows",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 18446744073709551616\r\n\r\n",
        Refused(400),
    ),
    (
        "an empty length",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length:\r\n\r\n",
        Refused(400),
    ),
    (
        "a folded line",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nX: a\r\n Content-Length: 47\r\n\r\n",
        Refused(400),
    ),
    (
        "a folded coding",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "a line that ends in a bare LF",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nX: a\nContent-Length: 47\r\n\r\n",
        Refused(400),
    ),
    (
        "a head of bare LFs",
        "POST / HTTP/1.1\nHost: gate.test\nContent-Length: 47\n\n",
        Refused(400),
    ),
    (
        "a space before the colon",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length : 47\r\n\r\n",
        Refused(400),
    ),
    (
        "a space before the coding's colon",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        Refused(400),
    ),
    (
        "a space before the first field",
        "POST / HTTP/1.1\r\n Content-Length: 47\r\nHost: gate.test\r\n\r\n",
        Refused(400),
    ),
    (
        "a field without a colon",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length\r\n\r\n",
        Refused(400),
    ),
    (
        "a NUL in a value",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nX: a\0b\r\n\r\n",
        Refused(400),
    ),
    (
        "a bare CR in a value",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nX: a\rContent-Length: 47\r\n\r\n",
        Refused(400),
    ),
    (
        "a bare CR that ends the head",
        "POST / HTTP/1.1\r\nHost: gate.test\r\rX: y\r\n\r\n",
        Refused(400),
    ),
    (
        "a second request line within the head",
        "GET / HTTP/1.1\r\nHost: gate.test\nGET /smuggled HTTP/1.1\r\n\r\n",
        Refused(400),
    ),
    (
        "a request line with two targets",
        "GET / /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        Refused(400),
    ),
    ("HTTP/0.9", "GET /\r\n\r\n", Refused(400)),
    (
        "an HTTP version that does not exist",
        "GET / HTTP/1.2\r\nHost: gate.test\r\n\r\n",
        Refused(400),
    ),
    (
        "a chunk size that overflows",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\nf0000000000000003\r\nabc\r\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a chunk size with a sign",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a chunk size with a prefix",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a chunk size that ends in a bare LF",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a chunk that ends in a bare LF",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a chunk longer than its size",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a bare LF in a chunk extension",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a bare CR in a chunk extension",
        "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n3;a\rb\r\nabc\r\n0\r\n\r\n",
        BodyBroken,
    ),
    (
        "a target in absolute form for another host",
        "GET http://other.test/ HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        Refused(400),
    ),
    (
        "two hosts",
        "GET / HTTP/1.1\r\nHost: gate.test\r\nHost: other.test\r\n\r\n",
        Refused(400),
    ),
    ("no host", "GET / HTTP/1.1\r\n\r\n", Refused(400)),
    (
        "a host with a path",
        "GET / HTTP/1.1\r\nHost: gate.test/smuggled\r\n\r\n",
        Refused(400),
    ),
    (
        "a host with user information",
        "GET / HTTP/1.1\r\nHost: gate.test@other.test\r\n\r\n",
        Refused(400),
    ),
    (
        "a tunnel",
        "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n",
        Refused(405),
    ),
    (
        "a target that is no path",
        "OPTIONS * HTTP/1.1\r\nHost: gate.test\r\n\r\n",
        Refused(400),
    ),
];

#[tokio::test]
async fn no_request_hides_in_another() {
    for (name, bytes, verdict) in CASES {
        let gate = Gate::plain();
        let mut client = gate.connect().await;
        client.send(format!("{bytes}{SMUGGLED}")).await;
        let came = String::from_utf8_lossy(&client.rest().await).into_owned();
        drop(client);
        let lines = gate.lines();
        let smuggled = lines.iter().any(|line| line.contains("/smuggled"));
        assert!(!smuggled, "{name}: {lines:?}");
        match verdict {
            Refused(status) => {
                assert!(lines.is_empty(), "{name}: {lines:?}");
                let expected = format!("HTTP/1.1 {status} ");
                assert!(came.starts_with(&expected), "{name}: {came:?}");
                assert_eq!(came.matches("HTTP/1.").count(), 1, "{name}: {came:?}");
                let (head, body) = came.split_once("\r\n\r\n").unwrap();
                assert!(head.contains("\r\nx-request-id: req_"), "{name}: {head}");
                assert!(head.contains("\r\nconnection: close"), "{name}: {head}");
                let body: serde_json::Value = serde_json::from_str(body).unwrap();
                assert!(body["error"]["code"].is_string(), "{name}: {body}");
                assert!(body["error"]["message"].is_string(), "{name}: {body}");
            }
            BodyBroken => assert_eq!(lines, ["broken /"], "{name}: {came:?}"),
        }
        gate.stop().await;
    }
}

/// The bytes behind the head are the body, however much they look like a request.
#[tokio::test]
async fn a_body_stays_a_body_and_the_next_request_starts_behind_it() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let length = SMUGGLED.len();
    let head = "POST /first HTTP/1.1\r\nHost: gate.test\r\n";
    let sized = format!("{head}Content-Length: {length}\r\n\r\n{SMUGGLED}");
    let chunked =
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{SMUGGLED}\r\n0\r\n\r\n");
    client
        .send(format!("{sized}{chunked}{}", crate::gate::get("/last")))
        .await;
    for _ in 0..3 {
        assert_eq!(client.answer().await.unwrap().status, 200);
    }
    assert_eq!(gate.lines(), ["POST /first", "POST /first", "GET /last"]);
    let seen = gate.handler.seen.lock().clone();
    assert_eq!(seen[0].body, SMUGGLED);
    assert_eq!(seen[1].body, SMUGGLED);
    gate.stop().await;
}

#[tokio::test]
async fn chunk_extensions_are_bounded() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let extension = "x".repeat(64 * 1_024);
    let head = "POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    client
        .send(format!("{head}1;{extension}\r\na\r\n0\r\n\r\n{SMUGGLED}"))
        .await;
    client.rest().await;
    drop(client);
    assert_eq!(gate.lines(), ["broken /"]);
    gate.stop().await;
}

/// A request that is refused while its body is still on the way takes the connection with it.
#[tokio::test]
async fn what_follows_an_unread_body_is_not_a_request() {
    let gate = Gate::plain();
    let mut client = gate.connect().await;
    let head = "POST /unread HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 200000\r\n\r\n";
    client.send(format!("{head}{SMUGGLED}")).await;
    assert_eq!(client.answer().await.unwrap().status, 402);
    client.send(SMUGGLED.repeat(2_000)).await;
    client.rest().await;
    drop(client);
    assert_eq!(gate.lines(), ["POST /unread"]);
    gate.stop().await;
}
