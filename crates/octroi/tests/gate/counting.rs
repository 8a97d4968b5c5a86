//! The steps of claims, as operators watch them. They are counted for the whole process, so each gate here
//! has one of its own.

use octroi_testkit::{Answer, Buyer, Net, Reply, Request, World};

use crate::process::GateProcess;
use crate::{FIRST, ITEM};

async fn buy(gate: &GateProcess, buyer: &Buyer, path: &str) -> Answer {
    let request = Request::get(path);
    let payment = gate.sign(buyer, &request).await;
    gate.send(&payment.on(request)).await
}

/// The steps that were counted since the start of the gate's process.
async fn steps(gate: &GateProcess) -> Vec<(String, u64)> {
    let metrics = gate.send(&Request::get("/metrics")).await;
    let lines = metrics.text().lines();
    lines
        .filter_map(|line| {
            let (series, count) = line.strip_prefix("octroi_claim_")?.split_once(' ')?;
            let (_, to) = series.split_once("_steps_total{to=")?;
            let to = to.trim_end_matches('}').trim_matches('"').to_owned();
            Some((to, count.parse().unwrap()))
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

async fn are(gate: &GateProcess, expected: &[(&str, u64)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(to, count)| ((*to).to_owned(), *count))
        .collect();
    octroi_testkit::eventually("the steps are counted", async || {
        (steps(gate).await == expected).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_step_of_a_claim_is_counted_once() {
    let gate = GateProcess::start().await;
    assert_eq!(steps(&gate).await, []);
    let buyer = gate.world.net.buyer();
    assert_eq!(buy(&gate, &buyer, ITEM).await.status, 200);
    are(
        &gate,
        &[
            ("claimed", 1),
            ("broadcast", 1),
            ("settled", 1),
            ("executing", 1),
            ("answered", 1),
            ("delivered", 1),
        ],
    )
    .await;
    // Settled first, and then not served: a credit, which covers the next one.
    gate.world.origin.answer(Reply::status(500, "sorry"));
    assert_eq!(buy(&gate, &buyer, FIRST).await.status, 500);
    gate.world.origin.answer(Reply::ok("content"));
    assert_eq!(buy(&gate, &buyer, ITEM).await.status, 200);
    are(
        &gate,
        &[
            ("claimed", 2),
            ("broadcast", 2),
            ("settled", 2),
            ("covered", 1),
            ("not_started", 1),
            ("executing", 3),
            ("answered", 2),
            ("delivered", 2),
            ("broken", 1),
        ],
    )
    .await;
    gate.finish().await;
}

#[tokio::test]
async fn what_becomes_of_a_payment_after_its_answer_is_counted_too() {
    let gate = GateProcess::start_in(World::around(Net::by_hand()).await).await;
    let buyer = gate.world.net.buyer();
    assert_eq!(buy(&gate, &buyer, ITEM).await.status, 503);
    gate.world.net.mine(1);
    gate.books_say("it is settled", |books| books.open().count() == 0)
        .await;
    are(
        &gate,
        &[
            ("claimed", 1),
            ("broadcast", 1),
            ("settled", 1),
            ("unknown", 1),
            ("executing", 1),
            ("answered", 1),
            ("broken", 1),
        ],
    )
    .await;
    gate.finish().await;
}
