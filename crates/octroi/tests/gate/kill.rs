//! A gate that is killed at each stage: one test for each cell of the table of recovery.

use octroi_claim::{PaymentState, WorkState};
use octroi_testkit::{Buyer, Connection, Fault, Hold, Net, Reply, Request, World, eventually};
use octroi_x402::Version;

use crate::process::GateProcess;
use crate::{COVERED, CREDITED, FIRST, ITEM, PRICE, RELEASED, SENDS, SERVED, facilitator};

/// A request that is under way when the gate dies.
struct UnderWay {
    buyer: Buyer,
    paid: Request,
    connection: Connection,
}

async fn begin(gate: &GateProcess, buyer: Buyer, path: &str) -> UnderWay {
    let request = Request::get(path);
    let paid = gate.sign(&buyer, &request).await.on(request);
    let mut connection = gate.client.connect().await;
    connection.send(&paid).await;
    UnderWay {
        buyer,
        paid,
        connection,
    }
}

/// Kills the gate, and starts it again on a world that holds nothing back.
async fn kill_and_restart(gate: &mut GateProcess) {
    gate.kill();
    gate.world.origin.answer(Reply::ok("content"));
    gate.restart().await;
}

/// The same request with the same payment is served now.
async fn may_come_again(gate: &GateProcess, paid: &Request) {
    let answer = gate.send(paid).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert!(
        answer
            .receipt(Version::V2)
            .unwrap()
            .transaction
            .starts_with("0x")
    );
}

/// A credit comes of the only payment, and pays the buyer's next request.
async fn is_credited(gate: &GateProcess, under_way: &UnderWay) {
    gate.books_say("a credit is there", |books| books.credit_units() == PRICE)
        .await;
    assert_eq!(gate.paid_units(), PRICE);
    let used = gate.send(&under_way.paid).await;
    assert_eq!(used.outcome(), (409, "payment_already_used".to_owned()));
    let request = Request::get(ITEM);
    let payment = gate.sign(&under_way.buyer, &request).await;
    let covered = gate.send(&payment.on(request)).await;
    assert_eq!((covered.status, covered.text()), (200, "content"));
    assert_eq!(covered.receipt(Version::V2).unwrap().transaction, "");
    assert!(
        !gate
            .world
            .net
            .is_used(under_way.buyer.address, payment.authorization.nonce)
    );
    assert_eq!(gate.paid_units(), PRICE);
}

/// Once the end of every payment is written.
async fn at_rest(gate: &GateProcess) {
    gate.books_say("all is written", |books| books.open().count() == 0)
        .await;
}

fn transactions_sent(gate: &GateProcess) -> u64 {
    let net = &gate.world.net;
    net.wallets()
        .map(|wallet| net.sent_by(wallet.address))
        .sum()
}

#[tokio::test]
async fn claimed_and_executing_is_released_and_may_come_again() {
    let (mut gate, hold) = (GateProcess::start().await, Hold::new());
    gate.world.origin.answer(Reply::ok("content").held(&hold));
    let under_way = begin(&gate, gate.world.net.buyer(), ITEM).await;
    hold.reached().await;
    kill_and_restart(&mut gate).await;
    assert_eq!(gate.books().await.states(), [RELEASED]);
    may_come_again(&gate, &under_way.paid).await;
    at_rest(&gate).await;
    assert_eq!(gate.world.origin.calls(), 2);
    assert_eq!(gate.finish().await.states(), [RELEASED, SERVED]);
}

#[tokio::test]
async fn claimed_and_not_started_is_released_and_may_come_again() {
    let (mut gate, hold) = (GateProcess::start().await, Hold::new());
    let held = hold.clone();
    let rule = gate.world.node.rule(move |method, params| {
        let simulates = method == "eth_call" && !params.to_string().contains("0x70a08231");
        simulates.then(|| Fault::HoldCall(held.clone()))
    });
    let under_way = begin(&gate, gate.world.net.buyer(), FIRST).await;
    hold.reached().await;
    drop(rule);
    kill_and_restart(&mut gate).await;
    assert_eq!(gate.books().await.states(), [RELEASED]);
    assert_eq!(gate.world.origin.calls(), 0);
    may_come_again(&gate, &under_way.paid).await;
    at_rest(&gate).await;
    assert_eq!(gate.finish().await.states(), [RELEASED, SERVED]);
}

#[tokio::test]
async fn broadcast_and_not_sent_is_sent_after_the_restart() {
    for path in [ITEM, FIRST] {
        let (mut gate, hold) = (GateProcess::start().await, Hold::new());
        let held = hold.clone();
        let rule = gate
            .world
            .node
            .always(SENDS, move || Fault::HoldCall(held.clone()));
        let under_way = begin(&gate, gate.world.net.buyer(), path).await;
        hold.reached().await;
        drop(rule);
        assert_eq!(gate.books().await.only().payment, PaymentState::Broadcast);
        kill_and_restart(&mut gate).await;
        is_credited(&gate, &under_way).await;
        // What was held back is the same transaction: it comes too late and changes nothing.
        hold.release();
        at_rest(&gate).await;
        assert_eq!(transactions_sent(&gate), 1);
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
}

#[tokio::test]
async fn broadcast_and_sent_is_found_after_the_restart() {
    for path in [ITEM, FIRST] {
        let (mut gate, hold) = (GateProcess::start().await, Hold::new());
        let held = hold.clone();
        let rule = gate
            .world
            .node
            .always(SENDS, move || Fault::HoldAnswer(held.clone()));
        let under_way = begin(&gate, gate.world.net.buyer(), path).await;
        hold.reached().await;
        drop(rule);
        assert_eq!(gate.paid_units(), PRICE);
        kill_and_restart(&mut gate).await;
        is_credited(&gate, &under_way).await;
        at_rest(&gate).await;
        assert_eq!(transactions_sent(&gate), 1);
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
}

#[tokio::test]
async fn settled_and_executing_becomes_a_credit() {
    let (mut gate, hold) = (GateProcess::start().await, Hold::new());
    gate.world.origin.answer(Reply::ok("content").held(&hold));
    let under_way = begin(&gate, gate.world.net.buyer(), FIRST).await;
    hold.reached().await;
    assert_eq!(
        gate.books().await.states(),
        [(PaymentState::Settled, WorkState::Executing)]
    );
    kill_and_restart(&mut gate).await;
    is_credited(&gate, &under_way).await;
    at_rest(&gate).await;
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

#[tokio::test]
async fn settled_and_answered_becomes_a_credit() {
    for path in [ITEM, FIRST] {
        let (mut gate, hold) = (GateProcess::start().await, Hold::new());
        gate.world
            .origin
            .answer(Reply::stream(200).data("half").wait(&hold));
        let mut under_way = begin(&gate, gate.world.net.buyer(), path).await;
        assert!(
            under_way
                .connection
                .head()
                .await
                .receipt(Version::V2)
                .unwrap()
                .success
        );
        assert_eq!(under_way.connection.part().await.unwrap().unwrap(), "half");
        assert_eq!(
            gate.books().await.states(),
            [(PaymentState::Settled, WorkState::Answered)]
        );
        kill_and_restart(&mut gate).await;
        assert!(under_way.connection.part().await.unwrap().is_err());
        is_credited(&gate, &under_way).await;
        at_rest(&gate).await;
        assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
    }
}

#[tokio::test]
async fn settled_and_delivered_stays_as_it_is() {
    let mut gate = GateProcess::start().await;
    let mut under_way = begin(&gate, gate.world.net.buyer(), ITEM).await;
    assert_eq!(under_way.connection.answer().await.text(), "content");
    at_rest(&gate).await;
    kill_and_restart(&mut gate).await;
    let used = gate.send(&under_way.paid).await;
    assert_eq!(used.outcome(), (409, "payment_already_used".to_owned()));
    assert_eq!(gate.world.origin.calls(), 1);
    let books = gate.finish().await;
    assert_eq!((books.states(), books.credit_units()), (vec![SERVED], 0));
}

#[tokio::test]
async fn covered_and_executing_gives_its_credit_back() {
    let (mut gate, hold) = (GateProcess::start().await, Hold::new());
    gate.world.origin.answer(Reply::status(500, "sorry"));
    let mut failed = begin(&gate, gate.world.net.buyer(), FIRST).await;
    assert!(failed.connection.answer().await.credit().is_some());
    gate.world.origin.answer(Reply::ok("content").held(&hold));
    let under_way = begin(&gate, failed.buyer.clone(), ITEM).await;
    hold.reached().await;
    let executing = (PaymentState::Covered, WorkState::Executing);
    assert_eq!(gate.books().await.states(), [CREDITED, executing]);
    kill_and_restart(&mut gate).await;
    assert_eq!(gate.books().await.states(), [CREDITED, RELEASED]);
    // The payment that it covered was never sent, and is covered again.
    let answer = gate.send(&under_way.paid).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert_eq!(gate.paid_units(), PRICE);
    at_rest(&gate).await;
    assert_eq!(gate.finish().await.states(), [CREDITED, RELEASED, COVERED]);
}

#[tokio::test]
async fn unknown_is_reconciled() {
    let mut gate = GateProcess::start().await;
    let silent = gate.world.node.rule(|method, _| match method {
        method if SENDS.contains(&method) => Some(Fault::AnswerLost),
        "eth_getTransactionReceipt" | "eth_getLogs" => Some(Fault::Silent),
        _ => None,
    });
    let mut under_way = begin(&gate, gate.world.net.buyer(), ITEM).await;
    let pending = under_way.connection.answer().await;
    assert_eq!(pending.outcome(), (503, "settlement_pending".to_owned()));
    assert_eq!(gate.books().await.only().payment, PaymentState::Unknown);
    drop(silent);
    kill_and_restart(&mut gate).await;
    is_credited(&gate, &under_way).await;
    at_rest(&gate).await;
    assert_eq!(transactions_sent(&gate), 1);
    assert_eq!(gate.finish().await.states(), [CREDITED, COVERED]);
}

#[tokio::test]
async fn failed_stays_failed() {
    let mut gate = GateProcess::start().await;
    let lost = gate.world.node.always(SENDS, || Fault::Silent);
    let mut under_way = begin(&gate, gate.world.net.buyer(), ITEM).await;
    assert_eq!(under_way.connection.answer().await.status, 503);
    gate.world.net.pass(600);
    gate.books_say("it has failed", |books| {
        books.only().payment == PaymentState::Failed
    })
    .await;
    drop(lost);
    kill_and_restart(&mut gate).await;
    let late = gate.send(&under_way.paid).await;
    assert_eq!(late.status, 402);
    assert_eq!(gate.paid_units(), 0);
    assert_eq!(
        gate.finish().await.states(),
        [(PaymentState::Failed, WorkState::Broken)]
    );
}

#[tokio::test]
async fn released_may_come_again() {
    let mut gate = GateProcess::start().await;
    gate.world.origin.answer(Reply::status(500, "sorry"));
    let mut under_way = begin(&gate, gate.world.net.buyer(), ITEM).await;
    assert_eq!(under_way.connection.answer().await.status, 500);
    kill_and_restart(&mut gate).await;
    may_come_again(&gate, &under_way.paid).await;
    at_rest(&gate).await;
    assert_eq!(gate.finish().await.states(), [RELEASED, SERVED]);
}

#[tokio::test]
async fn a_second_process_does_not_take_the_store() {
    let gate = GateProcess::start().await;
    let ran = std::process::Command::new(env!("CARGO_BIN_EXE_octroi"))
        .args(["serve", "--config", "octroi.toml"])
        .current_dir(gate.world.folder())
        .output()
        .unwrap();
    assert!(!ran.status.success());
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("in use by another process"), "{said}");
    gate.finish().await;
}

#[tokio::test]
async fn what_was_facilitated_and_sent_is_collected_once() {
    let mut world = World::around(Net::new()).await;
    world.sections = facilitator::section();
    let (mut gate, hold) = (GateProcess::start_in(world).await, Hold::new());
    let held = hold.clone();
    let rule = gate
        .world
        .node
        .always(SENDS, move || Fault::HoldAnswer(held.clone()));
    let payment = gate
        .sign(&gate.world.net.buyer(), &Request::get(ITEM))
        .await;
    let asked = facilitator::asked("settle", &payment);
    let mut connection = gate.client.connect().await;
    connection.send(&asked).await;
    hold.reached().await;
    drop(rule);
    kill_and_restart(&mut gate).await;
    let collected = eventually("the success is collected", async || {
        let answer = gate.send(&asked).await;
        assert_eq!(answer.status, 200);
        Some(answer.json()).filter(|settled| settled["success"] == true)
    })
    .await;
    let again = gate.send(&asked).await.json();
    assert_eq!(again["errorReason"], "duplicate_settlement");
    assert_eq!(again["transaction"], collected["transaction"]);
    assert_eq!(transactions_sent(&gate), 1);
    at_rest(&gate).await;
    assert_eq!(gate.finish().await.states(), [SERVED]);
}
