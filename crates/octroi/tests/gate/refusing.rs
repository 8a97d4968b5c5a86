//! What is not a payment buys nothing, and says why.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_testkit::{Request, TestGate, VERSIONS};
use octroi_x402::Version;

use crate::{ITEM, TREE};

#[tokio::test]
async fn an_undecodable_payment_gets_fresh_terms_and_the_reason() {
    let gate = TestGate::start().await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let payloads = [
        "%%%".to_owned(),
        "e30".to_owned(),
        STANDARD.encode("null"),
        STANDARD.encode("{}"),
        STANDARD.encode("{\"x402Version\":2}"),
        STANDARD.encode("{\"x402Version\":1,\"scheme\":null}"),
        STANDARD.encode(deep),
        STANDARD.encode([0xff, 0xfe]),
        "\u{e9}".to_owned(),
        String::new(),
    ];
    for payload in payloads {
        for version in VERSIONS {
            let request = Request::get(ITEM).header(version.payment_header(), &payload);
            let answer = gate.send(&request).await;
            let terms = answer.required(Version::V2);
            let reason = terms.error().unwrap();
            assert!(
                ["invalid_payload", "invalid_x402_version"].contains(&reason),
                "{payload}: {reason}"
            );
            assert_eq!(answer.required(Version::V1).error(), Some(reason));
            // The terms are good: a client can pay them.
            drop(gate.net.buyer().sign(&terms));
        }
    }
    assert_eq!(gate.origin.calls(), 0);
    assert!(gate.finish().await.transactions.is_empty());
}

#[tokio::test]
async fn two_payments_in_one_request_are_refused_and_nothing_is_charged() {
    let gate = TestGate::start().await;
    let (one, other) = (gate.net.buyer(), gate.net.buyer());
    let request = Request::get(ITEM);
    for (first, second) in [
        (Version::V2, Version::V1),
        (Version::V2, Version::V2),
        (Version::V1, Version::V1),
    ] {
        let first = gate.sign_in(first, &one, &request).await;
        let second = gate.sign_in(second, &other, &request).await;
        let answer = gate.send(&second.on(first.on(request.clone()))).await;
        assert_eq!(answer.outcome(), (400, "ambiguous_payment".to_owned()));
    }
    assert_eq!(gate.origin.calls(), 0);
    assert!(gate.finish().await.transactions.is_empty());
}

#[tokio::test]
async fn a_method_that_is_not_sold_is_refused_before_any_terms_and_with_a_payment_too() {
    let gate = TestGate::start().await;
    let payment = gate.sign(&gate.net.buyer(), &Request::get(ITEM)).await;
    for method in ["DELETE", "PUT", "BREW", "TRACE"] {
        let request = Request::new(method, ITEM);
        for request in [request.clone(), payment.on(request)] {
            let answer = gate.send(&request).await;
            assert_eq!(
                answer.outcome(),
                (405, "method_not_allowed".to_owned()),
                "{method}"
            );
            assert_eq!(
                answer.header("allow").as_deref(),
                Some("GET, POST, HEAD, OPTIONS")
            );
            assert_eq!(answer.header("payment-required"), None);
        }
    }
    let answer = gate.send(&Request::post(TREE, "x")).await;
    assert_eq!(answer.status, 405);
    assert_eq!(
        answer.header("allow").as_deref(),
        Some("DELETE, GET, PUT, HEAD, OPTIONS")
    );
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn head_is_sold_like_get_and_has_no_body() {
    let gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer(), Request::new("HEAD", ITEM));
    let challenge = gate.send(&request).await;
    assert_eq!((challenge.status, challenge.body.len()), (402, 0));
    let payment = buyer.sign(&challenge.required(Version::V2));
    let answer = gate.send(&payment.on(request)).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert!(answer.receipt(Version::V2).unwrap().success);
    assert_eq!(gate.origin.last().method, "HEAD");
    // What was paid for the head does not buy the body.
    let body = gate.send(&payment.on(Request::get(ITEM))).await;
    assert_eq!(body.outcome(), (409, "payment_bound_elsewhere".to_owned()));
    assert_eq!(gate.finish().await.transactions.len(), 1);
}

#[tokio::test]
async fn payments_whose_window_is_over_or_too_far_away_are_refused() {
    let gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let terms = gate.send(&request).await.required(Version::V2);
    let now = octroi_types::UnixMicros::now().seconds().0;
    for at in [now - 400, now - 290, now + 90_000] {
        let payment = buyer.sign_at(&terms, octroi_types::UnixSeconds(at));
        let answer = gate.send(&payment.on(request.clone())).await;
        assert_eq!(
            answer.required(Version::V2).error(),
            Some("invalid_exact_evm_payload_authorization_valid_before")
        );
    }
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn a_payer_without_the_money_is_refused_before_the_origin_is_asked() {
    let gate = TestGate::start().await;
    let buyer = gate.net.buyer_with(9_999);
    let answer = gate.buy(&buyer, &Request::get(ITEM)).await;
    let error = answer.required(Version::V2).error().map(str::to_owned);
    assert_eq!(
        error.as_deref(),
        Some("invalid_exact_evm_insufficient_balance")
    );
    assert_eq!(gate.origin.calls(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn unknown_paywalls_are_not_found_and_unknown_hosts_too() {
    let gate = TestGate::start().await;
    for path in [
        "/api/x402/pay/shop/none",
        "/api/x402/pay/none/item",
        "/api/x402/pay/",
        "/x",
    ] {
        assert_eq!(gate.send(&Request::get(path)).await.status, 404, "{path}");
    }
    // Without `subpaths` nothing lives below a paywall.
    assert_eq!(
        gate.send(&Request::get(&format!("{ITEM}/more")))
            .await
            .status,
        404
    );
    let foreign = gate.send(&Request::get(ITEM).host("evil.test")).await;
    assert_eq!(foreign.outcome(), (404, "not_found".to_owned()));
    gate.finish().await;
}
