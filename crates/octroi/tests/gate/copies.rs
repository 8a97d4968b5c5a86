//! One signed payment buys one answer, however often and for whatever it is sent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_claim::WorkState;
use octroi_testkit::{Hold, Payment, Reply, Request, TestGate, eventually};
use octroi_x402::Version;
use serde_json::{Value, json};

use crate::{FIRST, ITEM, PRICE, SERVED, TREE};

const COPIES: usize = 64;

/// Sends copies of a request at once, and counts how they were answered.
async fn at_once(gate: &TestGate, copies: &[Request]) -> BTreeMap<(u16, String), usize> {
    let sent: Vec<_> = copies
        .iter()
        .map(|request| {
            let (client, request) = (gate.client, request.clone());
            tokio::spawn(async move { client.send(&request).await })
        })
        .collect();
    let mut outcomes = BTreeMap::new();
    for answer in sent {
        *outcomes.entry(answer.await.unwrap().outcome()).or_default() += 1;
    }
    outcomes
}

fn refused(outcomes: &BTreeMap<(u16, String), usize>) -> usize {
    let codes = ["payment_in_use", "payment_already_used"];
    codes
        .iter()
        .filter_map(|code| outcomes.get(&(409, (*code).to_owned())))
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_copies_at_once_make_one_call_one_settlement_and_one_answer() {
    for path in [ITEM, FIRST] {
        let gate = TestGate::start().await;
        let request = Request::get(path);
        let payment = gate.sign(&gate.net.buyer(), &request).await;
        let copies = vec![payment.on(request); COPIES];
        let outcomes = at_once(&gate, &copies).await;
        assert_eq!(outcomes[&(200, String::new())], 1, "{outcomes:?}");
        assert_eq!(refused(&outcomes), COPIES - 1, "{outcomes:?}");
        assert_eq!(gate.origin.calls(), 1);
        assert_eq!(gate.paid_units(), PRICE);
        let sent: u64 = gate
            .net
            .wallets()
            .map(|wallet| gate.net.sent_by(wallet.address))
            .sum();
        assert_eq!(sent, 1);
        assert_eq!(gate.finish().await.states(), [SERVED]);
    }
}

/// The same authorization, in the words of version 1.
fn in_version_1(payment: &Payment) -> Payment {
    let json = STANDARD.decode(&payment.header_value).unwrap();
    let v2: Value = serde_json::from_slice(&json).unwrap();
    let v1 = json!({
        "x402Version": 1,
        "scheme": "exact",
        "network": "base-sepolia",
        "payload": v2["payload"],
    });
    Payment {
        header_name: Version::V1.payment_header(),
        header_value: STANDARD.encode(v1.to_string()),
        ..payment.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_authorization_in_the_words_of_both_versions_is_one_payment() {
    let gate = TestGate::start().await;
    let request = Request::get(ITEM);
    let payment = gate.sign(&gate.net.buyer(), &request).await;
    let (two, one) = (
        payment.on(request.clone()),
        in_version_1(&payment).on(request),
    );
    let copies: Vec<_> = (0..16).flat_map(|_| [two.clone(), one.clone()]).collect();
    let outcomes = at_once(&gate, &copies).await;
    assert_eq!(outcomes[&(200, String::new())], 1, "{outcomes:?}");
    assert_eq!(refused(&outcomes), copies.len() - 1, "{outcomes:?}");
    assert_eq!(gate.origin.calls(), 1);
    gate.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_payments_at_once_are_all_served_and_share_transactions() {
    let gate = TestGate::start().await;
    let request = Request::get(ITEM);
    let terms = gate.send(&request).await.required(Version::V2);
    let paid: Vec<_> = (0..COPIES)
        .map(|_| gate.net.buyer().sign(&terms).on(request.clone()))
        .collect();
    let outcomes = at_once(&gate, &paid).await;
    assert_eq!(outcomes, BTreeMap::from([((200, String::new()), COPIES)]));
    assert_eq!(gate.origin.calls(), COPIES);
    let sent: u64 = gate
        .net
        .wallets()
        .map(|wallet| gate.net.sent_by(wallet.address))
        .sum();
    assert!(sent < COPIES as u64, "{sent} transactions");
    assert_eq!(gate.finish().await.settled_units(), COPIES as u64 * PRICE);
}

#[tokio::test]
async fn a_copy_during_the_work_and_after_it_gets_a_conflict_and_nothing_of_the_answer() {
    let gate = TestGate::start().await;
    let (before_head, in_body) = (Hold::new(), Hold::new());
    let reply = Reply::stream(200)
        .header("location", "https://signed.test/?token=1")
        .header("set-cookie", "session=1")
        .held(&before_head)
        .data("con")
        .wait(&in_body)
        .data("tent");
    gate.origin.answer(reply);
    let request = Request::get(ITEM);
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    let mut buyer = gate.client.connect().await;
    buyer.send(&paid).await;
    before_head.reached().await;
    let during = gate.send(&paid).await;
    assert_eq!(during.outcome(), (409, "payment_in_use".to_owned()));
    before_head.release();
    let head = buyer.head().await;
    let hash = head.receipt(Version::V2).unwrap().transaction;
    in_body.reached().await;
    let streaming = gate.send(&paid).await;
    assert_eq!(streaming.outcome(), (409, "payment_in_use".to_owned()));
    in_body.release();
    let mut content = Vec::new();
    while let Some(part) = buyer.part().await {
        content.extend_from_slice(&part.unwrap());
    }
    assert_eq!(content, b"content");
    gate.books_say("it is delivered", |books| {
        books.only().work == WorkState::Delivered
    })
    .await;
    let after = gate.send(&paid).await;
    assert_eq!(after.outcome(), (409, "payment_already_used".to_owned()));
    let receipt = after.receipt(Version::V2).expect("a receipt");
    assert_eq!((receipt.success, receipt.transaction), (false, hash));
    for answer in [during, streaming, after] {
        assert!(!answer.text().contains("tent"), "{}", answer.text());
        for name in ["location", "set-cookie"] {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
    assert_eq!(gate.origin.calls(), 1);
    gate.finish().await;
}

#[tokio::test]
async fn a_payment_for_one_request_does_not_buy_another() {
    let gate = TestGate::start().await;
    let first = Request::new("PUT", &format!("{TREE}/a?x=1")).header("content-length", "3");
    let first = Request {
        body: "one".into(),
        ..first
    };
    let terms = gate.send(&Request::get(TREE)).await.required(Version::V2);
    let payment = gate.net.buyer().sign(&terms);
    let hold = Hold::new();
    gate.origin.answer(Reply::ok("content").held(&hold));
    let others = [
        Request {
            target: format!("{TREE}/b?x=1"),
            ..first.clone()
        },
        Request {
            target: format!("{TREE}/a/?x=1"),
            ..first.clone()
        },
        Request {
            target: format!("{TREE}/A?x=1"),
            ..first.clone()
        },
        Request {
            target: format!("{TREE}/a?x=2"),
            ..first.clone()
        },
        Request {
            target: format!("{TREE}/a"),
            ..first.clone()
        },
        Request {
            target: format!("{TREE}/a?"),
            ..first.clone()
        },
        Request {
            target: "/api/x402/pay/shop/item".to_owned(),
            method: "POST".to_owned(),
            ..first.clone()
        },
        Request {
            method: "DELETE".to_owned(),
            ..first.clone()
        },
        Request {
            body: "two".into(),
            ..first.clone()
        },
        Request {
            body: "".into(),
            headers: Vec::new(),
            ..first.clone()
        },
    ];
    let mut buyer = gate.client.connect().await;
    buyer.send(&payment.on(first)).await;
    hold.reached().await;
    for round in ["during", "after"] {
        for other in &others {
            let answer = gate.send(&payment.on(other.clone())).await;
            let outcome = (409, "payment_bound_elsewhere".to_owned());
            assert_eq!(answer.outcome(), outcome, "{round}: {other:?}");
        }
        hold.release();
        if round == "during" {
            assert_eq!(buyer.answer().await.status, 200);
        }
    }
    assert_eq!(gate.origin.calls(), 1);
    drop(buyer);
    assert_eq!(gate.finish().await.transactions.len(), 1);
}

#[tokio::test]
async fn a_used_payment_of_a_payer_who_has_nothing_left_is_told_to_be_used() {
    let gate = TestGate::start().await;
    for path in [ITEM, FIRST] {
        let (buyer, request) = (gate.net.buyer_with(PRICE), Request::get(path));
        let paid = gate.sign(&buyer, &request).await.on(request);
        assert_eq!(gate.send(&paid).await.status, 200);
        assert_eq!(gate.net.tokens(buyer.address), 0);
        // What is known of payers is known for the time of a block.
        eventually("the gate knows that the purse is empty", async || {
            let calls = gate.origin.calls();
            let other = gate.buy(&buyer, &Request::get(TREE)).await;
            (other.status == 402 && gate.origin.calls() == calls).then_some(())
        })
        .await;
        let again = gate.send(&paid).await;
        assert_eq!(again.outcome(), (409, "payment_already_used".to_owned()));
        assert!(again.receipt(Version::V2).is_some());
    }
    gate.finish().await;
}
