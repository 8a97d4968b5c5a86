//! The rules of the port.

use std::sync::Arc;

use async_trait::async_trait;
use octroi_store::Store;
use octroi_store::conformance::Backend;
use octroi_store_sqlite::{SqliteOptions, SqliteStore};
use parking_lot::Mutex;
use tempfile::TempDir;

struct SqliteBackend {
    folder: TempDir,
    open: Mutex<Option<Arc<SqliteStore>>>,
}

impl SqliteBackend {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            open: Mutex::default(),
        }
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    async fn open(&self) -> Arc<dyn Store> {
        let path = self.folder.path().join("octroi.db");
        let store = Arc::new(SqliteStore::open(path, SqliteOptions::default()).unwrap());
        *self.open.lock() = Some(Arc::clone(&store));
        store
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        let open = self.open.lock().take();
        if let Some(store) = open {
            store.close().await;
        }
        self.open().await
    }
}

octroi_store::conformance_tests!(SqliteBackend::new());
