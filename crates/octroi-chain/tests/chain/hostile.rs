//! Tokens that do not behave.

use octroi_chain::SettleOutcome;
use octroi_claim::PaymentState;
use octroi_devnet::Contract;
use octroi_x402::Reason;
use serde_json::{Value, json};

use crate::bench::{Bench, PAYEE, PRICE, settled, unsimulated};
use crate::node::Fault;

#[tokio::test]
async fn a_reuse_that_does_not_revert_settles_nothing() {
    for simulate in [true, false] {
        let bench = Bench::with_token(Contract::SilentReuseToken, |_, options| {
            options.simulate_single = simulate;
        });
        let signed = bench.sign(0);
        bench.submit(&signed, 1);
        bench.wait_for_the_next_second().await;
        let running = bench.start().await;
        let job = bench.claim(&signed).await;
        let key = job.claim.key();
        // The call succeeds, even simulated; it moves nothing.
        let outcome = running.chain.settle(job).await;
        let SettleOutcome::Reverted { reason } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(reason, Reason::NonceAlreadyUsed);
        assert_eq!(bench.tokens_of(bench.token.address(), PAYEE), PRICE);
        assert_ne!(bench.payment(key).await, PaymentState::Settled);
        running.kill().await;
    }
}

#[tokio::test]
async fn a_token_that_behaves_is_settled_whatever_it_could_do() {
    let bench = Bench::with_token(Contract::SilentReuseToken, |_, _| {});
    let running = bench.start().await;
    settled(running.chain.settle(bench.job(0).await).await);
    assert_eq!(bench.tokens_of(bench.token.address(), PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn a_token_that_keeps_a_part_is_never_paid_with() {
    let bench = Bench::with_token(Contract::FeeOnTransferToken, |_, _| {});
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Reverted { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::TransferEventMismatch);
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    // It stays so until that is final, and then it can never be settled.
    bench.mine(3);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn a_token_that_burns_gas_burns_no_more_than_its_limit() {
    let bench = Bench::with_token(Contract::GasBurnerToken, unsimulated);
    let running = bench.start().await;
    let before = bench.wei(crate::bench::wallet(0).address());
    let outcome = running.chain.settle(bench.job(0).await).await;
    let SettleOutcome::Reverted { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::TransactionFailed);
    let spent = before - bench.wei(crate::bench::wallet(0).address());
    let limit = 60_000 + bench.options.gas_per_authorization;
    assert!(spent <= u128::from(limit) * 3_000_000_000, "{spent}");
    running.kill().await;
}

#[tokio::test]
async fn with_a_simulation_a_gas_burner_is_not_even_sent() {
    let bench = Bench::with_token(Contract::GasBurnerToken, |_, _| {});
    let running = bench.start().await;
    let jobs = [bench.job(0).await, bench.job(1).await, bench.job(2).await];
    let outcomes = futures_util::future::join_all(jobs.map(|job| running.chain.settle(job))).await;
    for outcome in outcomes {
        let SettleOutcome::Refused { reason } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(reason, Reason::SimulationFailed);
    }
    assert_eq!(bench.node.count("eth_sendRawTransaction"), 0);
    running.kill().await;
}

#[tokio::test]
async fn a_gas_burner_does_not_spoil_what_would_travel_with_it() {
    let bench = Bench::with_token(Contract::GasBurnerToken, |net, options| {
        crate::bench::by_hand(net, options);
    });
    let mut good = Bench::new();
    let mut options = bench.options.clone();
    options.tokens.append(&mut good.options.tokens);
    let running = bench.start_as(options).await;
    // The first keeps the lane busy, so that the others wait and are taken together.
    let signed = good.sign(0);
    let first = bench.settling(&running, bench.claim(&signed).await);
    bench.opened().await;
    let burner = bench.settling(&running, bench.job(1).await);
    let neighbour = bench.settling(&running, bench.claim(&good.sign(2)).await);
    settled(bench.outcome(first).await);
    let outcome = bench.outcome(burner).await;
    let SettleOutcome::Refused { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::SimulationFailed);
    settled(bench.outcome(neighbour).await);
    running.kill().await;
}

#[tokio::test]
async fn a_receipt_without_logs_settles_nothing() {
    let bench = Bench::new();
    let running = bench.start().await;
    let bare = |mut receipt: Value| {
        receipt["logs"] = json!([]);
        receipt
    };
    let lying = bench.node.always("eth_getTransactionReceipt", move || {
        Fault::Twist(Box::new(bare))
    });
    let job = bench.job(0).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    assert!(
        matches!(outcome, SettleOutcome::Reverted { .. }),
        "{outcome:?}"
    );
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    drop(lying);
    bench.reaches(key, PaymentState::Settled).await;
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}
