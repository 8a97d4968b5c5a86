//! The schema and how an older database gets it. Forward only; each migration is one transaction,
//! so that an interrupted one is simply run again.

mod claim_days;
#[cfg(test)]
mod tenancy;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sha2::{Digest, Sha256};

use crate::options::OpenError;

/// "Octr": tells our databases from others.
const APPLICATION_ID: i32 = 0x4f63_7472;

/// Every migration, oldest first; the number of each is its place, from 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_init.sql"),
    include_str!("../migrations/0002_watched_claims.sql"),
    include_str!("../migrations/0003_failed_payments.sql"),
    include_str!("../migrations/0004_tenants.sql"),
    include_str!("../migrations/0005_offered_terms.sql"),
    include_str!("../migrations/0006_used_up_transfers.sql"),
];

type Step = fn(&Connection) -> rusqlite::Result<()>;

/// What some migrations, by their numbers, do after their SQL and in the same transaction, because the
/// names of the tables are known to the database alone.
const STEPS: &[(u32, Step)] = &[(4, claim_days::add_tenants)];

const CREATE_MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS migrations (
    version INTEGER PRIMARY KEY,
    checksum BLOB NOT NULL
) STRICT";

/// Brings the database to the newest schema.
///
/// # Errors
/// [`OpenError`] if it is not ours, newer than this program, or was made by other migrations.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    migrate_to(connection, path, MIGRATIONS, STEPS)
}

fn migrate_to(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
    steps: &[(u32, Step)],
) -> Result<(), OpenError> {
    let application: i32 = pragma(connection, "application_id")?;
    let found: u32 = pragma(connection, "user_version")?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(OpenError::Database)?;
    if application != APPLICATION_ID && (application != 0 || found != 0 || tables != 0) {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
        });
    }
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (version, sql) in (1..).zip(migrations) {
        if version <= found {
            check(connection, version, sql)?;
        } else {
            let step = steps.iter().find(|(of, _)| *of == version);
            let step = step.map(|(_, step)| *step);
            apply(connection, version, sql, step).map_err(OpenError::Database)?;
        }
    }
    Ok(())
}

fn pragma<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> Result<T, OpenError> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(OpenError::Database)
}

fn checksum(sql: &str) -> [u8; 32] {
    Sha256::digest(sql).into()
}

fn check(connection: &Connection, version: u32, sql: &str) -> Result<(), OpenError> {
    let applied: Option<Vec<u8>> = connection
        .query_row(
            "SELECT checksum FROM migrations WHERE version = ?1",
            [version],
            |row| row.get(0),
        )
        .optional()
        .map_err(OpenError::Database)?;
    if applied.as_deref() == Some(checksum(sql).as_slice()) {
        Ok(())
    } else {
        Err(OpenError::Altered { version })
    }
}

fn apply(
    connection: &mut Connection,
    version: u32,
    sql: &str,
    step: Option<Step>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(CREATE_MIGRATIONS)?;
    transaction.execute_batch(sql)?;
    if let Some(step) = step {
        step(&transaction)?;
    }
    transaction.execute(
        "INSERT INTO migrations (version, checksum) VALUES (?1, ?2)",
        (version, checksum(sql)),
    )?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated(migrations: &[&str]) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate_to(&mut connection, Path::new("x"), migrations, &[]).unwrap();
        connection
    }

    #[test]
    fn each_migration_runs_once() {
        let mut connection = migrated(&["CREATE TABLE a (x)"]);
        let both = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y"];
        for _ in 0..2 {
            migrate_to(&mut connection, Path::new("x"), &both, &[]).unwrap();
        }
        connection
            .execute("INSERT INTO a (x, y) VALUES (1, 2)", [])
            .unwrap();
        assert_eq!(pragma::<u32>(&connection, "user_version").unwrap(), 2);
    }

    #[test]
    fn a_failed_migration_leaves_nothing() {
        let mut connection = migrated(&["CREATE TABLE a (x)"]);
        let broken = [
            "CREATE TABLE a (x)",
            "CREATE TABLE b (x); CREATE TABLE a (x)",
        ];
        assert!(migrate_to(&mut connection, Path::new("x"), &broken, &[]).is_err());
        assert_eq!(pragma::<u32>(&connection, "user_version").unwrap(), 1);
        assert!(connection.prepare("SELECT * FROM b").is_err());
        let mended = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"];
        migrate_to(&mut connection, Path::new("x"), &mended, &[]).unwrap();
    }

    #[test]
    fn newer_altered_and_foreign_databases_are_refused() {
        let mut connection = migrated(&["CREATE TABLE a (x)", "CREATE TABLE b (x)"]);
        let older = migrate_to(
            &mut connection,
            Path::new("x"),
            &["CREATE TABLE a (x)"],
            &[],
        );
        assert!(matches!(
            older,
            Err(OpenError::Newer { found: 2, known: 1 })
        ));
        let other = ["CREATE TABLE a (y)", "CREATE TABLE b (x)"];
        let altered = migrate_to(&mut connection, Path::new("x"), &other, &[]);
        assert!(matches!(altered, Err(OpenError::Altered { version: 1 })));

        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE a (x)").unwrap();
        let refused = migrate(&mut foreign, Path::new("x"));
        assert!(matches!(refused, Err(OpenError::Foreign { .. })));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.pragma_update(None, "application_id", 7).unwrap();
        assert!(matches!(
            migrate(&mut foreign, Path::new("x")),
            Err(OpenError::Foreign { .. })
        ));
    }
}
