//! The PostgreSQL store as its callers see it, over a real server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests: a failing one panics"
)]

mod bench;
mod conformance;
mod courses;
mod faults;
mod opening;
mod races;
mod spending;
mod tampering;

use std::sync::{Arc, LazyLock};

use octroi_store_postgres::cluster::{Cluster, Database};
use octroi_store_postgres::{PostgresOptions, PostgresStore};

static CLUSTER: LazyLock<Cluster> = LazyLock::new(Cluster::shared);

/// Tests have times of their own.
fn options() -> PostgresOptions {
    PostgresOptions {
        clock_skew_max: None,
        ..PostgresOptions::default()
    }
}

async fn open(database: &Database<'_>) -> Arc<PostgresStore> {
    let opened = PostgresStore::open(&database.address(), options()).await;
    Arc::new(opened.unwrap())
}
