//! Tenant and mode in the tables of claims: the part of migration 4 that goes from day to day.

use rusqlite::Connection;

/// Makes the table of each day anew, and fills the columns from the transactions of its claims.
pub(super) fn add_tenants(connection: &Connection) -> rusqlite::Result<()> {
    let mut days = connection.prepare("SELECT day FROM claim_days ORDER BY day")?;
    let days: Vec<i64> = days
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for day in days {
        let table = format!("claims_{}", day.cast_unsigned());
        connection.execute_batch(&format!(
            "ALTER TABLE {table} RENAME TO old_claims;
            CREATE TABLE {table} (
                identity BLOB PRIMARY KEY,
                tenant BLOB NOT NULL,
                mode INTEGER NOT NULL,
                transaction_id BLOB NOT NULL,
                binding BLOB NOT NULL,
                secret BLOB,
                settle_order INTEGER NOT NULL,
                nonce BLOB NOT NULL,
                owner INTEGER NOT NULL,
                epoch INTEGER NOT NULL
            ) STRICT, WITHOUT ROWID;
            INSERT INTO {table}
                SELECT
                    c.identity, t.tenant, t.mode, c.transaction_id, c.binding, c.secret,
                    c.settle_order, c.nonce, c.owner, c.epoch
                FROM old_claims AS c LEFT JOIN transactions AS t ON t.id = c.transaction_id;
            DROP TABLE old_claims;"
        ))?;
    }
    Ok(())
}
