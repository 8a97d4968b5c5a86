//! Who sees which credentials.

use octroi_testkit::{Request, Setup, TestGate};

use crate::ITEM;

const SECTIONS: &str = r#"
[[service]]
name = "bearer"
origin = "http://ORIGIN"
[service.auth]
bearer_file = "token"
[[service.paywall]]
slug = "item"
price = "0.01"

[[service]]
name = "header"
origin = "http://ORIGIN/v2"
[service.auth]
header = "X-Api-Key"
value_file = "token"
[[service.paywall]]
slug = "item"
price = "0.01"
path = "/deep"

[[service]]
name = "query"
origin = "http://ORIGIN"
[service.auth]
query = "api key"
value_file = "odd-token"
[[service.paywall]]
slug = "item"
price = "0.01"

[[site]]
name = "plain"
hosts = ["plain.test"]
public_url = "https://plain.test"
origin = "http://ORIGIN"
default = "pass"
[[site.route]]
pattern = "/paid"
price = "0.01"

[[site]]
name = "guarded"
hosts = ["guarded.test"]
public_url = "https://guarded.test"
origin = "http://ORIGIN"
default = "pass"
[site.auth]
bearer_file = "token"
"#;

async fn gate() -> TestGate {
    let setup = Setup::new().await.sections(SECTIONS);
    setup
        .file("token", "s3cret\n")
        .file("odd-token", "a&b=c d\n")
        .start()
        .await
}

fn with_credentials(target: &str) -> Request {
    Request::get(target)
        .header("authorization", "Bearer client")
        .header("x-api-key", "client")
        .header("x-octroi-key", "ok_live_client")
        .header("cookie", "a=b")
}

#[tokio::test]
async fn an_origin_gets_the_gates_credential_in_place_of_the_buyers() {
    let gate = gate().await;
    let buyer = gate.net.buyer();
    let bought = |service: &str| with_credentials(&format!("/api/x402/pay/{service}/item"));

    assert_eq!(gate.buy(&buyer, &bought("bearer")).await.status, 200);
    let seen = gate.origin.last();
    assert_eq!(
        seen.header("authorization").as_deref(),
        Some("Bearer s3cret")
    );

    assert_eq!(gate.buy(&buyer, &bought("header")).await.status, 200);
    let seen = gate.origin.last();
    assert_eq!(seen.header("x-api-key").as_deref(), Some("s3cret"));
    assert_eq!(
        (seen.header("authorization"), seen.target.as_str()),
        (None, "/v2/deep")
    );

    let request = with_credentials("/api/x402/pay/query/item?q=1");
    assert_eq!(gate.buy(&buyer, &request).await.status, 200);
    let seen = gate.origin.last();
    assert_eq!(seen.target, "/?q=1&api%20key=a%26b%3Dc%20d");
    assert_eq!(seen.header("authorization"), None);

    for seen in gate.origin.seen() {
        assert_eq!(seen.header("x-octroi-key"), None);
        assert_eq!(seen.header("cookie").as_deref(), Some("a=b"));
    }
    gate.finish().await;
}

#[tokio::test]
async fn a_buyers_authorization_reaches_a_site_and_no_service() {
    let gate = gate().await;
    let buyer = gate.net.buyer();
    for target in ["/free", "/paid"] {
        let request = with_credentials(target).host("plain.test");
        let answer = match target {
            "/free" => gate.send(&request).await,
            _ => gate.buy(&buyer, &request).await,
        };
        assert_eq!(answer.status, 200);
        let seen = gate.origin.last();
        assert_eq!(
            seen.header("authorization").as_deref(),
            Some("Bearer client"),
            "{target}"
        );
        assert_eq!(seen.header("x-octroi-key"), None);
    }
    assert_eq!(
        gate.send(&with_credentials("/x").host("guarded.test"))
            .await
            .status,
        200
    );
    assert_eq!(
        gate.origin.last().header("authorization").as_deref(),
        Some("Bearer s3cret")
    );

    assert_eq!(gate.buy(&buyer, &with_credentials(ITEM)).await.status, 200);
    assert_eq!(gate.origin.last().header("authorization"), None);
    gate.finish().await;
}

#[tokio::test]
async fn a_payment_credential_reaches_nobody() {
    let gate = gate().await;
    for scheme in ["Payment abc", "payment abc", "PAYMENT\tabc"] {
        let request = Request::get("/free")
            .host("plain.test")
            .header("authorization", scheme);
        assert_eq!(gate.send(&request).await.status, 200);
        assert_eq!(gate.origin.last().header("authorization"), None, "{scheme}");
    }
    gate.finish().await;
}

#[tokio::test]
async fn payment_headers_pass_neither_to_the_origin_nor_from_it() {
    let gate = gate().await;
    let names = [
        "payment-signature",
        "x-payment",
        "payment-response",
        "x-payment-response",
        "payment-required",
        "payment-settlement",
        "settlement-overrides",
        "x-refund-credit",
        "payment-future",
        "sign-in-with-x",
    ];
    let mut reply = octroi_testkit::Reply::ok("content");
    let mut request = Request::get("/free").host("plain.test");
    for name in names {
        reply = reply.header(name, "forged");
        request = request.header(name, "mine");
    }
    gate.origin.answer(reply);
    let free = gate.send(&request).await;
    assert_eq!(free.status, 200);
    let paid = gate.buy(&gate.net.buyer(), &Request::get(ITEM)).await;
    assert_eq!(paid.status, 200);
    for name in names {
        for seen in gate.origin.seen() {
            assert_eq!(seen.header(name), None, "{name}");
        }
        assert_eq!(free.header(name), None, "{name}");
        if name != "payment-response" {
            assert_eq!(paid.header(name), None, "{name}");
        }
    }
    assert!(paid.receipt(octroi_x402::Version::V2).unwrap().success);
    gate.finish().await;
}
