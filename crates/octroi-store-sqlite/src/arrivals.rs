//! How surely the money of a payment has arrived (money rule 18).

use octroi_claim::PaymentState;
use octroi_store::{Arrival, Inclusion};
use octroi_types::{B256, ChainId, TransactionId};
use rusqlite::types::ToSql;
use rusqlite::{Connection, OptionalExtension};

use crate::columns::Columns;

const STATE: &str = "SELECT s.payment, s.tx_hash, t.chain, t.valid_before, t.identity
FROM transactions AS t JOIN transaction_states AS s ON s.id = t.id WHERE t.id = ?1";

const BY_ITSELF: &str = "SELECT tx_hash, block_number, block_hash FROM watched_claims
WHERE chain = ?1 AND valid_before = ?2 AND identity = ?3";

const BY_SETTLEMENT: &str = "SELECT tx_hash, block_number, block_hash FROM settlements
WHERE chain = ?1 AND state < 2 AND tx_hash = ?2";

#[cfg(test)]
pub(crate) const STATEMENTS: &[&str] = &[STATE, BY_ITSELF, BY_SETTLEMENT];

/// A payment, as it is watched.
struct Payment {
    state: PaymentState,
    tx_hash: Option<B256>,
    chain: ChainId,
    valid_before: i64,
    identity: B256,
}

/// The arrival of one transaction's payment, from one snapshot.
pub(crate) fn of(connection: &Connection, id: TransactionId) -> rusqlite::Result<Arrival> {
    let snapshot = connection.unchecked_transaction()?;
    let payment = snapshot
        .prepare_cached(STATE)?
        .query_row([id.as_bytes()], |row| {
            let mut columns = Columns::of(row);
            Ok(Payment {
                state: columns.payment()?,
                tx_hash: columns.hash_or_null()?,
                chain: columns.chain()?,
                valid_before: columns.get()?,
                identity: columns.hash()?,
            })
        });
    let settled = payment
        .optional()?
        .filter(|payment| payment.state == PaymentState::Settled);
    let Some(payment) = settled else {
        return Ok(Arrival::Not);
    };
    let chain = payment.chain.0.cast_signed();
    let by_itself = inclusion(
        &snapshot,
        BY_ITSELF,
        &[&chain, &payment.valid_before, &payment.identity.0],
    )?;
    let seen = match (by_itself, payment.tx_hash) {
        (None, Some(tx_hash)) => inclusion(&snapshot, BY_SETTLEMENT, &[&chain, &tx_hash.0])?,
        (by_itself, _) => by_itself,
    };
    Ok(seen.map_or(Arrival::Final, Arrival::Seen))
}

fn inclusion(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Option<Inclusion>> {
    connection
        .prepare_cached(sql)?
        .query_row(values, |row| {
            let mut columns = Columns::of(row);
            Ok(Inclusion {
                tx_hash: columns.hash()?,
                block_number: columns.bits()?,
                block_hash: columns.hash()?,
            })
        })
        .optional()
}
