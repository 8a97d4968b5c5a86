//! What is told of settlements to whoever counts them.

use std::sync::Arc;

use octroi_chain::{ChainOptions, SettlementEnd, SettlementEvent, SettlementHook};
use octroi_claim::PaymentState;
use octroi_devnet::DevNetOptions;
use parking_lot::Mutex;
use serde_json::json;

use crate::bench::{Bench, WINDOW, by_hand, settled, unsimulated, wallet};
use crate::node::{Fault, eventually};

/// Every event so far.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<SettlementEvent>>>);

impl Told {
    fn bench(&self, change: impl FnOnce(&mut DevNetOptions, &mut ChainOptions)) -> Bench {
        let told = Arc::clone(&self.0);
        Bench::with(|net, options| {
            by_hand(net, options);
            options.on_settlement = SettlementHook::new(move |event| told.lock().push(event));
            change(net, options);
        })
    }

    /// Payments in each transaction.
    fn opened(&self) -> Vec<usize> {
        let of = |event: &SettlementEvent| match event {
            SettlementEvent::Opened { payments } => Some(*payments),
            SettlementEvent::Ended { .. } => None,
        };
        self.0.lock().iter().filter_map(of).collect()
    }

    fn ended(&self) -> Vec<SettlementEnd> {
        let of = |event: &SettlementEvent| match event {
            SettlementEvent::Ended { end, .. } => Some(*end),
            SettlementEvent::Opened { .. } => None,
        };
        self.0.lock().iter().filter_map(of).collect()
    }

    async fn ends_with(&self, end: SettlementEnd) {
        eventually("it is told how it ended", || async {
            (self.ended().last() == Some(&end)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn every_payment_and_every_transaction_is_told_once() {
    let told = Told::default();
    let bench = told.bench(|_, _| {});
    let running = bench.start().await;
    let mut settling = Vec::new();
    for payer in 0..5 {
        settling.push(bench.settling(&running, bench.job(payer).await));
    }
    for settling in settling {
        settled(bench.outcome(settling).await);
    }
    assert_eq!(told.ended(), [SettlementEnd::Settled; 5]);
    assert_eq!(told.opened().iter().sum::<usize>(), 5);
    let used = bench.nonce(wallet(0).address());
    assert_eq!(told.opened().len() as u64, used);
    assert_eq!(running.chain.status().lanes[0].next_nonce, Some(used));
    // What moves to another block is nothing new.
    let blind = bench
        .node
        .always("eth_getBlockByNumber", || Fault::Unreachable);
    bench.rpc("anvil_reorg", json!([bench.height(), true]));
    bench.mine(1);
    drop(blind);
    bench
        .mine_until("all is final", || async {
            bench.unfinished().await.is_empty().then_some(())
        })
        .await;
    assert_eq!(told.ended().len(), 5);
    running.kill().await;
    // The next process knows the nonce before it has use for it.
    let running = bench.start().await;
    eventually("the nonce is counted", || async {
        (running.chain.status().lanes[0].next_nonce == Some(used)).then_some(())
    })
    .await;
    running.kill().await;
}

#[tokio::test]
async fn what_moved_nothing_is_unknown_until_it_has_failed() {
    let told = Told::default();
    let bench = told.bench(unsimulated);
    let running = bench.start().await;
    let signed = bench.sign(0);
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    bench.cancel(0, signed.authorization.nonce);
    bench.mine(1);
    let settling = bench.settling(&running, job);
    bench.outcome(settling).await;
    assert_eq!(told.ended().first(), Some(&SettlementEnd::Unknown));
    bench
        .mine_until("it has failed", || async {
            (bench.payment(key).await == PaymentState::Failed).then_some(())
        })
        .await;
    told.ends_with(SettlementEnd::Failed).await;
    assert_eq!(told.ended().len(), 2);
    running.kill().await;
}

#[tokio::test]
async fn what_the_reconciler_finds_first_is_told_once() {
    let told = Told::default();
    let bench = told.bench(|_, _| {});
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    // Nobody sees the receipt, and the caller does not wait.
    let blind = bench
        .node
        .always("eth_getTransactionReceipt", || Fault::Say(json!(null)));
    let settling = bench.settling(&running, job);
    bench.reaches(key, PaymentState::Broadcast).await;
    bench.lose(key).await;
    settling.abort();
    // The reconciler looks as well from now on; both find it at about the same time.
    let searched = bench.node.count("eth_getLogs");
    bench
        .mine_until("it has searched the logs", || async {
            (bench.node.count("eth_getLogs") > searched).then_some(())
        })
        .await;
    drop(blind);
    bench
        .mine_until("both have seen it", || async {
            let included = bench.unfinished().await.is_empty();
            (included && bench.payment(key).await == PaymentState::Settled).then_some(())
        })
        .await;
    assert_eq!(told.ended(), [SettlementEnd::Settled]);
    running.kill().await;
}

#[tokio::test]
async fn the_time_is_that_since_it_was_to_be_sent() {
    let told = Told::default();
    let bench = told.bench(|_, _| {});
    let running = bench.start().await;
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let settling = bench.settling(&running, bench.job(0).await);
    let open = bench.opened().await;
    running.kill().await;
    drop(settling);
    drop(lost);
    // It is sent by the next process, and timed from the first.
    let running = bench.start().await;
    let waited = octroi_types::UnixMicros::now().since(open.attempts[0].created_at);
    bench
        .mine_until("it is settled", || async {
            (!told.ended().is_empty()).then_some(())
        })
        .await;
    let events = told.0.lock().clone();
    let [_, SettlementEvent::Ended { elapsed, end }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(end, SettlementEnd::Settled);
    assert!(elapsed >= waited && !waited.is_zero());
    assert!(elapsed.as_secs() < WINDOW);
    running.kill().await;
}
