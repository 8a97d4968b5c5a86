//! Blocks that are replaced.

use octroi_chain::{Included, Level};
use octroi_claim::PaymentState;
use octroi_store::{
    Arrival, EventKind, SettlementState, SettlementStore as _, TransactionStore as _,
};
use serde_json::json;

use crate::bench::{Bench, PAYEE, PRICE, by_hand, settled};
use crate::node::eventually;

#[tokio::test]
async fn a_settlement_that_vanished_is_sent_and_settled_again() {
    let bench = Bench::new();
    let running = bench.start().await;
    let jobs = [bench.job(0).await, bench.job(1).await];
    let keys = [jobs[0].claim.key(), jobs[1].claim.key()];
    for job in jobs {
        settled(running.chain.settle(job).await);
    }
    // Both blocks are replaced by empty ones, and their transactions forgotten.
    bench.rpc("anvil_reorg", json!([2]));
    assert_eq!(bench.tokens(PAYEE), 0);
    eventually("the money is there again", || async {
        (bench.tokens(PAYEE) == 2 * PRICE).then_some(())
    })
    .await;
    for key in keys {
        bench.reaches(key, PaymentState::Settled).await;
        let transaction = bench.stored(key).await.terms.transaction;
        let events = bench.store.transaction_events(transaction).await.unwrap();
        let vanished = events
            .iter()
            .filter(|event| event.kind == EventKind::Vanished)
            .count();
        assert_eq!(vanished, 1);
    }
    bench
        .mine_until("all is final", || async {
            bench.unfinished().await.is_empty().then_some(())
        })
        .await;
    running.kill().await;
}

#[tokio::test]
async fn a_settlement_that_moved_to_another_block_stays_settled() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let settling = bench.settling(&running, job);
    let (_, first) = settled(bench.outcome(settling).await);
    // The transaction waits in the pool again, and the next block has it before anybody looks.
    let net = std::sync::Arc::clone(&bench.net);
    let blind = bench.node.rule(|method, _| {
        (method == "eth_getBlockByNumber").then_some(crate::node::Fault::Unreachable)
    });
    let depth = bench.height() - first.block_number + 1;
    net.handle("anvil_reorg", &json!([depth, true])).unwrap();
    bench.mine(1);
    drop(blind);
    eventually("it is seen in its new block", || async {
        let settlement = bench.unfinished().await.pop()?;
        let inclusion = settlement.inclusion?;
        (inclusion.block_hash != first.block_hash && settlement.state == SettlementState::Included)
            .then_some(())
    })
    .await;
    assert_eq!(bench.payment(key).await, PaymentState::Settled);
    let transaction = bench.stored(key).await.terms.transaction;
    let events = bench.store.transaction_events(transaction).await.unwrap();
    assert!(events.iter().all(|event| event.kind != EventKind::Vanished));
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn what_vanishes_and_expires_has_failed() {
    let bench = Bench::new();
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    settled(running.chain.settle(job).await);
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || crate::node::Fault::Unreachable);
    bench.rpc("anvil_reorg", json!([1]));
    bench.reaches(key, PaymentState::Unknown).await;
    bench.pass(crate::bench::WINDOW + 1);
    bench
        .mine_until("it has failed", || async {
            (bench.payment(key).await == PaymentState::Failed).then_some(())
        })
        .await;
    assert_eq!(bench.tokens(PAYEE), 0);
    drop(lost);
    running.kill().await;
}

#[tokio::test]
async fn a_wait_for_finality_ends_when_the_block_is_replaced() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let transaction = job.claim.terms.transaction;
    let settling = bench.settling(&running, job);
    let (_, first) = settled(bench.outcome(settling).await);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let wait = async |seen: Included| {
        let chain = running.chain.clone();
        let waiting =
            tokio::spawn(async move { chain.wait_level(seen, Level::Final, deadline).await });
        bench
            .mine_until("the wait is over", || async {
                waiting.is_finished().then_some(())
            })
            .await;
        waiting.await.unwrap()
    };
    let depth = bench.height() - first.block_number + 1;
    bench.rpc("anvil_reorg", json!([depth, true]));
    assert!(!wait(first).await);
    // The books know where it went.
    let moved = bench
        .mine_until("it is seen elsewhere", || async {
            match bench.store.arrival(transaction).await.unwrap() {
                Arrival::Seen(inclusion) if inclusion.block_hash != first.block_hash => {
                    Some(inclusion)
                }
                Arrival::Not | Arrival::Seen(_) => None,
                Arrival::Final => panic!("nobody saw it elsewhere"),
            }
        })
        .await;
    assert!(wait(moved.into()).await);
    running.kill().await;
}
