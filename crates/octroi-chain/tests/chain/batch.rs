//! Many payments at once.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use octroi_chain::{SettleOutcome, Settler};
use octroi_claim::PaymentState;
use octroi_store::SettlementState;
use octroi_x402::Reason;

use crate::bench::{Bench, PAYEE, PRICE, by_hand, settled, wallet};
use crate::node::eventually;

/// Blocks are made until everything is answered.
async fn settle_all(
    bench: &Bench,
    chain: &octroi_chain::Chain,
    jobs: Vec<octroi_chain::SettleJob>,
) -> Vec<SettleOutcome> {
    let settling = join_all(jobs.into_iter().map(|job| chain.settle(job)));
    let mining = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            bench.mine(1);
        }
    };
    tokio::select! {
        outcomes = settling => outcomes,
        () = mining => unreachable!(),
    }
}

#[tokio::test]
async fn what_waits_travels_together() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let mut jobs = Vec::new();
    for payer in 0..6 {
        for _ in 0..20 {
            jobs.push(bench.job(payer).await);
        }
    }
    let outcomes = settle_all(&bench, &running.chain, jobs).await;
    let mut sizes: HashMap<_, usize> = HashMap::new();
    for outcome in outcomes {
        *sizes.entry(settled(outcome).1.tx_hash).or_default() += 1;
    }
    // What is first may travel without company; what waits for it shares, 64 at most.
    assert!((2..=3).contains(&sizes.len()), "{sizes:?}");
    assert!(sizes.values().all(|size| *size <= 64), "{sizes:?}");
    assert_eq!(bench.tokens(PAYEE), 120 * PRICE);
    assert_eq!(bench.nonce(wallet(0).address()), sizes.len() as u64);
    running.kill().await;
}

#[tokio::test]
async fn one_bad_payment_does_not_spoil_the_others() {
    for simulate in [true, false] {
        let bench = Bench::with(|net, options| {
            by_hand(net, options);
            options.simulate = simulate;
            options.simulate_single = simulate;
        });
        let running = bench.start().await;
        let mut jobs = vec![bench.job(0).await];
        let poor = 40;
        jobs.push(bench.job(1).await);
        jobs.push(bench.job(poor).await);
        jobs.push(bench.job(2).await);
        let poor_key = jobs[2].claim.key();
        let mut outcomes = settle_all(&bench, &running.chain, jobs).await;
        let outcome = outcomes.remove(2);
        let reason = match outcome {
            SettleOutcome::Refused { reason } if simulate => reason,
            SettleOutcome::Reverted { reason } if !simulate => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason, Reason::InsufficientBalance);
        let state = if simulate {
            PaymentState::Released
        } else {
            PaymentState::Unknown
        };
        assert_eq!(bench.payment(poor_key).await, state);
        outcomes
            .into_iter()
            .for_each(|outcome| drop(settled(outcome)));
        assert_eq!(bench.tokens(PAYEE), 3 * PRICE);
        running.kill().await;
    }
}

#[tokio::test]
async fn sixty_four_copies_of_a_payment_settle_once() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let outcomes = settle_all(&bench, &running.chain, vec![job; 64]).await;
    let (done, kept_out): (Vec<_>, Vec<_>) = outcomes
        .into_iter()
        .partition(|outcome| matches!(outcome, SettleOutcome::Settled { .. }));
    assert_eq!(done.len(), 1);
    assert!(
        kept_out
            .iter()
            .all(|outcome| matches!(outcome, SettleOutcome::Fenced))
    );
    assert_eq!(bench.tokens(PAYEE), PRICE);
    assert_eq!(bench.nonce(wallet(0).address()), 1);
    running.kill().await;
}

#[tokio::test]
async fn copies_through_two_gates_on_one_store_settle_once() {
    let bench = Bench::with(by_hand);
    let one = bench.start().await;
    let mut other = Bench::with(by_hand);
    // Another process with a wallet of its own.
    other.net = std::sync::Arc::clone(&bench.net);
    other.node = crate::node::Node::new(std::sync::Arc::clone(&bench.net), true);
    other.store = std::sync::Arc::clone(&bench.store);
    other.options.settler = Settler::Wallets(vec![wallet(1)]);
    let two = other.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let settling = join_all([one.chain.settle(job.clone()), two.chain.settle(job)]);
    let outcomes = tokio::select! {
        outcomes = settling => outcomes,
        () = async { loop {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            bench.mine(1);
        } } => unreachable!(),
    };
    // Both may have sent it, and both may say that it is settled: by the one log that there is.
    let hashes: HashSet<_> = outcomes
        .into_iter()
        .map(|outcome| settled(outcome).1.tx_hash)
        .collect();
    assert_eq!(hashes.len(), 1);
    assert_eq!(bench.payment(key).await, PaymentState::Settled);
    assert_eq!(bench.tokens(PAYEE), PRICE);
    one.kill().await;
    two.kill().await;
}

#[tokio::test]
async fn two_wallets_do_not_wait_for_each_other() {
    let bench = Bench::with(|net, options| {
        by_hand(net, options);
        options.settler = Settler::Wallets(vec![wallet(0), wallet(1)]);
    });
    let running = bench.start().await;
    let (chain, job) = (running.chain.clone(), bench.job(0).await);
    let first = tokio::spawn(async move { chain.settle(job).await });
    let stuck = bench.opened().await;
    let (chain, job) = (running.chain.clone(), bench.job(1).await);
    let second = tokio::spawn(async move { chain.settle(job).await });
    eventually("both are under way", || async {
        (bench.unfinished().await.len() == 2).then_some(())
    })
    .await;
    let both = bench.unfinished().await;
    assert_ne!(both[0].wallet, both[1].wallet);
    assert_eq!((both[0].nonce, both[1].nonce), (0, 0));
    // The first wallet's transaction is lost for now; the second one's goes through.
    let refuse = stuck.wallet;
    let lost = bench.node.rule(move |method, params| {
        let theirs = method == "eth_sendRawTransaction"
            && bench_sender(params.to_string().as_str()) == Some(refuse);
        theirs.then_some(crate::node::Fault::Unreachable)
    });
    for settlement in both.iter().filter(|settlement| settlement.wallet == refuse) {
        bench.rpc(
            "anvil_dropTransaction",
            serde_json::json!([settlement.attempts[0].tx_hash]),
        );
    }
    eventually("the second is settled", || async {
        bench.mine(1);
        second.is_finished().then_some(())
    })
    .await;
    settled(second.await.unwrap());
    assert!(!first.is_finished());
    drop(lost);
    eventually("the first is settled", || async {
        bench.mine(1);
        first.is_finished().then_some(())
    })
    .await;
    settled(first.await.unwrap());
    assert!(
        bench
            .unfinished()
            .await
            .iter()
            .all(|row| row.state != SettlementState::Open)
    );
    running.kill().await;
}

/// Who signed a raw transaction, as it stands in the parameters.
fn bench_sender(params: &str) -> Option<octroi_types::Address> {
    crate::bench::sender_of(params.trim_matches(['[', ']', '"']))
}
