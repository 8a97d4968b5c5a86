//! What paywalls ask, and asked until lately (money rule 11). A tenant's rows are read and replaced as a
//! whole: that happens at a start and when a price changes, not for a request.

use std::collections::{BTreeMap, BTreeSet};

use octroi_store::OfferedTerms;
use octroi_store::plan::Offers;
use octroi_types::{PaywallId, TenantId, UnixSeconds};
use tokio_postgres::Row;

use crate::columns::{Columns, column, mode_code};
use crate::connection::Connection;
use crate::fault::Fault;

/// One at a time publishes what a tenant offers. There may be no row to lock.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1330868338, hashtext($1::uuid::text))";

const OF_TENANT: &str = "SELECT
    paywall, mode, chain, asset, pay_to, amount, max_timeout_seconds, honoured_until
FROM offered_terms WHERE tenant = $1";

const CLEAR: &str = "DELETE FROM offered_terms WHERE tenant = $1";

const INSERT: &str = "INSERT INTO offered_terms (
    tenant, paywall, mode, chain, asset, pay_to, amount, max_timeout_seconds, honoured_until
) SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bigint[],
    $8::bigint[], $9::bigint[]
)";

/// The offers of a batch.
#[derive(Default)]
pub(crate) struct OfferedTermsTable {
    of: BTreeMap<TenantId, Offers>,
    changed: BTreeSet<TenantId>,
}

impl OfferedTermsTable {
    /// Locks what these tenants offer until the transaction ends, and reads it.
    pub(crate) async fn lock(
        connection: &Connection,
        tenants: &BTreeSet<TenantId>,
    ) -> Result<Self, Fault> {
        let mut table = Self::default();
        for tenant in tenants {
            connection.query(LOCK, &[&tenant.uuid()]).await?;
            let rows = connection.query(OF_TENANT, &[&tenant.uuid()]).await?;
            let offers = rows.iter().map(read).collect::<Result<Offers, _>>()?;
            table.of.insert(*tenant, offers);
        }
        Ok(table)
    }

    pub(crate) fn of(&self, tenant: TenantId) -> Offers {
        self.of.get(&tenant).cloned().unwrap_or_default()
    }

    pub(crate) fn replace(&mut self, tenant: TenantId, offers: Offers) {
        self.of.insert(tenant, offers);
        self.changed.insert(tenant);
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        for tenant in &self.changed {
            connection.execute(CLEAR, &[&tenant.uuid()]).await?;
            let offers: Vec<_> = self.of.get(tenant).into_iter().flatten().collect();
            if !offers.is_empty() {
                insert(connection, *tenant, &offers).await?;
            }
        }
        Ok(())
    }
}

async fn insert(
    connection: &Connection,
    tenant: TenantId,
    offers: &[(&OfferedTerms, &Option<UnixSeconds>)],
) -> Result<(), Fault> {
    connection
        .execute(
            INSERT,
            &[
                &column(offers, |_| tenant.uuid()),
                &column(offers, |(terms, _)| terms.paywall.uuid()),
                &column(offers, |(terms, _)| mode_code(terms.mode)),
                &column(offers, |(terms, _)| terms.chain.0.cast_signed()),
                &column(offers, |(terms, _)| terms.asset.0.as_slice()),
                &column(offers, |(terms, _)| terms.pay_to.0.as_slice()),
                &column(offers, |(terms, _)| terms.amount.as_i64()),
                &column(offers, |(terms, _)| i64::from(terms.max_timeout_seconds)),
                &column(offers, |(_, until)| {
                    until.map(|until| until.0.cast_signed())
                }),
            ],
        )
        .await?;
    Ok(())
}

fn read(row: &Row) -> Result<(OfferedTerms, Option<UnixSeconds>), Fault> {
    let mut columns = Columns::of(row);
    let terms = OfferedTerms {
        paywall: columns.id(PaywallId::from_uuid)?,
        mode: columns.mode()?,
        chain: columns.chain()?,
        asset: columns.address()?,
        pay_to: columns.address()?,
        amount: columns.amount()?,
        max_timeout_seconds: columns.u32()?,
    };
    let until = columns.get::<Option<i64>>()?;
    Ok((terms, until.map(|until| UnixSeconds(until.cast_unsigned()))))
}
