//! Reading beside the owner of a store.

use octroi_store::conformance::Payment;
use octroi_store::{ClaimOutcome, ClaimStore as _, TransactionFilter, TransactionStore as _};
use octroi_store_sqlite::{OpenError, SqliteOptions, SqliteReader, SqliteStore};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_what_the_owner_has_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    let reader = SqliteReader::open(&path).unwrap();
    for number in 1..=3 {
        let payment = Payment::new(number);
        let made = store.claim_make(payment.arrive()).await.unwrap();
        assert!(matches!(made, ClaimOutcome::Granted(_)));
        let id = payment.transaction();
        let seen = reader.transaction_get(id).await.unwrap();
        assert_eq!(seen, store.transaction_get(id).await.unwrap());
        assert!(seen.is_some());
        let events = reader.transaction_events(id).await.unwrap();
        assert_eq!(events, store.transaction_events(id).await.unwrap());
        assert_eq!(events.len(), 1);
    }
    let all = TransactionFilter::default();
    let page = reader.transactions_list(all, None, 10).await.unwrap();
    assert_eq!(page.rows.len(), 3);
    assert_eq!(reader.accounts_list().await.unwrap(), []);
    assert_eq!(reader.audit().await.unwrap(), store.audit().await.unwrap());
    // The owner ends while the reader reads on, and another owner comes.
    store.close().await;
    let page = reader.transactions_list(TransactionFilter::default(), None, 10);
    assert_eq!(page.await.unwrap().rows.len(), 3);
    SqliteStore::open(&path, SqliteOptions::default()).unwrap();
}

#[tokio::test]
async fn a_reader_makes_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    assert!(matches!(
        SqliteReader::open(&path),
        Err(OpenError::Database(_))
    ));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(
        SqliteReader::open(&path),
        Err(OpenError::Older { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), b"");
}
