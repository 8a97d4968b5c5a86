//! How sure a settlement is when the answer goes out.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use octroi_claim::PaymentState;
use octroi_store::Arrival;
use octroi_store_sqlite::SqliteOptions;
use octroi_testkit::{Buyer, Fault, Net, Reply, Request, Setup, TestGate, eventually};
use serde_json::{Value, json};

use crate::{COVERED, CREDITED, FIRST, ITEM, PRICE, SENDS, SERVED, stranger};

const CONFIRMATIONS: u64 = 40;

/// Paywalls whose answers wait for a final block, in both orders.
const SURE: &str = "/api/x402/pay/shop/sure";
const SURE_FIRST: &str = "/api/x402/pay/shop/sure-first";
const PAYWALLS: &str = r#"
[[service.paywall]]
slug = "sure"
price = "0.01"
settle_level = "final"
[[service.paywall]]
slug = "sure-first"
price = "0.01"
settle_level = "final"
settle = "before_origin"
"#;

async fn setup() -> Setup {
    Setup::new()
        .await
        .network(&format!("final_confirmations = {CONFIRMATIONS}\n"))
        .sections(PAYWALLS)
}

/// A payment that settles, and buys an error: its payer has a credit. The origin is well afterwards.
async fn credit(gate: &TestGate, buyer: &Buyer) {
    gate.origin.answer(Reply::status(500, ""));
    let failed = gate.buy(buyer, &Request::get(FIRST)).await;
    assert!(failed.credit().is_some(), "{}", failed.text());
    gate.origin.answer(Reply::ok("content"));
}

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
    for path in [SURE, SURE_FIRST] {
        let gate = setup().await.start().await;
        let buyer = gate.net.buyer();
        let deep = gate.net.height() + CONFIRMATIONS;
        credit(&gate, &buyer).await;
        let request = Request::get(path);
        let answer = tokio::select! {
            answer = gate.buy(&buyer, &request) => answer,
            never = mine(&gate, PRICE, deep) => match never {},
        };
        assert_eq!((answer.status, answer.text()), (200, "content"));
        assert!(gate.net.height() > deep);
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
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

#[tokio::test]
async fn nothing_is_done_for_a_credit_that_is_not_sure() {
    for path in [SURE, SURE_FIRST] {
        let impatient = setup().await.options(|options| {
            options.payments.settle_wait = Duration::from_millis(300);
        });
        let gate = impatient.start().await;
        let buyer = gate.net.buyer();
        credit(&gate, &buyer).await;
        let calls = gate.origin.calls();
        for round in 0..3 {
            let request = Request::get(&format!("{path}?round={round}"));
            let answer = gate.buy(&buyer, &request).await;
            assert_eq!(answer.outcome(), (503, "settlement_pending".to_owned()));
            gate.books_say("the credit is there again", |books| {
                books.open().count() == 0 && books.credit_units() == PRICE
            })
            .await;
        }
        assert_eq!(gate.origin.calls(), calls);
        assert_eq!(gate.paid_units(), PRICE);
        gate.finish().await;
    }
}

/// The settlement is written down when its time is up already.
#[tokio::test]
async fn a_settlement_at_the_last_moment_waits_for_its_level_too() {
    let slow = Arc::new(AtomicBool::new(false));
    let armed = Arc::clone(&slow);
    let options = SqliteOptions {
        on_commit: Some(Arc::new(move |_| {
            if armed.swap(false, Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1_200));
            }
        })),
        ..SqliteOptions::default()
    };
    let impatient = setup().await.sqlite(options).options(|options| {
        options.payments.settle_wait = Duration::from_millis(800);
    });
    let gate = impatient.start().await;
    let _sees_the_block = gate.node.rule(move |method, _| {
        let tells = ["eth_getTransactionReceipt", "eth_sendRawTransactionSync"];
        slow.fetch_or(tells.contains(&method), Ordering::SeqCst);
        None
    });
    let answer = gate.buy(&gate.net.buyer(), &Request::get(SURE)).await;
    assert_eq!(answer.outcome(), (503, "settlement_pending".to_owned()));
    gate.finish().await;
}

/// The payment of a credit is undone by a reorganisation, and its payer has spent the money elsewhere.
#[tokio::test]
async fn a_credit_of_a_payment_that_vanished_buys_nothing() {
    for path in [SURE, SURE_FIRST, ITEM] {
        let gate = setup().await.start().await;
        let buyer = gate.net.buyer_with(PRICE);
        credit(&gate, &buyer).await;
        let lost = gate.node.always(SENDS, || Fault::Unreachable);
        gate.net.reorg(1);
        stranger::empty_purse(&gate.net, &buyer);
        drop(lost);
        let books = gate
            .books_say("its fate is open", |books| {
                books.transactions[0].payment == PaymentState::Unknown
            })
            .await;
        // What was sent again comes into a block, and fails there.
        let sent = json!([books.transactions[0].tx_hash.unwrap().to_string()]);
        eventually("it has failed", async || {
            gate.net.mine(1);
            let receipt = gate.net.rpc("eth_getTransactionReceipt", &sent);
            (receipt != Value::Null).then_some(())
        })
        .await;
        let answer = gate.buy(&buyer, &Request::get(path)).await;
        assert_eq!(answer.status, 402, "{path}: {}", answer.text());
        assert_eq!(gate.paid_units(), 0);
        gate.finish_with_open(1).await;
    }
}

/// Nodes forget receipts; the books do not.
#[tokio::test]
async fn an_old_credit_is_sure_without_the_node() {
    let gate = setup().await.start().await;
    let buyer = gate.net.buyer();
    credit(&gate, &buyer).await;
    gate.net.mine(CONFIRMATIONS + 1);
    eventually("the books say that it is final", async || {
        let paid_by = gate.books().await.transactions[0].id;
        let arrival = gate.store.arrival(paid_by).await.unwrap();
        (arrival == Arrival::Final).then_some(())
    })
    .await;
    let payment = gate.sign(&buyer, &Request::get(SURE)).await;
    let _forgets = gate.node.always(
        &[
            "eth_getTransactionReceipt",
            "eth_getLogs",
            "eth_getBlockByNumber",
        ],
        || Fault::Unreachable,
    );
    let answer = gate.send(&payment.on(Request::get(SURE))).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

#[tokio::test]
async fn an_answer_waits_through_a_move_to_another_block() {
    let gate = Setup::on(Net::by_hand())
        .await
        .network(&format!("final_confirmations = {CONFIRMATIONS}\n"))
        .sections(PAYWALLS)
        .start()
        .await;
    let buyer = gate.net.buyer();
    gate.net.mine(1);
    let request = Request::get(SURE);
    let moving = async {
        let settled = async || {
            gate.net.mine(1);
            let books = gate.books().await;
            books.transactions.first()?.tx_hash?;
            (gate.paid_units() == PRICE).then_some(())
        };
        eventually("it is in a block", settled).await;
        gate.net.mine(3);
        gate.net.rpc("anvil_reorg", &json!([4, true]));
        let moved = async || {
            gate.net.mine(1);
            (gate.paid_units() == PRICE).then_some(gate.net.height())
        };
        let moved_at = eventually("it is in another block", moved).await;
        mine(&gate, PRICE, moved_at + CONFIRMATIONS).await
    };
    let answer = tokio::select! {
        answer = gate.buy(&buyer, &request) => answer,
        never = moving => match never {},
    };
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(gate.paid_units(), PRICE);
    assert_eq!(gate.finish().await.states(), [SERVED]);
}
