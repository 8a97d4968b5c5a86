//! Refund credits.

use octroi_claim::NewClaim;
use octroi_store::Credit;
use octroi_types::{Amount, CreditId, TenantId, TransactionId};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};

use crate::columns::{Columns, mode_code};

const GET: &str = "SELECT
    id, tenant, mode, payer, chain, asset, amount, available, transaction_id, created_at
FROM credits WHERE id = ?1";

/// The oldest that suffices, of those whose own payment has arrived (2: settled).
const FIND: &str = "SELECT id FROM credits
WHERE payer = ?1 AND tenant = ?2 AND mode = ?3 AND chain = ?4 AND asset = ?5
    AND available > 0 AND available >= ?6
    AND EXISTS (
        SELECT 1 FROM transaction_states AS s WHERE s.id = transaction_id AND s.payment = 2
    )
ORDER BY id LIMIT 1";

const INSERT: &str = "INSERT INTO credits (
    id, tenant, mode, payer, chain, asset, amount, available, transaction_id, created_at
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const UPDATE: &str = "UPDATE credits SET available = ?2 WHERE id = ?1";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[GET, FIND, INSERT, UPDATE];

/// The writer's statements.
pub(crate) struct Credits<'c> {
    get: Statement<'c>,
    find: Statement<'c>,
    insert: Statement<'c>,
    update: Statement<'c>,
}

impl<'c> Credits<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            get: connection.prepare(GET)?,
            find: connection.prepare(FIND)?,
            insert: connection.prepare(INSERT)?,
            update: connection.prepare(UPDATE)?,
        })
    }

    pub(crate) fn get(&mut self, id: CreditId) -> rusqlite::Result<Option<Credit>> {
        self.get.query_row([id.as_bytes()], read).optional()
    }

    /// A credit that can pay for a claim.
    pub(crate) fn find(&mut self, claim: &NewClaim) -> rusqlite::Result<Option<CreditId>> {
        let values = params![
            claim.payer.0,
            claim.tenant.as_bytes(),
            mode_code(claim.mode),
            claim.chain.0.cast_signed(),
            claim.asset.0,
            claim.amount.as_i64(),
        ];
        self.find
            .query_row(values, |row| row.get(0).map(CreditId::from_bytes))
            .optional()
    }

    pub(crate) fn insert(&mut self, credit: &Credit) -> rusqlite::Result<()> {
        self.insert.execute(params![
            credit.id.as_bytes(),
            credit.tenant.as_bytes(),
            mode_code(credit.mode),
            credit.payer.0,
            credit.chain.0.cast_signed(),
            credit.asset.0,
            credit.amount.as_i64(),
            credit.available.as_i64(),
            credit.transaction.as_bytes(),
            credit.created_at.0,
        ])?;
        Ok(())
    }

    pub(crate) fn update(&mut self, id: CreditId, available: Amount) -> rusqlite::Result<()> {
        self.update
            .execute(params![id.as_bytes(), available.as_i64()])?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Credit> {
    let mut columns = Columns::of(row);
    Ok(Credit {
        id: columns.id(CreditId::from_bytes)?,
        tenant: columns.id(TenantId::from_bytes)?,
        mode: columns.mode()?,
        payer: columns.address()?,
        chain: columns.chain()?,
        asset: columns.address()?,
        amount: columns.amount()?,
        available: columns.amount()?,
        transaction: columns.id(TransactionId::from_bytes)?,
        created_at: columns.micros()?,
    })
}

/// One credit.
pub(crate) fn get(connection: &Connection, id: CreditId) -> rusqlite::Result<Option<Credit>> {
    connection
        .prepare_cached(GET)?
        .query_row([id.as_bytes()], read)
        .optional()
}
