//! Transactions: what never changes of them, and reading them.

use std::collections::BTreeSet;

use octroi_claim::Claim;
use octroi_store::{NewTransaction, Page, Transaction, TransactionFilter, TransactionState};
use octroi_types::{CreditId, PaywallId, RequestId, ServiceId, TenantId, TransactionId};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::columns::{Columns, column, mode_code, transaction_state_code};
use crate::connection::Connection;
use crate::fault::Fault;

const TAKEN: &str = "SELECT id FROM transactions WHERE id = ANY($1)";

const INSERT: &str = "INSERT INTO transactions (
    id, claim, tenant, mode, service, paywall, request, method, path, rail, chain, asset, amount,
    payer, pay_to, identity, valid_before, covered_by, created_at
) SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::uuid[], $6::uuid[], $7::uuid[],
    $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bytea[], $13::bigint[], $14::bytea[],
    $15::bytea[], $16::bytea[], $17::bigint[], $18::uuid[], $19::bigint[]
)";

macro_rules! columns {
    () => {
        "t.id, t.tenant, t.mode, s.state, s.payment, s.work, t.service, t.paywall, t.request,
        t.method, t.path, t.rail, t.chain, t.asset, t.amount, t.payer, t.pay_to, s.tx_hash,
        t.covered_by, s.refund_credit, t.created_at, s.updated_at "
    };
}

const GET: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM transactions AS t JOIN transaction_states AS s ON s.id = t.id WHERE t.id = $1"
);

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM transactions AS t JOIN transaction_states AS s ON s.id = t.id
    WHERE t.id >= $1 AND t.id < $2"
);

/// As [`LIST`], along the unfinished.
const LIST_UNFINISHED: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM open_claims AS o
    JOIN transactions AS t ON t.id = o.transaction_id
    JOIN transaction_states AS s ON s.id = o.transaction_id
    WHERE o.transaction_id >= $1 AND o.transaction_id < $2"
);

/// The new transactions of a batch.
#[derive(Default)]
pub(crate) struct Transactions {
    taken: BTreeSet<TransactionId>,
    new: Vec<(Claim, NewTransaction)>,
}

impl Transactions {
    /// Reads which of these ids are in use.
    pub(crate) async fn load(
        connection: &Connection,
        ids: &[TransactionId],
    ) -> Result<Self, Fault> {
        let mut transactions = Self::default();
        if !ids.is_empty() {
            let ids = column(ids, TransactionId::uuid);
            for row in connection.query(TAKEN, &[&ids]).await? {
                let id = Columns::of(&row).id(TransactionId::from_uuid)?;
                transactions.taken.insert(id);
            }
        }
        Ok(transactions)
    }

    /// Takes the transaction of a claim that was just granted; `false` if its id is in use.
    pub(crate) fn insert(&mut self, claim: &Claim, new: &NewTransaction) -> bool {
        let is_free = self.taken.insert(new.id);
        if is_free {
            self.new.push((claim.clone(), new.clone()));
        }
        is_free
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let new = &self.new;
        if new.is_empty() {
            return Ok(());
        }
        connection
            .execute(
                INSERT,
                &[
                    &column(new, |(_, new)| new.id.uuid()),
                    &column(new, |(claim, _)| claim.terms.id.uuid()),
                    &column(new, |(claim, _)| claim.terms.tenant.uuid()),
                    &column(new, |(claim, _)| mode_code(claim.terms.mode)),
                    &column(new, |(_, new)| new.service.as_ref().map(ServiceId::uuid)),
                    &column(new, |(claim, _)| claim.terms.paywall.uuid()),
                    &column(new, |(_, new)| new.request.uuid()),
                    &column(new, |(_, new)| new.method.as_str()),
                    &column(new, |(_, new)| new.path.as_str()),
                    &column(new, |(_, new)| new.rail),
                    &column(new, |(claim, _)| claim.terms.chain.0.cast_signed()),
                    &column(new, |(claim, _)| claim.terms.asset.0.as_slice()),
                    &column(new, |(claim, _)| claim.terms.amount.as_i64()),
                    &column(new, |(claim, _)| claim.terms.payer.0.as_slice()),
                    &column(new, |(claim, _)| claim.terms.pay_to.0.as_slice()),
                    &column(new, |(claim, _)| claim.terms.identity.0.as_slice()),
                    &column(new, |(claim, _)| claim.terms.valid_before.0.cast_signed()),
                    &column(new, |(claim, _)| {
                        claim.covered_by.as_ref().map(CreditId::uuid)
                    }),
                    &column(new, |(claim, _)| claim.terms.created_at.0),
                ],
            )
            .await?;
        Ok(())
    }
}

fn read(row: &Row) -> Result<Transaction, Fault> {
    let mut columns = Columns::of(row);
    Ok(Transaction {
        id: columns.id(TransactionId::from_uuid)?,
        tenant: columns.id(TenantId::from_uuid)?,
        mode: columns.mode()?,
        state: columns.transaction_state()?,
        payment: columns.payment()?,
        work: columns.work()?,
        service: columns.id_or_null(ServiceId::from_uuid)?,
        paywall: columns.id(PaywallId::from_uuid)?,
        request: columns.id(RequestId::from_uuid)?,
        method: columns.get()?,
        path: columns.get()?,
        rail: columns.get()?,
        network: columns.chain()?,
        asset: columns.address()?,
        amount: columns.amount()?,
        payer: columns.address()?,
        pay_to: columns.address()?,
        tx_hash: columns.hash_or_null()?,
        covered_by: columns.id_or_null(CreditId::from_uuid)?,
        refund_credit: columns.id_or_null(CreditId::from_uuid)?,
        created_at: columns.micros()?,
        updated_at: columns.micros()?,
    })
}

/// One transaction.
pub(crate) async fn get(
    connection: &Connection,
    id: TransactionId,
) -> Result<Option<Transaction>, Fault> {
    let row = connection.query_opt(GET, &[&id.uuid()]).await?;
    row.map(|row| read(&row)).transpose()
}

/// A page of transactions.
pub(crate) async fn list(
    connection: &Connection,
    filter: &TransactionFilter,
    after: Option<TransactionId>,
    limit: usize,
) -> Result<Page<Transaction>, Fault> {
    let ids = filter.ids();
    let end = after.map_or(ids.end, |after| after.min(ids.end));
    let (start, end): (Uuid, Uuid) = (ids.start.uuid(), end.uuid());
    let rows_max = i64::try_from(Page::rows_for(limit) + 1).unwrap_or(i64::MAX);
    let tenant = filter.tenant.map(|tenant| tenant.uuid());
    let paywall = filter.paywall.map(|paywall| paywall.uuid());
    let payer = filter.payer.map(|payer| payer.0.to_vec());
    let state = filter.state.map(transaction_state_code);

    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&start, &end, &rows_max];
    values.extend(tenant.as_ref().map(|value| value as &(dyn ToSql + Sync)));
    values.extend(paywall.as_ref().map(|value| value as &(dyn ToSql + Sync)));
    values.extend(payer.as_ref().map(|value| value as &(dyn ToSql + Sync)));
    values.extend(state.as_ref().map(|value| value as &(dyn ToSql + Sync)));
    let rows = connection.query(&list_sql(filter), &values).await?;
    let rows = rows.iter().map(read).collect::<Result<_, _>>()?;
    Ok(Page::of(rows, limit))
}

/// The statement for a filter: ids from $1 to $2, at most $3 rows, and what is asked for from $4 on,
/// in the order of the columns here.
fn list_sql(filter: &TransactionFilter) -> String {
    // What is of unknown fate is among the few that are unfinished.
    let (list, tenant, order) = if filter.state == Some(TransactionState::Unknown) {
        let order = " ORDER BY o.transaction_id DESC LIMIT $3";
        (LIST_UNFINISHED, "o.tenant", order)
    } else {
        (LIST, "t.tenant", " ORDER BY t.id DESC LIMIT $3")
    };
    let asked = [
        (tenant, filter.tenant.is_some()),
        ("t.paywall", filter.paywall.is_some()),
        ("t.payer", filter.payer.is_some()),
        ("s.state", filter.state.is_some()),
    ];
    let mut sql = list.to_owned();
    for (number, (column, _)) in (4..).zip(asked.iter().filter(|(_, asked)| *asked)) {
        sql.push_str(&format!(" AND {column} = ${number}"));
    }
    sql.push_str(order);
    sql
}
