//! A client that pauses within its body holds neither a claim nor an origin for long.

use octroi_testkit::{Connection, Request, Setup, TestGate};

use crate::{CREDITED, FIRST, ITEM, PRICE, RELEASED, SERVED};

/// The digest of no body that is sent here.
const DIGEST: &str = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";

const SITE: &str = r#"
[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"
"#;

async fn gate() -> TestGate {
    let setup = Setup::new().await;
    let limits = "[server.limits]\nbody_read_timeout_ms = 300\n";
    setup.sections(limits).sections(SITE).start().await
}

/// Sends the head and the first bytes of a body.
async fn begin(gate: &TestGate, request: &Request, bytes: usize) -> Connection {
    let mut connection = gate.client.connect().await;
    connection.send_head(request).await;
    connection.write(&vec![b'x'; bytes]).await;
    connection
}

fn large(path: &str) -> Request {
    Request::new("POST", path)
        .header("content-length", "200000")
        .header("content-digest", DIGEST)
}

#[tokio::test]
async fn a_small_body_that_stops_has_claimed_nothing() {
    for path in [ITEM, FIRST] {
        let gate = gate().await;
        let payment = gate.sign(&gate.net.buyer(), &Request::post(path, "")).await;
        let request = payment.on(Request::new("POST", path).header("content-length", "100"));
        let answer = begin(&gate, &request, 10).await.answer().await;
        assert_eq!(answer.outcome(), (408, "request_timeout".to_owned()));
        assert_eq!(answer.header("connection").as_deref(), Some("close"));
        assert!(gate.books().await.transactions.is_empty());
        // The payment is as good as before.
        let answer = gate.send(&payment.on(Request::post(path, "whole"))).await;
        assert_eq!(answer.status, 200);
        assert_eq!(gate.origin.calls(), 1);
        assert_eq!(gate.finish().await.states(), [SERVED]);
    }
}

#[tokio::test]
async fn a_large_body_that_stops_is_not_charged_for() {
    for (path, state, credit) in [(ITEM, RELEASED, 0), (FIRST, CREDITED, PRICE)] {
        let gate = gate().await;
        let payment = gate.sign(&gate.net.buyer(), &Request::post(path, "")).await;
        let mut connection = begin(&gate, &payment.on(large(path)), 150_000).await;
        gate.origin.called(1).await;
        let answer = connection.answer().await;
        assert_eq!(answer.outcome(), (408, "request_timeout".to_owned()));
        assert_eq!(answer.credit().is_some(), credit > 0);
        // The origin was let go, and never saw a whole request.
        assert!(gate.origin.seen().iter().all(|seen| !seen.complete));
        let books = gate.finish().await;
        assert_eq!(books.states(), [state]);
        assert_eq!(books.credit_units(), credit);
    }
}

#[tokio::test]
async fn a_body_that_stops_on_its_way_through_a_site_is_told_too() {
    let gate = gate().await;
    let request = Request::new("POST", "/up")
        .host("site.test")
        .header("content-length", "100");
    let answer = begin(&gate, &request, 10).await.answer().await;
    assert_eq!(answer.outcome(), (408, "request_timeout".to_owned()));
    gate.finish().await;
}
