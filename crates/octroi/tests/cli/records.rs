//! `octroi transactions` and `octroi books`, beside a store that its owner holds open.

use std::sync::Arc;

use async_trait::async_trait;
use octroi_store::Store;
use octroi_store::conformance::{Backend, Payment, Suite};
use octroi_store_sqlite::{SqliteOptions, SqliteStore};

use crate::run::Folder;

/// A folder with a store that stays open, as a running gate keeps it.
pub(crate) struct Running {
    pub(crate) folder: Folder,
    pub(crate) store: Arc<SqliteStore>,
}

#[async_trait]
impl Backend for Running {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        self.open().await
    }
}

impl Running {
    pub(crate) fn start() -> Self {
        let folder = Folder::new();
        let path = folder.path().join("octroi.db");
        let store = SqliteStore::open(path, SqliteOptions::default()).unwrap();
        let store = Arc::new(store);
        Self { folder, store }
    }

    pub(crate) async fn suite(&self) -> Suite {
        Suite::open(self).await
    }

    pub(crate) async fn run(&self, args: &str) -> crate::run::Ran {
        let args: Vec<_> = args.split(' ').chain(["--store", "octroi.db"]).collect();
        self.folder.run(&args).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_listed_while_the_store_is_in_use() {
    let running = Running::start();
    let ran = running.run("transactions list").await;
    ran.expect(0, "");
    assert!(ran.err.contains("no such transactions"), "{}", ran.err);

    let suite = running.suite().await;
    suite.settled(&Payment::new(1)).await;
    let mut other = Payment::new(2);
    other.payer = 2;
    suite.granted(&other).await;

    let ran = running.run("transactions list").await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    let lines: Vec<_> = ran.text().lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.text());
    assert!(lines[0].starts_with("TIME") && lines[0].contains("STATE"));
    // Newest first.
    assert!(lines[1].contains(&other.transaction().to_string()));
    assert!(lines[2].contains(&Payment::new(1).transaction().to_string()));

    let pending = running
        .run("transactions list --state pending --json")
        .await
        .json();
    assert_eq!(pending.as_array().unwrap().len(), 1);
    assert_eq!(pending[0]["id"], other.transaction().to_string());
    let payer = octroi_types::Address([1; 20]);
    let by_payer = running
        .run(&format!("transactions list --json --payer {payer}"))
        .await;
    assert_eq!(by_payer.json().as_array().unwrap().len(), 1);
    let limited = running
        .run("transactions list --json --limit 1")
        .await
        .json();
    assert_eq!(limited.as_array().unwrap().len(), 1);
    // The payments of the suite are made in 2027.
    let none = running
        .run("transactions list --json --until 2026-01-01")
        .await
        .json();
    assert_eq!(none.as_array().unwrap().len(), 0);
    let all = running
        .run("transactions list --json --since 2026-01-01")
        .await
        .json();
    assert_eq!(all.as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_transaction_is_shown_with_its_history_and_transfers() {
    let running = Running::start();
    let payment = Payment::new(1);
    running.suite().await.settled(&payment).await;
    let id = payment.transaction();
    let ran = running.run(&format!("transactions show {id}")).await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    for shown in [
        &id.to_string()[..],
        "claimed",
        "settled",
        "rail_clearing",
        "tenant_revenue",
    ] {
        assert!(ran.text().contains(shown), "{shown}: {}", ran.text());
    }
    let story = running
        .run(&format!("transactions show {id} --json"))
        .await
        .json();
    assert_eq!(story["transaction"]["id"], id.to_string());
    assert_eq!(story["events"][0]["kind"], "claimed");
    assert_eq!(story["transfers"][0]["amount"], "100");

    let missing = octroi_types::TransactionId::generate();
    let ran = running.run(&format!("transactions show {missing}")).await;
    ran.expect(1, "");
    assert!(ran.err.contains("there is no transaction"), "{}", ran.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_hold_everything_however_much_there_is() {
    let running = Running::start();
    let suite = running.suite().await;
    // More than one page of the store.
    for number in 1..=1_005 {
        suite.granted(&Payment::new(number)).await;
    }
    let ran = running.run("transactions export --format csv").await;
    let mut reader = csv::Reader::from_reader(ran.out.as_slice());
    let ids = reader.records().map(|row| row.unwrap()[0].to_owned());
    let ids: std::collections::HashSet<_> = ids.collect();
    assert_eq!(ids.len(), 1_005);

    let ran = running
        .run("transactions export --format json --out out.json")
        .await;
    ran.expect(0, "");
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&running.folder.read("out.json")).unwrap();
    assert_eq!(rows.len(), 1_005);
    let ran = running
        .run("transactions export --format json --limit 7")
        .await;
    assert_eq!(ran.json().as_array().unwrap().len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_books_balance_and_pass_the_audit() {
    let running = Running::start();
    running
        .run("books")
        .await
        .expect(0, "The books are empty.\n");
    let suite = running.suite().await;
    for number in 1..=3 {
        suite.settled(&Payment::new(number)).await;
    }
    let ran = running.run("books --audit").await;
    assert_eq!(ran.exit, 0, "{}", ran.err);
    for shown in [
        "tenant_revenue",
        "300",
        "The books balance.",
        "Every row is as it was written",
    ] {
        assert!(ran.text().contains(shown), "{shown}: {}", ran.text());
    }
    let books = running.run("books --json").await.json();
    assert_eq!(books["balanced"], true);
    assert_eq!(books["books"][0]["total"]["debitsPosted"], 300);
    assert_eq!(books["books"][0]["total"]["creditsPosted"], 300);
}

#[tokio::test]
async fn what_is_no_store_is_refused() {
    let folder = Folder::new();
    let ran = folder.run(&["books", "--store", "none.db"]).await;
    ran.expect(1, "");
    assert!(ran.err.contains("none.db"), "{}", ran.err);
    assert!(
        !folder.path().join("none.db").exists(),
        "a reader made a store"
    );
    folder.write("text.db", "not a database");
    folder
        .run(&["books", "--store", "text.db"])
        .await
        .expect(1, "");
    folder.write("empty.db", "");
    folder
        .run(&["books", "--store", "empty.db"])
        .await
        .expect(1, "");
}
