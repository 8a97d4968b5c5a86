//! One process owns the database, from opening to closing.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use octroi_claim::NodeId;
use octroi_store::conformance::{Payment, START};
use octroi_store::{ClaimOutcome, ClaimStore, StoreError, TransactionStore};
use octroi_store_sqlite::{Commit, OpenError, SqliteOptions, SqliteStore};
use octroi_types::UnixMicros;
use parking_lot::Mutex;
use tokio::task::JoinSet;

#[tokio::test]
async fn a_database_in_use_is_refused_and_free_after_closing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let Err(error) = SqliteStore::open(&path, SqliteOptions::default()) else {
        panic!("opened twice")
    };
    assert!(matches!(error, OpenError::InUse { .. }));
    assert!(
        error
            .to_string()
            .ends_with("octroi.db is in use by another process")
    );
    store.close().await;
    let again = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    again.close().await;
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE a (x)")
        .unwrap();
    let Err(error) = SqliteStore::open(&path, SqliteOptions::default()) else {
        panic!("opened another program's database")
    };
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    std::fs::write(
        &path,
        "this is no database at all, and long enough to be looked at",
    )
    .unwrap();
    let Err(error) = SqliteStore::open(&path, SqliteOptions::default()) else {
        panic!("opened a text")
    };
    assert!(error.source().is_some(), "{error}");
}

#[tokio::test]
async fn closing_answers_what_waits_and_refuses_what_comes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let store = Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap());
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        calls.spawn(async move { store.claim_make(Payment::new(number).arrive()).await });
    }
    // On this one thread the calls are queued before the close is.
    tokio::task::yield_now().await;
    store.close().await;
    let mut granted = 0;
    for outcome in calls.join_all().await {
        match outcome {
            Ok(ClaimOutcome::Granted(_)) => granted += 1,
            Ok(ClaimOutcome::Refused(refused)) => panic!("{refused:?}"),
            Err(error) => assert!(matches!(error, StoreError::Unavailable { .. }), "{error}"),
        }
    }
    assert!(granted > 0);
    let late = store.claim_make(Payment::new(999).arrive()).await;
    assert!(matches!(late, Err(StoreError::Unavailable { .. })));
    assert!(store.accounts_list().await.is_err());
    store.close().await;

    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let listed = store
        .transactions_list(Default::default(), None, 1_000)
        .await
        .unwrap();
    assert_eq!(listed.rows.len(), granted);
    store.close().await;
}

/// A store whose writer waits after each commit until it is let go on, so that a test decides what
/// shares a batch.
struct Gated {
    _folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    commits: Arc<Mutex<Vec<usize>>>,
    let_go: Mutex<Option<mpsc::Sender<()>>>,
}

fn gated() -> Gated {
    let folder = tempfile::tempdir().unwrap();
    let commits: Arc<Mutex<Vec<usize>>> = Arc::default();
    let (let_go, gate) = mpsc::channel();
    let (counted, gate) = (Arc::clone(&commits), Mutex::new(gate));
    let on_commit = move |commit: &Commit| {
        counted.lock().push(commit.calls);
        // Ends when the test does.
        gate.lock().recv().ok();
    };
    let options = SqliteOptions {
        on_commit: Some(Arc::new(on_commit)),
        ..Default::default()
    };
    let store = SqliteStore::open(folder.path().join("octroi.db"), options).unwrap();
    Gated {
        _folder: folder,
        store: Arc::new(store),
        commits,
        let_go: Mutex::new(Some(let_go)),
    }
}

impl Gated {
    /// Makes one claim, and once that is committed all these while the writer waits.
    async fn make_in_one_batch(
        &self,
        first: Payment,
        others: Vec<Payment>,
    ) -> Vec<(u32, Result<ClaimOutcome, StoreError>)> {
        let queued = Arc::new(AtomicUsize::new(0));
        let mut calls = JoinSet::new();
        let make = |payment: Payment| {
            let (store, queued) = (Arc::clone(&self.store), Arc::clone(&queued));
            async move {
                queued.fetch_add(1, Ordering::Relaxed);
                // On this one thread nobody sees the count before the call is in the queue.
                (payment.arrival, store.claim_make(payment.arrive()).await)
            }
        };
        calls.spawn(make(first));
        while self.commits.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        let count = 1 + others.len();
        for payment in others {
            calls.spawn(make(payment));
        }
        while queued.load(Ordering::Relaxed) < count {
            tokio::task::yield_now().await;
        }
        self.let_go.lock().take();
        calls.join_all().await
    }
}

#[tokio::test]
async fn calls_that_wait_share_one_commit() {
    let gated = gated();
    let others = (1..=100).map(Payment::new).collect();
    gated.make_in_one_batch(Payment::new(0), others).await;
    assert_eq!(*gated.commits.lock(), [1, 100]);
    gated.store.close().await;
}

#[tokio::test]
async fn a_call_that_fails_does_not_fail_its_neighbours() {
    let gated = gated();
    // Numbers 5 and 7 come under the transaction of number 1, which only the database notices.
    let others = (2..10).map(|number| {
        let payment = Payment::new(number);
        if [5, 7].contains(&number) {
            payment.again(1)
        } else {
            payment
        }
    });
    let outcomes = gated
        .make_in_one_batch(Payment::new(1), others.collect())
        .await;
    for (arrival, outcome) in &outcomes {
        match outcome {
            Ok(ClaimOutcome::Granted(_)) => {}
            Err(StoreError::Invalid { .. }) => assert_eq!(*arrival, 1),
            other => panic!("{other:?}"),
        }
    }
    let granted = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
    assert_eq!((granted.count(), outcomes.len()), (7, 9));
    assert_eq!(*gated.commits.lock(), [1; 7]);
    // What was kept in memory is what is stored.
    let store = &*gated.store;
    let beat = store
        .node_beat(NodeId(9), UnixMicros(i64::MAX), START)
        .await;
    assert_eq!(beat, Ok(()));
    let recovered = store.claims_recover(NodeId(9), 100, START).await.unwrap();
    assert_eq!(recovered.len(), 7);
    octroi_store::conformance::check_invariants(store).await;
    store.close().await;
}

/// The books are nobody else's to read, whatever the umask, and that holds for what SQLite puts beside them.
#[cfg(unix)]
#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    for name in ["octroi.db", "octroi.db-wal"] {
        let file = std::fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
    store.close().await;
}
