//! A lost answer is given again to whoever repeats the secret that was bound to its payment, and to
//! nobody else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_claim::WorkState;
use octroi_testkit::{Answer, Buyer, Payment, Reply, Request, TestGate};
use octroi_x402::{Version, header};
use serde_json::{Value, json};

use crate::{FIRST, ITEM, PRICE, SERVED, TREE};

/// 128 bits and more, as the payer alone knows them.
const SECRET: &str = "9c1f7a52-6f0e-4d29-8d43-2f0b51c9a7de";

async fn is_delivered(gate: &TestGate) {
    gate.books_say("all is delivered", |books| {
        books
            .transactions
            .iter()
            .all(|row| row.work == WorkState::Delivered)
    })
    .await;
}

#[track_caller]
fn used_up(answer: &Answer) {
    assert_eq!(answer.outcome(), (409, "payment_already_used".to_owned()));
    assert!(!answer.text().contains("content"));
}

#[tokio::test]
async fn the_secret_of_the_payer_fetches_the_answer_again() {
    let gate = TestGate::start().await;
    gate.origin
        .answer(Reply::status(201, "content").header("x-kind", "first"));
    for path in [ITEM, FIRST] {
        let request = Request::get(path).header("idempotency-key", SECRET);
        let payment = gate.sign(&gate.net.buyer(), &request).await;
        let first = gate.send(&payment.on(request.clone())).await;
        is_delivered(&gate).await;
        let calls = gate.origin.calls();
        for _ in 0..2 {
            let again = gate.send(&payment.on(request.clone())).await;
            assert_eq!((again.status, again.text()), (201, "content"));
            assert_eq!(again.header("x-kind").as_deref(), Some("first"));
            assert_eq!(again.receipt(Version::V2), first.receipt(Version::V2));
        }
        assert_eq!(gate.origin.calls(), calls);
        // A payment header is public, and so is the request: only the secret is not.
        for other in [
            Request::get(path),
            Request::get(path).header("idempotency-key", "9c1f7a52-6f0e-4d29-8d43-2f0b51c9a7df"),
            Request::get(path).header("idempotency-key", ""),
        ] {
            used_up(&gate.send(&payment.on(other)).await);
        }
        let elsewhere = request.header("x", "y");
        let elsewhere = Request {
            target: format!("{path}?x"),
            ..elsewhere
        };
        let answer = gate.send(&payment.on(elsewhere)).await;
        assert_eq!(
            answer.outcome(),
            (409, "payment_bound_elsewhere".to_owned())
        );
    }
    gate.finish().await;
}

fn decoded(header: &str) -> Value {
    serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap()
}

/// The same payment with other extensions.
fn with_extensions(payment: &Payment, extensions: Value) -> Payment {
    let mut json = decoded(&payment.header_value);
    json["extensions"] = extensions;
    Payment {
        header_value: STANDARD.encode(json.to_string()),
        ..payment.clone()
    }
}

/// Signs as the clients of the x402 project do: they echo what was declared, with their identifier.
async fn sign_with(gate: &TestGate, buyer: &Buyer, request: &Request, id: &str) -> Payment {
    let challenge = gate.send(request).await;
    let declared = decoded(&challenge.header(header::PAYMENT_REQUIRED).unwrap());
    let mut extensions = declared["extensions"].clone();
    assert_eq!(
        extensions["payment-identifier"]["info"],
        json!({"required": false})
    );
    extensions["payment-identifier"]["info"]["id"] = id.into();
    let payment = buyer.sign(&challenge.required(Version::V2));
    with_extensions(&payment, extensions)
}

/// What clients of the x402 project draw.
const IDENTIFIER: &str = "pay_7d5d747be160e280504c099d984bcfe0";

#[tokio::test]
async fn the_identifier_in_a_payment_fetches_the_answer_again() {
    let gate = TestGate::start().await;
    for path in [ITEM, FIRST] {
        let (buyer, request) = (gate.net.buyer(), Request::get(path));
        let payment = sign_with(&gate, &buyer, &request, IDENTIFIER).await;
        let first = gate.send(&payment.on(request.clone())).await;
        assert_eq!((first.status, first.text()), (200, "content"));
        is_delivered(&gate).await;
        let calls = gate.origin.calls();
        let again = gate.send(&payment.on(request.clone())).await;
        assert_eq!((again.status, again.text()), (200, "content"));
        assert_eq!(again.receipt(Version::V2), first.receipt(Version::V2));
        assert_eq!(gate.origin.calls(), calls);
        // What the chain shows of a payment is not enough.
        let other = json!({"payment-identifier": {"info": {
            "required": false, "id": "pay_7d5d747be160e280504c099d984bcfe1",
        }}});
        for extensions in [Value::Null, json!({}), other] {
            let public = with_extensions(&payment, extensions);
            used_up(&gate.send(&public.on(request.clone())).await);
        }
    }
    gate.finish().await;
}

#[tokio::test]
async fn a_payment_that_is_signed_anew_with_the_identifier_fetches_the_answer_and_is_never_sent() {
    let gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer_with(PRICE), Request::get(ITEM));
    let first = sign_with(&gate, &buyer, &request, IDENTIFIER).await;
    let first = gate.send(&first.on(request.clone())).await;
    is_delivered(&gate).await;

    let anew = sign_with(&gate, &buyer, &request, IDENTIFIER).await;
    let again = gate.send(&anew.on(request.clone())).await;
    assert_eq!((again.status, again.text()), (200, "content"));
    assert_eq!(again.receipt(Version::V2), first.receipt(Version::V2));
    assert!(!gate.net.is_used(buyer.address, anew.authorization.nonce));
    assert_eq!((gate.origin.calls(), gate.paid_units()), (1, PRICE));

    // Somebody else with the same identifier buys, and is not given what another one bought.
    let other = gate.net.buyer();
    gate.origin.answer(Reply::ok("another"));
    let payment = sign_with(&gate, &other, &request, IDENTIFIER).await;
    assert_eq!(gate.send(&payment.on(request)).await.text(), "another");
    assert_eq!(gate.finish().await.states(), [SERVED, SERVED]);
}

#[tokio::test]
async fn an_identifier_names_one_request() {
    let gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let payment = sign_with(&gate, &buyer, &request, IDENTIFIER).await;
    assert_eq!(gate.send(&payment.on(request)).await.status, 200);
    is_delivered(&gate).await;
    for other in [
        Request::get(TREE),
        Request::get(&format!("{ITEM}?x")),
        Request::post(ITEM, "x"),
    ] {
        let payment = sign_with(&gate, &buyer, &other, IDENTIFIER).await;
        let answer = gate.send(&payment.on(other)).await;
        let outcome = (409, "payment_bound_elsewhere".to_owned());
        assert_eq!(answer.outcome(), outcome);
        assert!(!gate.net.is_used(buyer.address, payment.authorization.nonce));
    }
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn an_answer_without_a_body_is_kept_too() {
    let gate = TestGate::start().await;
    gate.origin
        .answer(Reply::status(204, "").header("x-kind", "first"));
    for request in [Request::get(ITEM), Request::new("HEAD", ITEM)] {
        let payment = sign_with(&gate, &gate.net.buyer(), &request, IDENTIFIER).await;
        let paid = payment.on(request);
        assert_eq!(gate.send(&paid).await.status, 204);
        is_delivered(&gate).await;
        let again = gate.send(&paid).await;
        assert_eq!(again.status, 204);
        assert_eq!(again.header("x-kind").as_deref(), Some("first"));
    }
    assert_eq!(gate.origin.calls(), 2);
    gate.finish().await;
}

#[tokio::test]
async fn an_identifier_that_can_be_guessed_fetches_nothing() {
    let gate = TestGate::start().await;
    let request = Request::get(ITEM);
    let buyer = gate.net.buyer();
    let payment = sign_with(&gate, &buyer, &request, "order-0000000000042").await;
    assert_eq!(gate.send(&payment.on(request.clone())).await.status, 200);
    is_delivered(&gate).await;
    used_up(&gate.send(&payment.on(request.clone())).await);

    // A key beside it still counts.
    let keyed = request.header("idempotency-key", SECRET);
    let payment = sign_with(&gate, &buyer, &keyed, "order-0000000000043").await;
    for _ in 0..2 {
        assert_eq!(
            gate.send(&payment.on(keyed.clone())).await.text(),
            "content"
        );
        is_delivered(&gate).await;
    }
    assert_eq!(gate.origin.calls(), 2);
    gate.finish().await;
}

#[tokio::test]
async fn a_secret_that_can_be_guessed_fetches_nothing() {
    let gate = TestGate::start().await;
    let request = Request::get(ITEM).header("idempotency-key", "123456789012345678901");
    let payment = gate.sign(&gate.net.buyer(), &request).await;
    assert_eq!(gate.send(&payment.on(request.clone())).await.status, 200);
    is_delivered(&gate).await;
    used_up(&gate.send(&payment.on(request)).await);
    gate.finish().await;
}

#[tokio::test]
async fn a_large_answer_is_not_kept() {
    let gate = TestGate::start().await;
    gate.origin.answer(Reply::ok("content ".repeat(10_000)));
    let request = Request::get(ITEM).header("idempotency-key", SECRET);
    let payment = gate.sign(&gate.net.buyer(), &request).await;
    assert_eq!(gate.send(&payment.on(request.clone())).await.status, 200);
    is_delivered(&gate).await;
    used_up(&gate.send(&payment.on(request)).await);
    gate.finish().await;
}

#[tokio::test]
async fn a_restart_forgets_answers() {
    let mut gate = TestGate::start().await;
    let request = Request::get(ITEM).header("idempotency-key", SECRET);
    let payment = gate.sign(&gate.net.buyer(), &request).await;
    assert_eq!(gate.send(&payment.on(request.clone())).await.status, 200);
    gate.restart().await;
    used_up(&gate.send(&payment.on(request)).await);
    gate.finish().await;
}
