//! A chain that fails: nobody pays twice, nothing paid is lost, and unknown is never failed.

use std::time::Duration;

use octroi_claim::PaymentState;
use octroi_store::TransactionState;
use octroi_testkit::{
    Answer, Fault, Hold, Net, Payment, Reply, Request, Setup, TestGate, eventually,
};
use octroi_x402::Version;
use serde_json::{Value, json};

use crate::stranger;
use crate::{COVERED, CREDITED, FIRST, ITEM, PRICE, RELEASED, SENDS, SERVED};

/// Answers wait this long for their settlement: shorter than anything that is held.
const SHORT: Duration = Duration::from_millis(200);

/// A gate that does not wait long.
fn impatient(setup: Setup) -> Setup {
    setup.options(|options| {
        options.payments.settle_wait = SHORT;
        options.payments.earlier_wait = SHORT;
    })
}

#[track_caller]
fn pending(answer: &Answer) {
    assert_eq!(answer.outcome(), (503, "settlement_pending".to_owned()));
    assert!(answer.header("retry-after").is_some());
    let receipt = answer.receipt(Version::V2).expect("a receipt");
    assert_eq!(receipt.error_reason.as_deref(), Some("settlement_pending"));
    assert_eq!(
        answer.header("payment-required"),
        None,
        "a client would pay again"
    );
}

/// The buyer's next payment for the same request is served by the first, and is never sent.
async fn is_covered(gate: &TestGate, buyer: &octroi_testkit::Buyer, path: &str) {
    let paid_before = gate.paid_units();
    let payment = gate.sign(buyer, &Request::get(path)).await;
    let answer = gate.send(&payment.on(Request::get(path))).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert!(!gate.net.is_used(buyer.address, payment.authorization.nonce));
    assert_eq!(gate.paid_units(), paid_before);
}

/// Once a credit has come of the only payment.
async fn is_credited(gate: &TestGate) {
    gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
        .await;
    assert_eq!(gate.paid_units(), PRICE);
}

#[tokio::test]
async fn a_node_that_is_down_before_a_claim_charges_nothing() {
    let gate = TestGate::start().await;
    let request = Request::get(ITEM);
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    let down = gate.node.down();
    let answer = gate.send(&paid).await;
    assert_eq!(answer.outcome(), (503, "settlement_unavailable".to_owned()));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(gate.origin.calls(), 0);
    assert!(gate.books().await.transactions.is_empty());
    drop(down);
    eventually("the gate sells again", async || {
        (gate.send(&paid).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn a_node_that_is_down_before_the_settlement_is_sent_releases_the_claim() {
    for path in [ITEM, FIRST] {
        let gate = TestGate::start().await;
        let request = Request::get(path);
        let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
        // What is asked before a claim still works.
        let down = gate.node.rule(|method, params| {
            let simulates = method == "eth_call" && !params.to_string().contains("0x70a08231");
            (SENDS.contains(&method) || simulates).then_some(Fault::Unreachable)
        });
        let answer = gate.send(&paid).await;
        assert_eq!(
            answer.outcome(),
            (503, "settlement_unavailable".to_owned()),
            "{path}"
        );
        assert_eq!(gate.paid_units(), 0);
        drop(down);
        assert_eq!(gate.send(&paid).await.status, 200);
        assert_eq!(gate.finish().await.states(), [RELEASED, SERVED]);
    }
}

#[tokio::test]
async fn a_node_that_is_silent_after_it_was_sent_leaves_the_payment_pending_and_then_a_credit() {
    for path in [ITEM, FIRST] {
        let gate = impatient(Setup::new().await).start().await;
        let (buyer, request) = (gate.net.buyer(), Request::get(path));
        let payment = gate.sign(&buyer, &request).await;
        let paid = payment.on(request);
        let silent = gate.node.rule(|method, _| match method {
            method if SENDS.contains(&method) => Some(Fault::AnswerLost),
            "eth_getTransactionReceipt" | "eth_getLogs" => Some(Fault::Silent),
            _ => None,
        });
        let first = gate.send(&paid).await;
        pending(&first);
        // It is on the chain, and the gate does not know it.
        assert!(gate.net.is_used(buyer.address, payment.authorization.nonce));
        assert_eq!(gate.books().await.only().state, TransactionState::Unknown);
        // Asked again: still not known, and never a second 402.
        pending(&gate.send(&paid).await);
        drop(silent);
        is_credited(&gate).await;
        let late = gate.send(&paid).await;
        assert_eq!(late.outcome(), (409, "payment_already_used".to_owned()));
        is_covered(&gate, &buyer, path).await;
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
}

#[tokio::test]
async fn a_pending_payment_that_took_the_payers_last_money_stays_pending() {
    let gate = impatient(Setup::new().await).start().await;
    let (buyer, request) = (gate.net.buyer_with(PRICE), Request::get(ITEM));
    let paid = gate.sign(&buyer, &request).await.on(request.clone());
    let silent = gate
        .node
        .always(&["eth_getTransactionReceipt", "eth_getLogs"], || {
            Fault::Silent
        });
    pending(&gate.send(&paid).await);
    assert_eq!(gate.net.tokens(buyer.address), 0);
    // A 402 now would have the buyer look for more money, and pay twice.
    for _ in 0..3 {
        gate.net.mine(1);
        pending(&gate.send(&paid).await);
    }
    drop(silent);
    is_credited(&gate).await;
    // Nothing is needed in the purse for what is never sent.
    let covered = gate.buy(&buyer, &request).await;
    assert_eq!((covered.status, covered.text()), (200, "content"));
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

#[tokio::test]
async fn a_settlement_that_takes_too_long_is_pending_and_then_a_credit() {
    let gate = impatient(Setup::on(Net::by_hand()).await).start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let answer = gate.buy(&buyer, &request).await;
    pending(&answer);
    let hash = answer.receipt(Version::V2).unwrap().transaction;
    assert!(hash.starts_with("0x"), "{hash}");
    gate.net.mine(1);
    is_credited(&gate).await;
    let row = gate.books().await;
    assert_eq!(row.only().tx_hash.map(|hash| hash.to_string()), Some(hash));
    gate.origin.answer(Reply::ok("content"));
    is_covered(&gate, &buyer, ITEM).await;
    gate.finish().await;
}

#[tokio::test]
async fn a_new_payment_waits_for_the_fate_of_an_earlier_one_and_is_never_sent() {
    let gate = impatient(Setup::on(Net::by_hand()).await).start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    pending(&gate.buy(&buyer, &request).await);
    // An unmodified client comes without a payment, gets terms, and signs again.
    let second = gate.sign(&buyer, &request).await;
    let paid = second.on(request.clone());
    pending(&gate.send(&paid).await);
    assert_eq!(gate.origin.calls(), 1);
    gate.net.mine(1);
    is_credited(&gate).await;
    let served = gate.send(&paid).await;
    assert_eq!((served.status, served.text()), (200, "content"));
    gate.net.mine(3);
    assert!(!gate.net.is_used(buyer.address, second.authorization.nonce));
    // Somebody else's payment for the same request does not wait.
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

#[tokio::test]
async fn a_new_payment_is_served_as_soon_as_the_fate_of_the_earlier_one_is_known() {
    let setup = Setup::on(Net::by_hand()).await;
    let setup = setup.options(|options| options.payments.settle_wait = SHORT);
    let gate = setup.options(|options| options.payments.earlier_wait = octroi_testkit::PATIENCE);
    let gate = gate.start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    pending(&gate.buy(&buyer, &request).await);
    let paid = gate.sign(&buyer, &request).await.on(request);
    let (client, waits) = (gate.client, paid.clone());
    let waiting = tokio::spawn(async move { client.send(&waits).await });
    // It is not refused while it waits; the block decides.
    tokio::task::yield_now().await;
    gate.net.mine(1);
    let answer = waiting.await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(gate.paid_units(), PRICE);
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

#[tokio::test]
async fn a_payer_whose_money_is_gone_by_the_settlement_is_told_and_nothing_is_sent() {
    let gate = TestGate::start().await;
    let (buyer, hold) = (gate.net.buyer(), Hold::new());
    gate.origin.answer(Reply::ok("content").held(&hold));
    let request = Request::get(ITEM);
    let paid = gate.sign(&buyer, &request).await.on(request);
    let mut connection = gate.client.connect().await;
    connection.send(&paid).await;
    hold.reached().await;
    stranger::empty_purse(&gate.net, &buyer);
    hold.release();
    let answer = connection.answer().await;
    let terms = answer.required(Version::V2);
    assert_eq!(
        terms.error(),
        Some("invalid_exact_evm_insufficient_balance")
    );
    assert!(!answer.text().contains("content"));
    assert_eq!(gate.node.count("eth_sendRawTransaction"), 0);
    assert_eq!(gate.finish().await.states(), [RELEASED]);
}

#[tokio::test]
async fn an_authorization_that_somebody_else_sends_first_counts_once() {
    let gate = TestGate::start().await;
    let (buyer, hold) = (gate.net.buyer(), Hold::new());
    gate.origin.answer(Reply::ok("content").held(&hold));
    let request = Request::get(ITEM);
    let payment = gate.sign(&buyer, &request).await;
    let mut connection = gate.client.connect().await;
    connection.send(&payment.on(request)).await;
    hold.reached().await;
    wait_for_the_next_second().await;
    let hash = stranger::send(&gate.net, &payment);
    hold.release();
    let answer = connection.answer().await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(answer.receipt(Version::V2).unwrap().transaction, hash);
    assert_eq!(gate.finish().await.states(), [SERVED]);
}

#[tokio::test]
async fn an_authorization_that_was_used_before_it_came_buys_nothing() {
    let gate = TestGate::start().await;
    for path in [ITEM, FIRST] {
        let request = Request::get(path);
        let payment = gate.sign(&gate.net.buyer(), &request).await;
        stranger::send(&gate.net, &payment);
        gate.net.mine(1);
        wait_for_the_next_second().await;
        let answer = gate.send(&payment.on(request)).await;
        let terms = answer.required(Version::V2);
        assert_eq!(terms.error(), Some("invalid_exact_evm_nonce_already_used"));
        assert!(!answer.text().contains("content"));
    }
    let books = gate.finish_with_open(0).await;
    assert_eq!(books.settled_units(), 0);
}

/// Blocks tell no smaller time than seconds, and a use in the second of a claim counts for it.
async fn wait_for_the_next_second() {
    let now = || octroi_types::UnixMicros::now().seconds();
    let begun = now();
    eventually("the clock goes on", async || (now() > begun).then_some(())).await;
}

#[tokio::test]
async fn a_block_that_is_replaced_is_settled_again_with_the_same_bytes() {
    let gate = TestGate::start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let payment = gate.sign(&buyer, &request).await;
    let answer = gate.send(&payment.on(request.clone())).await;
    assert_eq!(answer.status, 200);
    let hash = answer.receipt(Version::V2).unwrap().transaction;
    gate.books_say("it is delivered", |books| books.open().count() == 0)
        .await;
    gate.net.reorg(1);
    assert_eq!(gate.paid_units(), 0);
    eventually("it is on the chain again", async || {
        gate.net.mine(1);
        (gate.paid_units() == PRICE).then_some(())
    })
    .await;
    let row = gate
        .books_say("it is settled", |books| books.states() == [SERVED])
        .await;
    assert_eq!(row.only().tx_hash.map(|hash| hash.to_string()), Some(hash));
    // What was bought is not bought again.
    let again = gate.send(&payment.on(request)).await;
    assert_eq!(again.outcome(), (409, "payment_already_used".to_owned()));
    let books = gate.finish().await;
    assert_eq!(books.revenue_units(), PRICE);
}

#[tokio::test]
async fn gas_above_the_cap_sends_nothing_and_the_same_payment_may_come_again() {
    let gate = Setup::new().await.network("max_fee_gwei = 5").start().await;
    let hold = Hold::new();
    gate.origin.answer(Reply::ok("content").held(&hold));
    let request = Request::get(ITEM);
    let paid = gate.sign(&gate.net.buyer(), &request).await.on(request);
    let mut connection = gate.client.connect().await;
    connection.send(&paid).await;
    hold.reached().await;
    spike(&gate, Some(100_000_000_000));
    hold.release();
    let answer = connection.answer().await;
    assert_eq!(answer.outcome(), (503, "settlement_unavailable".to_owned()));
    assert_eq!(gate.node.count("eth_sendRawTransaction"), 0);
    // Once every wallet has seen it, no origin is called in vain.
    eventually("nothing is sold", async || {
        let calls = gate.origin.calls();
        let answer = gate.send(&paid).await;
        assert_eq!(answer.outcome(), (503, "settlement_unavailable".to_owned()));
        (gate.origin.calls() == calls).then_some(())
    })
    .await;
    spike(&gate, None);
    eventually("the gate sells again", async || {
        (gate.send(&paid).await.status == 200).then_some(())
    })
    .await;
    let books = gate.finish().await;
    assert_eq!(books.settled_units(), PRICE);
}

/// A block whose gas costs so much, or what it usually costs.
fn spike(gate: &TestGate, wei: Option<u64>) {
    if let Some(wei) = wei {
        gate.net.rpc(
            "anvil_setNextBlockBaseFeePerGas",
            &json!([format!("0x{wei:x}")]),
        );
    }
    gate.net.mine(1);
}

#[tokio::test]
async fn a_node_that_hides_logs_proves_nothing() {
    let gate = impatient(Setup::new().await).start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let lying = gate.node.rule(|method, _| match method {
        "eth_getLogs" => Some(Fault::Say(json!([]))),
        "eth_getTransactionReceipt" | "eth_sendRawTransactionSync" => {
            Some(Fault::Twist(Box::new(without_logs)))
        }
        _ => None,
    });
    let answer = gate.buy(&buyer, &request).await;
    pending(&answer);
    assert_eq!(gate.paid_units(), PRICE);
    // Time passes, and it is neither settled nor failed.
    gate.net.pass(600);
    gate.net.mine(5);
    assert_eq!(gate.books().await.only().payment, PaymentState::Unknown);
    drop(lying);
    is_credited(&gate).await;
    gate.finish().await;
}

fn without_logs(mut receipt: Value) -> Value {
    if receipt.is_object() {
        receipt["logs"] = json!([]);
    }
    receipt
}

#[tokio::test]
async fn a_transaction_that_reverts_leaves_the_payment_pending_until_its_window_has_ended() {
    let gate = Setup::on(Net::by_hand()).await.start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let payment = gate.sign(&buyer, &request).await;
    let paid = payment.on(request);
    let mut connection = gate.client.connect().await;
    connection.send(&paid).await;
    eventually("it is sent", async || {
        (gate.node.count("eth_sendRawTransaction") > 0).then_some(())
    })
    .await;
    // The payer's money goes elsewhere, and ours comes after that.
    let ours = gate.books().await.only().tx_hash.unwrap();
    gate.net.rpc("anvil_dropTransaction", &json!([ours]));
    stranger::empty_purse(&gate.net, &buyer);
    let mining = eventually("ours is in a block", async || {
        gate.net.mine(1);
        (gate.books().await.only().payment == PaymentState::Unknown).then_some(())
    });
    let (answer, ()) = tokio::join!(connection.answer(), mining);
    pending(&answer);
    assert_eq!(gate.paid_units(), 0);
    // The payer gets money again: whoever has the authorization can still send it.
    gate.net
        .devnet()
        .fund(buyer.address, octroi_testkit::amount(PRICE), 0)
        .unwrap();
    pending(&gate.send(&paid).await);
    gate.net.pass(600);
    gate.books_say("it has failed", |books| {
        books.only().payment == PaymentState::Failed
    })
    .await;
    assert_eq!(gate.send(&paid).await.status, 402);
    gate.finish().await;
}

#[tokio::test]
async fn a_payment_that_never_reached_the_chain_has_failed_when_its_window_is_final() {
    let gate = impatient(Setup::new().await).start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    let payment = gate.sign(&buyer, &request).await;
    let lost = gate.node.always(SENDS, || Fault::Silent);
    pending(&gate.send(&payment.on(request.clone())).await);
    gate.net.pass(100);
    assert_eq!(gate.books().await.only().payment, PaymentState::Unknown);
    gate.net.pass(600);
    gate.books_say("it has failed", |books| {
        books.only().payment == PaymentState::Failed
    })
    .await;
    drop(lost);
    let late = gate.send(&payment.on(request)).await;
    assert_eq!(late.status, 402);
    let books = gate.finish().await;
    assert_eq!((books.settled_units(), books.credit_units()), (0, 0));
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused_at_the_start() {
    let setup = Setup::new().await;
    let _lying = setup
        .node()
        .always(&["eth_chainId"], || Fault::Say(json!("0x1")));
    let refused = setup.try_start().await.err().expect("it does not start");
    assert!(refused.contains("base-sepolia"), "{refused}");
}

#[tokio::test]
async fn a_gate_whose_node_is_down_at_the_start_sells_when_it_comes_back() {
    let setup = Setup::new().await;
    let down = setup.node().down();
    let gate = setup.start().await;
    let (buyer, request) = (gate.net.buyer(), Request::get(ITEM));
    // Terms are known; nothing is sold on them.
    let payment: Payment = gate.sign(&buyer, &request).await;
    let paid = payment.on(request);
    let answer = gate.send(&paid).await;
    assert_eq!(answer.outcome(), (503, "settlement_unavailable".to_owned()));
    drop(down);
    eventually("the gate sells", async || {
        (gate.send(&paid).await.status == 200).then_some(())
    })
    .await;
    gate.finish().await;
}
