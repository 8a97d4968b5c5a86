//! What paywalls ask, and asked until lately (money rule 11). A tenant's rows are read and replaced
//! as a whole: that happens at a start and when a price changes, not for a request.

use octroi_store::OfferedTerms;
use octroi_store::plan::Offers;
use octroi_types::{PaywallId, TenantId, UnixSeconds};
use rusqlite::{Connection, Row, Statement, params};

use crate::columns::{Columns, mode_code};

const OF_TENANT: &str = "SELECT
    paywall, mode, chain, asset, pay_to, amount, max_timeout_seconds, honoured_until
FROM offered_terms WHERE tenant = ?1";

const CLEAR: &str = "DELETE FROM offered_terms WHERE tenant = ?1";

const INSERT: &str = "INSERT INTO offered_terms (
    tenant, paywall, mode, chain, asset, pay_to, amount, max_timeout_seconds, honoured_until
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[OF_TENANT, CLEAR, INSERT];

/// The writer's statements.
pub(crate) struct OfferedTermsTable<'c> {
    of_tenant: Statement<'c>,
    clear: Statement<'c>,
    insert: Statement<'c>,
}

impl<'c> OfferedTermsTable<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            of_tenant: connection.prepare(OF_TENANT)?,
            clear: connection.prepare(CLEAR)?,
            insert: connection.prepare(INSERT)?,
        })
    }

    pub(crate) fn of(&mut self, tenant: TenantId) -> rusqlite::Result<Offers> {
        self.of_tenant
            .query_map([tenant.as_bytes()], read)?
            .collect()
    }

    pub(crate) fn replace(&mut self, tenant: TenantId, offers: &Offers) -> rusqlite::Result<()> {
        self.clear.execute([tenant.as_bytes()])?;
        for (terms, honoured_until) in offers {
            self.insert.execute(params![
                tenant.as_bytes(),
                terms.paywall.as_bytes(),
                mode_code(terms.mode),
                terms.chain.0.cast_signed(),
                terms.asset.0,
                terms.pay_to.0,
                terms.amount.as_i64(),
                terms.max_timeout_seconds,
                honoured_until.map(|until| until.0.cast_signed()),
            ])?;
        }
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<(OfferedTerms, Option<UnixSeconds>)> {
    let mut columns = Columns::of(row);
    let terms = OfferedTerms {
        paywall: columns.id(PaywallId::from_bytes)?,
        mode: columns.mode()?,
        chain: columns.chain()?,
        asset: columns.address()?,
        pay_to: columns.address()?,
        amount: columns.amount()?,
        max_timeout_seconds: columns.get()?,
    };
    let until = columns.get::<Option<i64>>()?;
    Ok((terms, until.map(|until| UnixSeconds(until.cast_unsigned()))))
}
