//! Connections that are cut and servers that crash at random moments under load: what was acknowledged is
//! there, nothing is there twice, and whoever got no answer may ask again (money rule 28).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use octroi_claim::NodeId;
use octroi_store::conformance::{START, check_invariants};
use octroi_store::{ClaimStore, TransactionStore};
use octroi_store_postgres::PostgresStore;
use octroi_store_postgres::cluster::{Cluster, Database};
use octroi_types::UnixMicros;
use tokio::task::JoinSet;

use crate::courses::{Course, payment, run};

const WORKERS: u32 = 16;

/// Runs payments until all are carried through, while somebody disturbs. Returns how often.
async fn disturbed(
    database: &Database<'_>,
    payments: u32,
    disturb: impl Fn(&Database<'_>) + Sync,
) -> u32 {
    let store = crate::open(database).await;
    let forever = UnixMicros(i64::MAX);
    store.node_beat(NodeId(1), forever, START).await.unwrap();
    let done = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        workers.spawn(async move {
            // A payer's courses follow each other, so that each worker has payers of its own.
            for number in worker * 5_000..worker * 5_000 + payments / WORKERS {
                run(&store, number).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let times =
        tokio::task::block_in_place(|| disturb_until(&done, payments, || disturb(database)));
    workers.join_all().await;
    check(&store, payments).await;
    store.close().await;
    times
}

/// Disturbs whenever so many more payments are done, at random, until all are.
fn disturb_until(done: &AtomicU32, payments: u32, disturb: impl Fn()) -> u32 {
    let mut seed = RandomState::new().build_hasher().finish();
    let (mut times, mut next) = (0, 0);
    loop {
        let now = done.load(Ordering::Relaxed);
        if now >= payments {
            return times;
        }
        if now >= next {
            disturb();
            times += 1;
            seed = seed.rotate_left(9).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            next = now + 1 + u32::try_from(seed % 40).unwrap();
        } else {
            std::thread::yield_now();
        }
    }
}

async fn check(store: &PostgresStore, payments: u32) {
    store.audit().await.unwrap();
    check_invariants(store).await;
    for worker in 0..WORKERS {
        for number in worker * 5_000..worker * 5_000 + payments / WORKERS {
            let claim = store
                .claim_get(payment(number).key())
                .await
                .unwrap()
                .unwrap();
            let expected = Course::of(number).end();
            assert_eq!((claim.payment, claim.work), expected, "{number}");
            let id = claim.terms.transaction;
            let transaction = store.transaction_get(id).await.unwrap().unwrap();
            assert_eq!(transaction.payment, claim.payment);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_connections_are_cut() {
    let cluster = Cluster::shared();
    let database = cluster.database();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = '{}' AND application_name = 'octroi'",
        database.name()
    );
    let times = disturbed(&database, 16 * 60, |_| {
        let _ = cluster.sql("postgres", &cut);
    });
    assert!(times.await > 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_the_server_crashes() {
    let cluster = Cluster::own("");
    let database = cluster.database();
    let times = disturbed(&database, 16 * 20, |_| {
        cluster.kill();
        cluster.start_server();
    });
    assert!(times.await > 3);
}
