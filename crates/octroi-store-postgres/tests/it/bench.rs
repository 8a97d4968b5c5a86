//! How many calls a second there are, to compare changes: `cargo test --release -p octroi-store-postgres
//! -- --ignored --nocapture rates`.

#![expect(clippy::print_stdout, reason = "measurements are for the reader")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use octroi_claim::{Claim, NodeId, Step};
use octroi_store::conformance::{Payment, START, inclusion, settled, settlement, settlement_id};
use octroi_store::{ClaimOutcome, ClaimStore, OpenOutcome, SettlementStore};
use octroi_store_postgres::cluster::{Cluster, Database};
use octroi_store_postgres::{PostgresOptions, PostgresStore};
use octroi_types::UnixMicros;
use tokio::task::JoinSet;

const CALLERS: u32 = 1_024;
const SPAN: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "measures"]
async fn rates() {
    let cluster = Cluster::own("");
    for lanes in [1, 2, 4, 8] {
        let database = cluster.database();
        measure(&database, lanes).await;
    }
}

struct Bench {
    store: PostgresStore,
    commits: Arc<AtomicU64>,
    calls: Arc<AtomicU64>,
    tenants: u8,
}

async fn measure(database: &Database<'_>, lanes: usize) {
    for tenants in [1, 16] {
        let bench = Arc::new(open(database, lanes, tenants).await);
        let base = u32::from(tenants) * 100_000_000;
        let (commits, calls) = (
            bench.commits.load(Ordering::Relaxed),
            bench.calls.load(Ordering::Relaxed),
        );
        let begun = Instant::now();
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            let bench = Arc::clone(&bench);
            callers.spawn(async move {
                let (mut count, mut spent) = ([0_u64; 4], [Duration::ZERO; 4]);
                let mut number = base + caller * 10_000;
                while begun.elapsed() < SPAN {
                    cycle(&bench, number, &mut count, &mut spent).await;
                    number += 1;
                }
                (count, spent)
            });
        }
        let (mut count, mut spent) = ([0; 4], [Duration::ZERO; 4]);
        for (counted, time) in callers.join_all().await {
            for place in 0..4 {
                count[place] += counted[place];
                spent[place] += time[place];
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let total: u64 = count.iter().sum();
        let commits = bench.commits.load(Ordering::Relaxed) - commits;
        let calls = bench.calls.load(Ordering::Relaxed) - calls;
        println!(
            "lanes {lanes}, tenants {tenants}: {:.0} cycles/s, {:.0} calls/s, {:.0} commits/s, {:.0} calls/commit",
            count_f64(count[0]) / seconds,
            count_f64(total) / seconds,
            count_f64(commits) / seconds,
            count_f64(calls) / count_f64(commits),
        );
        for (name, place) in [("make", 0), ("open", 1), ("include", 2), ("deliver", 3)] {
            let mean = spent[place].as_secs_f64() * 1_000.0 / count_f64(count[place]);
            println!("  {name}: mean {mean:.1} ms");
        }
        bench.store.audit().await.unwrap();
        bench.store.close().await;
        makes(database, lanes, tenants).await;
    }
}

/// Claims alone: what stands between a request and its origin.
async fn makes(database: &Database<'_>, lanes: usize, tenants: u8) {
    let bench = Arc::new(open(database, lanes, tenants).await);
    let base = 2_000_000_000 + u32::from(tenants) * 50_000_000;
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let bench = Arc::clone(&bench);
        callers.spawn(async move {
            let mut count = 0_u64;
            while begun.elapsed() < SPAN / 2 {
                let number = base + caller * 10_000 + u32::try_from(count).unwrap();
                make(&bench, number).await;
                count += 1;
            }
            count
        });
    }
    let count: u64 = callers.join_all().await.into_iter().sum();
    let rate = count_f64(count) / begun.elapsed().as_secs_f64();
    println!("  claim_make alone: {rate:.0} calls/s");
    bench.store.close().await;
}

async fn open(database: &Database<'_>, lanes: usize, tenants: u8) -> Bench {
    let (commits, calls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counted = (Arc::clone(&commits), Arc::clone(&calls));
    let options = PostgresOptions {
        lanes,
        on_commit: Some(Arc::new(move |commit| {
            counted.0.fetch_add(1, Ordering::Relaxed);
            counted.1.fetch_add(commit.calls as u64, Ordering::Relaxed);
        })),
        ..crate::options()
    };
    let store = PostgresStore::open(&database.address(), options)
        .await
        .unwrap();
    let forever = UnixMicros(i64::MAX);
    store.node_beat(NodeId(1), forever, START).await.unwrap();
    Bench {
        store,
        commits,
        calls,
        tenants,
    }
}

async fn make(bench: &Bench, number: u32) -> Claim {
    let [low, high, ..] = number.to_le_bytes();
    let payment = Payment {
        tenant: low % bench.tenants + 1,
        payer: high,
        asset: low,
        ..Payment::new(number)
    };
    match bench.store.claim_make(payment.arrive()).await.unwrap() {
        ClaimOutcome::Granted(claim) => *claim,
        ClaimOutcome::Refused(refused) => panic!("{refused:?}"),
    }
}

/// A payment from its claim to its delivery: four calls, one transfer.
async fn cycle(bench: &Bench, number: u32, count: &mut [u64; 4], spent: &mut [Duration; 4]) {
    let mut begun = Instant::now();
    let mut done = |place: usize| {
        count[place] += 1;
        spent[place] += begun.elapsed();
        begun = Instant::now();
    };
    let claim = make(bench, number).await;
    done(0);
    let opened = bench.store.settlement_open(settlement(number, &[&claim]));
    assert_eq!(opened.await.unwrap(), OpenOutcome::Opened);
    done(1);
    let facts = vec![(claim.key(), settled(number, 0))];
    let (id, block) = (settlement_id(number), inclusion(number));
    let included = bench.store.settlement_included(id, block, facts, START);
    included.await.unwrap();
    done(2);
    let advanced = bench
        .store
        .claim_advance(claim.key(), claim.epoch, vec![Step::Deliver], START);
    advanced.await.unwrap().unwrap();
    done(3);
}

#[expect(clippy::cast_precision_loss, reason = "a rate to be read")]
fn count_f64(count: u64) -> f64 {
    count as f64
}
