//! Whether the books are what was written (money rules 26 and 29).

use octroi_ledger::{
    Account, BatchRows, ChainFault, Failure, Recount, Seal, Transfer, trial_balance, verify,
};
use octroi_types::{AccountId, TransferId};
use tokio_postgres::Row;

use crate::accounts::{self, BatchKey};
use crate::columns::Columns;
use crate::connection::{Connection, Cursor};
use crate::fault::Fault;
use crate::transfers::{BY_BATCH, SEALS, USED_UP_BY_BATCH, read, read_seal, read_used_up};

/// The chain seals what a transfer does, and its accounts say for whom.
const OF_ANOTHER: &str = "SELECT t.id FROM transfers AS t JOIN accounts AS a ON a.id = t.debit
WHERE t.tenant <> a.tenant OR t.mode <> a.mode LIMIT 1";

/// What is wrong with the books.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Rows of the books were changed, added or removed after they were written.
    #[error("the chain of lane {lane} over the books is broken")]
    Chain {
        /// The lane.
        lane: u32,
        /// Where.
        #[source]
        fault: ChainFault,
    },
    /// A transfer, a used-up id or an account belongs to no batch.
    #[error("rows of the books belong to batch {batch} of lane {lane}, which does not exist")]
    Orphans {
        /// The lane they name.
        lane: u32,
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
    Unreadable(#[source] octroi_store::StoreError),
}

impl From<Fault> for AuditError {
    fn from(fault: Fault) -> Self {
        Self::Unreadable(fault.into_store_error())
    }
}

impl From<tokio_postgres::Error> for AuditError {
    fn from(error: tokio_postgres::Error) -> Self {
        Fault::from(error).into()
    }
}

/// Reads all of the books, lane by lane and batch by batch, and follows the chains over them. Returns the
/// head of each, by the order of the lanes.
pub(crate) async fn audit(connection: &Connection) -> Result<Vec<Seal>, AuditError> {
    connection
        .run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let audited = audit_snapshot(connection).await;
    connection.run("ROLLBACK").await?;
    audited
}

async fn audit_snapshot(connection: &Connection) -> Result<Vec<Seal>, AuditError> {
    let mut accounts = accounts::list(connection).await?;
    let balance = trial_balance(accounts.iter().map(|(account, _)| account));
    if !balance.values().all(|sum| sum.is_balanced()) {
        return Err(AuditError::Unbalanced);
    }
    accounts.sort_by_key(|(_, batch)| *batch);
    let (heads, recount) = follow(connection, &accounts).await?;
    if let Some(row) = connection.query_opt(OF_ANOTHER, &[]).await? {
        let transfer = Columns::of(&row).id(TransferId::from_uuid)?;
        return Err(AuditError::OfAnother { transfer });
    }
    match accounts
        .iter()
        .find(|(account, _)| !recount.agrees(account))
    {
        Some((account, _)) => Err(AuditError::Sums {
            account: account.id,
        }),
        None => Ok(heads),
    }
}

/// Follows the chains over the accounts, which are in the order of their batches, and the transfers.
async fn follow(
    connection: &Connection,
    accounts: &[(Account, BatchKey)],
) -> Result<(Vec<Seal>, Recount), AuditError> {
    let mut accounts = accounts.iter().peekable();
    let mut transfers = Cursor::open(connection, "transfers_by_batch", BY_BATCH).await?;
    let mut used_up = Cursor::open(connection, "used_up_by_batch", USED_UP_BY_BATCH).await?;
    let mut seals = Cursor::open(connection, "seals", SEALS).await?;
    let mut next = next_row(&mut transfers, read).await?;
    let mut next_used_up = next_row(&mut used_up, read_used_up).await?;
    let (mut heads, mut counted) = (Vec::<Seal>::new(), Counted::default());
    while let Some(row) = seals.next().await? {
        let seal = read_seal(&row)?;
        let batch = (seal.lane.0, seal.sequence);
        let opened = std::iter::from_fn(|| accounts.next_if(|(_, opened)| *opened == batch));
        let opened: Vec<&Account> = opened.map(|(account, _)| account).collect();
        let mut moved: Vec<Transfer> = Vec::new();
        while let Some((transfer, _)) = next.filter(|(_, moved)| *moved == batch) {
            moved.push(transfer);
            next = next_row(&mut transfers, read).await?;
        }
        let mut refused: Vec<Failure> = Vec::new();
        while let Some((failure, _)) = next_used_up.filter(|(_, refused)| *refused == batch) {
            refused.push(failure);
            next_used_up = next_row(&mut used_up, read_used_up).await?;
        }
        moved.iter().for_each(|transfer| counted.count(transfer));
        let rows = BatchRows {
            opened,
            transfers: moved.iter().collect(),
            failures: refused.iter().collect(),
        };
        let previous = heads.pop_if(|head| head.lane == seal.lane);
        let previous = previous.unwrap_or(Seal::genesis(seal.lane));
        let lane = seal.lane.0;
        let head = verify(previous, [(seal, rows)]);
        heads.push(head.map_err(|fault| AuditError::Chain { lane, fault })?);
    }
    let moved = next.map(|(_, batch)| batch);
    let refused = next_used_up.map(|(_, batch)| batch);
    let opened = accounts.next().map(|(_, batch)| *batch);
    if let Some((lane, batch)) = moved.or(refused).or(opened) {
        return Err(AuditError::Orphans { lane, batch });
    }
    Ok((heads, counted.finish()))
}

async fn next_row<T>(
    rows: &mut Cursor<'_>,
    read: fn(&Row) -> Result<(T, BatchKey), Fault>,
) -> Result<Option<(T, BatchKey)>, AuditError> {
    let row = rows.next().await?;
    Ok(row.map(|row| read(&row)).transpose()?)
}

/// Counts transfers of several lanes. A hold may have been resolved in an earlier lane than its own, so
/// that what resolves one is counted after all that make one.
#[derive(Default)]
struct Counted {
    recount: Recount,
    resolutions: Vec<Transfer>,
}

impl Counted {
    fn count(&mut self, transfer: &Transfer) {
        if transfer.kind.hold().is_some() {
            self.resolutions.push(*transfer);
        } else {
            self.recount.count(transfer);
        }
    }

    fn finish(mut self) -> Recount {
        for transfer in &self.resolutions {
            self.recount.count(transfer);
        }
        self.recount
    }
}
