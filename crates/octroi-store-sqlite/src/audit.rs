//! Whether the books are what was written (money rules 26 and 29).

use octroi_ledger::{
    Account, BatchRows, ChainFault, Failure, Recount, Seal, Transfer, trial_balance, verify,
};
use octroi_types::{AccountId, TransferId};
use rusqlite::{Connection, OptionalExtension};

use crate::accounts;
use crate::transfers::{BY_BATCH, LANE, USED_UP_BY_BATCH, read, read_seal, read_used_up};

const SEALS: &str = "SELECT sequence, previous, hash FROM batches ORDER BY sequence";

/// The chain seals what a transfer does, and its accounts say for whom.
const OF_ANOTHER: &str = "SELECT t.id FROM transfers AS t JOIN accounts AS a ON a.id = t.debit
WHERE t.tenant <> a.tenant OR t.mode <> a.mode LIMIT 1";

/// What is wrong with the books.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Rows of the books were changed, added or removed after they were written.
    #[error("the chain over the books is broken")]
    Chain(#[source] ChainFault),
    /// A transfer or account belongs to no batch.
    #[error("rows of the books belong to batch {batch}, which does not exist")]
    Orphans {
        /// The batch they name.
        batch: u64,
    },
    /// Debits and credits differ.
    #[error("the books do not balance")]
    Unbalanced,
    /// An account says something else than its transfers.
    #[error("the sums of account {account} are not those of its transfers")]
    Sums {
        /// The account.
        account: AccountId,
    },
    /// A transfer is put down to another tenant, or another mode, than its accounts.
    #[error("transfer {transfer} is not put down to the tenant and mode of its accounts")]
    OfAnother {
        /// The transfer.
        transfer: TransferId,
    },
    /// The books cannot be read.
    #[error("the books cannot be read")]
    Database(#[source] rusqlite::Error),
    /// The store is closed, or out of order.
    #[error("the books cannot be asked for")]
    Unavailable,
}

impl From<rusqlite::Error> for AuditError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Reads all of the books, batch by batch, and follows the chain over them. Returns its head.
pub(crate) fn audit(connection: &Connection) -> Result<Seal, AuditError> {
    let snapshot = connection.unchecked_transaction()?;
    let mut accounts = accounts::list(&snapshot)?;
    if !trial_balance(accounts.iter().map(|(account, _)| account))
        .values()
        .all(|sum| sum.is_balanced())
    {
        return Err(AuditError::Unbalanced);
    }
    accounts.sort_by_key(|(_, batch)| *batch);
    let (said, mut recount) = (accounts.clone(), Recount::default());
    let mut accounts = accounts.into_iter().peekable();

    let mut transfers = snapshot.prepare(BY_BATCH)?;
    let mut transfers = transfers.query_map([], read)?.peekable();
    let mut used_up = snapshot.prepare(USED_UP_BY_BATCH)?;
    let mut used_up = used_up.query_map([], read_used_up)?.peekable();
    let mut seals = snapshot.prepare(SEALS)?;
    let mut head = Seal::genesis(LANE);
    for seal in seals.query_map([], read_seal)? {
        let seal = seal?;
        let opened: Vec<Account> = std::iter::from_fn(|| {
            accounts
                .next_if(|(_, batch)| *batch == seal.sequence)
                .map(|(account, _)| account)
        })
        .collect();
        let mut moved: Vec<Transfer> = Vec::new();
        while let Some(row) = transfers.next_if(|row| {
            row.as_ref()
                .map_or(true, |(_, batch)| *batch == seal.sequence)
        }) {
            moved.push(row?.0);
        }
        moved.iter().for_each(|transfer| recount.count(transfer));
        let mut refused: Vec<Failure> = Vec::new();
        while let Some(row) = used_up.next_if(|row| {
            row.as_ref()
                .map_or(true, |(_, batch)| *batch == seal.sequence)
        }) {
            refused.push(row?.0);
        }
        let rows = BatchRows {
            opened: opened.iter().collect(),
            transfers: moved.iter().collect(),
            failures: refused.iter().collect(),
        };
        head = verify(head, [(seal, rows)]).map_err(AuditError::Chain)?;
    }
    if let Some(row) = transfers.next() {
        return Err(AuditError::Orphans { batch: row?.1 });
    }
    if let Some(row) = used_up.next() {
        return Err(AuditError::Orphans { batch: row?.1 });
    }
    if let Some((_, batch)) = accounts.next() {
        return Err(AuditError::Orphans { batch });
    }
    let transfer: Option<[u8; 16]> = snapshot
        .query_row(OF_ANOTHER, [], |row| row.get(0))
        .optional()?;
    if let Some(transfer) = transfer.map(TransferId::from_bytes) {
        return Err(AuditError::OfAnother { transfer });
    }
    match said.iter().find(|(account, _)| !recount.agrees(account)) {
        Some((account, _)) => Err(AuditError::Sums {
            account: account.id,
        }),
        None => Ok(head),
    }
}
