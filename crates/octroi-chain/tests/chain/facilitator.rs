//! Settling through somebody else's facilitator.

use std::sync::Arc;
use std::time::Duration;

use octroi_chain::{
    ChainOptions, Facilitator, FacilitatorOptions, SettleOutcome, Settler, StartError,
};
use octroi_claim::PaymentState;
use octroi_store::SettlementStore as _;
use octroi_types::Redacted;
use octroi_x402::facilitator::{FacilitatorRequest, SupportedResponse};
use octroi_x402::{Reason, SettleResponse, Version, WindowRules, verify_exact};
use parking_lot::Mutex;

use crate::bench::{Bench, CHAIN, PAYEE, PRICE, Running, Signed, WINDOW, settled};
use crate::flaky::{Failure, FlakyStore};
use crate::http::{Reply, Request, Server, client, closed_url};
use crate::node::eventually;

/// What the facilitator does when it is asked to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// It settles and says so.
    Honest,
    /// It settles and hangs up.
    SettlesAndHangsUp,
    /// It settles and answers with status 500.
    SettlesAndFails,
    /// It settles and answers nonsense.
    SettlesAndBabbles,
    /// It settles and says that it does not know yet.
    SettlesAndWaits,
    /// It does nothing and says that it did, with a made-up transaction.
    Lies,
    /// It settles, and names another transaction.
    NamesAnother,
    /// It does nothing and says so, with status 200.
    Refuses,
    /// It does nothing and says so, with status 400.
    RefusesRudely,
    /// It does nothing and never answers.
    Sleeps,
}

struct Remote {
    server: Server,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Remote {
    /// A facilitator that settles by the wallet 1 of the bench's network.
    async fn start(bench: &Arc<Bench>, manner: Manner) -> Self {
        let manner = Arc::new(Mutex::new(manner));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (now, log, bench) = (Arc::clone(&manner), Arc::clone(&asked), Arc::clone(bench));
        let server = Server::start(move |request| {
            log.lock().push(request.line.clone());
            answer(&bench, *now.lock(), &request)
        })
        .await;
        Self {
            server,
            manner,
            asked,
        }
    }

    fn facilitator(&self) -> Settler {
        let mut options = FacilitatorOptions::new(self.server.url());
        options.bearer = Some(Redacted::new("the-bearer".to_owned()));
        options.timeout = Duration::from_millis(800);
        Settler::Facilitator(Arc::new(Facilitator::new(options, client())))
    }

    fn settle_count(&self) -> usize {
        self.asked
            .lock()
            .iter()
            .filter(|line| line.starts_with("POST /settle "))
            .count()
    }
}

fn answer(bench: &Bench, manner: Manner, request: &Request) -> Reply {
    assert!(
        request
            .headers
            .to_lowercase()
            .contains("authorization: bearer the-bearer")
    );
    if request.line.starts_with("GET /supported ") {
        return Reply::Answer(200, SupportedResponse::exact(&[CHAIN], &[]).to_body());
    }
    assert!(
        request.line.starts_with("POST /settle "),
        "{}",
        request.line
    );
    let body = FacilitatorRequest::from_body(&request.body).unwrap();
    // What a good facilitator checks holds.
    let rules = WindowRules {
        settlement_margin_seconds: 6,
        max_window_seconds: WINDOW + 60,
    };
    let now = octroi_types::UnixSeconds(bench.now());
    let terms = body.terms().unwrap();
    let authorization = verify_exact(body.payment(), &terms, now, &rules).unwrap();
    let payer = authorization.payer;
    let submit = || {
        bench.submit(
            &Signed {
                authorization: authorization.clone(),
                terms: terms.clone(),
            },
            1,
        )
    };
    let settled = |tx| SettleResponse::settled(Version::V2, CHAIN, tx, payer, None).to_body();
    let failed =
        |reason, tx| SettleResponse::failed(Version::V2, CHAIN, reason, tx, Some(payer)).to_body();
    let made_up = octroi_types::B256([0xab; 32]);
    match manner {
        Manner::Honest => Reply::Answer(200, settled(submit())),
        Manner::SettlesAndHangsUp => {
            submit();
            Reply::HangUp
        }
        Manner::SettlesAndFails => {
            submit();
            Reply::Answer(500, b"{}".to_vec())
        }
        Manner::SettlesAndBabbles => {
            submit();
            Reply::Answer(200, b"{\"ok\":true}".to_vec())
        }
        Manner::SettlesAndWaits => {
            Reply::Answer(200, failed(Reason::SettlementPending, Some(submit())))
        }
        Manner::Lies => Reply::Answer(200, settled(made_up)),
        Manner::NamesAnother => {
            submit();
            let other = bench.send(2, PAYEE, Vec::new());
            Reply::Answer(200, settled(other))
        }
        Manner::Refuses => Reply::Answer(200, failed(Reason::InsufficientBalance, None)),
        Manner::RefusesRudely => Reply::Answer(400, failed(Reason::InvalidSignature, None)),
        Manner::Sleeps => Reply::Silence,
    }
}

async fn with(manner: Manner) -> (Arc<Bench>, Remote, Running) {
    let bench = Arc::new(Bench::new());
    let remote = Remote::start(&bench, manner).await;
    let running = bench.start_settled_by(remote.facilitator()).await.unwrap();
    (bench, remote, running)
}

#[tokio::test]
async fn what_a_facilitator_settles_is_settled_when_the_chain_shows_it() {
    let (bench, remote, running) = with(Manner::Honest).await;
    assert!(running.chain.signers().is_empty());
    let signed = bench.sign(0);
    running
        .chain
        .check_payer(&signed.authorization, &signed.terms)
        .await
        .unwrap()
        .unwrap();
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let (claim, included) = settled(running.chain.settle(job).await);
    assert_eq!(claim.tx_hash, Some(included.tx_hash));
    assert_eq!(bench.payment(key).await, PaymentState::Settled);
    assert_eq!(bench.tokens(PAYEE), PRICE);
    assert_eq!(remote.settle_count(), 1);
    running.kill().await;
}

#[tokio::test]
async fn what_a_facilitator_settled_is_watched_across_a_restart() {
    let (bench, remote, running) = with(Manner::Honest).await;
    let jobs = [bench.job(0).await, bench.job(1).await];
    let [kept, gone] = [jobs[0].claim.key(), jobs[1].claim.key()];
    for job in jobs {
        settled(running.chain.settle(job).await);
    }
    running.kill().await;
    // While nobody runs, the block of the second one is replaced by an empty one.
    bench.rpc("anvil_reorg", serde_json::json!([1]));
    let running = bench.start_settled_by(remote.facilitator()).await.unwrap();
    bench.reaches(gone, PaymentState::Unknown).await;
    assert_eq!(bench.payment(kept).await, PaymentState::Settled);
    // Nobody sends it any more.
    bench.pass(WINDOW + 1);
    bench.mine(3);
    bench.reaches(gone, PaymentState::Failed).await;
    assert_eq!(bench.payment(kept).await, PaymentState::Settled);
    eventually("nothing is watched", || async {
        let watched = bench.store.claims_watched(CHAIN).await.unwrap();
        (watched.is_empty() && running.chain.status().unfinal == 0).then_some(())
    })
    .await;
    assert_eq!(remote.settle_count(), 2);
    running.kill().await;
}

#[tokio::test]
async fn without_a_good_answer_it_is_unknown_until_the_chain_tells() {
    for manner in [
        Manner::SettlesAndHangsUp,
        Manner::SettlesAndFails,
        Manner::SettlesAndBabbles,
        Manner::SettlesAndWaits,
    ] {
        let (bench, remote, running) = with(manner).await;
        let job = bench.job(0).await;
        let key = job.claim.key();
        let outcome = running.chain.settle(job).await;
        assert!(
            matches!(outcome, SettleOutcome::Pending { .. }),
            "{manner:?}: {outcome:?}"
        );
        bench.reaches(key, PaymentState::Settled).await;
        assert_eq!(bench.tokens(PAYEE), PRICE);
        assert_eq!(
            remote.settle_count(),
            1,
            "{manner:?}: asked once and not again"
        );
        running.kill().await;
    }
}

/// A facilitator that is not there.
async fn absent() -> Settler {
    let options = FacilitatorOptions::new(closed_url().await);
    Settler::Facilitator(Arc::new(Facilitator::new(options, client())))
}

#[tokio::test]
async fn what_a_facilitator_never_got_may_come_again() {
    let bench = Arc::new(Bench::new());
    let running = bench.start_settled_by(absent().await).await.unwrap();
    let signed = bench.sign(0);
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    assert!(matches!(outcome, SettleOutcome::Unavailable), "{outcome:?}");
    assert_eq!(bench.payment(key).await, PaymentState::Released);
    running.kill().await;
    // The same payment, by a facilitator that is there.
    let remote = Remote::start(&bench, Manner::Honest).await;
    let running = bench.start_settled_by(remote.facilitator()).await.unwrap();
    let job = bench.claim(&signed).await;
    assert_eq!(job.claim.epoch, 1);
    settled(running.chain.settle(job).await);
    assert_eq!(bench.tokens(PAYEE), PRICE);
    running.kill().await;
}

#[tokio::test]
async fn a_clock_that_is_ahead_of_the_chain_does_not_lose_a_payment() {
    let bench = Arc::new(Bench::new());
    bench.set_clock_ahead(-30);
    let remote = Remote::start(&bench, Manner::SettlesAndHangsUp).await;
    let running = bench.start_settled_by(remote.facilitator()).await.unwrap();
    let job = bench.job(0).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    assert!(
        matches!(outcome, SettleOutcome::Pending { .. }),
        "{outcome:?}"
    );
    // By the clocks it was used before it was claimed. But it was seen unused after that.
    bench.mine(3);
    bench.reaches(key, PaymentState::Settled).await;
    running.kill().await;
}

#[tokio::test]
async fn a_time_out_is_unknown_and_never_failed_before_its_time() {
    let (bench, remote, running) = with(Manner::Sleeps).await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    assert!(
        matches!(outcome, SettleOutcome::Pending { tx_hash: None }),
        "{outcome:?}"
    );
    assert_eq!(bench.payment(key).await, PaymentState::Unknown);
    assert_eq!(remote.settle_count(), 1);
    bench.pass(WINDOW + 1);
    bench.mine(3);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn a_refusal_is_told_and_is_not_the_last_word() {
    for (manner, expected) in [
        (Manner::Refuses, Reason::InsufficientBalance),
        (Manner::RefusesRudely, Reason::InvalidSignature),
    ] {
        let (bench, _remote, running) = with(manner).await;
        let signed = bench.sign(0);
        let job = bench.claim(&signed).await;
        let key = job.claim.key();
        let outcome = running.chain.settle(job).await;
        let SettleOutcome::Reverted { reason } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(reason, expected);
        assert_eq!(bench.payment(key).await, PaymentState::Unknown);
        // It may send what it refused all the same.
        bench.submit(&signed, 1);
        bench.reaches(key, PaymentState::Settled).await;
        running.kill().await;
    }
}

#[tokio::test]
async fn success_that_the_chain_does_not_show_is_not_believed() {
    let (bench, _remote, running) = with(Manner::NamesAnother).await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Reverted { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::TransferEventMismatch);
    // The money moved in a transaction that it did not name.
    bench.reaches(key, PaymentState::Settled).await;
    running.kill().await;
}

#[tokio::test]
async fn a_made_up_transaction_settles_nothing() {
    let (bench, _remote, running) = with(Manner::Lies).await;
    let job = bench.job(0).await;
    let key = job.claim.key();
    let settling = bench.settling(&running, job);
    bench.reaches(key, PaymentState::Broadcast).await;
    // The caller does not wait for ever; the claim is the reconciler's then.
    settling.abort();
    bench.lose(key).await;
    bench.pass(WINDOW + 1);
    bench.mine(3);
    bench.reaches(key, PaymentState::Failed).await;
    running.kill().await;
}

#[tokio::test]
async fn an_authorization_that_is_used_already_is_not_handed_on() {
    let (bench, remote, running) = with(Manner::Honest).await;
    let signed = bench.sign(0);
    bench.submit(&signed, 1);
    let job = bench.claim(&signed).await;
    let key = job.claim.key();
    let outcome = running.chain.settle(job).await;
    let SettleOutcome::Refused { reason } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(reason, Reason::NonceAlreadyUsed);
    assert_eq!(bench.payment(key).await, PaymentState::Released);
    assert_eq!(remote.settle_count(), 0);
    running.kill().await;
}

#[tokio::test]
async fn nothing_is_handed_on_that_is_not_durable() {
    for failure in [Failure::Before, Failure::After] {
        let bench = Arc::new(Bench::new());
        let remote = Remote::start(&bench, Manner::Honest).await;
        let store = FlakyStore::new(&bench.store, &[("claim_advance", failure)]);
        let options = ChainOptions {
            settler: remote.facilitator(),
            ..bench.options.clone()
        };
        let running = bench.start_all(options, store as _).await.unwrap();
        let job = bench.job(0).await;
        let key = job.claim.key();
        let outcome = running.chain.settle(job).await;
        assert!(
            matches!(outcome, SettleOutcome::Pending { tx_hash: None }),
            "{outcome:?}"
        );
        assert_eq!(remote.settle_count(), 0);
        // The caller may still release what was not written; what was is watched.
        let state = match failure {
            Failure::Before => PaymentState::Claimed,
            Failure::After => PaymentState::Unknown,
        };
        assert_eq!(bench.payment(key).await, state);
        running.kill().await;
    }
}

#[tokio::test]
async fn many_are_settled_at_once_and_each_once() {
    let (bench, remote, running) = with(Manner::Honest).await;
    let mut jobs = Vec::new();
    for payer in 0..6 {
        for _ in 0..5 {
            jobs.push(bench.job(payer).await);
        }
    }
    let copies = vec![jobs[0].clone(); 64];
    let settling = jobs
        .into_iter()
        .chain(copies)
        .map(|job| running.chain.settle(job));
    let outcomes = futures_util::future::join_all(settling).await;
    let done = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, SettleOutcome::Settled { .. }))
        .count();
    assert_eq!(done, 30);
    assert_eq!(remote.settle_count(), 30);
    assert_eq!(bench.tokens(PAYEE), 30 * PRICE);
    running.kill().await;
}

#[tokio::test]
async fn a_facilitator_for_other_chains_is_refused_at_the_start() {
    let bench = Bench::new();
    let elsewhere = Server::start(|_| {
        let supported = SupportedResponse::exact(&[octroi_types::ChainId(8453)], &[]);
        Reply::Answer(200, supported.to_body())
    })
    .await;
    let options = FacilitatorOptions::new(elsewhere.url());
    let settler = Settler::Facilitator(Arc::new(Facilitator::new(options, client())));
    let Err(error) = bench.start_settled_by(settler).await else {
        panic!("it started")
    };
    assert!(
        matches!(error, StartError::NotSettledThere { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_facilitator_that_comes_back_is_used_again() {
    let (bench, remote, running) = with(Manner::SettlesAndFails).await;
    let job = bench.job(0).await;
    let outcome = running.chain.settle(job).await;
    assert!(
        matches!(outcome, SettleOutcome::Pending { .. }),
        "{outcome:?}"
    );
    *remote.manner.lock() = Manner::Honest;
    settled(running.chain.settle(bench.job(1).await).await);
    running.kill().await;
}
