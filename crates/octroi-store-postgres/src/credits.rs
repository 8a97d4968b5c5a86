//! Refund credits. Whoever changes one has locked its wallet.

use std::collections::{BTreeMap, BTreeSet};

use octroi_claim::{Claim, NewClaim, PaymentState};
use octroi_store::Credit;
use octroi_types::{Address, Amount, ChainId, CreditId, Mode, TenantId, TransactionId};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::columns::{Columns, column, mode_code};
use crate::connection::Connection;
use crate::fault::Fault;

macro_rules! columns {
    () => {
        "c.id, c.tenant, c.mode, c.payer, c.chain, c.asset, c.amount, c.available,
        c.transaction_id, c.created_at, s.payment "
    };
}

const GET: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM credits AS c JOIN transaction_states AS s ON s.id = c.transaction_id
    WHERE c.id = ANY($1)"
);

/// For each of several claims, the oldest that suffice for it, of those whose own payment has arrived (2:
/// settled): as many as the rest of the batch may use before it.
const FIND: &str = concat!(
    "SELECT ",
    columns!(),
    "FROM unnest(
        $1::bytea[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bytea[], $6::bigint[]
    ) AS k (payer, tenant, mode, chain, asset, amount)
    CROSS JOIN LATERAL (
        SELECT * FROM credits
        WHERE payer = k.payer AND tenant = k.tenant AND mode = k.mode AND chain = k.chain
            AND asset = k.asset AND available > 0 AND available >= k.amount
            AND EXISTS (
                SELECT 1 FROM transaction_states AS a
                WHERE a.id = transaction_id AND a.payment = 2
            )
        ORDER BY id LIMIT $7
    ) AS c
    JOIN transaction_states AS s ON s.id = c.transaction_id"
);

const INSERT: &str = "INSERT INTO credits (
    id, tenant, mode, payer, chain, asset, amount, available, transaction_id, created_at
) SELECT * FROM unnest(
    $1::uuid[], $2::uuid[], $3::smallint[], $4::bytea[], $5::bigint[], $6::bytea[], $7::bigint[],
    $8::bigint[], $9::uuid[], $10::bigint[]
)";

const UPDATE: &str = "UPDATE credits AS c SET available = n.available
FROM unnest($1::uuid[], $2::bigint[]) AS n (id, available) WHERE c.id = n.id";

/// What a claim's credit must be of, apart from its amount.
type Purse = (TenantId, Mode, Address, ChainId, Address);

/// The credits of a batch.
#[derive(Default)]
pub(crate) struct Credits {
    credits: BTreeMap<CreditId, Credit>,
    /// Those whose own payments have arrived.
    arrived: BTreeSet<CreditId>,
    new: BTreeSet<CreditId>,
    changed: BTreeSet<CreditId>,
}

impl Credits {
    /// Reads what may pay for claims that arrive, where the batch is about so many payments.
    pub(crate) async fn load(
        connection: &Connection,
        arriving: &[&NewClaim],
        payments: usize,
    ) -> Result<Self, Fault> {
        let mut asked: BTreeSet<(Purse, Amount)> = BTreeSet::new();
        for new in arriving {
            let purse = (new.tenant, new.mode, new.payer, new.chain, new.asset);
            asked.insert((purse, new.amount));
        }
        let places = i64::try_from(payments).unwrap_or(i64::MAX);
        let mut credits = Self::default();
        if asked.is_empty() {
            return Ok(credits);
        }
        let asked: Vec<(Purse, Amount)> = asked.into_iter().collect();
        let rows = connection
            .query(
                FIND,
                &[
                    &column(&asked, |((_, _, payer, _, _), _)| payer.0.as_slice()),
                    &column(&asked, |((tenant, ..), _)| tenant.uuid()),
                    &column(&asked, |((_, mode, ..), _)| mode_code(*mode)),
                    &column(&asked, |((_, _, _, chain, _), _)| chain.0.cast_signed()),
                    &column(&asked, |((_, _, _, _, asset), _)| asset.0.as_slice()),
                    &column(&asked, |(_, amount)| amount.as_i64()),
                    &places,
                ],
            )
            .await?;
        credits.take(&rows)?;
        Ok(credits)
    }

    /// Reads further ones by their ids.
    pub(crate) async fn load_more(
        &mut self,
        connection: &Connection,
        ids: &[CreditId],
    ) -> Result<(), Fault> {
        let missing = ids.iter().filter(|id| !self.credits.contains_key(id));
        let ids: BTreeSet<Uuid> = missing.map(CreditId::uuid).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let rows = connection.query(GET, &[&ids]).await?;
        self.take(&rows)
    }

    fn take(&mut self, rows: &[Row]) -> Result<(), Fault> {
        for row in rows {
            let (credit, has_arrived) = read(row)?;
            if has_arrived {
                self.arrived.insert(credit.id);
            }
            self.credits.insert(credit.id, credit);
        }
        Ok(())
    }

    pub(crate) fn get(&self, id: CreditId) -> Option<&Credit> {
        self.credits.get(&id)
    }

    /// The oldest credit that can pay for a claim.
    pub(crate) fn find(&self, claim: &NewClaim) -> Option<CreditId> {
        let suffices = |credit: &&Credit| {
            credit.covers(claim)
                && credit.available >= claim.amount
                && self.arrived.contains(&credit.id)
        };
        self.credits.values().find(suffices).map(|credit| credit.id)
    }

    /// Follows the claim that led to a credit.
    pub(crate) fn follow(&mut self, claim: &Claim) {
        if let Some(id) = claim.credit {
            if claim.payment == PaymentState::Settled {
                self.arrived.insert(id);
            } else {
                self.arrived.remove(&id);
            }
        }
    }

    pub(crate) fn insert(&mut self, credit: Credit) {
        self.new.insert(credit.id);
        self.credits.insert(credit.id, credit);
    }

    pub(crate) fn update(&mut self, id: CreditId, available: Amount) {
        if let Some(credit) = self.credits.get_mut(&id) {
            credit.available = available;
            self.changed.insert(id);
        }
    }

    pub(crate) async fn write(&self, connection: &Connection) -> Result<(), Fault> {
        let of = |ids: Vec<&CreditId>| -> Vec<&Credit> {
            ids.into_iter().filter_map(|id| self.get(*id)).collect()
        };
        let changed = of(self.changed.difference(&self.new).collect());
        if !changed.is_empty() {
            let ids = column(&changed, |credit| credit.id.uuid());
            let available = column(&changed, |credit| credit.available.as_i64());
            connection.execute(UPDATE, &[&ids, &available]).await?;
        }
        let new = of(self.new.iter().collect());
        if !new.is_empty() {
            insert(connection, &new).await?;
        }
        Ok(())
    }
}

async fn insert(connection: &Connection, new: &[&Credit]) -> Result<(), Fault> {
    connection
        .execute(
            INSERT,
            &[
                &column(new, |credit| credit.id.uuid()),
                &column(new, |credit| credit.tenant.uuid()),
                &column(new, |credit| mode_code(credit.mode)),
                &column(new, |credit| credit.payer.0.as_slice()),
                &column(new, |credit| credit.chain.0.cast_signed()),
                &column(new, |credit| credit.asset.0.as_slice()),
                &column(new, |credit| credit.amount.as_i64()),
                &column(new, |credit| credit.available.as_i64()),
                &column(new, |credit| credit.transaction.uuid()),
                &column(new, |credit| credit.created_at.0),
            ],
        )
        .await?;
    Ok(())
}

/// A credit, and whether its own payment has arrived.
fn read(row: &Row) -> Result<(Credit, bool), Fault> {
    let mut columns = Columns::of(row);
    let credit = Credit {
        id: columns.id(CreditId::from_uuid)?,
        tenant: columns.id(TenantId::from_uuid)?,
        mode: columns.mode()?,
        payer: columns.address()?,
        chain: columns.chain()?,
        asset: columns.address()?,
        amount: columns.amount()?,
        available: columns.amount()?,
        transaction: columns.id(TransactionId::from_uuid)?,
        created_at: columns.micros()?,
    };
    Ok((credit, columns.payment()? == PaymentState::Settled))
}

/// One credit.
pub(crate) async fn get(connection: &Connection, id: CreditId) -> Result<Option<Credit>, Fault> {
    let rows = connection.query(GET, &[&vec![id.uuid()]]).await?;
    let credit = rows.first().map(read).transpose()?;
    Ok(credit.map(|(credit, _)| credit))
}
