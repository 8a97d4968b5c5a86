//! The rules of the port.

use std::sync::Arc;

use async_trait::async_trait;
use octroi_store::Store;
use octroi_store::conformance::Backend;
use octroi_store_postgres::PostgresStore;
use octroi_store_postgres::cluster::Database;
use parking_lot::Mutex;

use crate::CLUSTER;

/// One database, and the stores that were opened on it.
struct Nodes {
    database: Database<'static>,
    open: Mutex<Vec<Arc<PostgresStore>>>,
    /// Whether a store stays open when another one comes.
    stay: bool,
}

impl Nodes {
    fn new(stay: bool) -> Self {
        Self {
            database: CLUSTER.database(),
            open: Mutex::default(),
            stay,
        }
    }
}

#[async_trait]
impl Backend for Nodes {
    async fn open(&self) -> Arc<dyn Store> {
        let store = crate::open(&self.database).await;
        self.open.lock().push(Arc::clone(&store));
        store
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        let former = self.open.lock().pop();
        if let Some(store) = former {
            if self.stay {
                self.open.lock().push(store);
            } else {
                store.close().await;
            }
        }
        // The leases of all nodes have run out meanwhile.
        let _ = self.database.sql("DELETE FROM octroi.nodes");
        self.open().await
    }
}

/// A node that starts after another ended.
mod in_turn {
    octroi_store::conformance_tests!(super::Nodes::new(false));
}

/// A node that goes on where another one, which is still there, has ended.
mod at_once {
    octroi_store::conformance_tests!(super::Nodes::new(true));
}
