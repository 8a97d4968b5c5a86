//! Connections that read beside the writer.

use std::path::PathBuf;
use std::sync::Arc;

use octroi_store::StoreError;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::connection::open_reader;
use crate::fault::{store_error, unavailable};

/// A few connections, opened when they are first needed.
#[derive(Clone)]
pub(crate) struct Readers {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, count: usize) -> Self {
        let permits = Semaphore::new(count.max(1));
        Self {
            inner: Arc::new(Inner {
                path,
                idle: Mutex::default(),
                permits,
            }),
        }
    }

    /// Reads on a blocking thread. What was answered as durable before is seen.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.with_connection(read)
            .await?
            .map_err(|error| store_error(&error))
    }

    /// As [`Readers::read`], for what fails in other ways.
    pub(crate) async fn with_connection<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = |_| unavailable("the store is closed");
        let _permit = self.inner.permits.acquire().await.map_err(closed)?;
        let inner = Arc::clone(&self.inner);
        let reading = tokio::task::spawn_blocking(move || {
            let idle = inner.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => open_reader(&inner.path).map_err(|error| store_error(&error))?,
            };
            let answer = read(&connection);
            inner.idle.lock().push(connection);
            Ok(answer)
        });
        reading
            .await
            .map_err(|_| unavailable("a read was abandoned"))?
    }

    /// Closes the connections; reads are refused from then on.
    pub(crate) fn close(&self) {
        self.inner.permits.close();
        self.inner.idle.lock().clear();
    }
}
