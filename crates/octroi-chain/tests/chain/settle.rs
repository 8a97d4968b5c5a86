//! One payment at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use octroi_chain::{Level, SettleOutcome};
use octroi_claim::{PaymentState, Step};
use octroi_devnet::TOKEN_ADDRESS;
use octroi_store::{ClaimStore as _, SettlementState};
use octroi_types::UnixMicros;
use octroi_x402::Reason;
use serde_json::json;

use crate::bench::{Bench, PAYEE, PRICE, by_hand, payer_address, settled, unsimulated};
use crate::node::{Fault, eventually};

#[tokio::test]
async fn a_payment_is_settled_and_becomes_final() {
    let bench = Bench::new();
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();

    let (claim, included) = settled(running.chain.settle(job).await);
    assert_eq!(claim.payment, PaymentState::Settled);
    assert_eq!(claim.tx_hash, Some(included.tx_hash));
    assert_eq!(bench.tokens(PAYEE), PRICE);
    assert_eq!(bench.stored(key).await, *claim);
    let settlement = bench.opened().await;
    assert_eq!(settlement.state, SettlementState::Included);
    assert_eq!(settlement.claims, [key]);

    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    assert!(
        running
            .chain
            .wait_level(included, Level::Included, deadline)
            .await
    );
    bench.mine(3);
    assert!(
        running
            .chain
            .wait_level(included, Level::Safe, deadline)
            .await
    );
    assert!(
        running
            .chain
            .wait_level(included, Level::Final, deadline)
            .await
    );
    eventually("nothing is watched any more", || async {
        bench.unfinished().await.is_empty().then_some(())
    })
    .await;
    running.kill().await;
}

#[tokio::test]
async fn a_level_that_is_not_reached_is_not_claimed() {
    let bench = Bench::new();
    let running = bench.start().await;
    let (_, included) = settled(running.chain.settle(bench.job(0).await).await);
    let soon = tokio::time::Instant::now() + std::time::Duration::from_millis(100);
    assert!(!running.chain.wait_level(included, Level::Final, soon).await);
    running.kill().await;
}

#[tokio::test]
async fn without_the_money_nothing_is_sent() {
    let bench = Bench::new();
    let running = bench.start().await;
    let poor = 40;
    let job = bench.job(poor).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Refused { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::InsufficientBalance);
    assert_eq!(bench.payment(key).await, PaymentState::Released);
    assert_eq!(bench.node.count("eth_sendRawTransaction"), 0);
    // The money comes, and the same authorization is good again.
    bench
        .net
        .fund(payer_address(poor), crate::bench::amount(PRICE), 0)
        .unwrap();
    running.kill().await;
}

#[tokio::test]
async fn what_would_expire_on_the_way_is_not_sent() {
    let bench = Bench::new();
    let running = bench.start().await;
    let signed = bench.sign_with(0, |terms| terms.valid_before = (bench.now() + 3).into());
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Refused { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::ValidBefore);
    assert_eq!(bench.payment(key).await, PaymentState::Released);
    running.kill().await;
}

#[tokio::test]
async fn an_authorization_used_before_its_claim_is_refused() {
    let bench = Bench::new();
    let running = bench.start().await;
    let signed = bench.sign(0);
    bench.submit(&signed, 1);
    bench.pass(5);
    let job = bench.claim(&signed).await;
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Refused { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::NonceAlreadyUsed);
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn an_authorization_used_before_its_claim_never_settles_it() {
    // Without a simulation the gate finds out when its own transaction has reverted.
    let bench = Bench::with(unsimulated);
    let signed = bench.sign(0);
    bench.submit(&signed, 1);
    bench.wait_for_the_next_second().await;
    let running = bench.start().await;
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Reverted { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::NonceAlreadyUsed);
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    // The foreign use is final: it can never be ours.
    bench.mine(3);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn a_transfer_that_somebody_else_sends_first_settles_once() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let signed = bench.sign(0);
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let settling = bench.settling(&running, job);
    bench.opened().await;
    eventually("it is sent", || async {
        (bench.node.count("eth_sendRawTransaction") > 0).then_some(())
    })
    .await;
    // A copy of the authorization overtakes ours, in a block of its own.
    let ours = bench.opened().await.attempts[0].tx_hash;
    bench.rpc("anvil_dropTransaction", json!([ours]));
    let theirs = bench.submit(&signed, 1);
    bench.mine(1);
    // Ours is sent again, and reverts.
    eventually("ours is in a block", || async {
        bench.mine(1);
        (bench.unfinished().await.first()?.state == SettlementState::Included).then_some(())
    })
    .await;
    let (claim, included) = settled(settling.await.unwrap());
    assert_eq!(included.tx_hash, theirs);
    assert_eq!(claim.tx_hash, Some(theirs));
    assert_eq!(bench.payment(key).await, PaymentState::Settled);
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn a_transaction_that_the_pool_forgot_is_sent_again() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let settling = bench.settling(&running, job);
    let tx_hash = bench.opened().await.attempts[0].tx_hash;
    eventually("the pool has it and forgets it", || async {
        (!bench
            .rpc("anvil_dropTransaction", json!([tx_hash]))
            .is_null())
        .then_some(())
    })
    .await;
    eventually("it is settled", || async {
        bench.mine(1);
        settling.is_finished().then_some(())
    })
    .await;
    let (_, included) = settled(settling.await.unwrap());
    assert_eq!(included.tx_hash, tx_hash);
    assert!(bench.node.count("eth_sendRawTransaction") > 1);
    running.kill().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_does_not_lose_the_payment() {
    let bench = Bench::new();
    let running = bench.start().await;
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::AnswerLost);
    let (_, included) = settled(running.chain.settle(bench.job(0).await).await);
    drop(lost);
    assert_eq!(
        bench.unfinished().await[0].attempts[0].tx_hash,
        included.tx_hash
    );
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn a_node_that_goes_away_after_the_sending_delays_and_loses_nothing() {
    let bench = Bench::new();
    let running = bench.start().await;
    let job = bench.job(0).await;
    let sent = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&sent);
    let outage = bench.node.rule(move |method, _| {
        if flag.load(Ordering::Relaxed) {
            return Some(Fault::Unreachable);
        }
        flag.store(method == "eth_sendRawTransaction", Ordering::Relaxed);
        None
    });
    let settling = bench.settling(&running, job);
    eventually("it is sent", || async {
        sent.load(Ordering::Relaxed).then_some(())
    })
    .await;
    eventually("the chain is not ready", || async {
        (!running.chain.is_ready()).then_some(())
    })
    .await;
    assert!(!settling.is_finished());
    drop(outage);
    settled(settling.await.unwrap());
    running.kill().await;
}

#[tokio::test]
async fn while_the_node_is_down_nothing_is_taken() {
    let bench = Bench::new();
    let running = bench.start().await;
    let outage = bench.node.down();
    eventually("the chain is not ready", || async {
        (!running.chain.is_ready()).then_some(())
    })
    .await;
    let signed = bench.sign(0);
    let refused = running
        .chain
        .check_payer(&signed.authorization, &signed.terms)
        .await;
    assert_eq!(refused, Err(octroi_chain::ChainError::NotReady));
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    assert!(matches!(outcome, SettleOutcome::Unavailable), "{outcome:?}");
    assert_eq!(bench.payment(key).await, PaymentState::Released);
    drop(outage);
    eventually("the chain is ready", || async {
        running.chain.is_ready().then_some(())
    })
    .await;
    settled(running.chain.settle(bench.claim(&signed).await).await);
    running.kill().await;
}

#[tokio::test]
async fn a_claim_that_was_released_is_not_sent() {
    let bench = Bench::new();
    let running = bench.start().await;
    let job = bench.job(0).await;
    let (key, epoch) = (job.claim.key(), job.claim.epoch);
    let now = UnixMicros::now();
    bench
        .store
        .claim_advance(key, epoch, vec![Step::Release], now)
        .await
        .unwrap()
        .unwrap();
    let outcome = running.chain.settle(job).await;
    assert!(matches!(outcome, SettleOutcome::Fenced), "{outcome:?}");
    assert_eq!(bench.node.count("eth_sendRawTransaction"), 0);
    running.kill().await;
}

#[tokio::test]
async fn a_stale_release_does_not_touch_the_next_claim() {
    // A caller gives up while its transfer waits, and the same payment is claimed again: what the
    // engine still does for the first must not release the second.
    let bench = Bench::new();
    let running = bench.start().await;
    let signed = bench.sign(40);
    let first = bench.claim(&signed).await;
    let (key, epoch) = (first.claim.key(), first.claim.epoch);
    let now = UnixMicros::now();
    bench
        .store
        .claim_advance(key, epoch, vec![Step::Release], now)
        .await
        .unwrap()
        .unwrap();
    let second = bench.claim(&signed).await;
    assert_eq!(second.claim.epoch, epoch + 1);
    // The payer has no money, so the engine refuses the first.
    let outcome = running.chain.settle(first).await;
    assert!(matches!(outcome, SettleOutcome::Fenced), "{outcome:?}");
    assert_eq!(bench.payment(key).await, PaymentState::Claimed);
    running.kill().await;
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_a_durable_settlement() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let settling = bench.settling(&running, job);
    bench.opened().await;
    settling.abort();
    eventually("it is settled", || async {
        bench.mine(1);
        (bench.payment(key).await == PaymentState::Settled).then_some(())
    })
    .await;
    running.kill().await;
}

#[tokio::test]
async fn a_token_that_is_not_accepted_is_refused() {
    let bench = Bench::new();
    let running = bench.start().await;
    let mut signed = bench.sign(0);
    let other = octroi_x402::Token::new(crate::bench::CHAIN, TOKEN_ADDRESS, "Other", "1");
    signed.terms.token = Arc::new(other);
    let checked = running
        .chain
        .check_payer(&signed.authorization, &signed.terms)
        .await;
    assert_eq!(checked, Ok(Err(Reason::InvalidRequirements)));
    let outcome = running.chain.settle(bench.claim(&signed).await).await;
    assert!(
        matches!(outcome, SettleOutcome::Refused { .. }),
        "{outcome:?}"
    );
    running.kill().await;
}
