//! How sure a settlement is when the answer goes out.

use std::convert::Infallible;

use octroi_testkit::{Reply, Request, Setup, TestGate, eventually};

use crate::{COVERED, CREDITED, FIRST, ITEM, PRICE, SERVED};

const CONFIRMATIONS: u64 = 40;

/// Blocks that come one after the other, from when the payee has this much; without end.
async fn mine(gate: &TestGate, paid_units: u64, until: u64) -> Infallible {
    eventually("it is in a block", async || {
        (gate.paid_units() == paid_units).then_some(())
    })
    .await;
    eventually("it is deep enough", async || {
        gate.net.mine(1);
        (gate.net.height() > until).then_some(())
    })
    .await;
    std::future::pending().await
}

#[tokio::test]
async fn an_answer_waits_for_as_many_blocks_as_are_configured() {
    let level = format!("settle_level = \"final\"\nfinal_confirmations = {CONFIRMATIONS}\n");
    let gate = Setup::new().await.network(&level).start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let deep = gate.net.height() + CONFIRMATIONS;
    let answer = tokio::select! {
        answer = gate.buy(&buyer, &request) => answer,
        never = mine(&gate, PRICE, deep) => match never {},
    };
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert!(gate.net.height() > deep);
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn a_credit_buys_when_its_payment_is_as_sure_as_the_route_asks_for() {
    let paywall =
        "[[service.paywall]]\nslug = \"sure\"\nprice = \"0.01\"\nsettle_level = \"final\"\n";
    let gate = Setup::new()
        .await
        .network(&format!("final_confirmations = {CONFIRMATIONS}\n"))
        .sections(paywall)
        .start()
        .await;
    let buyer = gate.net.buyer();
    gate.origin.answer(Reply::status(500, ""));
    let deep = gate.net.height() + CONFIRMATIONS;
    let failed = gate.buy(&buyer, &Request::get(FIRST)).await;
    assert!(failed.credit().is_some(), "{}", failed.text());

    gate.origin.answer(Reply::ok("content"));
    let request = Request::get("/api/x402/pay/shop/sure");
    let answer = tokio::select! {
        answer = gate.buy(&buyer, &request) => answer,
        never = mine(&gate, PRICE, deep) => match never {},
    };
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert!(gate.net.height() > deep);
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

/// Play money has large prices too.
#[tokio::test]
async fn a_large_price_waits_for_a_safe_block() {
    let paywalls = r#"
[[service.paywall]]
slug = "large"
price = "0.05"
[[service.paywall]]
slug = "quick"
price = "0.05"
settle_level = "included"
"#;
    let gate = Setup::new()
        .await
        .network(&format!(
            "safe_from = \"0.05\"\nfinal_confirmations = {CONFIRMATIONS}\n"
        ))
        .sections(paywalls)
        .start()
        .await;
    let buyer = gate.net.buyer();
    for path in [ITEM, "/api/x402/pay/shop/quick"] {
        assert_eq!(gate.buy(&buyer, &Request::get(path)).await.status, 200);
    }
    let paid = gate.paid_units() + 50_000;
    let deep = gate.net.height() + CONFIRMATIONS / 2;
    let request = Request::get("/api/x402/pay/shop/large");
    let answer = tokio::select! {
        answer = gate.buy(&buyer, &request) => answer,
        never = mine(&gate, paid, deep) => match never {},
    };
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(gate.net.height() > deep);
    assert_eq!(gate.finish().await.states(), [SERVED; 3]);
}
