//! Accounts of the books.

use std::collections::BTreeSet;

use octroi_ledger::{Account, AccountChange, AccountKind, AccountLimit, Ledger, Seal, Sums};
use octroi_types::{AccountId, Amount, Asset, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::columns::{Columns, column, meaningless, mode_code};
use crate::connection::{Connection, Values};
use crate::fault::Fault;

macro_rules! select {
    () => {
        "SELECT
            id, tenant, mode, chain, asset, kind, bound, debits_posted, debits_pending,
            credits_posted, credits_pending, created_at, version, lane, batch
        FROM accounts "
    };
}

const LOCK: &str = concat!(select!(), "WHERE id = ANY($1) ORDER BY id FOR UPDATE");
const GET: &str = concat!(select!(), "WHERE id = $1");
const LIST: &str = concat!(select!(), "ORDER BY id");

const INSERT: &str = "INSERT INTO accounts (
    id, debits_posted, debits_pending, credits_posted, credits_pending, version, tenant, mode,
    chain, asset, kind, bound, created_at, lane, batch
) SELECT * FROM unnest(
    $1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::uuid[],
    $8::smallint[], $9::bigint[], $10::bytea[], $11::smallint[], $12::smallint[], $13::bigint[],
    $14::integer[], $15::bigint[]
)";

/// An account that is not as it was when it was locked is left alone, which is noticed.
const UPDATE: &str = "UPDATE accounts AS a SET
    debits_posted = n.debits_posted, debits_pending = n.debits_pending,
    credits_posted = n.credits_posted, credits_pending = n.credits_pending, version = n.version
FROM unnest(
    $1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[]
) AS n (
    id, debits_posted, debits_pending, credits_posted, credits_pending, version, replaces
)
WHERE a.id = n.id AND a.version = n.replaces";

/// The batch that a row of the books belongs to: its lane, and its number there.
pub(crate) type BatchKey = (u32, u64);

/// Locks accounts until the transaction ends, in the order of their ids, and reads them.
pub(crate) async fn lock(
    connection: &Connection,
    ids: &BTreeSet<AccountId>,
) -> Result<Vec<Account>, Fault> {
    let ids: Vec<Uuid> = ids.iter().map(AccountId::uuid).collect();
    let rows = connection.query(LOCK, &[&ids]).await?;
    rows.iter().map(|row| Ok(read(row)?.0)).collect()
}

/// Writes each account once for all that a batch did to it.
pub(crate) async fn write(
    connection: &Connection,
    changes: &[AccountChange],
    seal: &Seal,
) -> Result<(), Fault> {
    let (changed, opened): (Vec<&AccountChange>, Vec<&AccountChange>) =
        changes.iter().partition(|change| change.replaces.is_some());
    if !opened.is_empty() {
        let opened = column(&opened, |change| &change.after);
        insert(connection, &opened, seal).await?;
    }
    if changed.is_empty() {
        return Ok(());
    }
    let accounts = column(&changed, |change| &change.after);
    let values: Values<'_> = &[
        &column(&accounts, |account| account.id.uuid()),
        &column(&accounts, |account| account.debits.posted.as_i64()),
        &column(&accounts, |account| account.debits.pending.as_i64()),
        &column(&accounts, |account| account.credits.posted.as_i64()),
        &column(&accounts, |account| account.credits.pending.as_i64()),
        &column(&accounts, |account| account.version.cast_signed()),
        &column(&changed, |change| change.replaces.map(u64::cast_signed)),
    ];
    let written = connection.execute(UPDATE, values).await?;
    if written == changed.len() as u64 {
        Ok(())
    } else {
        Err(Fault::inconsistent("an account changed under its lock"))
    }
}

async fn insert(connection: &Connection, opened: &[&Account], seal: &Seal) -> Result<(), Fault> {
    let lane = crate::columns::count(seal.lane.0);
    let token = |account: &Account| match account.ledger.asset {
        Asset::Usd => None,
        Asset::Token { chain, address } => Some((chain, address)),
    };
    let values: Values<'_> = &[
        &column(opened, |account| account.id.uuid()),
        &column(opened, |account| account.debits.posted.as_i64()),
        &column(opened, |account| account.debits.pending.as_i64()),
        &column(opened, |account| account.credits.posted.as_i64()),
        &column(opened, |account| account.credits.pending.as_i64()),
        &column(opened, |account| account.version.cast_signed()),
        &column(opened, |account| account.ledger.tenant.uuid()),
        &column(opened, |account| mode_code(account.ledger.mode)),
        &column(opened, |account| {
            token(account).map(|(chain, _)| chain.0.cast_signed())
        }),
        &column(opened, |account| {
            token(account).map(|(_, address)| address.0.to_vec())
        }),
        &column(opened, |account| i16::from(account.kind.code())),
        &column(opened, |account| i16::from(account.limit.code())),
        &column(opened, |account| account.created_at.0),
        &column(opened, |_| lane),
        &column(opened, |_| seal.sequence.cast_signed()),
    ];
    connection.execute(INSERT, values).await?;
    Ok(())
}

/// An account and the batch that opened it.
fn read(row: &Row) -> Result<(Account, BatchKey), Fault> {
    let mut columns = Columns::of(row);
    let id = columns.id(AccountId::from_uuid)?;
    let tenant = columns.id(TenantId::from_uuid)?;
    let mode = columns.mode()?;
    let chain: Option<i64> = columns.get()?;
    let asset = match (chain, columns.address_or_null()?) {
        (None, None) => Asset::Usd,
        (Some(chain), Some(address)) => {
            let chain = octroi_types::ChainId(chain.cast_unsigned());
            Asset::Token { chain, address }
        }
        (None, Some(_)) | (Some(_), None) => return Err(meaningless()),
    };
    let ledger = Ledger {
        tenant,
        mode,
        asset,
    };
    let account = Account {
        id,
        ledger,
        kind: columns.code(AccountKind::from_code)?,
        limit: columns.code(AccountLimit::from_code)?,
        debits: sums(&mut columns)?,
        credits: sums(&mut columns)?,
        created_at: columns.micros()?,
        version: columns.bits()?,
    };
    Ok((account, (columns.count()?, columns.bits()?)))
}

fn sums(columns: &mut Columns<'_>) -> Result<Sums, Fault> {
    let (posted, pending): (Amount, Amount) = (columns.amount()?, columns.amount()?);
    Ok(Sums { posted, pending })
}

/// One account.
pub(crate) async fn get(connection: &Connection, id: AccountId) -> Result<Option<Account>, Fault> {
    let row = connection.query_opt(GET, &[&id.uuid()]).await?;
    row.map(|row| Ok(read(&row)?.0)).transpose()
}

/// Every account, with the batch that opened it.
pub(crate) async fn list(connection: &Connection) -> Result<Vec<(Account, BatchKey)>, Fault> {
    let rows = connection.query(LIST, &[]).await?;
    rows.iter().map(read).collect()
}
