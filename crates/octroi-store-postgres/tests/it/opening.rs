//! How a store is opened, and when it is refused.

use std::time::Duration;

use octroi_claim::NodeId;
use octroi_store::{ClaimStore, StoreError};
use octroi_store_postgres::{OpenError, PostgresOptions, PostgresStore};
use octroi_types::UnixMicros;
use tokio::task::JoinSet;

use crate::CLUSTER;

async fn refused(address: &str) -> OpenError {
    let opened = PostgresStore::open(address, PostgresOptions::default()).await;
    opened.err().unwrap()
}

#[tokio::test]
async fn nodes_that_start_together_migrate_once() {
    let database = CLUSTER.database();
    let _ = database.sql("DROP SCHEMA octroi CASCADE");
    let mut starts = JoinSet::new();
    for _ in 0..6 {
        let address = database.address();
        starts.spawn(async move {
            let store = PostgresStore::open(&address, crate::options()).await;
            store.unwrap().close().await;
        });
    }
    starts.join_all().await;
    assert_eq!(database.sql("SELECT count(*) FROM octroi.migrations"), "1");
}

#[tokio::test]
async fn newer_altered_and_foreign_databases_are_refused() {
    let database = CLUSTER.database();
    let _ = database.sql("INSERT INTO octroi.migrations VALUES (1000, '')");
    let newer = refused(&database.address()).await;
    assert!(
        matches!(newer, OpenError::Newer { found: 1000, .. }),
        "{newer:?}"
    );
    let _ = database.sql("DELETE FROM octroi.migrations WHERE version = 1000");
    let _ = database.sql("UPDATE octroi.migrations SET checksum = '' WHERE version = 1");
    let altered = refused(&database.address()).await;
    assert!(
        matches!(altered, OpenError::Altered { version: 1 }),
        "{altered:?}"
    );
    let _ = database.sql("DROP TABLE octroi.migrations");
    let foreign = refused(&database.address()).await;
    assert!(matches!(foreign, OpenError::Foreign), "{foreign:?}");
}

#[tokio::test]
async fn what_is_refused_says_why_and_not_the_password() {
    let secret = "correct-horse";
    let nowhere = format!("postgresql://octroi:{secret}@127.0.0.1:1/octroi");
    let missing = format!("{} password={secret} dbname=nothing", CLUSTER.address("x"));
    let unreadable = format!("postgresql://octroi:{secret}@host:port/?sslmode=perhaps");
    for (address, part) in [
        (nowhere, "error connecting"),
        (missing, "3D000"),
        (unreadable, "address"),
    ] {
        let error = refused(&address).await;
        let text = format!("{error} {error:?}");
        assert!(text.contains(part), "{text}");
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_node_whose_clock_is_off_is_told() {
    let database = CLUSTER.database();
    let address = database.address();
    let store = PostgresStore::open(&address, PostgresOptions::default()).await;
    let store = store.unwrap();
    let (node, lease) = (NodeId(1), Duration::from_secs(30));
    let now = UnixMicros::now();
    store.node_beat(node, now.plus(lease), now).await.unwrap();
    let ahead = now.plus(Duration::from_secs(60));
    for answer in [
        store.node_beat(node, ahead.plus(lease), ahead).await,
        store.claims_recover(node, 1, ahead).await.map(|_| ()),
    ] {
        assert!(
            matches!(answer, Err(StoreError::Unavailable { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(store.claims_recover(node, 1, now).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let database = CLUSTER.database();
    let store = crate::open(&database).await;
    store.close().await;
    let now = UnixMicros::now();
    let beat = store.node_beat(NodeId(1), now, now).await;
    assert!(
        matches!(beat, Err(StoreError::Unavailable { .. })),
        "{beat:?}"
    );
    let unknown = store.claims_unknown(1).await;
    assert!(
        matches!(unknown, Err(StoreError::Unavailable { .. })),
        "{unknown:?}"
    );
    assert!(store.audit().await.is_err());
}
