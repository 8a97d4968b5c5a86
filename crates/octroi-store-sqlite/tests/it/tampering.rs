//! A row of the books that was changed behind our back is found (money rule 29).

use std::path::Path;

use octroi_claim::{PaymentState, WorkState};
use octroi_ledger::{ChainFault, Draw, Ledger, Outcome, Refusal};
use octroi_store::Store;
use octroi_store::conformance::{Backend, Payment, START, Suite};
use octroi_store_sqlite::{AuditError, SqliteOptions, SqliteStore};
use octroi_types::{Amount, Asset, ClaimId, GrantId, Mode, TenantId};
use std::sync::Arc;
use std::time::Duration;

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

type Check<'a> = &'a dyn Fn(&AuditError) -> bool;

fn altered(sequence: u64) -> impl Fn(&AuditError) -> bool {
    move |error| {
        matches!(error, AuditError::Chain(ChainFault::Altered { sequence: found })
            if *found == sequence)
    }
}

/// Makes each change to a copy of the database in this folder. It must be found.
async fn find(folder: &Path, cases: &[(&str, Check<'_>)]) {
    for (sql, is_expected) in cases {
        let copy = folder.join("copy.db");
        std::fs::copy(folder.join("octroi.db"), &copy).unwrap();
        // What a reader kept from being moved to the database is still in its log.
        std::fs::copy(folder.join("octroi.db-wal"), folder.join("copy.db-wal")).ok();
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
            std::fs::remove_file(folder.join(format!("copy.db{suffix}"))).ok();
        }
    }
}

/// A charge that no grant covers: it uses its id up.
async fn refuse(store: &dyn Store) {
    let ledger = Ledger {
        tenant: TenantId::from_bytes([1; 16]),
        mode: Mode::Test,
        asset: Asset::Usd,
    };
    let draw = Draw {
        grant: GrantId::from_bytes([2; 16]),
        amount: Amount::new(5).unwrap(),
    };
    let charge = ledger.charge_hold(ClaimId::from_bytes([3; 16]), 0, &[draw], Duration::MAX);
    let outcome = store.ledger_submit(charge, START).await.unwrap();
    assert!(matches!(outcome, Outcome::Refused(refused)
        if refused.refusal == Refusal::ExceedsCredits));
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
    find(folder.path(), &cases).await;
}

/// An id that was refused could be used again if its row was gone.
#[tokio::test]
async fn a_changed_refusal_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let store = open(&path);
    refuse(&*store).await;
    assert_eq!(store.audit().await.unwrap().sequence, 1);
    store.close().await;
    let cases: [(&str, Check<'_>); 3] = [
        ("DELETE FROM used_up_transfers", &altered(1)),
        (
            "UPDATE used_up_transfers SET failed_at = failed_at + 1",
            &altered(1),
        ),
        (
            "INSERT INTO used_up_transfers SELECT randomblob(16), refusal, failed_at, 99
             FROM used_up_transfers",
            &|error| matches!(error, AuditError::Orphans { batch: 99 }),
        ),
    ];
    find(folder.path(), &cases).await;
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
