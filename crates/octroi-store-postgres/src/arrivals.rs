//! How surely the money of a payment has arrived (money rule 18).

use octroi_claim::PaymentState;
use octroi_store::{Arrival, Inclusion};
use octroi_types::TransactionId;

use crate::columns::Columns;
use crate::connection::Connection;
use crate::fault::Fault;

/// Whether it is watched by itself, or with the settlement that carries it.
const OF: &str = "SELECT
    s.payment, coalesce(w.tx_hash, c.tx_hash), coalesce(w.block_number, c.block_number),
    coalesce(w.block_hash, c.block_hash)
FROM transactions AS t
JOIN transaction_states AS s ON s.id = t.id
LEFT JOIN watched_claims AS w
    ON w.chain = t.chain AND w.valid_before = t.valid_before AND w.identity = t.identity
LEFT JOIN LATERAL (
    SELECT tx_hash, block_number, block_hash FROM settlements
    WHERE chain = t.chain AND state < 2 AND tx_hash = s.tx_hash LIMIT 1
) AS c ON true
WHERE t.id = $1";

/// The arrival of one transaction's payment.
pub(crate) async fn of(connection: &Connection, id: TransactionId) -> Result<Arrival, Fault> {
    let Some(row) = connection.query_opt(OF, &[&id.uuid()]).await? else {
        return Ok(Arrival::Not);
    };
    let mut columns = Columns::of(&row);
    if columns.payment()? != PaymentState::Settled {
        return Ok(Arrival::Not);
    }
    let tx_hash = columns.hash_or_null()?;
    let block_number: Option<i64> = columns.get()?;
    let block_hash = columns.hash_or_null()?;
    Ok(match (tx_hash, block_number, block_hash) {
        (Some(tx_hash), Some(block_number), Some(block_hash)) => Arrival::Seen(Inclusion {
            tx_hash,
            block_number: block_number.cast_unsigned(),
            block_hash,
        }),
        _ => Arrival::Final,
    })
}
