//! Whose payments failed, and when (money rule 12).

use std::collections::{BTreeSet, HashMap};

use octroi_claim::NewClaim;
use octroi_types::{Address, Mode, TenantId, UnixMicros};

use crate::columns::{Columns, column, mode_code};
use crate::connection::{Connection, Values};
use crate::fault::Fault;

const INSERT: &str = "INSERT INTO failed_payments (tenant, mode, payer, failed_at, transaction_id)
SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bytea[], $4::bigint[], $5::uuid[])";

const LAST: &str = "SELECT k.tenant, k.mode, k.payer, f.failed_at
FROM unnest($1::uuid[], $2::smallint[], $3::bytea[]) AS k (tenant, mode, payer)
CROSS JOIN LATERAL (
    SELECT failed_at FROM failed_payments
    WHERE tenant = k.tenant AND mode = k.mode AND payer = k.payer
    ORDER BY failed_at DESC LIMIT 1
) AS f";

/// A payer at a tenant, in one mode: play money tells nothing about real money, and one tenant nothing
/// about another.
pub(crate) type Payer = (TenantId, Mode, Address);

fn payer(terms: &NewClaim) -> Payer {
    (terms.tenant, terms.mode, terms.payer)
}

/// The last failures of the payers of a batch.
#[derive(Default)]
pub(crate) struct Failures {
    last: HashMap<Payer, UnixMicros>,
    new: Vec<(NewClaim, UnixMicros)>,
}

impl Failures {
    /// Reads when payments of these payers failed last.
    pub(crate) async fn load(
        connection: &Connection,
        arriving: &[&NewClaim],
    ) -> Result<Self, Fault> {
        let payers: BTreeSet<Payer> = arriving.iter().map(|new| payer(new)).collect();
        let mut failures = Self::default();
        if payers.is_empty() {
            return Ok(failures);
        }
        let payers: Vec<Payer> = payers.into_iter().collect();
        let tenants = column(&payers, |(tenant, _, _)| tenant.uuid());
        let modes = column(&payers, |(_, mode, _)| mode_code(*mode));
        let addresses = column(&payers, |(_, _, payer)| payer.0.as_slice());
        let values: Values<'_> = &[&tenants, &modes, &addresses];
        for row in connection.query(LAST, values).await? {
            let mut columns = Columns::of(&row);
            let tenant = columns.id(TenantId::from_uuid)?;
            let payer = (tenant, columns.mode()?, columns.address()?);
            failures.last.insert(payer, columns.micros()?);
        }
        Ok(failures)
    }

    /// Whether a payment of this payer failed at the tenant, in this mode, at that time or later.
    pub(crate) fn is_any_since(&self, new: &NewClaim, since: UnixMicros) -> bool {
        self.last
            .get(&payer(new))
            .is_some_and(|last| *last >= since)
    }

    /// Takes a payment that failed.
    pub(crate) fn insert(&mut self, terms: &NewClaim, at: UnixMicros) {
        let last = self.last.entry(payer(terms)).or_insert(at);
        *last = at.max(*last);
        self.new.push((terms.clone(), at));
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let new = &self.new;
        if new.is_empty() {
            return Ok(());
        }
        let tenants = column(new, |(terms, _)| terms.tenant.uuid());
        let modes = column(new, |(terms, _)| mode_code(terms.mode));
        let payers = column(new, |(terms, _)| terms.payer.0.as_slice());
        let times = column(new, |(_, at)| at.0);
        let transactions = column(new, |(terms, _)| terms.transaction.uuid());
        connection
            .execute(INSERT, &[&tenants, &modes, &payers, &times, &transactions])
            .await?;
        Ok(())
    }
}
