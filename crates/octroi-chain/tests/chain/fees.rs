//! Gas that becomes dear, and wallets that run dry.

use std::time::Duration;

use octroi_chain::{ChainOptions, LaneState, SettleOutcome, Settler};
use octroi_claim::PaymentState;
use octroi_devnet::DevNetOptions;
use octroi_store::SettlementState;
use octroi_types::Address;
use serde_json::json;

use crate::bench::{Bench, PAYEE, PRICE, by_hand, settled, wallet};
use crate::node::{Fault, eventually};

const GWEI: u64 = 1_000_000_000;

fn impatient(net: &mut DevNetOptions, options: &mut ChainOptions) {
    by_hand(net, options);
    options.bump_after_blocks = 2;
}

/// What the next block charges for gas.
fn set_base_fee(bench: &Bench, gwei: u64) {
    bench.rpc("anvil_setNextBlockBaseFeePerGas", json!([gwei * GWEI]));
}

fn set_balance(bench: &Bench, account: Address, wei: u128) {
    bench.rpc("anvil_setBalance", json!([account, format!("{wei:#x}")]));
}

async fn stands(running: &crate::bench::Running, state: LaneState) {
    eventually(&format!("the lane is {state:?}"), || async {
        (running.chain.status().lanes[0].state == state).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stuck_settlement_offers_more_under_the_same_nonce() {
    let bench = Bench::with(impatient);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let settling = bench.settling(&running, job);
    let first = bench.opened().await;
    assert_eq!(first.attempts.len(), 1);
    // Gas is suddenly four times what was offered.
    let dear = first.attempts[0].max_fee_per_gas / GWEI * 4;
    eventually("it is settled", || async {
        set_base_fee(&bench, dear);
        bench.mine(1);
        settling.is_finished().then_some(())
    })
    .await;
    let (_, included) = settled(settling.await.unwrap());
    let settlement = bench.opened().await;
    assert_eq!(settlement.nonce, first.nonce);
    assert!(settlement.attempts.len() > 1);
    let last = settlement.attempts.last().unwrap();
    assert_eq!(included.tx_hash, last.tx_hash);
    assert!(last.max_fee_per_gas >= dear * GWEI);
    for pair in settlement.attempts.windows(2) {
        assert!(pair[1].max_fee_per_gas * 10 >= pair[0].max_fee_per_gas * 11);
        assert!(pair[1].max_priority_fee_per_gas * 10 >= pair[0].max_priority_fee_per_gas * 11);
    }
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn never_more_than_the_cap() {
    let bench = Bench::with(|net, options| {
        impatient(net, options);
        options.max_fee_per_gas = 5 * GWEI;
    });
    let running = bench.start().await;
    let job = bench.job(0).await;
    let settling = bench.settling(&running, job);
    bench.opened().await;
    eventually("it waits for cheaper gas", || async {
        set_base_fee(&bench, 50);
        bench.mine(1);
        (running.chain.status().lanes[0].state == LaneState::GasTooDear).then_some(())
    })
    .await;
    assert!(!running.chain.is_ready());
    assert!(!settling.is_finished());
    let outcome = bench.outcome(settling).await;
    settled(outcome);
    let settlement = bench.opened().await;
    assert!(
        settlement
            .attempts
            .iter()
            .all(|attempt| attempt.max_fee_per_gas <= 5 * GWEI)
    );
    stands(&running, LaneState::Idle).await;
    running.kill().await;
}

#[tokio::test]
async fn while_gas_is_too_dear_nothing_is_taken() {
    let bench = Bench::with(|_, options| options.max_fee_per_gas = GWEI / 2);
    let running = bench.start().await;
    stands(&running, LaneState::GasTooDear).await;
    assert!(!running.chain.is_ready());
    let job = bench.job(0).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    assert!(matches!(outcome, SettleOutcome::Unavailable), "{outcome:?}");
    assert_eq!(bench.payment(key).await, PaymentState::Released);
    running.kill().await;
}

#[tokio::test]
async fn an_empty_wallet_leaves_the_work_to_a_full_one() {
    let bench = Bench::with(|_, options| {
        options.settler = Settler::Wallets(vec![wallet(0), wallet(1)]);
    });
    set_balance(&bench, wallet(0).address(), 0);
    let running = bench.start().await;
    stands(&running, LaneState::OutOfGas).await;
    for payer in 0..4 {
        settled(running.chain.settle(bench.job(payer).await).await);
    }
    assert_eq!(bench.nonce(wallet(0).address()), 0);
    assert_eq!(bench.nonce(wallet(1).address()), 4);
    running.kill().await;
}

#[tokio::test]
async fn when_every_wallet_is_empty_nobody_waits_until_one_is_filled() {
    let bench = Bench::new();
    set_balance(&bench, wallet(0).address(), 0);
    let running = bench.start().await;
    stands(&running, LaneState::OutOfGas).await;
    assert_eq!(running.chain.status().lanes[0].balance_wei, Some(0));
    let outcome = running.chain.settle(bench.job(0).await).await;
    assert!(matches!(outcome, SettleOutcome::Unavailable), "{outcome:?}");
    set_balance(&bench, wallet(0).address(), 10_u128.pow(18));
    stands(&running, LaneState::Idle).await;
    settled(running.chain.settle(bench.job(0).await).await);
    running.kill().await;
}

#[tokio::test]
async fn a_small_balance_makes_small_batches() {
    let bench = Bench::with(by_hand);
    // Enough for some transfers at what is offered: twice the base fee of 1 gwei, and a tip.
    set_balance(&bench, wallet(0).address(), 600_000 * 4 * u128::from(GWEI));
    let running = bench.start().await;
    let jobs = {
        let mut jobs = Vec::new();
        for payer in 0..4 {
            for _ in 0..4 {
                jobs.push(bench.job(payer).await);
            }
        }
        jobs
    };
    let settling: Vec<_> = jobs
        .into_iter()
        .map(|job| bench.settling(&running, job))
        .collect();
    let first = bench.opened().await;
    assert!(
        (1..16).contains(&first.claims.len()),
        "{}",
        first.claims.len()
    );
    drop(settling);
    running.kill().await;
}

#[tokio::test]
async fn a_node_that_wants_more_is_given_more() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let mut refusals = 0;
    let _haggling = bench.node.rule(move |method, _| {
        refusals += usize::from(method == "eth_sendRawTransaction");
        (method == "eth_sendRawTransaction" && refusals <= 2)
            .then_some(Fault::Refuse("replacement transaction underpriced"))
    });
    let job = bench.job(0).await;
    let settling = bench.settling(&running, job);
    settled(bench.outcome(settling).await);
    assert_eq!(bench.opened().await.attempts.len(), 3);
    running.kill().await;
}

#[tokio::test]
async fn what_has_expired_gives_its_nonce_back() {
    let bench = Bench::with(impatient);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    // The node loses everything until the payment has expired.
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let settling = bench.settling(&running, job);
    bench.opened().await;
    bench.pass(crate::bench::WINDOW + 1);
    bench
        .mine_until("the nonce is to be filled", || async {
            (bench.opened().await.attempts.len() > 1).then_some(())
        })
        .await;
    drop(lost);
    let outcome = bench.outcome(settling).await;
    assert!(
        matches!(outcome, SettleOutcome::Reverted { .. }),
        "{outcome:?}"
    );
    assert_eq!(bench.tokens(PAYEE), 0);
    assert_eq!(bench.nonce(wallet(0).address()), 1);
    bench
        .mine_until("it has failed for good", || async {
            (bench.payment(key).await == PaymentState::Failed).then_some(())
        })
        .await;
    // The sequence goes on behind it.
    let next = bench.job(1).await;
    let settling = bench.settling(&running, next);
    settled(bench.outcome(settling).await);
    assert_eq!(bench.nonce(wallet(0).address()), 2);
    let open = bench.unfinished().await;
    assert!(open.iter().all(|row| row.state != SettlementState::Open));
    running.kill().await;
}

#[tokio::test]
async fn a_nonce_taken_by_another_program_costs_a_new_nonce_and_nothing_else() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let settling = bench.settling(&running, job);
    let first = bench.opened().await;
    // Somebody uses the wallet's key elsewhere.
    bench.send(0, PAYEE, Vec::new());
    bench.mine(1);
    drop(lost);
    let (_, included) = settled(bench.outcome(settling).await);
    assert_ne!(included.tx_hash, first.attempts[0].tx_hash);
    assert_eq!(bench.nonce(wallet(0).address()), 2);
    assert_eq!(bench.tokens(PAYEE), PRICE);
    tokio::time::timeout(Duration::from_secs(20), running.kill())
        .await
        .unwrap();
}

#[tokio::test]
async fn at_the_cap_an_expired_nonce_is_filled_all_the_same() {
    let bench = Bench::with(|net, options| {
        impatient(net, options);
        // Just what is offered first: nothing higher may follow.
        options.max_fee_per_gas = 2 * GWEI;
    });
    let running = bench.start().await;
    let job = bench.job(0).await;
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let settling = bench.settling(&running, job);
    assert_eq!(bench.opened().await.attempts[0].max_fee_per_gas, 2 * GWEI);
    bench.pass(crate::bench::WINDOW + 1);
    bench
        .mine_until("the nonce is to be filled", || async {
            (bench.opened().await.attempts.len() > 1).then_some(())
        })
        .await;
    drop(lost);
    let outcome = bench.outcome(settling).await;
    assert!(
        matches!(outcome, SettleOutcome::Reverted { .. }),
        "{outcome:?}"
    );
    let attempts = bench.opened().await.attempts;
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.max_fee_per_gas <= 2 * GWEI)
    );
    assert_eq!(bench.nonce(wallet(0).address()), 1);
    running.kill().await;
}
