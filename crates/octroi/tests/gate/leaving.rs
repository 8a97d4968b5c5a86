//! A client that leaves stops neither books nor settlement, at whatever moment.

use std::sync::Arc;

use octroi_claim::PaymentState;
use octroi_testkit::{
    Buyer, Connection, Fault, Hold, Net, Reply, Request, Setup, TestGate, eventually,
};
use octroi_x402::Version;
use serde_json::json;

use crate::{COVERED, CREDITED, FIRST, ITEM, PRICE, SERVED};

const KIND: &str = "/api/x402/pay/shop/kind";

/// Sends a payment for a request, and does not wait for the answer.
async fn begin(gate: &TestGate, buyer: &Buyer, path: &str) -> Connection {
    let request = Request::get(path);
    let paid = gate.sign(buyer, &request).await.on(request);
    let mut connection = gate.client.connect().await;
    connection.send(&paid).await;
    connection
}

/// The credit pays the buyer's next request: it is served, and its payment is never sent.
async fn is_covered(gate: &TestGate, buyer: &Buyer) {
    gate.origin.answer(Reply::ok("content"));
    let paid_before = gate.paid_units();
    let payment = gate.sign(buyer, &Request::get(ITEM)).await;
    let answer = gate.send(&payment.on(Request::get(ITEM))).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(answer.receipt(Version::V2).unwrap().transaction, "");
    assert!(!gate.net.is_used(buyer.address, payment.authorization.nonce));
    assert_eq!(gate.paid_units(), paid_before);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_head_is_settled_and_has_a_credit() {
    for path in [ITEM, FIRST] {
        let gate = TestGate::start().await;
        let (buyer, hold) = (gate.net.buyer(), Hold::new());
        gate.origin.answer(Reply::ok("content").held(&hold));
        let connection = begin(&gate, &buyer, path).await;
        hold.reached().await;
        connection.reset();
        hold.release();
        gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
            .await;
        assert_eq!(gate.paid_units(), PRICE);
        is_covered(&gate, &buyer).await;
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
}

/// A client whose time-out passed signs again while the gate still works for its first request.
#[tokio::test]
async fn a_client_that_left_and_signs_again_at_once_is_not_charged_twice() {
    for path in [ITEM, FIRST] {
        let impatient = Setup::new().await.options(|options| {
            options.payments.earlier_wait = std::time::Duration::from_millis(50);
        });
        let gate = impatient.start().await;
        let (buyer, hold) = (gate.net.buyer(), Hold::new());
        gate.origin.answer(Reply::ok("content").held(&hold));
        let connection = begin(&gate, &buyer, path).await;
        hold.reached().await;
        let open = open_connections(&gate).await;
        connection.reset();
        eventually("the gate has noticed", async || {
            (open_connections(&gate).await < open).then_some(())
        })
        .await;
        gate.origin.answer(Reply::ok("content"));
        let second = gate.sign(&buyer, &Request::get(path)).await;
        let answer = gate.send(&second.on(Request::get(path))).await;
        assert_eq!(answer.outcome(), (503, "settlement_pending".to_owned()));
        hold.release();
        gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
            .await;
        let answer = gate.send(&second.on(Request::get(path))).await;
        assert_eq!((answer.status, answer.text()), (200, "content"), "{path}");
        assert!(!gate.net.is_used(buyer.address, second.authorization.nonce));
        assert_eq!(gate.paid_units(), PRICE);
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
}

async fn open_connections(gate: &TestGate) -> u64 {
    let metrics = gate.send(&Request::get("/metrics")).await;
    let open = "octroi_connections_open{listener=\"gate\"} ";
    let line = metrics
        .text()
        .lines()
        .find_map(|line| line.strip_prefix(open));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_client_that_leaves_during_the_settlement_is_settled_and_has_a_credit() {
    for path in [ITEM, FIRST] {
        let gate = TestGate::start().await;
        let (buyer, hold) = (gate.net.buyer(), Hold::new());
        let held = hold.clone();
        let _rule = gate.node.always(
            &["eth_sendRawTransaction", "eth_sendRawTransactionSync"],
            move || Fault::HoldAnswer(held.clone()),
        );
        let connection = begin(&gate, &buyer, path).await;
        hold.reached().await;
        connection.reset();
        hold.release();
        gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
            .await;
        is_covered(&gate, &buyer).await;
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
}

#[tokio::test]
async fn a_client_that_leaves_between_head_and_body_has_a_credit() {
    let gate = TestGate::start().await;
    let (buyer, hold) = (gate.net.buyer(), Hold::new());
    gate.origin
        .answer(Reply::stream(200).wait(&hold).data("content"));
    let mut connection = begin(&gate, &buyer, ITEM).await;
    let head = connection.head().await;
    assert!(head.receipt(Version::V2).unwrap().success);
    connection.reset();
    // The stream is silent, and the gate notices all the same.
    gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
        .await;
    hold.release();
    is_covered(&gate, &buyer).await;
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_is_charged_by_the_routes_rule() {
    for (path, state) in [(ITEM, SERVED), (KIND, CREDITED)] {
        let gate = TestGate::start().await;
        let (buyer, hold) = (gate.net.buyer(), Hold::new());
        gate.origin
            .answer(Reply::stream(200).data("half").wait(&hold).data("rest"));
        let mut connection = begin(&gate, &buyer, path).await;
        connection.head().await;
        assert_eq!(connection.part().await.unwrap().unwrap(), "half");
        connection.reset();
        gate.books_say("its end is written", |books| books.open().count() == 0)
            .await;
        assert_eq!(gate.books().await.states(), [state]);
        hold.release();
        if state == CREDITED {
            is_covered(&gate, &buyer).await;
        }
        gate.finish().await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_while_it_sends_its_body_has_claimed_nothing() {
    let gate = TestGate::start().await;
    let buyer = gate.net.buyer();
    let payment = gate.sign(&buyer, &Request::post(ITEM, "")).await;
    let request = payment.on(Request::new("POST", ITEM).header("content-length", "100"));
    let mut connection = gate.client.connect().await;
    connection.send_head(&request).await;
    connection.write(b"the first of it").await;
    connection.reset();
    // The payment is as good as before.
    let answer = gate.send(&payment.on(Request::post(ITEM, "whole"))).await;
    assert_eq!(answer.status, 200);
    assert_eq!(gate.origin.calls(), 1);
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn a_client_that_leaves_in_a_large_upload_is_not_charged() {
    let gate = TestGate::start().await;
    let payment = gate.sign(&gate.net.buyer(), &Request::post(ITEM, "")).await;
    let request = Request::new("POST", ITEM)
        .header("content-length", "200000")
        .header(
            "content-digest",
            "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:",
        );
    let mut connection = gate.client.connect().await;
    connection.send_head(&payment.on(request)).await;
    connection.write(&vec![b'x'; 150_000]).await;
    gate.origin.called(1).await;
    connection.reset();
    let books = gate.books_say("it is released", |books| {
        books
            .transactions
            .iter()
            .all(|row| row.payment == PaymentState::Released)
    });
    assert_eq!(books.await.transactions.len(), 1);
    assert_eq!(gate.paid_units(), 0);
    assert!(gate.origin.seen().iter().all(|seen| !seen.complete));
    gate.finish().await;
}

#[tokio::test]
async fn a_gate_that_stops_sees_through_what_clients_left_behind() {
    let gate = Setup::on(Net::by_hand()).await.start().await;
    let (buyer, hold) = (gate.net.buyer(), Hold::new());
    gate.origin.answer(Reply::ok("content").held(&hold));
    let connection = begin(&gate, &buyer, ITEM).await;
    hold.reached().await;
    connection.reset();
    let net = Arc::clone(&gate.net);
    let wallets: Vec<_> = net.wallets().map(|wallet| wallet.address).collect();
    let chain = async {
        hold.release();
        // The settlement is sent while the gate stops, and waits for its block.
        eventually("it is in the pool", async || {
            let waits = |wallet| net.rpc("eth_getTransactionCount", &json!([wallet, "pending"]));
            wallets
                .iter()
                .any(|wallet| waits(wallet) != "0x0")
                .then_some(())
        })
        .await;
        net.mine(1);
    };
    let (books, ()) = tokio::join!(gate.finish(), chain);
    assert_eq!(books.states(), [CREDITED]);
}
