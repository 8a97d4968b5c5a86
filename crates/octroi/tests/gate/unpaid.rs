//! Traffic that does not pay leaves no trace in the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use octroi_store_sqlite::SqliteOptions;
use octroi_testkit::{Request, Setup, eventually};
use octroi_x402::Version;

use crate::ITEM;

#[tokio::test]
async fn a_thousand_unpaid_and_refused_requests_write_nothing() {
    const FOREVER: Duration = Duration::from_secs(3_600);
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    let options = SqliteOptions {
        on_commit: Some(Arc::new(move |commit| {
            counter.fetch_add(commit.calls, Ordering::Relaxed);
        })),
        ..SqliteOptions::default()
    };
    let setup = Setup::new().await.sqlite(options).options(|options| {
        options.upkeep.beat = FOREVER;
        options.upkeep.recovery = FOREVER;
        options.upkeep.prune = FOREVER;
    });
    let gate = setup.start().await;
    // A start announces the node, recovers and writes down what it asks; then upkeep does each of its
    // three once.
    let at_start = 3 + 3;
    eventually("the start is over", async || {
        (written.load(Ordering::Relaxed) >= at_start).then_some(())
    })
    .await;

    let terms = gate.send(&Request::get(ITEM)).await.required(Version::V2);
    let mut forged = gate.net.buyer().sign(&terms);
    forged.header_value.truncate(forged.header_value.len() / 2);
    let mut connection = gate.client.connect().await;
    for round in 0..1_000 {
        let request = Request::get(&format!("{ITEM}?round={round}"));
        let request = match round % 3 {
            0 | 1 => request,
            _ => forged.on(request),
        };
        connection.send(&request).await;
        assert_eq!(connection.answer().await.status, 402);
    }
    assert_eq!(written.load(Ordering::Relaxed), at_start);

    // Whether a payer without money was covered before is asked of the store, and not written.
    let kept = || ["octroi.db", "octroi.db-wal"].map(|name| gate.file(name));
    let before = kept();
    for _ in 0..50 {
        let poor = gate.net.buyer_with(0).sign(&terms);
        connection.send(&poor.on(Request::get(ITEM))).await;
        assert_eq!(connection.answer().await.status, 402);
    }
    assert!(before == kept(), "an empty purse left a trace");
    drop(connection);
    assert!(gate.finish().await.transactions.is_empty());
}
