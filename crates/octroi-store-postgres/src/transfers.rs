//! Transfers of the books, and the chains over the batches in which they were written.

use std::collections::BTreeSet;

use octroi_ledger::{
    Cause, Effects, Failure, LaneId, Reason, Record, Refusal, Seal, Subject, Transfer, TransferKind,
};
use octroi_types::{AccountId, ClaimId, TransactionId, TransferId, UnixMicros};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::accounts::BatchKey;
use crate::columns::{Columns, column, count, meaningless, mode_code};
use crate::connection::{Connection, Values};
use crate::fault::Fault;

macro_rules! select {
    () => {
        "SELECT
            id, debit, credit, amount, kind, hold, expires_at, reason, subject_kind, subject,
            created_at, lane, batch
        FROM transfers "
    };
}

const GET: &str = concat!(select!(), "WHERE id = ANY($1)");
const RESOLUTIONS: &str = concat!(select!(), "WHERE hold = ANY($1)");

/// The transfers of a claim have its own time in their ids ([`octroi_ledger::derived_transfer_id`]), so
/// that they are found among the few of one millisecond.
const OF_CLAIM: &str = concat!(
    select!(),
    "WHERE id >= $1 AND id <= $2 AND subject_kind = $3 AND subject = $4 ORDER BY created_at, id"
);

pub(crate) const BY_BATCH: &str = concat!(select!(), "ORDER BY lane, batch, id");

const INSERT: &str = "INSERT INTO transfers (
    id, tenant, mode, debit, credit, amount, kind, hold, expires_at, reason, subject_kind, subject,
    created_at, lane, batch
) SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::smallint[], $4::uuid[], $5::uuid[], $6::bigint[], $7::smallint[],
    $8::uuid[], $9::bigint[], $10::smallint[], $11::smallint[], $12::uuid[], $13::bigint[],
    $14::integer[], $15::bigint[]
)";

const USED_UP: &str =
    "SELECT id, refusal, failed_at, lane, batch FROM used_up_transfers WHERE id = ANY($1)";

pub(crate) const USED_UP_BY_BATCH: &str = "SELECT id, refusal, failed_at, lane, batch
FROM used_up_transfers ORDER BY lane, batch, id";

const INSERT_USED_UP: &str = "INSERT INTO used_up_transfers (id, refusal, failed_at, lane, batch)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::integer[], $5::bigint[])";

/// Transfer ids are locked in this many groups, so that no batch needs more of the server's memory for
/// locks, and neither do all together.
const ID_GROUPS: u16 = 2_048;

/// In one order, by everybody.
const LOCK_IDS: &str = "SELECT pg_advisory_xact_lock(1330868340, id_group)
FROM unnest($1::integer[]) AS id_group";

pub(crate) const SEALS: &str =
    "SELECT lane, sequence, previous, hash FROM batches ORDER BY lane, sequence";

const HEAD: &str = "SELECT lane, sequence, previous, hash FROM batches
WHERE lane = $1 ORDER BY sequence DESC LIMIT 1";

const INSERT_BATCH: &str =
    "INSERT INTO batches (lane, sequence, previous, hash) VALUES ($1, $2, $3, $4)";

const CLAIM_OF: &str = "SELECT claim FROM transactions WHERE id = $1";

/// A transfer, and the ledger of its accounts.
pub(crate) type OfLedger<'t> = (&'t Transfer, octroi_ledger::Ledger);

/// Locks transfer ids until the transaction ends, whether anything is recorded under them or not: what is
/// refused leaves no row that a copy of it would have to make too.
pub(crate) async fn lock_ids(
    connection: &Connection,
    ids: &BTreeSet<TransferId>,
) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let group = |id: &TransferId| {
        // The end of an id is random.
        let [.., high, low] = *id.as_bytes();
        i32::from(u16::from_be_bytes([high, low]) % ID_GROUPS)
    };
    let groups: BTreeSet<i32> = ids.iter().map(group).collect();
    let groups: Vec<i32> = groups.into_iter().collect();
    connection.execute(LOCK_IDS, &[&groups]).await?;
    Ok(())
}

/// What is recorded under these ids, applied or refused, and what resolved these holds.
pub(crate) async fn load(
    connection: &Connection,
    ids: &BTreeSet<TransferId>,
    holds: &BTreeSet<TransferId>,
) -> Result<Effects, Fault> {
    let (applied, failures, resolutions) = tokio::try_join!(
        applied(connection, GET, ids),
        failures(connection, ids),
        applied(connection, RESOLUTIONS, holds),
    )?;
    Ok(Effects {
        accounts: Vec::new(),
        transfers: [applied, resolutions].concat(),
        failures,
    })
}

/// What was applied under these ids.
pub(crate) async fn load_applied(
    connection: &Connection,
    ids: &BTreeSet<TransferId>,
) -> Result<Vec<Transfer>, Fault> {
    applied(connection, GET, ids).await
}

async fn applied(
    connection: &Connection,
    sql: &str,
    ids: &BTreeSet<TransferId>,
) -> Result<Vec<Transfer>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(TransferId::uuid).collect();
    let rows = connection.query(sql, &[&ids]).await?;
    rows.iter().map(|row| Ok(read(row)?.0)).collect()
}

async fn failures(
    connection: &Connection,
    ids: &BTreeSet<TransferId>,
) -> Result<Vec<Failure>, Fault> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = ids.iter().map(TransferId::uuid).collect();
    let rows = connection.query(USED_UP, &[&ids]).await?;
    rows.iter().map(|row| Ok(read_used_up(row)?.0)).collect()
}

/// What stands under a transfer id.
pub(crate) async fn record(
    connection: &Connection,
    id: TransferId,
) -> Result<Option<Record>, Fault> {
    let found = load(connection, &BTreeSet::from([id]), &BTreeSet::new()).await?;
    let applied = found.transfers.into_iter().map(Record::Applied);
    Ok(applied
        .chain(found.failures.into_iter().map(Record::Failed))
        .next())
}

/// Writes the transfers of a batch.
pub(crate) async fn insert(
    connection: &Connection,
    transfers: &[OfLedger<'_>],
    seal: &Seal,
) -> Result<(), Fault> {
    if transfers.is_empty() {
        return Ok(());
    }
    let lane = count(seal.lane.0);
    let rows = transfers;
    let values: Values<'_> = &[
        &column(rows, |(transfer, _)| transfer.id.uuid()),
        &column(rows, |(_, ledger)| ledger.tenant.uuid()),
        &column(rows, |(_, ledger)| mode_code(ledger.mode)),
        &column(rows, |(transfer, _)| transfer.debit.uuid()),
        &column(rows, |(transfer, _)| transfer.credit.uuid()),
        &column(rows, |(transfer, _)| transfer.amount.as_i64()),
        &column(rows, |(transfer, _)| i16::from(transfer.kind.code())),
        &column(rows, |(transfer, _)| {
            transfer.kind.hold().map(|hold| hold.uuid())
        }),
        &column(rows, |(transfer, _)| {
            transfer.kind.expires_at().map(|expires_at| expires_at.0)
        }),
        &column(rows, |(transfer, _)| {
            i16::from(transfer.cause.reason.code())
        }),
        &column(rows, |(transfer, _)| {
            i16::from(transfer.cause.subject.columns().0)
        }),
        &column(rows, |(transfer, _)| {
            Uuid::from_bytes(transfer.cause.subject.columns().1)
        }),
        &column(rows, |(transfer, _)| transfer.created_at.0),
        &column(rows, |_| lane),
        &column(rows, |_| seal.sequence.cast_signed()),
    ];
    connection.execute(INSERT, values).await?;
    Ok(())
}

/// Writes the ids that a batch refused.
pub(crate) async fn insert_used_up(
    connection: &Connection,
    failures: &[Failure],
    seal: &Seal,
) -> Result<(), Fault> {
    if failures.is_empty() {
        return Ok(());
    }
    let lane = count(seal.lane.0);
    let values: Values<'_> = &[
        &column(failures, |failure| failure.id.uuid()),
        &column(failures, |failure| i16::from(failure.refusal.code())),
        &column(failures, |failure| failure.failed_at.0),
        &column(failures, |_| lane),
        &column(failures, |_| seal.sequence.cast_signed()),
    ];
    connection.execute(INSERT_USED_UP, values).await?;
    Ok(())
}

/// Writes a link of a lane's chain.
pub(crate) async fn insert_seal(connection: &Connection, seal: &Seal) -> Result<(), Fault> {
    let (lane, sequence) = (count(seal.lane.0), seal.sequence.cast_signed());
    let (previous, hash) = (seal.previous.0.as_slice(), seal.hash.0.as_slice());
    connection
        .execute(INSERT_BATCH, &[&lane, &sequence, &previous, &hash])
        .await?;
    Ok(())
}

/// The last link of a lane's chain.
pub(crate) async fn head(connection: &Connection, lane: LaneId) -> Result<Seal, Fault> {
    let row = connection.query_opt(HEAD, &[&count(lane.0)]).await?;
    row.map_or(Ok(Seal::genesis(lane)), |row| read_seal(&row))
}

/// A transfer and the batch that wrote it.
pub(crate) fn read(row: &Row) -> Result<(Transfer, BatchKey), Fault> {
    let mut columns = Columns::of(row);
    let id = columns.id(TransferId::from_uuid)?;
    let debit = columns.id(AccountId::from_uuid)?;
    let credit = columns.id(AccountId::from_uuid)?;
    let amount = columns.amount()?;
    let code = columns.code(Some)?;
    let hold = columns.id_or_null(TransferId::from_uuid)?;
    let expires_at = columns.get::<Option<i64>>()?.map(UnixMicros);
    let kind = TransferKind::from_columns(code, hold, expires_at).ok_or_else(meaningless)?;
    let reason = columns.code(Reason::from_code)?;
    let subject_kind = columns.code(Some)?;
    let subject =
        columns.read(|subject: Uuid| Subject::from_columns(subject_kind, subject.into_bytes()))?;
    let transfer = Transfer {
        id,
        debit,
        credit,
        amount,
        kind,
        cause: Cause { reason, subject },
        created_at: columns.micros()?,
    };
    Ok((transfer, (columns.count()?, columns.bits()?)))
}

/// An id that is used up, and the batch that says so.
pub(crate) fn read_used_up(row: &Row) -> Result<(Failure, BatchKey), Fault> {
    let mut columns = Columns::of(row);
    let failure = Failure {
        id: columns.id(TransferId::from_uuid)?,
        refusal: columns.code(Refusal::from_code)?,
        failed_at: columns.micros()?,
    };
    Ok((failure, (columns.count()?, columns.bits()?)))
}

pub(crate) fn read_seal(row: &Row) -> Result<Seal, Fault> {
    let mut columns = Columns::of(row);
    Ok(Seal {
        lane: LaneId(columns.count()?),
        sequence: columns.bits()?,
        previous: columns.hash()?,
        hash: columns.hash()?,
    })
}

/// The transfers that a transaction caused, oldest first.
pub(crate) async fn list(
    connection: &Connection,
    transaction: TransactionId,
) -> Result<Vec<Transfer>, Fault> {
    let row = connection
        .query_opt(CLAIM_OF, &[&transaction.uuid()])
        .await?;
    let Some(row) = row else {
        return Ok(Vec::new());
    };
    let claim = Columns::of(&row).id(ClaimId::from_uuid)?;
    let (subject_kind, subject) = Subject::Claim(claim).columns();
    let (mut first, mut last) = ([0; 16], [0xff; 16]);
    first[..6].copy_from_slice(&subject[..6]);
    last[..6].copy_from_slice(&subject[..6]);
    let ids = [first, last, subject].map(Uuid::from_bytes);
    let values: Values<'_> = &[&ids[0], &ids[1], &i16::from(subject_kind), &ids[2]];
    let rows = connection.query(OF_CLAIM, values).await?;
    rows.iter().map(|row| Ok(read(row)?.0)).collect()
}
