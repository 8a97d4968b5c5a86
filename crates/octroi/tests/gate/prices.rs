//! A price that was in force when its offer was made is honoured for as long as the offer said
//! (money rule 11).

use octroi_testkit::{Request, Setup, TestGate};
use octroi_x402::Version;

use crate::SERVED;

const STALL: &str = "/api/x402/pay/stall/apple";

/// A shop beside the usual one, whose price and time a test changes.
fn stall(price: &str, max_timeout_seconds: u32) -> String {
    format!(
        r#"
[[service]]
name = "stall"
origin = "http://ORIGIN"

[[service.paywall]]
slug = "apple"
price = "{price}"
max_timeout_seconds = {max_timeout_seconds}
path = "/apple"
"#
    )
}

async fn selling(price: &str) -> TestGate {
    Setup::new()
        .await
        .sections(&stall(price, 300))
        .start()
        .await
}

fn apple() -> Request {
    Request::get(STALL)
}

#[tokio::test]
async fn a_payment_for_the_price_before_a_restart_buys_after_it() {
    for (before, after, units) in [("0.01", "0.05", 10_000), ("0.05", "0.01", 50_000)] {
        let mut gate = selling(before).await;
        let buyers = [gate.net.buyer(), gate.net.buyer()];
        let signed = gate.sign_in(Version::V2, &buyers[0], &apple()).await;
        let signed_v1 = gate.sign_in(Version::V1, &buyers[1], &apple()).await;
        gate.restart_with(&stall(after, 300)).await;

        for payment in [signed, signed_v1] {
            let answer = gate.send(&payment.on(apple())).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(gate.paid_units(), 2 * units);
        let books = gate.finish().await;
        assert_eq!(books.states(), [SERVED; 2]);
    }
}

#[tokio::test]
async fn offers_have_the_new_price_at_once() {
    let mut gate = selling("0.01").await;
    let buyer = gate.net.buyer();
    let signed = gate.sign(&buyer, &apple()).await;
    gate.restart_with(&stall("0.05", 300)).await;

    for version in [Version::V1, Version::V2] {
        let asked = gate.sign_in(version, &buyer, &apple()).await;
        assert_eq!(asked.authorization.value, 50_000.into());
    }
    let answer = gate.buy(&buyer, &apple()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(gate.paid_units(), 50_000);

    // And a third price takes nothing from the first one's time.
    gate.restart_with(&stall("0.07", 300)).await;
    let answer = gate.send(&signed.on(apple())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(gate.paid_units(), 60_000);
    gate.finish().await;
}

#[tokio::test]
async fn a_price_that_was_never_asked_buys_nothing() {
    let mut gate = selling("0.05").await;
    let buyer = gate.net.buyer();
    // A paywall of the same seller that always cost less.
    let cheap = gate.sign(&buyer, &Request::get(crate::ITEM)).await;
    gate.restart_with(&stall("0.07", 300)).await;
    let answer = gate.send(&cheap.on(apple())).await;
    assert_eq!(answer.status, 402, "{}", answer.text());
    assert_eq!(gate.paid_units(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn a_longer_time_to_pay_does_not_refuse_who_was_told_a_shorter_one() {
    let mut gate = selling("0.01").await;
    let signed = gate.sign(&gate.net.buyer(), &apple()).await;
    gate.restart_with(&stall("0.01", 600)).await;
    let answer = gate.send(&signed.on(apple())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    gate.finish().await;
}
