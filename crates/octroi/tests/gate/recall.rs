//! A lost answer is given again to whoever repeats the secret that was bound to its payment, and to
//! nobody else.

use octroi_claim::WorkState;
use octroi_testkit::{Answer, Reply, Request, TestGate};
use octroi_x402::Version;

use crate::{FIRST, ITEM};

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
