//! A gate that stops finishes what it began.

use octroi_claim::PaymentState;
use octroi_testkit::{Hold, Net, Reply, Request, Setup, TestGate, eventually};
use octroi_x402::Version;

use crate::{ITEM, PRICE, SERVED};

#[tokio::test]
async fn a_request_that_was_begun_is_answered_and_no_new_one_is_taken() {
    let gate = TestGate::start().await;
    let (head, body) = (Hold::new(), Hold::new());
    gate.origin.answer(
        Reply::stream(200)
            .held(&head)
            .data("con")
            .wait(&body)
            .data("tent"),
    );
    let request = Request::get(ITEM);
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    let mut connection = gate.client.connect().await;
    connection.send(&paid).await;
    head.reached().await;
    let client = gate.client;
    let buyer = async {
        eventually("nobody listens any more", async || {
            client
                .try_send(&Request::get(ITEM))
                .await
                .is_none()
                .then_some(())
        })
        .await;
        head.release();
        let head = connection.head().await;
        assert!(head.receipt(Version::V2).unwrap().success);
        body.release();
        let mut content = Vec::new();
        while let Some(part) = connection.part().await {
            content.extend_from_slice(&part.unwrap());
        }
        assert_eq!(content, b"content");
    };
    let (books, ()) = tokio::join!(gate.finish(), buyer);
    assert_eq!(books.states(), [SERVED]);
}

const SURE: &str = r#"
[[service]]
name = "sure"
origin = "http://ORIGIN"
[[service.paywall]]
slug = "safe"
price = "0.01"
settle_level = "safe"
[[service.paywall]]
slug = "final"
price = "0.01"
settle_level = "final"
"#;

/// Blocks until the payment is in one, and none after it. What the books call sent may still be on its
/// way to the node.
async fn mine_the_payment(gate: &TestGate) {
    eventually("it is in a block", async || {
        gate.net.mine(1);
        (gate.paid_units() == PRICE).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_waits_until_its_settlement_is_as_sure_as_the_route_wants() {
    let setup = Setup::on(Net::by_hand()).await.sections(SURE);
    let gate = setup.start().await;
    let request = Request::get("/api/x402/pay/sure/final");
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    let client = gate.client;
    let answer = tokio::spawn(async move { client.send(&paid).await });
    gate.books_say("it is sent", |books| {
        books
            .transactions
            .iter()
            .any(|row| row.payment == PaymentState::Broadcast)
    })
    .await;
    mine_the_payment(&gate).await;
    gate.books_say("it is settled", |books| books.settled_units() == PRICE)
        .await;
    assert!(!answer.is_finished(), "one block is not final");
    gate.net.mine(3);
    assert_eq!(answer.await.unwrap().text(), "content");
    gate.finish().await;
}

#[tokio::test]
async fn a_settlement_that_is_not_sure_in_time_buys_nothing_before_it_is() {
    let setup = Setup::on(Net::by_hand()).await.sections(SURE);
    let setup = setup.options(|options| {
        options.payments.settle_wait = std::time::Duration::from_millis(500);
        options.payments.earlier_wait = std::time::Duration::from_millis(200);
    });
    let gate = setup.start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get("/api/x402/pay/sure/final"));
    let payment = gate.sign(&buyer, &request).await;
    let paid = payment.on(request.clone());
    let client = gate.client;
    let answer = tokio::spawn(async move { client.send(&paid).await });
    gate.books_say("it is sent", |books| {
        books
            .transactions
            .iter()
            .any(|row| row.payment == PaymentState::Broadcast)
    })
    .await;
    mine_the_payment(&gate).await;
    let pending = (503, "settlement_pending".to_owned());
    let answer = answer.await.unwrap();
    assert_eq!((answer.outcome(), answer.credit()), (pending.clone(), None));
    // Neither the same payment nor another one gets around the wait.
    let calls = gate.origin.calls();
    let again = gate.send(&payment.on(request.clone())).await;
    assert_eq!(again.outcome(), pending);
    assert_eq!(gate.buy(&buyer, &request).await.outcome(), pending);
    assert_eq!((gate.origin.calls(), gate.paid_units()), (calls, PRICE));

    gate.net.mine(3);
    gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
        .await;
    assert_eq!(gate.buy(&buyer, &request).await.text(), "content");
    assert_eq!(gate.paid_units(), PRICE, "from the credit");
    gate.finish().await;
}

#[tokio::test]
async fn a_gate_that_stops_does_not_wait_for_a_sure_settlement() {
    let setup = Setup::new().await.sections(SURE).options(|options| {
        options.payments.settle_wait = std::time::Duration::from_millis(200);
    });
    let gate = setup.start().await;
    let request = Request::get("/api/x402/pay/sure/final");
    let answer = gate.buy(&gate.net.buyer(), &request).await;
    assert_eq!(answer.outcome(), (503, "settlement_pending".to_owned()));
    let books = gate.finish().await;
    assert_eq!(books.credit_units(), PRICE);
}
