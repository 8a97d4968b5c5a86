//! An origin that fails costs the buyer nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_testkit::{Hold, Origin, Reply, Request, Setup, TestGate};
use octroi_x402::Version;
use sha2::{Digest, Sha256};

use crate::{COVERED, CREDITED, FIRST, ITEM, PRICE, RELEASED, SERVED};

const KIND: &str = "/api/x402/pay/shop/kind";
const AGAIN: &str = "/api/x402/pay/shop/again";

/// A service whose origin is not there, or slow.
fn service(name: &str, origin: impl std::fmt::Display) -> String {
    format!(
        r#"
[[service]]
name = "{name}"
origin = "http://{origin}"
timeout_ms = 300
[[service.paywall]]
slug = "item"
price = "0.01"
[[service.paywall]]
slug = "first"
price = "0.01"
settle = "before_origin"
"#
    )
}

#[tokio::test]
async fn an_origin_that_is_down_charges_nothing_and_the_same_payment_may_come_again() {
    let nowhere = Origin::nowhere().await;
    let gate = Setup::new()
        .await
        .sections(&service("down", nowhere))
        .start()
        .await;
    let request = Request::get("/api/x402/pay/down/item");
    let payment = gate.sign(&gate.net.buyer(), &request).await;
    let paid = payment.on(request);
    for _ in 0..2 {
        let answer = gate.send(&paid).await;
        assert_eq!(answer.outcome(), (502, "origin_unreachable".to_owned()));
        assert_eq!((answer.receipt(Version::V2), answer.credit()), (None, None));
    }
    assert_eq!(gate.paid_units(), 0);
    let origin = Origin::start_at(nowhere).await;
    assert_eq!(gate.send(&paid).await.status, 200);
    assert_eq!(origin.calls(), 1);
    assert_eq!(gate.finish().await.states(), [RELEASED, RELEASED, SERVED]);
}

#[tokio::test]
async fn an_origin_that_is_down_after_settlement_leaves_a_credit_that_is_named() {
    let nowhere = Origin::nowhere().await;
    let gate = Setup::new()
        .await
        .sections(&service("down", nowhere))
        .start()
        .await;
    let (buyer, request) = (gate.net.buyer(), Request::get("/api/x402/pay/down/first"));
    let answer = gate.buy(&buyer, &request).await;
    assert_eq!(answer.outcome(), (502, "origin_unreachable".to_owned()));
    let credit = answer.credit().expect("a credit");
    assert!(credit.starts_with("cr_"), "{credit}");
    assert_eq!(gate.paid_units(), PRICE);
    let books = gate.finish().await;
    assert_eq!(books.states(), [CREDITED]);
    assert_eq!(
        books.only().refund_credit.map(|id| id.to_string()),
        Some(credit)
    );
    assert_eq!((books.credit_units(), books.revenue_units()), (PRICE, 0));
}

#[tokio::test]
async fn an_origin_that_takes_too_long_charges_nothing_and_the_same_payment_may_come_again() {
    let gate = Setup::new()
        .await
        .sections(&service("slow", "ORIGIN"))
        .start()
        .await;
    let hold = Hold::new();
    gate.origin.answer(Reply::ok("late").held(&hold));
    let request = Request::get("/api/x402/pay/slow/item");
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    let answer = gate.send(&paid).await;
    assert_eq!(answer.outcome(), (504, "origin_timeout".to_owned()));
    assert_eq!(gate.paid_units(), 0);
    hold.release();
    gate.origin.answer(Reply::ok("content"));
    assert_eq!(gate.send(&paid).await.text(), "content");
    assert_eq!(gate.finish().await.states(), [RELEASED, SERVED]);
}

#[tokio::test]
async fn an_answer_that_is_an_error_is_passed_on_and_not_charged() {
    let gate = TestGate::start().await;
    let request = Request::get(ITEM);
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    for status in [400, 401, 402, 404, 410, 429, 500, 503] {
        let reply = Reply::status(status, "the origin's own words").header("retry-after", "9");
        gate.origin.answer(reply);
        let answer = gate.send(&paid).await;
        assert_eq!(
            (answer.status, answer.text()),
            (status, "the origin's own words")
        );
        assert_eq!(answer.header("retry-after").as_deref(), Some("9"));
        assert_eq!((answer.receipt(Version::V2), answer.credit()), (None, None));
        assert_eq!(gate.paid_units(), 0);
    }
    gate.origin.answer(Reply::status(399, "content"));
    assert_eq!(gate.send(&paid).await.status, 399);
    let books = gate.finish().await;
    assert_eq!(books.states()[..8], [RELEASED; 8]);
    assert_eq!(books.states()[8..], [SERVED]);
    assert_eq!(books.settled_units(), PRICE);
}

#[tokio::test]
async fn an_error_after_settlement_leaves_a_credit_that_pays_for_the_next_request() {
    let gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(FIRST));
    gate.origin
        .answer(Reply::status(500, "sorry").header("x-refund-credit", "cr_forged"));
    let failed = gate.buy(&buyer, &request).await;
    assert_eq!((failed.status, failed.text()), (500, "sorry"));
    let credit = failed.credit().expect("a credit");
    assert_ne!(credit, "cr_forged");
    assert_eq!(gate.paid_units(), PRICE);

    gate.origin.answer(Reply::ok("content"));
    // Another resource of the same seller will do.
    let payment = gate.sign(&buyer, &Request::get(ITEM)).await;
    let covered = gate.send(&payment.on(Request::get(ITEM))).await;
    assert_eq!((covered.status, covered.text()), (200, "content"));
    let receipt = covered.receipt(Version::V2).unwrap();
    assert_eq!((receipt.success, receipt.transaction.as_str()), (true, ""));
    assert!(!gate.net.is_used(buyer.address, payment.authorization.nonce));
    assert_eq!(gate.paid_units(), PRICE);

    // It is used up.
    assert_eq!(gate.buy(&buyer, &request).await.status, 200);
    assert_eq!(gate.paid_units(), 2 * PRICE);
    let books = gate.finish().await;
    assert_eq!(books.states(), [CREDITED, COVERED, SERVED]);
    assert_eq!(
        (books.credit_units(), books.revenue_units()),
        (0, 2 * PRICE)
    );
}

#[tokio::test]
async fn a_covered_payment_that_is_not_served_gives_the_credit_back() {
    let gate = TestGate::start().await;
    let buyer = gate.net.buyer();
    gate.origin.answer(Reply::status(500, "sorry"));
    assert!(
        gate.buy(&buyer, &Request::get(FIRST))
            .await
            .credit()
            .is_some()
    );
    // Covered, and again not served: nothing more is credited, and nothing is lost.
    for path in [ITEM, FIRST] {
        let again = gate.buy(&buyer, &Request::get(path)).await;
        assert_eq!((again.status, again.credit()), (500, None));
    }
    gate.origin.answer(Reply::ok("content"));
    assert_eq!(gate.buy(&buyer, &Request::get(ITEM)).await.status, 200);
    assert_eq!(gate.paid_units(), PRICE);
    assert_eq!(
        gate.finish().await.states(),
        [CREDITED, RELEASED, RELEASED, COVERED]
    );
}

#[tokio::test]
async fn nobody_elses_credit_pays() {
    let gate = TestGate::start().await;
    let (one, other) = (gate.net.buyer(), gate.net.buyer());
    gate.origin.answer(Reply::status(500, "sorry"));
    let credit = gate.buy(&one, &Request::get(FIRST)).await.credit().unwrap();
    gate.origin.answer(Reply::ok("content"));
    // The name of a credit is not a bearer secret.
    let request = Request::get(ITEM).header("x-refund-credit", &credit);
    assert_eq!(gate.send(&request).await.status, 402);
    assert_eq!(gate.buy(&other, &request).await.status, 200);
    assert_eq!(gate.paid_units(), 2 * PRICE);
    assert_eq!(gate.finish().await.credit_units(), PRICE);
}

#[tokio::test]
async fn a_break_before_the_first_byte_leaves_a_credit() {
    let gate = TestGate::start().await;
    let buyer = gate.net.buyer();
    for path in [ITEM, KIND] {
        gate.origin.answer(Reply::stream(200).broken());
        let request = Request::get(path);
        let paid = gate.sign(&buyer, &request).await.on(request);
        let mut connection = gate.client.connect().await;
        connection.send(&paid).await;
        // The head may have gone out before the break was known, or not.
        let broken = connection.try_answer().await;
        assert!(broken.is_none_or(|broken| !broken.complete && broken.body.is_empty()));
        let owed = gate
            .books_say("a credit is there", |books| books.credit_units() == PRICE)
            .await;
        assert_eq!(owed.revenue_units() % PRICE, 0);
        gate.origin.answer(Reply::ok("content"));
        let covered = gate.buy(&buyer, &Request::get(path)).await;
        assert_eq!((covered.status, covered.text()), (200, "content"));
        assert_eq!(covered.receipt(Version::V2).unwrap().transaction, "");
    }
    assert_eq!(
        gate.finish().await.states(),
        [CREDITED, COVERED, CREDITED, COVERED]
    );
}

#[tokio::test]
async fn a_break_in_the_middle_is_charged_by_the_routes_rule() {
    let gate = TestGate::start().await;
    gate.origin.answer(Reply::stream(200).data("half").broken());
    for (path, credit) in [(ITEM, 0), (KIND, PRICE)] {
        let broken = gate.buy(&gate.net.buyer(), &Request::get(path)).await;
        assert_eq!(
            (broken.status, broken.complete, broken.text()),
            (200, false, "half")
        );
        gate.books_say("its end is written", |books| books.open().count() == 0)
            .await;
        assert_eq!(gate.books().await.credit_units(), credit);
    }
    assert_eq!(gate.finish().await.states(), [SERVED, CREDITED]);
}

#[tokio::test]
async fn a_connection_that_is_cut_without_a_head_charges_nothing() {
    let gate = TestGate::start().await;
    gate.origin.answer(Reply::cut());
    let request = Request::post(ITEM, "x");
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    let answer = gate.send(&paid).await;
    assert_eq!(answer.outcome(), (502, "origin_unreachable".to_owned()));
    // What is not marked idempotent is not called twice.
    assert_eq!(gate.origin.calls(), 1);
    gate.origin.answer(Reply::ok("content"));
    assert_eq!(gate.send(&paid).await.status, 200);
    assert_eq!(gate.finish().await.states(), [RELEASED, SERVED]);
}

#[tokio::test]
async fn an_idempotent_route_calls_its_origin_once_more() {
    let gate = TestGate::start().await;
    let calls = Arc::new(AtomicUsize::new(0));
    gate.origin
        .answer_with(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Reply::cut(),
            _ => Reply::ok("content"),
        });
    let answer = gate
        .buy(&gate.net.buyer(), &Request::post(AGAIN, "body"))
        .await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    let bodies: Vec<_> = gate
        .origin
        .seen()
        .into_iter()
        .map(|seen| seen.body)
        .collect();
    assert_eq!(bodies, ["body", "body"]);
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

fn digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

#[tokio::test]
async fn a_large_body_must_be_what_its_digest_says() {
    let gate = TestGate::start().await;
    let buyer = gate.net.buyer();
    let body = vec![b'x'; 100 * 1_024];
    let bare = Request::post(ITEM, body.clone());
    let challenge = gate.send(&Request::get(ITEM)).await.required(Version::V2);
    let payment = buyer.sign(&challenge);

    let missing = gate.send(&payment.on(bare.clone())).await;
    assert_eq!(missing.outcome(), (400, "digest_required".to_owned()));
    assert_eq!(gate.origin.calls(), 0);

    let mut other = body.clone();
    other[99_999] = b'y';
    let wrong = bare.clone().header("content-digest", digest(&other));
    let answer = gate.send(&payment.on(wrong)).await;
    assert_eq!(answer.outcome(), (400, "digest_mismatch".to_owned()));
    assert_eq!((gate.paid_units(), answer.receipt(Version::V2)), (0, None));
    // The origin never saw a complete request.
    let seen = gate.origin.seen();
    assert!(seen.iter().all(|seen| !seen.complete), "{}", seen.len());

    let right = bare.header("content-digest", digest(&body));
    // The payment is bound to the digest of its first use.
    let elsewhere = gate.send(&payment.on(right.clone())).await;
    assert_eq!(
        elsewhere.outcome(),
        (409, "payment_bound_elsewhere".to_owned())
    );
    let answer = gate.send(&buyer.sign(&challenge).on(right)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(gate.origin.last().body, body);
    assert_eq!(gate.finish().await.states(), [RELEASED, SERVED]);
}

#[tokio::test]
async fn a_large_body_that_is_wrong_after_settlement_leaves_a_credit_that_is_named() {
    let gate = TestGate::start().await;
    let body = vec![b'x'; 100 * 1_024];
    let request = Request::post(FIRST, body).header("content-digest", digest(b"other"));
    let payment = gate.sign(&gate.net.buyer(), &Request::get(FIRST)).await;
    let answer = gate.send(&payment.on(request)).await;
    assert_eq!(answer.outcome(), (400, "digest_mismatch".to_owned()));
    assert!(answer.credit().is_some());
    assert_eq!(gate.finish().await.states(), [CREDITED]);
}

#[tokio::test]
async fn a_small_body_that_is_not_what_its_digest_says_never_leaves_the_gate() {
    let gate = TestGate::start().await;
    let request = Request::post(ITEM, "body").header("content-digest", digest(b"other"));
    let answer = gate.buy(&gate.net.buyer(), &request).await;
    assert_eq!(answer.status, 400);
    assert_eq!(gate.origin.calls(), 0);
    assert!(gate.finish().await.transactions.is_empty());
}
