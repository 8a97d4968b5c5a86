//! Every statement that callers wait for finds its rows by an index.

use octroi_store::conformance::Payment;
use octroi_store::{NewTransaction, TransactionFilter, TransactionState};
use octroi_types::{Address, PaywallId, TenantId};
use rusqlite::Connection;

use crate::connection::open_writer;
use crate::options::SqliteOptions;
use crate::session::Tables;
use crate::{
    arrivals, claims, credits, events, offers, proofs, settlements, transactions, transfers,
    watched,
};

/// A database with one day of claims.
fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("octroi.db");
    let connection = open_writer(&path, &SqliteOptions::default()).unwrap();
    // Preparing the tables prepares every statement of the writer.
    Tables::load(&connection).unwrap();
    let mut tables = claims::Claims::prepare(&connection).unwrap();
    let request = Payment::new(1).arrive();
    let NewTransaction { .. } = request.transaction;
    let granted = octroi_claim::decide_claim(None, request.claim, &Default::default());
    let octroi_claim::ClaimDecision::Grant(claim) = granted else {
        panic!("{granted:?}")
    };
    tables.insert(&claim).unwrap();
    drop(tables);
    (folder, connection)
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    // Whatever the values, the plan is the same.
    for number in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(number, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut details = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        details.push(row.get::<_, String>(3).unwrap());
    }
    details
}

#[test]
fn no_statement_scans_a_table() {
    let (_folder, connection) = database();
    let day = Payment::new(1).key().day();
    let statements = [
        transactions::STATEMENTS,
        events::STATEMENTS,
        credits::STATEMENTS,
        arrivals::STATEMENTS,
        settlements::STATEMENTS,
        proofs::STATEMENTS,
        watched::STATEMENTS,
        offers::STATEMENTS,
        transfers::STATEMENTS,
    ];
    let mut statements: Vec<String> = statements.concat().into_iter().map(str::to_owned).collect();
    statements.extend(claims::statements(day));
    for sql in statements {
        for detail in plan(&connection, &sql) {
            if detail == "SCAN CONSTANT ROW" {
                continue;
            }
            let index_only = detail.contains("USING COVERING INDEX transactions_unfinished")
                || detail.contains("USING INDEX transactions_unfinished")
                || detail.contains("USING INDEX settlements_unfinished")
                // It holds nothing but what is not final.
                || detail == "SCAN watched_claims";
            assert!(!detail.starts_with("SCAN") || index_only, "{detail}: {sql}");
            assert!(
                !detail.contains("TEMP B-TREE") || sql.contains("subject_kind"),
                "{sql}"
            );
        }
    }
}

#[test]
fn every_list_of_transactions_walks_an_index_in_order() {
    let (_folder, connection) = database();
    let tenants = [None, Some(TenantId::from_bytes([1; 16]))];
    let paywalls = [None, Some(PaywallId::from_bytes([1; 16]))];
    let payers = [None, Some(Address([1; 20]))];
    let states = TransactionState::ALL
        .iter()
        .copied()
        .map(Some)
        .chain([None]);
    for state in states {
        for tenant in tenants {
            for paywall in paywalls {
                for payer in payers {
                    let filter = TransactionFilter {
                        tenant,
                        state,
                        paywall,
                        payer,
                        ..Default::default()
                    };
                    let sql = transactions::list_sql(&filter);
                    let details = plan(&connection, &sql);
                    let text = details.join("; ");
                    assert!(!text.contains("TEMP B-TREE"), "{text}: {sql}");
                    let first = details.first().unwrap();
                    let index = if state == Some(TransactionState::Unknown) {
                        "transactions_unfinished"
                    } else if paywall.is_some() {
                        "transactions_paywall"
                    } else if tenant.is_some() {
                        "transactions_tenant"
                    } else {
                        "PRIMARY KEY"
                    };
                    assert!(
                        first.starts_with("SEARCH") && first.contains(index),
                        "{text}: {sql}"
                    );
                }
            }
        }
    }
}
