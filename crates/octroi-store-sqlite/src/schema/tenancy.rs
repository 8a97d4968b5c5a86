//! Every row says whose it is and whether its money is play or real: in a database that is written
//! now, table by table, and in one that was written before the rows said so.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use octroi_claim::{PaymentState as P, Step, WorkState as W};
use octroi_store::conformance::{
    CHAIN, Payment, START, Suite, attempt, check_invariants, settled, settlement_id,
};
use octroi_store::{SettlementStore as _, Store};
use octroi_types::Mode;
use rusqlite::Connection;

use super::{MIGRATIONS, STEPS, migrate, migrate_to, pragma};
use crate::columns::mode_code;
use crate::options::SqliteOptions;
use crate::store::SqliteStore;

/// The tenants and modes of the test; a payment names its pair by the number of its paywall.
const PAIRS: [(u8, Mode); 4] = [
    (1, Mode::Test),
    (1, Mode::Live),
    (2, Mode::Test),
    (2, Mode::Live),
];

/// What the rows of a table say.
enum Says {
    /// Tenant and mode, those of the transactions `t` that a row `r` leads to.
    Both(&'static str),
    /// The mode alone, where a row leads to transactions.
    Mode(&'static str),
    /// Tenant and mode, and there is no payment that they come from.
    BothByThemselves,
    /// Nothing, for they are nobody's.
    Nothing,
}

/// A table that is not here fails the tests. The last lists are all there is without a tenant.
fn says(table: &str) -> Says {
    match table {
        "transactions" | "transaction_states" => Says::Both("t.id = r.id"),
        "failed_payments" | "events" | "credits" => Says::Both("t.id = r.transaction_id"),
        day if is_day(day) => Says::Both("t.id = r.transaction_id"),
        "proofs" => Says::Both("t.claim = r.claim"),
        "watched_claims" => Says::Both(
            "t.id IN (SELECT transaction_id FROM all_claims WHERE identity = r.identity)",
        ),
        "transfers" => Says::Both("r.subject_kind = 1 AND t.claim = r.subject"),
        "accounts" => {
            Says::Both("t.claim IN (SELECT subject FROM transfers WHERE r.id IN (debit, credit))")
        }
        // Terms are a tenant's before anybody pays.
        "offered_terms" => Says::BothByThemselves,
        // One transaction carries claims of many tenants.
        "settlements" => Says::Mode("instr(r.claims, t.identity) > 0"),
        "attempts" => Says::Mode(
            "instr((SELECT claims FROM settlements WHERE id = r.settlement), t.identity) > 0",
        ),
        // The seals of whole commits, the names of tables, and which schema this is.
        // An id that was refused moved nothing, and its accounts may not exist.
        "used_up_transfers" => Says::Nothing,
        "batches" | "claim_days" | "migrations" => Says::Nothing,
        other => panic!("say here whose the rows of {other} are"),
    }
}

fn is_day(table: &str) -> bool {
    table
        .strip_prefix("claims_")
        .is_some_and(|day| day.parse::<u64>().is_ok())
}

fn tables(connection: &Connection, schema: &str) -> Vec<String> {
    texts(
        connection,
        &format!(
            "SELECT name FROM {schema}.sqlite_schema
            WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
        ),
    )
}

/// The columns of a table, with their types and whether they may be null.
fn columns(connection: &Connection, schema: &str, table: &str) -> Vec<String> {
    let sql = format!(
        "SELECT name || ' ' || type || ' ' || \"notnull\" || ' ' || pk
        FROM pragma_table_info('{table}', '{schema}')"
    );
    texts(connection, &sql)
}

fn texts(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

fn count(connection: &Connection, sql: &str) -> u64 {
    let count: i64 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    u64::try_from(count).unwrap()
}

/// Writes all that there is to write, for each tenant in each mode.
async fn live(path: &Path) {
    let store = Arc::new(SqliteStore::open(path, SqliteOptions::default()).unwrap());
    let suite = Suite {
        store: Arc::clone(&store) as Arc<dyn Store>,
    };
    for (paywall, (tenant, mode)) in (1..).zip(PAIRS) {
        let payment = |number: u32| Payment {
            tenant,
            mode,
            paywall,
            ..Payment::new(u32::from(paywall) * 100 + number)
        };
        sell(&suite, payment).await;
    }
    for (paywall, (tenant, mode)) in (1..).zip(PAIRS) {
        let payment = Payment {
            tenant,
            mode,
            paywall,
            payer: 9,
            ..Payment::new(1_000 + u32::from(paywall))
        };
        let released = Payment {
            tenant: 3 - tenant,
            paywall: (paywall + 1) % 4 + 1,
            ..payment.again(1_100 + u32::from(paywall))
        };
        pass_on(&suite, &released, &payment).await;
    }
    settle_together(&suite).await;
    suite.check().await;
    drop(suite);
    store.close().await;
}

/// The courses that a payment takes at one tenant, each of another payer, in two days.
async fn sell(suite: &Suite, payment: impl Fn(u32) -> Payment) {
    let by_payer = |number: u8| Payment {
        payer: number,
        ..payment(number.into())
    };
    let tomorrow = |number| Payment {
        valid_before: START.seconds().plus(86_400),
        ..by_payer(number)
    };
    let bring = async |payment: Payment, money, work| {
        let claim = suite.bring(&payment, money, work).await;
        claim.unwrap()
    };
    suite.granted(&by_payer(1)).await;
    bring(by_payer(2), P::Settled, W::Delivered).await;
    bring(tomorrow(3), P::Covered, W::Delivered).await;
    let covered = bring(by_payer(4), P::Covered, W::Executing).await;
    let broken = Step::Break { credit: None };
    suite.advance(&covered, &[broken]).await;
    bring(tomorrow(5), P::Failed, W::Delivered).await;
    bring(by_payer(6), P::Unknown, W::Answered).await;
    bump(suite, payment(6).number).await;
}

/// What one tenant's client let go, another tenant gets, and somebody else settles it.
async fn pass_on(suite: &Suite, released: &Payment, payment: &Payment) {
    let let_go = suite.bring(released, P::Released, W::Broken).await;
    let claim = suite.bring(payment, P::Broadcast, W::Answered).await;
    let (let_go, claim) = (let_go.unwrap(), claim.unwrap());
    assert_eq!(let_go.key(), claim.key());
    suite.fact(&claim, settled(1_000 + payment.number, 0)).await;
}

/// In each mode one transaction for both tenants, and then one that fills a gap.
async fn settle_together(suite: &Suite) {
    for (number, mode) in [(4_001, Mode::Test), (4_002, Mode::Live)] {
        let mut claims = Vec::new();
        for (paywall, (tenant, _)) in (1..).zip(PAIRS).filter(|(_, (_, of))| *of == mode) {
            let payment = Payment {
                tenant,
                mode,
                paywall,
                payer: 10,
                ..Payment::new(3_000 + u32::from(paywall))
            };
            claims.push(suite.granted(&payment).await);
        }
        let claims: Vec<_> = claims.iter().collect();
        suite.broadcast(number, &claims).await;
    }
    suite.broadcast(5_000, &[]).await;
    bump(suite, 5_000).await;
}

/// Adds an attempt to a settlement.
async fn bump(suite: &Suite, number: u32) {
    let more = attempt(9_000 + number);
    let bumped = suite.store.settlement_attempt(settlement_id(number), more);
    bumped.await.unwrap();
}

/// The claims of all days.
fn unite_days(connection: &Connection) {
    let tables = tables(connection, "main");
    let days = tables.iter().filter(|table| is_day(table));
    let days: Vec<_> = days
        .map(|day| format!("SELECT * FROM main.{day}"))
        .collect();
    assert_eq!(days.len(), 2);
    let all = days.join(" UNION ALL ");
    let view = format!("CREATE TEMP VIEW all_claims AS {all}");
    connection.execute_batch(&view).unwrap();
}

#[tokio::test]
async fn every_row_says_whose_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    live(&path).await;
    let connection = Connection::open(&path).unwrap();
    unite_days(&connection);

    for (paywall, (tenant, mode)) in (1_u8..).zip(PAIRS) {
        let sql = "SELECT count(*), count(*) FILTER (WHERE tenant = ?2 AND mode = ?3)
            FROM transactions WHERE paywall = ?1";
        let values = rusqlite::params![[paywall; 16], [tenant; 16], mode_code(mode)];
        let (all, right): (u32, u32) = connection
            .query_row(sql, values, |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert!(all > 8 && all == right, "{all} {right}");
    }
    for table in tables(&connection, "main") {
        let columns = columns(&connection, "main", &table);
        let has = |name: &str| columns.iter().any(|column| column.starts_with(name));
        let says = says(&table);
        let both = matches!(says, Says::Both(_) | Says::BothByThemselves);
        assert_eq!(
            (has("tenant BLOB 1"), has("mode INTEGER 1")),
            (both, both),
            "{table}"
        );
        match says {
            Says::Both(leads) => check_both(&connection, &table, leads),
            Says::Mode(leads) => check_mode(&connection, &table, leads),
            Says::BothByThemselves | Says::Nothing => {}
        }
    }
}

fn check_both(connection: &Connection, table: &str, leads: &str) {
    let pairs = format!("SELECT count(DISTINCT hex(tenant) || mode) FROM {table}");
    assert_eq!(count(connection, &pairs), 4, "{table}");
    let wrong = format!(
        "SELECT count(*) FROM {table} AS r LEFT JOIN transactions AS t ON {leads}
        WHERE t.id IS NULL OR r.tenant <> t.tenant OR r.mode <> t.mode"
    );
    assert_eq!(count(connection, &wrong), 0, "{table}");
}

fn check_mode(connection: &Connection, table: &str, leads: &str) {
    let modes = format!("SELECT count(DISTINCT mode) FROM {table}");
    assert_eq!(count(connection, &modes), 2, "{table}");
    let wrong = format!(
        "SELECT count(*) FROM {table} AS r LEFT JOIN transactions AS t ON {leads}
        WHERE r.mode IS NOT t.mode"
    );
    assert_eq!(count(connection, &wrong), 0, "{table}");
    let nobodys = format!("SELECT count(*) > 0 FROM {table} WHERE mode IS NULL");
    assert_eq!(count(connection, &nobodys), 1, "{table}");
}

/// What version 3 made for a day.
const DAY_3: &str = "(
    identity BLOB PRIMARY KEY,
    transaction_id BLOB NOT NULL,
    binding BLOB NOT NULL,
    secret BLOB,
    settle_order INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    owner INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID";

/// A database as version 3 left it.
fn version_3(path: &Path) -> Connection {
    let mut connection = Connection::open(path).unwrap();
    migrate_to(&mut connection, path, &MIGRATIONS[..3], STEPS).unwrap();
    connection
}

fn attach(connection: &Connection, path: &Path) {
    let path = path.to_str().unwrap();
    connection.execute("ATTACH ?1 AS written", [path]).unwrap();
}

fn indexes(connection: &Connection) -> BTreeSet<String> {
    let sql = "SELECT name || ' ' || tbl_name FROM main.sqlite_schema WHERE type = 'index'";
    texts(connection, sql).into_iter().collect()
}

/// What a database of version 3 held becomes what would have been written today.
#[tokio::test]
async fn an_older_database_is_filled() {
    let folder = tempfile::tempdir().unwrap();
    let (written, path) = (
        folder.path().join("written.db"),
        folder.path().join("octroi.db"),
    );
    live(&written).await;

    let mut connection = version_3(&path);
    attach(&connection, &written);
    for day in tables(&connection, "written")
        .iter()
        .filter(|day| is_day(day))
    {
        let create = format!("CREATE TABLE main.{day} {DAY_3}");
        connection.execute_batch(&create).unwrap();
    }
    let mut older = tables(&connection, "main");
    older.retain(|table| table != "migrations");
    for table in &older {
        let sql = format!("SELECT name FROM pragma_table_info('{table}', 'main')");
        let columns = texts(&connection, &sql).join(", ");
        let copied = connection
            .execute(
                &format!(
                    "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM written.{table}"
                ),
                [],
            )
            .unwrap();
        assert!(copied > 0, "{table}");
    }
    connection.execute_batch("DETACH written").unwrap();
    let indexes_before = indexes(&connection);
    migrate(&mut connection, &path).unwrap();

    assert!(indexes(&connection).is_superset(&indexes_before));
    attach(&connection, &written);
    for table in &older {
        let [here, there] = ["main", "written"].map(|schema| columns(&connection, schema, table));
        assert_eq!(here, there, "{table}");
        for (one, other) in [("main", "written"), ("written", "main")] {
            let differ = format!(
                "SELECT count(*) FROM (
                    SELECT * FROM {one}.{table} EXCEPT SELECT * FROM {other}.{table}
                )"
            );
            assert_eq!(count(&connection, &differ), 0, "{table}");
        }
    }
    drop(connection);
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    store.audit().await.unwrap();
    check_invariants(&store).await;
    assert_eq!(store.claims_watched(CHAIN).await.unwrap().len(), 4);
    store.close().await;
}

/// Nothing is dropped on the way: a row that leads nowhere is for an operator to look at.
#[test]
fn a_row_that_leads_nowhere_stops_the_migration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    for row in [
        "INSERT INTO events VALUES (1, zeroblob(16), 0, NULL, 0, 0)",
        "INSERT INTO proofs VALUES (1, 1, 1, zeroblob(32), zeroblob(16))",
        "INSERT INTO settlements (id, chain, wallet, nonce, state, claims)
        VALUES (zeroblob(16), 1, zeroblob(20), 0, 0, zeroblob(40))",
    ] {
        let mut connection = version_3(&path);
        connection.execute_batch(row).unwrap();
        assert!(migrate(&mut connection, &path).is_err(), "{row}");
        assert_eq!(pragma::<u32>(&connection, "user_version").unwrap(), 3);
        drop(connection);
        std::fs::remove_file(&path).unwrap();
    }
}
