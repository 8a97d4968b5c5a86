//! Browser clients can ask, pay and read every payment header.

use octroi_testkit::{Answer, Reply, Request, Setup, TestGate};
use octroi_x402::Version;

use crate::ITEM;

const SITE: &str = r#"
[[site]]
hosts = ["site.test"]
public_url = "https://site.test"
origin = "http://ORIGIN"
default = "pass"

[[site.route]]
pattern = "/paid/*"
price = "0.01"
methods = ["GET"]

[[site.route]]
pattern = "/paid/*"
methods = ["POST"]
free = true
"#;

fn preflight(target: &str, method: &str) -> Request {
    Request::new("OPTIONS", target)
        .header("origin", "https://app.test")
        .header("access-control-request-method", method)
        .header(
            "access-control-request-headers",
            "payment-signature, x-anything",
        )
}

#[track_caller]
fn readable(answer: &Answer) {
    assert_eq!(
        answer.header("access-control-allow-origin").as_deref(),
        Some("*")
    );
    all_exposed(answer);
}

/// Scripts may read every header of the gate's.
#[track_caller]
fn all_exposed(answer: &Answer) {
    let exposed = answer.header("access-control-expose-headers").unwrap();
    let exposed: Vec<_> = exposed.split(',').map(str::trim).collect();
    for name in [
        "PAYMENT-REQUIRED",
        "PAYMENT-RESPONSE",
        "X-PAYMENT-RESPONSE",
        "WWW-Authenticate",
        "Payment-Receipt",
        "X-Refund-Credit",
        "X-Request-ID",
        "Retry-After",
    ] {
        assert!(exposed.contains(&name), "{name}: {exposed:?}");
    }
}

#[tokio::test]
async fn a_preflight_for_a_priced_route_is_answered_without_the_origin() {
    let gate = Setup::new().await.sections(SITE).start().await;
    let on_site = preflight("/paid/1", "GET").host("site.test");
    for request in [preflight(ITEM, "POST"), on_site] {
        let answer = gate.send(&request).await;
        assert_eq!(answer.status, 204);
        assert_eq!(
            answer.header("access-control-allow-origin").as_deref(),
            Some("*")
        );
        assert_eq!(
            answer.header("access-control-allow-headers").as_deref(),
            Some("payment-signature, x-anything")
        );
        let methods = answer.header("access-control-allow-methods").unwrap();
        assert!(
            methods.contains("GET") && methods.contains("OPTIONS"),
            "{methods}"
        );
    }
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn what_may_be_done_is_free_to_ask() {
    let gate = TestGate::start().await;
    let answer = gate.send(&Request::new("OPTIONS", ITEM)).await;
    assert_eq!((answer.status, answer.text()), (204, ""));
    let allowed = answer.header("allow").unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("OPTIONS"),
        "{allowed}"
    );
    all_exposed(&answer);
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn a_preflight_for_something_free_is_the_origins() {
    let gate = Setup::new().await.sections(SITE).start().await;
    gate.origin
        .answer(Reply::status(204, "").header("access-control-allow-origin", "https://a"));
    for request in [preflight("/free", "GET"), preflight("/paid/1", "POST")] {
        let answer = gate.send(&request.host("site.test")).await;
        assert_eq!(
            answer.header("access-control-allow-origin").as_deref(),
            Some("https://a")
        );
    }
    assert_eq!(gate.origin.calls(), 2);
    gate.finish().await;
}

#[tokio::test]
async fn every_answer_of_a_priced_route_can_be_read_by_a_browser() {
    let gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let challenge = gate.send(&request).await;
    readable(&challenge);
    let payment = buyer.sign(&challenge.required(Version::V2));
    let paid = gate.send(&payment.on(request.clone())).await;
    assert_eq!(paid.status, 200);
    readable(&paid);
    // Used up, and refused for its method.
    readable(&gate.send(&payment.on(request.clone())).await);
    readable(&gate.send(&Request::new("PUT", ITEM)).await);
    gate.origin.answer(Reply::status(500, "sorry"));
    let failed = gate.buy(&buyer, &request).await;
    assert_eq!(failed.status, 500);
    readable(&failed);
    gate.finish().await;
}

#[tokio::test]
async fn an_origins_own_policy_on_who_may_read_is_kept() {
    let gate = TestGate::start().await;
    for status in [200, 404] {
        let reply = Reply::status(status, "content")
            .header("access-control-allow-origin", "https://app.test")
            .header("access-control-expose-headers", "X-Mine, X-Other");
        gate.origin.answer(reply);
        let answer = gate.buy(&gate.net.buyer(), &Request::get(ITEM)).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("access-control-allow-origin").as_deref(),
            Some("https://app.test")
        );
        // What the origin lets scripts read is read beside what the gate says.
        all_exposed(&answer);
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("X-Mine, X-Other"), "{exposed}");
    }
    gate.finish().await;
}
