//! Who has to settle before the work begins.

use std::time::Duration;

use octroi_claim::{PaymentState, WorkState};
use octroi_testkit::{Fault, Hold, Reply, Request, Setup, TestGate, eventually};

use crate::{ITEM, PRICE, SENDS, TREE};

#[tokio::test]
async fn open_payments_above_the_balance_are_settled_first() {
    let gate = TestGate::start().await;
    // Enough for two, and three are signed.
    let buyer = gate.net.buyer_with(2 * PRICE + PRICE / 2);
    let hold = Hold::new();
    gate.origin.answer(Reply::ok("content").held(&hold));
    let mut open = Vec::new();
    for path in ["a", "b"] {
        let request = Request::get(&format!("{TREE}/{path}"));
        let paid = gate.sign(&buyer, &request).await.on(request);
        let mut connection = gate.client.connect().await;
        connection.send(&paid).await;
        open.push(connection);
    }
    hold.reached_by(2).await;
    assert_eq!(gate.paid_units(), 0);
    // The third does not get any work done before it is paid.
    let settling = Hold::new();
    let held = settling.clone();
    let rule = gate
        .node
        .always(SENDS, move || Fault::HoldCall(held.clone()));
    let request = Request::get(&format!("{TREE}/c"));
    let paid = gate.sign(&buyer, &request).await.on(request);
    let mut third = gate.client.connect().await;
    third.send(&paid).await;
    settling.reached().await;
    assert_eq!(gate.origin.calls(), 2);
    settling.release();
    drop(rule);
    gate.origin.answer(Reply::ok("content"));
    assert_eq!(third.answer().await.status, 200);
    hold.release();
    // One of the others is paid from what is left. The last is refused, or its transaction
    // reverts; it gets nothing either way.
    let mut answers = Vec::new();
    for mut connection in open {
        answers.push(connection.answer().await);
    }
    let served = answers.iter().filter(|answer| answer.status == 200).count();
    let unpaid = answers
        .iter()
        .find(|answer| answer.status != 200)
        .expect("one is not paid");
    assert_eq!(served, 1);
    assert!([402, 503].contains(&unpaid.status), "{}", unpaid.status);
    assert!(!unpaid.text().contains("content"));
    gate.net.pass(600);
    gate.books_say("all is known", |books| books.open().count() == 0)
        .await;
    assert_eq!(gate.finish().await.settled_units(), 2 * PRICE);
}

const LONG: &str = r#"
[[service]]
name = "long"
origin = "http://ORIGIN"
[[service.paywall]]
slug = "item"
price = "0.01"
max_timeout_seconds = 7200
"#;

#[tokio::test]
async fn a_payer_whose_payment_failed_lately_settles_first() {
    let setup = Setup::new().await.sections(LONG);
    let setup = setup.options(|options| {
        options.payments.settle_wait = Duration::from_millis(200);
    });
    let gate = setup.start().await;
    let (buyer, honest) = (gate.net.buyer(), gate.net.buyer());
    let lost = gate.node.always(SENDS, || Fault::Silent);
    assert_eq!(gate.buy(&buyer, &Request::get(ITEM)).await.status, 503);
    gate.net.pass(600);
    gate.books_say("it has failed", |books| {
        books.only().payment == PaymentState::Failed
    })
    .await;
    drop(lost);
    // The nonce of what was lost is given back to its sequence first.
    eventually("the wallets are free again", async || {
        let wallets = gate.net.wallets();
        let sent: u64 = wallets.map(|wallet| gate.net.sent_by(wallet.address)).sum();
        (sent == 1).then_some(())
    })
    .await;

    let request = Request::get("/api/x402/pay/long/item");
    for (buyer, calls_before_settlement) in [(&honest, 1), (&buyer, 0)] {
        let calls = gate.origin.calls();
        let settling = Hold::new();
        let held = settling.clone();
        let _rule = gate
            .node
            .always(SENDS, move || Fault::HoldCall(held.clone()));
        let paid = gate.sign(buyer, &request).await.on(request.clone());
        let mut connection = gate.client.connect().await;
        connection.send(&paid).await;
        settling.reached().await;
        assert_eq!(gate.origin.calls() - calls, calls_before_settlement);
        settling.release();
        drop(connection.answer().await);
    }
    let books = gate.finish_with_open(0).await;
    assert!(books.states()[1..].iter().all(|(payment, work)| {
        *payment == PaymentState::Settled
            && matches!(work, WorkState::Delivered | WorkState::Broken)
    }));
}
