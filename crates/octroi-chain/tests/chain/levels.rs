//! What counts as safe and final.

use std::time::Duration;

use octroi_chain::{ChainOptions, Level, SettleOutcome};
use octroi_claim::{ClaimKey, PaymentState, Step};
use octroi_devnet::DevNetOptions;
use octroi_store::ClaimStore as _;
use octroi_types::UnixMicros;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::bench::{Bench, Running, WINDOW, by_hand, settled};
use crate::node::{Fault, InForce, eventually};

/// Blocks that make final where neither the node nor the configuration says so.
const DEFAULT: u64 = 256;

fn five(net: &mut DevNetOptions, options: &mut ChainOptions) {
    by_hand(net, options);
    options.final_confirmations = Some(5);
}

/// The node does not know `safe` and `finalized`, and has forgotten the state of older blocks.
fn lacks_tags(bench: &Bench, says: fn() -> Fault) -> [InForce; 2] {
    let is_tag = |params: &Value| params[0] == "safe" || params[0] == "finalized";
    let tags = bench.node.rule(move |method, params| {
        (method == "eth_getBlockByNumber" && is_tag(params)).then(says)
    });
    let net = std::sync::Arc::clone(&bench.net);
    let state = bench.node.rule(move |method, params| {
        let number = params[1].as_str().and_then(|tag| tag.strip_prefix("0x"))?;
        let number = u64::from_str_radix(number, 16).unwrap();
        let head = net.handle("eth_blockNumber", &json!([])).unwrap();
        let head = u64::from_str_radix(&head.as_str().unwrap()[2..], 16).unwrap();
        (method == "eth_call" && number + 128 < head).then_some(Fault::Refuse("missing trie node"))
    });
    [tags, state]
}

/// A claim that may have been sent and is not heard of again.
async fn unknown(bench: &Bench) -> ClaimKey {
    let job = bench.job(0).await;
    let (key, epoch) = (job.claim.key(), job.claim.epoch);
    let steps = vec![Step::Delegate, Step::Lose];
    let now = UnixMicros::now();
    let advanced = bench.store.claim_advance(key, epoch, steps, now).await;
    advanced.unwrap().unwrap();
    key
}

/// Until the engine has looked at the chain as it is now.
async fn rounds(bench: &Bench) {
    let seen = bench.node.count("eth_chainId");
    eventually("some more rounds", || async {
        (bench.node.count("eth_chainId") >= seen + 4).then_some(())
    })
    .await;
}

/// Blocks on top of the first one past the window until a claim has failed.
async fn fails_at_depth(bench: &Bench, running: Running, depth: u64) {
    let key = unknown(bench).await;
    bench.pass(WINDOW + 1);
    bench.mine(depth - 1);
    rounds(bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    bench.mine(1);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn the_configured_depth_is_final_whatever_the_node_says() {
    let bench = Bench::with(five);
    let running = bench.start().await;
    fails_at_depth(&bench, running, 5).await;
}

#[tokio::test]
async fn without_tags_blocks_deep_down_are_final() {
    for says in [
        || Fault::Refuse("invalid argument 0: unknown block tag"),
        || Fault::Say(Value::Null),
    ] {
        let bench = Bench::with(by_hand);
        let _lacking = lacks_tags(&bench, says);
        let running = bench.start().await;
        fails_at_depth(&bench, running, DEFAULT).await;
    }
}

#[tokio::test]
async fn a_settlement_is_watched_until_it_is_deep_enough() {
    let bench = Bench::with(five);
    let _lacking = lacks_tags(&bench, || Fault::Refuse("unknown block tag"));
    let running = bench.start().await;
    let settling = bench.settling(&running, bench.job(0).await);
    let (_, included) = settled(bench.outcome(settling).await);
    let on_top = || bench.height() - included.block_number;
    while on_top() < 4 {
        bench.mine(1);
    }
    let _unknown = unknown(&bench).await;
    rounds(&bench).await;
    if on_top() < 5 {
        assert_eq!(bench.unfinished().await.len(), 1);
    }
    bench
        .mine_until("it is final", || async {
            bench.unfinished().await.is_empty().then_some(())
        })
        .await;
    assert!(on_top() >= 5);
    running.kill().await;
}

#[tokio::test]
async fn half_of_final_is_safe() {
    let bench = Bench::with(five);
    let running = bench.start().await;
    let settling = bench.settling(&running, bench.job(0).await);
    let outcome = bench.outcome(settling).await;
    let SettleOutcome::Settled { settlement, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let depth = || bench.height() - settlement.block_number;
    for (level, expected) in [(Level::Safe, 3), (Level::Final, 5)] {
        let (chain, deadline) = (
            running.chain.clone(),
            Instant::now() + Duration::from_secs(30),
        );
        let before = depth();
        let waiting =
            tokio::spawn(async move { chain.wait_level(settlement, level, deadline).await });
        bench
            .mine_until("it is sure", || async {
                waiting.is_finished().then_some(())
            })
            .await;
        assert!(waiting.await.unwrap());
        assert!(depth() >= expected, "{level:?} at {before}..{}", depth());
    }
    running.kill().await;
}

#[tokio::test]
async fn a_node_that_had_tags_is_not_second_guessed() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    // It tells a final block once,
    let settling = bench.settling(&running, bench.job(1).await);
    settled(bench.outcome(settling).await);
    bench
        .mine_until("it is final", || async {
            bench.unfinished().await.is_empty().then_some(())
        })
        .await;
    // and then never again.
    let lacking = lacks_tags(&bench, || Fault::Refuse("finalized block not found"));
    let key = unknown(&bench).await;
    bench.pass(WINDOW + 1);
    bench.mine(DEFAULT + 10);
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    drop(lacking);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn a_busy_node_does_not_lack_tags() {
    let bench = Bench::with(by_hand);
    let busy = bench.node.rule(|method, params| {
        (method == "eth_getBlockByNumber" && params[0] == "finalized").then_some(Fault::Busy)
    });
    let running = bench.start().await;
    let key = unknown(&bench).await;
    bench.pass(WINDOW + 1);
    bench.mine(DEFAULT + 10);
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    drop(busy);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}
