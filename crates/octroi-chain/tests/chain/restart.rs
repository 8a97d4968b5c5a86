//! A process that is killed, and the next one on the same store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use octroi_claim::{ClaimKey, NodeId, PaymentState};
use octroi_store::{ClaimStore as _, SettlementState, SettlementStore as _};
use octroi_types::UnixMicros;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::bench::{Bench, CHAIN, PAYEE, PRICE, Signed, WINDOW, by_hand, settled, wallet};
use crate::node::{Fault, eventually};

/// Another process finds the store as the killed one left it.
fn reopen(bench: &mut Bench) {
    bench.store = Arc::new(bench.store.reopened());
}

#[tokio::test]
async fn what_was_durable_and_not_sent_is_sent() {
    let mut bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let settling = bench.settling(&running, job);
    let open = bench.opened().await;
    running.kill().await;
    assert!(matches!(
        settling.await.unwrap(),
        octroi_chain::SettleOutcome::Pending { tx_hash: None }
    ));
    drop(lost);
    assert_eq!(bench.nonce(wallet(0).address()), 0);

    reopen(&mut bench);
    let running = bench.start().await;
    bench
        .mine_until("it is settled", || async {
            (bench.payment(key).await == PaymentState::Settled).then_some(())
        })
        .await;
    assert_eq!(
        bench.stored(key).await.tx_hash,
        Some(open.attempts[0].tx_hash)
    );
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn what_was_sent_is_found_and_not_sent_twice() {
    let mut bench = Bench::with(by_hand);
    let running = bench.start().await;
    let mut jobs = Vec::new();
    for payer in 0..4 {
        jobs.push(bench.job(payer).await);
    }
    let keys: Vec<_> = jobs.iter().map(|job| job.claim.key()).collect();
    for job in jobs {
        bench.settling(&running, job);
    }
    eventually("it is sent", || async {
        (bench.node.count("eth_sendRawTransaction") > 0).then_some(())
    })
    .await;
    running.kill().await;
    // It comes into a block while nobody looks.
    bench.mine(1);
    let carried = bench.opened().await.claims.len();
    let sent = bench.node.count("eth_sendRawTransaction");

    reopen(&mut bench);
    let running = bench.start().await;
    for key in &keys[..carried] {
        bench.reaches(*key, PaymentState::Settled).await;
    }
    assert_eq!(bench.node.count("eth_sendRawTransaction"), sent);
    // The sequence goes on where it was.
    let job = bench.job(5).await;
    let settling = bench.settling(&running, job);
    settled(bench.outcome(settling).await);
    assert_eq!(bench.nonce(wallet(0).address()), 2);
    assert_eq!(bench.tokens(PAYEE), (carried as u64 + 1) * PRICE);
    running.kill().await;
}

#[tokio::test]
async fn claims_that_recovery_took_over_are_settled_all_the_same() {
    let mut bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let settling = bench.settling(&running, job);
    bench.opened().await;
    running.kill().await;
    drop(settling);
    reopen(&mut bench);
    // The next process's recovery comes first: another owner, another epoch, unknown fate.
    let recovered = bench
        .store
        .claims_recover(NodeId(2), 10, UnixMicros::now())
        .await
        .unwrap();
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0].payment, PaymentState::Unknown);
    let running = bench.start().await;
    bench
        .mine_until("it is settled", || async {
            (bench.payment(key).await == PaymentState::Settled).then_some(())
        })
        .await;
    // The work was given up with the first process, so the money became a credit.
    assert!(bench.stored(key).await.credit.is_some());
    running.kill().await;
}

#[tokio::test]
async fn what_expired_while_nobody_ran_gives_its_nonce_back() {
    let mut bench = Bench::with(|net, options| {
        by_hand(net, options);
        options.bump_after_blocks = 2;
    });
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    bench.settling(&running, job);
    bench.opened().await;
    running.kill().await;
    bench.pass(WINDOW + 1);
    reopen(&mut bench);
    bench
        .store
        .claims_recover(NodeId(2), 10, UnixMicros::now())
        .await
        .unwrap();
    let running = bench.start().await;
    drop(lost);
    bench
        .mine_until("it has failed", || async {
            (bench.payment(key).await == PaymentState::Failed).then_some(())
        })
        .await;
    eventually("its nonce is used", || async {
        bench.mine(1);
        (bench.nonce(wallet(0).address()) == 1).then_some(())
    })
    .await;
    assert_eq!(bench.tokens(PAYEE), 0);
    running.kill().await;
}

#[tokio::test]
async fn finality_is_watched_across_a_restart() {
    let mut bench = Bench::new();
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    settled(running.chain.settle(job).await);
    running.kill().await;
    // The block is replaced while nobody runs, and the transaction is lost with it.
    bench.rpc("anvil_reorg", json!([1]));
    assert_eq!(bench.tokens(PAYEE), 0);
    reopen(&mut bench);
    let running = bench.start().await;
    eventually("it is sent and settled again", || async {
        (bench.tokens(PAYEE) == PRICE && bench.payment(key).await == PaymentState::Settled)
            .then_some(())
    })
    .await;
    running.kill().await;
}

#[tokio::test]
async fn a_wallet_that_is_not_configured_any_more_is_seen_through() {
    let mut bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    bench.settling(&running, job);
    bench.opened().await;
    running.kill().await;
    drop(lost);
    reopen(&mut bench);
    bench.options.settler = octroi_chain::Settler::Wallets(vec![wallet(1)]);
    let running = bench.start().await;
    bench
        .mine_until("it is settled", || async {
            (bench.payment(key).await == PaymentState::Settled).then_some(())
        })
        .await;
    bench
        .mine_until("it is final", || async {
            bench.unfinished().await.is_empty().then_some(())
        })
        .await;
    running.kill().await;
}

#[tokio::test]
async fn a_chain_that_is_dropped_stops_by_itself() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let settling = bench.settling(&running, job);
    let open = bench.opened().await;
    assert_eq!(open.state, SettlementState::Open);
    // Whoever waits for a settlement keeps the chain.
    settling.abort();
    assert!(settling.await.is_err());
    running.drop_chain().await;
}

#[tokio::test]
async fn a_claim_that_passed_on_meanwhile_is_not_the_callers_any_more() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let settling = bench.settling(&running, job);
    bench.opened().await;
    // This node is taken for dead, and another one takes its claim over.
    let later = UnixMicros::now().plus(std::time::Duration::from_secs(7_200));
    let recovered = bench
        .store
        .claims_recover(NodeId(2), 10, later)
        .await
        .unwrap();
    assert_eq!(recovered[0].epoch, 1);
    let outcome = bench.outcome(settling).await;
    assert!(
        matches!(outcome, octroi_chain::SettleOutcome::Fenced),
        "{outcome:?}"
    );
    // The money came all the same, and is the payer's credit now.
    assert_eq!(bench.payment(key).await, PaymentState::Settled);
    assert!(bench.stored(key).await.credit.is_some());
    running.kill().await;
}

#[tokio::test]
async fn a_claim_that_passed_on_is_sent_again_for_its_new_owner() {
    let bench = Bench::with(by_hand);
    let running = bench.start().await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let settling = bench.settling(&running, job);
    bench.opened().await;
    let later = UnixMicros::now().plus(std::time::Duration::from_secs(7_200));
    bench
        .store
        .claims_recover(NodeId(2), 10, later)
        .await
        .unwrap();
    // Another program uses the wallet's nonce, so the payment needs another one.
    bench.send(0, PAYEE, Vec::new());
    bench.mine(1);
    drop(lost);
    bench
        .mine_until("it is settled", || async {
            (bench.payment(key).await == PaymentState::Settled).then_some(())
        })
        .await;
    assert_eq!(bench.tokens(PAYEE), PRICE);
    drop(settling);
    running.kill().await;
}

#[tokio::test]
async fn what_another_process_left_before_us_is_sent_by_us() {
    // Two processes, one wallet, one store: their nonces interleave.
    let bench = Bench::with(by_hand);
    let mut other = Bench::with(by_hand);
    other.net = Arc::clone(&bench.net);
    other.node = crate::node::Node::new(Arc::clone(&bench.net), true);
    other.store = Arc::clone(&bench.store);
    let survivor = other.start().await;
    let victim = bench.start().await;
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let first = bench.job(0).await;
    let first_key = first.claim.key();
    drop(bench.settling(&victim, first));
    assert_eq!(bench.opened().await.nonce, 0);
    victim.kill().await;
    drop(lost);

    let second = bench.settling(&survivor, bench.job(1).await);
    settled(bench.outcome(second).await);
    assert_eq!(bench.tokens(PAYEE), 2 * PRICE);
    let mut nonces: Vec<_> = bench
        .unfinished()
        .await
        .iter()
        .map(|row| row.nonce)
        .collect();
    nonces.sort_unstable();
    assert_eq!(nonces, [0, 1]);
    // Once the dead process's claim is recovered, the survivor finds out what became of it.
    bench.lose(first_key).await;
    bench.reaches(first_key, PaymentState::Settled).await;
    survivor.kill().await;
}

#[tokio::test]
async fn killed_at_any_call_to_the_node_nothing_is_lost_and_nothing_is_paid_twice() {
    let mut calls_made = usize::MAX;
    let mut crash_at = 0;
    while crash_at <= calls_made {
        calls_made = crash_and_restart(crash_at).await;
        crash_at += 1;
    }
    assert!(
        crash_at > 10,
        "the crashes were spread over {crash_at} calls"
    );
}

/// Crashes at one call to the node, in the middle of three payments, and restarts. Says how many
/// calls there were.
async fn crash_and_restart(crash_at: usize) -> usize {
    let mut bench = Bench::new();
    let running = bench.start().await;
    let mut keys = Vec::new();
    let mut settling = Vec::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let crash = bench.node.rule(move |method, _| {
        // What only watches does not count: it happens at any time.
        let counts = !method.starts_with("eth_getBlock") && method != "eth_chainId";
        let made = counter.fetch_add(usize::from(counts), Ordering::Relaxed);
        (made >= crash_at).then_some(Fault::Unreachable)
    });
    for payer in 0..3 {
        let job = bench.job(payer).await;
        keys.push(job.claim.key());
        settling.push(bench.settling(&running, job));
    }
    eventually("it crashes or is done", || async {
        let crashed = calls.load(Ordering::Relaxed) > crash_at;
        (crashed || settling.iter().all(JoinHandle::is_finished)).then_some(())
    })
    .await;
    running.kill().await;
    for task in settling {
        task.abort();
    }
    drop(crash);

    reopen(&mut bench);
    bench
        .store
        .claims_recover(NodeId(2), 10, UnixMicros::now())
        .await
        .unwrap();
    let running = bench.start().await;
    let mut paid = 0;
    for key in keys {
        let end = eventually("a claim comes to its end", || async {
            let payment = bench.payment(key).await;
            matches!(payment, PaymentState::Settled | PaymentState::Released).then_some(payment)
        })
        .await;
        paid += u64::from(end == PaymentState::Settled);
    }
    assert_eq!(
        bench.tokens(PAYEE),
        paid * PRICE,
        "crashed at call {crash_at}"
    );
    running.kill().await;
    calls.load(Ordering::Relaxed)
}

/// More blocks than are made by the way.
const DEPTH: u64 = 500;

/// What another transaction than ours settled, and is not final, is stored as being watched.
async fn watched(bench: &Bench) -> Vec<ClaimKey> {
    let watched = bench.store.claims_watched(CHAIN).await.unwrap();
    watched.iter().map(|(claim, _)| claim.key()).collect()
}

/// A payment that somebody sends before us, seen in its block by a process that is then killed.
async fn front_run_and_killed() -> (Bench, Signed, ClaimKey) {
    let mut bench = Bench::with(|net, options| {
        by_hand(net, options);
        options.final_confirmations = Some(DEPTH);
    });
    let running = bench.start().await;
    let signed = bench.sign(0);
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    drop(bench.settling(&running, job));
    bench.opened().await;
    bench.submit(&signed, 1);
    bench.mine(1);
    // Ours moves nothing, and what moved the money is found.
    drop(lost);
    bench
        .mine_until("it is settled", || async {
            (bench.payment(key).await == PaymentState::Settled).then_some(())
        })
        .await;
    running.kill().await;
    assert_eq!(watched(&bench).await, [key]);
    reopen(&mut bench);
    (bench, signed, key)
}

/// Replaces the blocks of all that happened; transactions are forgotten, or come again.
fn reorganise(bench: &Bench, are_kept: bool) {
    bench.rpc("anvil_reorg", json!([bench.height(), are_kept]));
}

#[tokio::test]
async fn what_somebody_else_settled_is_watched_across_a_restart() {
    let (bench, signed, key) = front_run_and_killed().await;
    reorganise(&bench, false);
    assert_eq!(bench.tokens(PAYEE), 0);
    let lost = bench
        .node
        .always("eth_sendRawTransaction", || Fault::Unreachable);
    let running = bench.start().await;
    bench.reaches(key, PaymentState::Unknown).await;
    assert_eq!(watched(&bench).await, []);
    // Nobody but its sender can send it again, or the settlement of ours that carries it.
    bench.submit(&signed, 1);
    drop(lost);
    bench
        .mine_until("it is settled again", || async {
            (bench.payment(key).await == PaymentState::Settled).then_some(())
        })
        .await;
    assert_eq!(bench.tokens(PAYEE), PRICE);
    assert_eq!(watched(&bench).await, [key]);
    bench.mine(DEPTH);
    eventually("it is final", || async {
        watched(&bench).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(bench.payment(key).await, PaymentState::Settled);
    running.kill().await;
}

#[tokio::test]
async fn what_moved_to_another_block_while_nobody_ran_is_watched_there() {
    let (bench, _signed, key) = front_run_and_killed().await;
    let before = bench.store.claims_watched(CHAIN).await.unwrap().remove(0).1;
    reorganise(&bench, true);
    let running = bench.start().await;
    let after = bench
        .mine_until("it is seen where it is", || async {
            let (_, after) = bench.store.claims_watched(CHAIN).await.unwrap().pop()?;
            (after.block_hash != before.block_hash).then_some(after)
        })
        .await;
    assert_eq!(after.tx_hash, before.tx_hash);
    assert_eq!(watched(&bench).await, [key]);
    bench.mine(DEPTH);
    eventually("it is final", || async {
        watched(&bench).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(bench.payment(key).await, PaymentState::Settled);
    running.kill().await;
}
