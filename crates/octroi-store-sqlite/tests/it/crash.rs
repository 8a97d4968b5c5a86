//! kill -9 at random moments under load: what was acknowledged is there, nothing is half done
//! (money rule 28).

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use octroi_claim::{NodeId, PaymentState as P, Step, WorkState as W};
use octroi_store::conformance::{
    Payment, START, check_invariants, inclusion, settled, settlement, settlement_id,
};
use octroi_store::{ClaimOutcome, ClaimStore, Fact, OpenOutcome, SettlementStore};
use octroi_store_sqlite::{SqliteOptions, SqliteStore};
use octroi_types::UnixMicros;

const ROUNDS: u32 = 20;
const ACKNOWLEDGED_MAX: u64 = 600;
const WORKERS: u32 = 16;
const PATH: &str = "OCTROI_CRASH_TEST_PATH";
const ROUND: &str = "OCTROI_CRASH_TEST_ROUND";

/// What a worker does with one payment after another.
#[derive(Clone, Copy)]
enum Course {
    Delivered,
    Released,
    /// Settled and broken: a credit, which covers the next payment of the same payer.
    Credited,
    Covered,
    Lost,
}

impl Course {
    fn of(number: u32) -> Self {
        match number % 5 {
            0 => Self::Delivered,
            1 => Self::Released,
            2 => Self::Credited,
            3 => Self::Covered,
            _ => Self::Lost,
        }
    }

    /// The states that the claim has after each call.
    const fn states(self) -> &'static [(P, W)] {
        match self {
            Self::Delivered => &[
                (P::Claimed, W::Executing),
                (P::Broadcast, W::Answered),
                (P::Settled, W::Answered),
                (P::Settled, W::Delivered),
            ],
            Self::Released => &[(P::Claimed, W::Executing), (P::Released, W::Broken)],
            Self::Credited => &[
                (P::Claimed, W::Executing),
                (P::Broadcast, W::Answered),
                (P::Settled, W::Answered),
                (P::Settled, W::Broken),
            ],
            Self::Covered => &[(P::Covered, W::Executing), (P::Covered, W::Delivered)],
            Self::Lost => &[
                (P::Claimed, W::Executing),
                (P::Broadcast, W::Answered),
                (P::Unknown, W::Answered),
                (P::Failed, W::Broken),
            ],
        }
    }
}

/// Each payer buys once by every course, so that a credit covers exactly one payment.
fn payment(number: u32) -> Payment {
    let [low, high, ..] = (number / 5).to_le_bytes();
    let (tenant, payer) = (high.wrapping_add(1), low.wrapping_add(1));
    let mut payment = Payment {
        tenant,
        payer,
        ..Payment::new(number)
    };
    // A course that lost its payment distrusts the payer only later on.
    payment.now = UnixMicros(START.0 + i64::from(number) * 1_000);
    payment.failed_since = payment.now;
    payment
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let seed = RandomState::new().build_hasher().finish();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let mut acknowledged = 0;
    for round in 0..ROUNDS {
        let moment = seed.rotate_left(round) % ACKNOWLEDGED_MAX;
        let calls = kill_after(&path, round, moment);
        acknowledged += calls.values().map(|call| call + 1).sum::<usize>();
        runtime.block_on(check(&path, round, &calls));
    }
    assert!(acknowledged > 100, "{acknowledged} calls, seed {seed}");
}

/// Runs the child until it has acknowledged so many calls, and kills it. Returns the last
/// acknowledged call of each payment.
fn kill_after(path: &Path, round: u32, moment: u64) -> HashMap<u32, usize> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child", "--ignored", "--nocapture"])
        .env(PATH, path)
        .env(ROUND, round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut calls = HashMap::new();
    let mut seen = 0;
    // What it still wrote before it died counts as acknowledged, unless it is cut off.
    while let Some(Ok(line)) = lines.next() {
        let Some((number, call)) = line.strip_prefix('@').and_then(|line| line.split_once(' '))
        else {
            continue;
        };
        let Some(call) = call.strip_suffix(';') else {
            continue;
        };
        calls.insert(number.parse().unwrap(), call.parse().unwrap());
        seen += 1;
        if seen > moment {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "it ends by being killed");
    calls
}

async fn check(path: &Path, round: u32, calls: &HashMap<u32, usize>) {
    let store = SqliteStore::open(path, SqliteOptions::default()).unwrap();
    store.audit().await.unwrap();
    check_invariants(&store).await;
    // One call of each payment may have been on the way.
    for worker in 0..WORKERS {
        let mut number = first(round, worker);
        loop {
            let call = calls.get(&number).copied();
            let claim = store.claim_get(payment(number).key()).await.unwrap();
            let states = Course::of(number).states();
            let place = claim.as_ref().map(|claim| {
                let state = (claim.payment, claim.work);
                states
                    .iter()
                    .position(|expected| *expected == state)
                    .unwrap()
            });
            let next = call.map_or(0, |call| call + 1);
            assert!(
                place == call || place == Some(next),
                "payment {number}: call {call:?} was acknowledged, {claim:?} is stored"
            );
            if call != Some(states.len() - 1) {
                break;
            }
            number += 1;
        }
    }
    let heir = NodeId(1_000 + u64::from(round));
    while !store
        .claims_recover(heir, 7, START)
        .await
        .unwrap()
        .is_empty()
    {}
    check_invariants(&store).await;
    store.audit().await.unwrap();
    store.close().await;
}

/// The numbers of one worker in one round.
const fn first(round: u32, worker: u32) -> u32 {
    (round * WORKERS + worker) * 1_000
}

#[test]
#[ignore = "run and killed by another test"]
fn child() {
    let path = PathBuf::from(std::env::var_os(PATH).unwrap());
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(path, SqliteOptions::default()).unwrap());
        store
            .node_beat(NodeId(1), UnixMicros(i64::MAX), START)
            .await
            .unwrap();
        let mut workers = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            let store = Arc::clone(&store);
            workers.spawn(async move {
                for number in first(round, worker)..first(round, worker) + 1_000 {
                    run(&store, number).await;
                }
            });
        }
        workers.join_all().await;
    });
}

async fn run(store: &SqliteStore, number: u32) {
    let (payment, course) = (payment(number), Course::of(number));
    let outcome = store.claim_make(payment.arrive()).await.unwrap();
    let ClaimOutcome::Granted(claim) = outcome else {
        panic!("{number}: {outcome:?}")
    };
    acknowledge(number, 0);
    let step = async |steps: Vec<Step>| {
        store
            .claim_advance(claim.key(), 0, steps, payment.now)
            .await
            .unwrap()
            .unwrap();
    };
    match course {
        Course::Released => step(vec![Step::Release]).await,
        Course::Covered => step(vec![Step::Answer, Step::Deliver]).await,
        Course::Delivered | Course::Credited | Course::Lost => {
            let opened = store
                .settlement_open(settlement(number, &[&claim]))
                .await
                .unwrap();
            assert_eq!(opened, OpenOutcome::Opened);
            acknowledge(number, 1);
            let (id, block) = (settlement_id(number), inclusion(number));
            let fact = match course {
                Course::Lost => Fact::Unknown,
                _ => settled(number, 0),
            };
            let facts = vec![(claim.key(), fact)];
            store
                .settlement_included(id, block, facts, payment.now)
                .await
                .unwrap();
            acknowledge(number, 2);
            match course {
                Course::Lost => {
                    let facts = vec![(claim.key(), Fact::Failed)];
                    store.facts_apply(facts, payment.now).await.unwrap();
                }
                Course::Credited => {
                    let credit = Some(octroi_store::refund_credit_id(claim.terms.id));
                    step(vec![Step::Break { credit }]).await;
                }
                _ => step(vec![Step::Deliver]).await,
            }
        }
    }
    acknowledge(number, course.states().len() - 1);
}

fn acknowledge(number: u32, call: usize) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{number} {call};").unwrap();
}
