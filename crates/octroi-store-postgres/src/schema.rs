//! The schema and how an older database gets it. Forward only; each migration is one transaction, so that
//! an interrupted one is simply run again. Of nodes that start together one migrates, and the others wait
//! for it.

use sha2::{Digest, Sha256};

use crate::columns::Columns;
use crate::connection::Connection;
use crate::fault::{Fault, reason};
use crate::options::OpenError;

/// Every migration, oldest first; the number of each is its place, from 1.
pub(crate) const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_init.sql")];

/// "Octr", as a number. Held by whoever migrates, over all of its transactions.
const LOCK: &str = "SELECT pg_advisory_lock(1330868338, 0)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(1330868338, 0)";

const TABLES: &str = "SELECT
    coalesce(bool_or(tablename = 'migrations'), false), count(*) > 0
FROM pg_tables WHERE schemaname = 'octroi'";

const CREATE: &str = "CREATE SCHEMA IF NOT EXISTS octroi;
CREATE TABLE IF NOT EXISTS octroi.migrations (version bigint PRIMARY KEY, checksum bytea NOT NULL)";

const APPLIED: &str = "SELECT version, checksum FROM migrations ORDER BY version";
const INSERT: &str = "INSERT INTO migrations (version, checksum) VALUES ($1, $2)";

/// Brings the database to the newest schema.
///
/// # Errors
/// [`OpenError`] if it is not ours, newer than this program, or was made by other migrations.
pub(crate) async fn migrate(connection: &Connection, migrations: &[&str]) -> Result<(), OpenError> {
    connection.query(LOCK, &[]).await.map_err(database)?;
    let migrated = migrate_alone(connection, migrations).await;
    // Without an answer the connection is gone, and its lock with it.
    connection.query(UNLOCK, &[]).await.ok();
    migrated
}

async fn migrate_alone(connection: &Connection, migrations: &[&str]) -> Result<(), OpenError> {
    let row = connection.query_opt(TABLES, &[]).await.map_err(database)?;
    let (mut is_ours, mut is_used) = (false, false);
    if let Some(row) = row {
        let mut columns = Columns::of(&row);
        (is_ours, is_used) = (columns.get()?, columns.get()?);
    }
    if is_used && !is_ours {
        return Err(OpenError::Foreign);
    }
    if !is_ours {
        connection.run(CREATE).await.map_err(database)?;
    }
    let applied = applied(connection).await?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if let Some((found, _)) = applied.last().filter(|(version, _)| *version > known) {
        return Err(OpenError::Newer {
            found: *found,
            known,
        });
    }
    for (version, sql) in (1..).zip(migrations) {
        match applied.iter().find(|(applied, _)| *applied == version) {
            Some((_, found)) if *found == checksum(sql) => {}
            Some(_) => return Err(OpenError::Altered { version }),
            None => apply(connection, version, sql).await.map_err(database)?,
        }
    }
    Ok(())
}

async fn applied(connection: &Connection) -> Result<Vec<(u32, Vec<u8>)>, OpenError> {
    let rows = connection.query(APPLIED, &[]).await.map_err(database)?;
    let read = |row| {
        let mut columns = Columns::of(row);
        Ok((columns.u32()?, columns.get()?))
    };
    rows.iter().map(read).collect()
}

async fn apply(
    connection: &Connection,
    version: u32,
    sql: &str,
) -> Result<(), tokio_postgres::Error> {
    let applied = async {
        connection.run("BEGIN").await?;
        connection.run(sql).await?;
        connection
            .execute(INSERT, &[&i64::from(version), &checksum(sql)])
            .await?;
        connection.run("COMMIT").await
    };
    let applied = applied.await;
    if applied.is_err() {
        connection.run("ROLLBACK").await.ok();
    }
    applied
}

fn checksum(sql: &str) -> Vec<u8> {
    Sha256::digest(sql).to_vec()
}

#[expect(clippy::needless_pass_by_value, reason = "used as map_err's function")]
fn database(error: tokio_postgres::Error) -> OpenError {
    OpenError::Database {
        reason: reason(&error),
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> Self {
        Self::Database {
            reason: fault.into_store_error().to_string(),
        }
    }
}
