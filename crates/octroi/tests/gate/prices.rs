//! A price that was in force when its offer was made is honoured for as long as the offer said
//! (money rule 11).

use octroi_testkit::{Request, Setup, TestGate};
use octroi_x402::Version;
use octroi_x402::client::Required;

use crate::SERVED;

const STALL: &str = "/api/x402/pay/stall/apple";

/// A shop beside the usual one, whose price and time a test changes.
fn stall(price: &str, max_timeout_seconds: u32) -> String {
    stall_on("base-sepolia", price, max_timeout_seconds)
}

fn stall_on(network: &str, price: &str, max_timeout_seconds: u32) -> String {
    format!(
        r#"
[[service]]
name = "stall"
origin = "http://ORIGIN"
networks = ["{network}"]

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
        .shop("networks = [\"base-sepolia\"]\n")
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

#[tokio::test]
async fn what_was_sold_for_play_money_is_not_had_for_it_any_more() {
    let mut gate = selling("0.01").await;
    let signed = gate.sign(&gate.net.buyer(), &apple()).await;
    let base = "rpc_urls = [\"http://127.0.0.1:9\"]\nwallet_key_files = [\"wallet-0.key\"]\n";
    let live = format!("[network.base]\n{base}{}", stall_on("base", "0.01", 300));
    gate.restart_with(&live).await;
    let calls = gate.origin.calls();
    let answer = gate.send(&signed.on(apple())).await;
    assert_eq!(answer.status, 402, "{}", answer.text());
    assert_eq!((gate.origin.calls(), gate.paid_units()), (calls, 0));
    assert!(gate.finish().await.transactions.is_empty());
}

/// A price that nobody was told, because the gate did not come to listen.
#[tokio::test]
async fn a_price_of_a_start_that_failed_is_not_honoured() {
    let mut gate = selling("5").await;
    let buyer = gate.net.buyer();
    let (_taken, address) = crate::starting::taken();
    gate.fail_to_restart_with(&stall("0.000001", 300), address)
        .await;
    gate.restart_with(&stall("0.02", 300)).await;
    let mut required = gate.send(&apple()).await.required(Version::V1);
    let Required::V1(terms) = &mut required else {
        panic!("version 1")
    };
    "1".clone_into(&mut terms.accepts[0].max_amount_required);
    let answer = gate.send(&buyer.sign(&required).on(apple())).await;
    assert_eq!(answer.status, 402, "{}", answer.text());
    gate.finish().await;
}
