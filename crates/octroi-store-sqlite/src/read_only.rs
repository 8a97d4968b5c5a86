//! Reading the store of another process, or of none.

use std::path::Path;

use async_trait::async_trait;
use octroi_ledger::{Account, Seal, Transfer};
use octroi_store::{Event, Page, StoreError, Transaction, TransactionFilter, TransactionStore};
use octroi_types::TransactionId;
use rusqlite::ErrorCode;

use crate::audit::{AuditError, audit};
use crate::connection::open_reader;
use crate::options::OpenError;
use crate::readers::Readers;
use crate::schema::migrate;
use crate::{accounts, events, transactions, transfers};

/// The records in one SQLite file, read beside whoever owns it. Takes no lock that a writer waits
/// for, and never writes.
pub struct SqliteReader {
    readers: Readers,
}

impl SqliteReader {
    /// Opens a database that exists. Blocks.
    ///
    /// # Errors
    /// [`OpenError`]; in particular if the file is not there, or its schema is not the newest.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let mut connection = open_reader(path).map_err(OpenError::Database)?;
        // Of a schema that is up to date this checks the migrations; of an older one it tries to
        // write, which a reader cannot.
        migrate(&mut connection, path).map_err(|error| match error {
            OpenError::Database(error)
                if error.sqlite_error_code() == Some(ErrorCode::ReadOnly) =>
            {
                OpenError::Older {
                    path: path.to_owned(),
                }
            }
            other => other,
        })?;
        Ok(Self {
            readers: Readers::new(path.to_owned(), 1),
        })
    }

    /// As [`crate::SqliteStore::audit`].
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn audit(&self) -> Result<Seal, AuditError> {
        match self.readers.with_connection(audit).await {
            Ok(audited) => audited,
            Err(_) => Err(AuditError::Unavailable),
        }
    }
}

#[async_trait]
impl TransactionStore for SqliteReader {
    async fn transactions_list(
        &self,
        filter: TransactionFilter,
        after: Option<TransactionId>,
        limit: usize,
    ) -> Result<Page<Transaction>, StoreError> {
        self.readers
            .read(move |connection| transactions::list(connection, &filter, after, limit))
            .await
    }

    async fn transaction_get(&self, id: TransactionId) -> Result<Option<Transaction>, StoreError> {
        self.readers
            .read(move |connection| transactions::get(connection, id))
            .await
    }

    async fn transaction_events(&self, id: TransactionId) -> Result<Vec<Event>, StoreError> {
        self.readers
            .read(move |connection| events::list(connection, id))
            .await
    }

    async fn transaction_transfers(&self, id: TransactionId) -> Result<Vec<Transfer>, StoreError> {
        self.readers
            .read(move |connection| transfers::list(connection, id))
            .await
    }

    async fn accounts_list(&self) -> Result<Vec<Account>, StoreError> {
        let accounts = self.readers.read(accounts::list).await?;
        Ok(accounts.into_iter().map(|(account, _)| account).collect())
    }
}
