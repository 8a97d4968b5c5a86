//! Claims of unknown fate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use octroi_claim::{PaymentState, Step};
use octroi_store::ClaimStore as _;
use octroi_types::UnixMicros;
use serde_json::{Value, json};

use crate::bench::{Bench, PAYEE, PRICE, Signed, WINDOW};
use crate::node::{Fault, eventually};

/// A claim that was handed out of our hands and is not heard of again.
async fn unknown(bench: &Bench, signed: &Signed) -> octroi_claim::ClaimKey {
    let job = bench.claim(signed).await;
    let (key, epoch) = (job.claim.key(), job.claim.epoch);
    let steps = vec![Step::Delegate, Step::Lose];
    bench
        .store
        .claim_advance(key, epoch, steps, UnixMicros::now())
        .await
        .unwrap()
        .unwrap();
    key
}

/// Until the reconciler has looked at least twice more.
async fn rounds(bench: &Bench) {
    let seen = bench.node.count("eth_chainId");
    eventually("two more rounds", || async {
        (bench.node.count("eth_chainId") >= seen + 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn unknown_fails_only_when_a_final_block_is_past_the_window() {
    let bench = Bench::with(crate::bench::by_hand);
    let running = bench.start().await;
    let key = unknown(&bench, &bench.sign(0)).await;
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    // The newest block is past the window; the final one, two blocks behind, is not.
    bench.pass(WINDOW + 1);
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    bench.mine(1);
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    bench.mine(1);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn unknown_is_settled_by_whoever_sent_it_after_the_claim() {
    let bench = Bench::new();
    let running = bench.start().await;
    let signed = bench.sign(0);
    let key = unknown(&bench, &signed).await;
    let tx_hash = bench.submit(&signed, 1);
    bench.reaches(key, PaymentState::Settled).await;
    assert_eq!(bench.stored(key).await.tx_hash, Some(tx_hash));
    assert_eq!(bench.tokens(PAYEE), PRICE);
    // And it is watched: when it vanishes, it is unknown again.
    bench.rpc("anvil_reorg", json!([1]));
    bench.mine(1);
    bench.reaches(key, PaymentState::Unknown).await;
    bench.submit(&signed, 1);
    bench.reaches(key, PaymentState::Settled).await;
    running.kill().await;
}

#[tokio::test]
async fn a_log_far_back_is_found_in_pieces() {
    let bench = Bench::with(|_, options| options.log_blocks_max = 3);
    let signed = bench.sign(0);
    let key = unknown(&bench, &signed).await;
    bench.submit(&signed, 1);
    bench.mine(40);
    let running = bench.start().await;
    bench.reaches(key, PaymentState::Settled).await;
    assert!(bench.node.count("eth_getLogs") > 10);
    running.kill().await;
}

#[tokio::test]
async fn a_use_before_the_claim_fails_it_when_it_is_final() {
    let bench = Bench::with(crate::bench::by_hand);
    let signed = bench.sign(0);
    bench.submit(&signed, 1);
    bench.mine(1);
    bench.wait_for_the_next_second().await;
    let running = bench.start().await;
    let key = unknown(&bench, &signed).await;
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    bench.mine(2);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn a_cancelled_authorization_fails_when_that_is_final() {
    let bench = Bench::with(crate::bench::by_hand);
    let running = bench.start().await;
    let signed = bench.sign(0);
    let key = unknown(&bench, &signed).await;
    bench.cancel(0, signed.authorization.nonce);
    bench.mine(1);
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    bench.mine(2);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

/// A node that tells lies of one kind must never decide anything.
async fn lies(lie: impl Fn(&str, &Value) -> Option<Fault> + Send + 'static, is_used: bool) {
    let bench = Bench::new();
    let running = bench.start().await;
    let signed = bench.sign(0);
    let lying = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&lying);
    let _lie = bench.node.rule(move |method, params| {
        if flag.load(Ordering::Relaxed) {
            lie(method, params)
        } else {
            None
        }
    });
    let key = unknown(&bench, &signed).await;
    if is_used {
        bench.submit(&signed, 1);
    }
    bench.pass(WINDOW + 1);
    bench.mine(5);
    rounds(&bench).await;
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    // When it tells the truth again, the truth is found.
    lying.store(false, Ordering::Relaxed);
    let truth = if is_used {
        PaymentState::Settled
    } else {
        PaymentState::Failed
    };
    bench.reaches(key, truth).await;
    running.kill().await;
}

#[tokio::test]
async fn a_node_of_another_chain_decides_nothing() {
    lies(
        |method, _| (method == "eth_chainId").then(|| Fault::Say(json!("0x1"))),
        false,
    )
    .await;
}

#[tokio::test]
async fn a_node_that_hides_logs_decides_nothing() {
    lies(
        |method, _| (method == "eth_getLogs").then(|| Fault::Say(json!([]))),
        true,
    )
    .await;
}

#[tokio::test]
async fn a_node_whose_receipts_lack_logs_decides_nothing() {
    let bare = |mut receipt: Value| {
        receipt["logs"] = json!([]);
        receipt
    };
    lies(
        move |method, _| {
            (method == "eth_getTransactionReceipt").then(|| Fault::Twist(Box::new(bare)))
        },
        true,
    )
    .await;
}

#[tokio::test]
async fn a_node_that_denies_a_use_decides_nothing() {
    // It says that nothing was ever used, in single questions and in batches.
    let deny = |answer: Value| {
        let text = answer.as_str().unwrap().to_owned();
        let mut words: Vec<String> = text.as_bytes()[2..]
            .chunks(64)
            .map(|word| String::from_utf8(word.to_vec()).unwrap())
            .collect();
        if let Some(last) = words.last_mut() {
            *last = "0".repeat(64);
        }
        json!(format!("0x{}", words.concat()))
    };
    lies(
        move |method, _| (method == "eth_call").then(|| Fault::Twist(Box::new(deny))),
        true,
    )
    .await;
}

#[tokio::test]
async fn a_node_that_knows_no_final_block_fails_nothing() {
    lies(
        |method, params| {
            (method == "eth_getBlockByNumber" && params[0] == "finalized")
                .then_some(Fault::Refuse("unknown block tag"))
        },
        false,
    )
    .await;
}
