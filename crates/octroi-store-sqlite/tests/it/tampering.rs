//! A row of the books that was changed behind our back is found (money rule 29).

use std::path::Path;

use octroi_claim::{PaymentState, WorkState};
use octroi_ledger::ChainFault;
use octroi_store::Store;
use octroi_store::conformance::{Backend, Payment, Suite};
use octroi_store_sqlite::{AuditError, SqliteOptions, SqliteStore};
use std::sync::Arc;

struct Opened(Arc<SqliteStore>);

#[async_trait::async_trait]
impl Backend for Opened {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::clone(&self.0) as Arc<dyn Store>
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.open().await
    }
}

fn open(path: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(path, SqliteOptions::default()).unwrap())
}

#[tokio::test]
async fn a_changed_row_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let store = open(&path);
    let suite = Suite::open(&Opened(Arc::clone(&store))).await;
    for number in 1..=5 {
        suite
            .bring(
                &Payment::new(number),
                PaymentState::Settled,
                WorkState::Delivered,
            )
            .await;
    }
    suite.credited(&Payment::new(6)).await;
    let head = store.audit().await.unwrap();
    assert_eq!(head.sequence, 7);
    drop(suite);
    store.close().await;
    let store = open(&path);
    assert_eq!(store.audit().await.unwrap(), head);
    store.close().await;

    let altered = |sequence| {
        move |error: &AuditError| {
            matches!(error, AuditError::Chain(ChainFault::Altered { sequence: found })
                if *found == sequence)
        }
    };
    type Check<'a> = &'a dyn Fn(&AuditError) -> bool;
    let cases: [(&str, Check<'_>); 9] = [
        (
            "UPDATE transfers SET amount = amount + 1 WHERE batch = 3",
            &altered(3),
        ),
        (
            "UPDATE transfers SET created_at = 0 WHERE batch = 7",
            &altered(7),
        ),
        ("DELETE FROM transfers WHERE batch = 4", &altered(4)),
        ("UPDATE transfers SET mode = 1 WHERE batch = 4", &|error| {
            matches!(error, AuditError::OfAnother { .. })
        }),
        (
            "UPDATE transfers SET tenant = zeroblob(16) WHERE batch = 4",
            &|error| matches!(error, AuditError::OfAnother { .. }),
        ),
        (
            "UPDATE accounts SET created_at = 0 WHERE batch = 1",
            &altered(1),
        ),
        ("DELETE FROM batches WHERE sequence = 2", &|error| {
            matches!(error, AuditError::Chain(ChainFault::Gap { sequence: 3 }))
        }),
        (
            "UPDATE accounts SET debits_posted = debits_posted + 1 WHERE kind = 3",
            &|error| matches!(error, AuditError::Unbalanced),
        ),
        // Money that never moved, and balances.
        (
            "UPDATE accounts SET debits_posted = debits_posted + 1, credits_posted = credits_posted + 1 \
             WHERE kind = 3",
            &|error| matches!(error, AuditError::Sums { .. }),
        ),
    ];
    for (sql, is_expected) in cases {
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        let changed = rusqlite::Connection::open(&copy)
            .unwrap()
            .execute(sql, [])
            .unwrap();
        assert!(changed > 0, "{sql}");
        let store = open(&copy);
        let error = store.audit().await.unwrap_err();
        assert!(is_expected(&error), "{sql}: {error:?}");
        store.close().await;
        for suffix in ["", "-wal", "-shm", ".lock"] {
            std::fs::remove_file(folder.path().join(format!("copy.db{suffix}"))).ok();
        }
    }
}

#[tokio::test]
async fn rows_of_no_batch_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let store = open(&path);
    let suite = Suite::open(&Opened(Arc::clone(&store))).await;
    suite
        .bring(
            &Payment::new(1),
            PaymentState::Settled,
            WorkState::Delivered,
        )
        .await;
    drop(suite);
    store.close().await;
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE transfers SET batch = 9", [])
        .unwrap();
    let store = open(&path);
    // The batch they were in lacks them, which is noticed first.
    assert!(matches!(store.audit().await, Err(AuditError::Chain(_))));
    store.close().await;
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("DELETE FROM batches")
        .unwrap();
    let store = open(&path);
    assert!(matches!(
        store.audit().await,
        Err(AuditError::Orphans { batch: 9 })
    ));
    store.close().await;
}
