//! Connections that read beside the lanes. They are made when they are needed and kept; what a reader
//! sees is what was committed.

use std::pin::Pin;

use octroi_store::StoreError;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::connection::{Connection, Connector};
use crate::fault::{Fault, Remedy, unavailable};

/// What is read over a connection.
pub(crate) type Reading<'c, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'c>>;

/// The readers.
pub(crate) struct Readers {
    connector: Connector,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(crate) fn new(connector: Connector, count: usize) -> Self {
        Self {
            connector,
            permits: Semaphore::new(count.max(1)),
            idle: Mutex::default(),
        }
    }

    /// Reads over a connection of its own; over another one where that turns out to be gone.
    pub(crate) async fn read<T>(
        &self,
        read: impl for<'c> Fn(&'c Connection) -> Reading<'c, T>,
    ) -> Result<T, StoreError> {
        let closed = |_| unavailable("the store is closed");
        let _permit = self.permits.acquire().await.map_err(closed)?;
        loop {
            let kept = self.take_idle();
            let is_kept = kept.is_some();
            let connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            let outcome = read(&connection).await;
            let is_gone = matches!(
                &outcome,
                Err(Fault::Database(error)) if Remedy::of(error) == Remedy::Reconnect
            );
            if !is_gone {
                self.idle.lock().push(connection);
            } else if is_kept {
                continue;
            }
            return outcome.map_err(Fault::into_store_error);
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock();
        idle.retain(|connection| !connection.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        let connected = self.connector.connect().await;
        connected.map_err(|error| unavailable(&error.reason()))
    }

    /// Refuses whoever comes from now on.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle.lock().clear();
    }
}
