//! A transaction as it is shown and exported.

use octroi_store::Transaction;
use octroi_types::UnixMicros;
use serde::Serialize;

use crate::tokens;

/// A transaction with what follows from its token and network.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransactionView<'t> {
    #[serde(flatten)]
    pub(crate) transaction: &'t Transaction,
    network_name: String,
    /// In whole tokens; `None` for a token that is not known here.
    amount_decimal: Option<String>,
}

impl<'t> TransactionView<'t> {
    pub(crate) fn new(transaction: &'t Transaction) -> Self {
        let token = tokens::find(transaction.network, transaction.asset);
        Self {
            transaction,
            network_name: tokens::chain_name(transaction.network),
            amount_decimal: token.map(|token| transaction.amount.to_decimal(token.decimals)),
        }
    }

    pub(crate) fn amount_decimal(&self) -> Option<&str> {
        self.amount_decimal.as_deref()
    }
}

/// The amount in dollars, or a dash where the token is not known.
pub(crate) fn dollars(transaction: &Transaction) -> String {
    match tokens::find(transaction.network, transaction.asset) {
        Some(token) => tokens::dollars(transaction.amount, token.decimals),
        None => "-".to_owned(),
    }
}

/// A time for a table: to the second, UTC.
pub(crate) fn second(time: UnixMicros) -> String {
    match jiff::Timestamp::from_microsecond(time.0) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => time.to_string(),
    }
}
