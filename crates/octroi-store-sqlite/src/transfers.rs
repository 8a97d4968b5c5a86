//! Transfers of the books, and the chain over the batches in which they were written.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use octroi_ledger::{
    BatchRows, Books, Cause, Effects, Failure, LaneId, Reason, Record, Refusal, Resolution, Seal,
    Subject, Transfer, TransferKind,
};
use octroi_types::{AccountId, ClaimId, TransactionId, TransferId, UnixMicros};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use crate::accounts::Accounts;
use crate::columns::{Columns, mode_code};

/// One writer, one lane.
pub(crate) const LANE: LaneId = LaneId(0);

macro_rules! select {
    () => {
        "SELECT
            id, debit, credit, amount, kind, hold, expires_at, reason, subject_kind, subject,
            created_at, batch
        FROM transfers "
    };
}

const GET: &str = concat!(select!(), "WHERE id = ?1");

/// The transfers of a claim have its own time in their ids ([`octroi_ledger::derived_transfer_id`]),
/// so that they are found among the few of one millisecond.
const OF_CLAIM: &str = concat!(
    select!(),
    "WHERE id >= ?1 AND id <= ?2 AND subject_kind = ?3 AND subject = ?4 ORDER BY created_at, id"
);

pub(crate) const BY_BATCH: &str = concat!(select!(), "ORDER BY batch, id");

const RESOLUTION: &str = "SELECT kind FROM transfers WHERE hold = ?1";

const INSERT: &str = "INSERT INTO transfers (
    id, tenant, mode, debit, credit, amount, kind, hold, expires_at, reason, subject_kind, subject,
    created_at, batch
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

const USED_UP: &str = "SELECT id, refusal, failed_at, batch FROM used_up_transfers WHERE id = ?1";

pub(crate) const USED_UP_BY_BATCH: &str =
    "SELECT id, refusal, failed_at, batch FROM used_up_transfers ORDER BY batch, id";

const INSERT_USED_UP: &str = "INSERT INTO used_up_transfers (id, refusal, failed_at, batch)
VALUES (?1, ?2, ?3, ?4)";

/// The newest id of all that the books know. Ids are ordered by time, so most are newer than that.
const NEWEST: &str = "SELECT max(
    ifnull((SELECT max(id) FROM transfers), x''),
    ifnull((SELECT max(id) FROM used_up_transfers), x'')
)";

const ANY_USED_UP: &str = "SELECT (SELECT max(id) FROM used_up_transfers) IS NOT NULL";

/// Open holds that are kept in memory; beyond that they are read again.
const OPEN_HOLDS_MAX: usize = 65_536;

const HEAD: &str = "SELECT sequence, previous, hash FROM batches
WHERE sequence = (SELECT max(sequence) FROM batches)";
const INSERT_BATCH: &str = "INSERT INTO batches (sequence, previous, hash) VALUES (?1, ?2, ?3)";

const CLAIM_OF: &str = "SELECT claim FROM transactions WHERE id = ?1";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[
    GET,
    OF_CLAIM,
    RESOLUTION,
    INSERT,
    USED_UP,
    INSERT_USED_UP,
    NEWEST,
    ANY_USED_UP,
    HEAD,
    INSERT_BATCH,
    CLAIM_OF,
];

/// The books as they were last committed. A batch is laid over them while it is decided.
pub(crate) struct SqlBooks<'c> {
    accounts: Accounts<'c>,
    get: RefCell<Statement<'c>>,
    resolution: RefCell<Statement<'c>>,
    insert: RefCell<Statement<'c>>,
    used_up: RefCell<Statement<'c>>,
    insert_used_up: RefCell<Statement<'c>>,
    insert_batch: RefCell<Statement<'c>>,
    head: RefCell<Seal>,
    /// No id above this is in the books.
    newest: Cell<[u8; 16]>,
    /// Whether any id was ever used up by a refusal.
    any_used_up: Cell<bool>,
    /// Holds that were made lately and that nothing resolved so far. Most are resolved soon.
    open_holds: RefCell<HashMap<TransferId, Transfer>>,
}

impl<'c> SqlBooks<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        let head = connection.query_row(HEAD, [], read_seal).optional()?;
        Ok(Self {
            accounts: Accounts::prepare(connection)?,
            get: RefCell::new(connection.prepare(GET)?),
            resolution: RefCell::new(connection.prepare(RESOLUTION)?),
            insert: RefCell::new(connection.prepare(INSERT)?),
            used_up: RefCell::new(connection.prepare(USED_UP)?),
            insert_used_up: RefCell::new(connection.prepare(INSERT_USED_UP)?),
            insert_batch: RefCell::new(connection.prepare(INSERT_BATCH)?),
            head: RefCell::new(head.unwrap_or(Seal::genesis(LANE))),
            newest: Cell::new(newest(connection)?),
            any_used_up: Cell::new(connection.query_row(ANY_USED_UP, [], |row| row.get(0))?),
            open_holds: RefCell::default(),
        })
    }

    /// Writes what a batch did, and its link of the chain.
    pub(crate) fn write(&self, effects: &Effects) -> rusqlite::Result<()> {
        if effects.is_empty() {
            return Ok(());
        }
        let seal = self.head.borrow().next(BatchRows::from(effects));
        for change in &effects.accounts {
            self.accounts.write(change, seal.sequence)?;
        }
        for transfer in &effects.transfers {
            self.insert(transfer, seal.sequence)?;
            self.know(transfer.id);
            self.follow(transfer);
        }
        for failure in &effects.failures {
            self.insert_used_up.borrow_mut().execute(params![
                failure.id.as_bytes(),
                failure.refusal.code(),
                failure.failed_at.0,
                seal.sequence.cast_signed(),
            ])?;
            self.know(failure.id);
            self.any_used_up.set(true);
        }
        self.insert_batch.borrow_mut().execute(params![
            seal.sequence.cast_signed(),
            seal.previous.0,
            seal.hash.0
        ])?;
        self.head.replace(seal);
        Ok(())
    }

    fn know(&self, id: TransferId) {
        self.newest.set(self.newest.get().max(*id.as_bytes()));
    }

    fn follow(&self, transfer: &Transfer) {
        let mut open = self.open_holds.borrow_mut();
        if let Some(hold) = transfer.kind.hold() {
            open.remove(&hold);
        } else if transfer.kind.expires_at().is_some() {
            if open.len() >= OPEN_HOLDS_MAX {
                open.clear();
            }
            open.insert(transfer.id, *transfer);
        }
    }

    fn insert(&self, transfer: &Transfer, batch: u64) -> rusqlite::Result<()> {
        let (subject_kind, subject) = transfer.cause.subject.columns();
        // Both of its accounts were written before it, and are of one ledger.
        let account = self.accounts.get(transfer.debit)?;
        let ledger = account.ok_or(rusqlite::Error::QueryReturnedNoRows)?.ledger;
        self.insert.borrow_mut().execute(params![
            transfer.id.as_bytes(),
            ledger.tenant.as_bytes(),
            mode_code(ledger.mode),
            transfer.debit.as_bytes(),
            transfer.credit.as_bytes(),
            transfer.amount.as_i64(),
            transfer.kind.code(),
            transfer.kind.hold().map(|hold| *hold.as_bytes()),
            transfer.kind.expires_at().map(|expires_at| expires_at.0),
            transfer.cause.reason.code(),
            subject_kind,
            subject,
            transfer.created_at.0,
            batch.cast_signed(),
        ])?;
        Ok(())
    }
}

impl Books for SqlBooks<'_> {
    type Error = rusqlite::Error;

    fn account(&self, id: AccountId) -> rusqlite::Result<Option<octroi_ledger::Account>> {
        self.accounts.get(id)
    }

    fn record(&self, id: TransferId) -> rusqlite::Result<Option<Record>> {
        if *id.as_bytes() > self.newest.get() {
            return Ok(None);
        }
        if let Some(hold) = self.open_holds.borrow().get(&id) {
            return Ok(Some(Record::Applied(*hold)));
        }
        let mut used_up = self.used_up.borrow_mut();
        let used_up = self.any_used_up.get().then_some(&mut *used_up);
        find(&mut self.get.borrow_mut(), used_up, id)
    }

    fn resolution(&self, hold: TransferId) -> rusqlite::Result<Option<Resolution>> {
        if self.open_holds.borrow().contains_key(&hold) {
            return Ok(None);
        }
        let read = |row: &Row<'_>| {
            // The hold that a kind resolves does not matter to how it resolves it.
            let kind = |code| TransferKind::from_columns(code, Some(hold), None);
            Columns::of(row).read(|code| kind(code).and_then(TransferKind::resolution))
        };
        self.resolution
            .borrow_mut()
            .query_row([hold.as_bytes()], read)
            .optional()
    }
}

fn newest(connection: &Connection) -> rusqlite::Result<[u8; 16]> {
    let newest: Vec<u8> = connection.query_row(NEWEST, [], |row| row.get(0))?;
    Ok(newest.try_into().unwrap_or_default())
}

fn find(
    get: &mut Statement<'_>,
    used_up: Option<&mut Statement<'_>>,
    id: TransferId,
) -> rusqlite::Result<Option<Record>> {
    if let Some((transfer, _)) = get.query_row([id.as_bytes()], read).optional()? {
        return Ok(Some(Record::Applied(transfer)));
    }
    let Some(used_up) = used_up else {
        return Ok(None);
    };
    let failure = used_up
        .query_row([id.as_bytes()], read_used_up)
        .optional()?;
    Ok(failure.map(|(failure, _)| Record::Failed(failure)))
}

/// What stands under a transfer id.
pub(crate) fn record(connection: &Connection, id: TransferId) -> rusqlite::Result<Option<Record>> {
    let snapshot = connection.unchecked_transaction()?;
    let (mut get, mut used_up) = (
        snapshot.prepare_cached(GET)?,
        snapshot.prepare_cached(USED_UP)?,
    );
    find(&mut get, Some(&mut used_up), id)
}

/// An id that is used up, and the batch that says so.
pub(crate) fn read_used_up(row: &Row<'_>) -> rusqlite::Result<(Failure, u64)> {
    let mut columns = Columns::of(row);
    let failure = Failure {
        id: columns.id(TransferId::from_bytes)?,
        refusal: columns.read(Refusal::from_code)?,
        failed_at: columns.micros()?,
    };
    Ok((failure, columns.bits()?))
}

/// A transfer and the batch that wrote it.
pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<(Transfer, u64)> {
    let mut columns = Columns::of(row);
    let id = columns.id(TransferId::from_bytes)?;
    let debit = columns.id(AccountId::from_bytes)?;
    let credit = columns.id(AccountId::from_bytes)?;
    let amount = columns.amount()?;
    let code = columns.get()?;
    let hold = columns.id_or_null(TransferId::from_bytes)?;
    let kind = columns.read(|expires_at: Option<i64>| {
        TransferKind::from_columns(code, hold, expires_at.map(UnixMicros))
    })?;
    let reason = columns.read(Reason::from_code)?;
    let subject_kind = columns.get()?;
    let subject = columns.read(|id| Subject::from_columns(subject_kind, id))?;
    let cause = Cause { reason, subject };
    let created_at = columns.micros()?;
    let transfer = Transfer {
        id,
        debit,
        credit,
        amount,
        kind,
        cause,
        created_at,
    };
    Ok((transfer, columns.bits()?))
}

pub(crate) fn read_seal(row: &Row<'_>) -> rusqlite::Result<Seal> {
    let mut columns = Columns::of(row);
    Ok(Seal {
        lane: LANE,
        sequence: columns.bits()?,
        previous: columns.hash()?,
        hash: columns.hash()?,
    })
}

/// The transfers that a transaction caused, oldest first.
pub(crate) fn list(
    connection: &Connection,
    transaction: TransactionId,
) -> rusqlite::Result<Vec<Transfer>> {
    let claim = connection
        .prepare_cached(CLAIM_OF)?
        .query_row([transaction.as_bytes()], |row| {
            row.get(0).map(ClaimId::from_bytes)
        })
        .optional()?;
    let Some(claim) = claim else {
        return Ok(Vec::new());
    };
    let (subject_kind, subject) = Subject::Claim(claim).columns();
    let (mut first, mut last) = ([0; 16], [0xff; 16]);
    first[..6].copy_from_slice(&subject[..6]);
    last[..6].copy_from_slice(&subject[..6]);
    let mut statement = connection.prepare_cached(OF_CLAIM)?;
    let rows = statement.query_map(params![first, last, subject_kind, subject], read)?;
    rows.map(|row| row.map(|(transfer, _)| transfer)).collect()
}
