//! Transactions for other programs.

use std::io::{self, Write};

use octroi_store::Transaction;

use super::args::Format;
use super::view::TransactionView;

const COLUMNS: [&str; 22] = [
    "id",
    "created_at",
    "updated_at",
    "state",
    "payment",
    "work",
    "mode",
    "tenant",
    "service",
    "paywall",
    "request",
    "method",
    "path",
    "rail",
    "network",
    "asset",
    "amount_units",
    "amount",
    "payer",
    "pay_to",
    "tx_hash",
    "credits",
];

/// Writes transactions one by one, so that their number does not matter.
pub(crate) struct Export<W: Write> {
    to: To<W>,
    is_first: bool,
}

enum To<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Json(W),
}

impl<W: Write> Export<W> {
    pub(crate) fn start(format: Format, out: W) -> io::Result<Self> {
        let to = match format {
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(COLUMNS)?;
                To::Csv(Box::new(writer))
            }
            Format::Json => {
                let mut out = out;
                out.write_all(b"[")?;
                To::Json(out)
            }
        };
        Ok(Self { to, is_first: true })
    }

    pub(crate) fn push(&mut self, transaction: &Transaction) -> io::Result<()> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        let view = TransactionView::new(transaction);
        match &mut self.to {
            To::Csv(writer) => Ok(writer.write_record(record(&view).map(inert))?),
            To::Json(out) => {
                out.write_all(if is_first { b"\n" } else { b",\n" })?;
                Ok(serde_json::to_writer(out, &view)?)
            }
        }
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        match self.to {
            To::Csv(mut writer) => writer.flush(),
            To::Json(mut out) => {
                out.write_all(if self.is_first { b"]\n" } else { b"\n]\n" })?;
                out.flush()
            }
        }
    }
}

fn record(view: &TransactionView<'_>) -> [String; COLUMNS.len()] {
    let transaction = view.transaction;
    let or_empty = |text: Option<String>| text.unwrap_or_default();
    let credits: Vec<String> = [
        transaction.covered_by.map(|id| format!("covered_by={id}")),
        transaction.refund_credit.map(|id| format!("refund={id}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    [
        transaction.id.to_string(),
        transaction.created_at.to_string(),
        transaction.updated_at.to_string(),
        transaction.state.as_str().to_owned(),
        word(&transaction.payment),
        word(&transaction.work),
        transaction.mode.to_string(),
        transaction.tenant.to_string(),
        or_empty(transaction.service.map(|id| id.to_string())),
        transaction.paywall.to_string(),
        transaction.request.to_string(),
        transaction.method.clone(),
        transaction.path.clone(),
        transaction.rail.clone(),
        transaction.network.to_string(),
        transaction.asset.to_string(),
        transaction.amount.to_string(),
        or_empty(view.amount_decimal().map(str::to_owned)),
        transaction.payer.to_string(),
        transaction.pay_to.to_string(),
        or_empty(transaction.tx_hash.map(|hash| hash.to_string())),
        credits.join(" "),
    ]
}

/// The word that a state serializes to.
pub(crate) fn word<T: serde::Serialize>(state: &T) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// A cell that no spreadsheet takes for a formula. Paths and methods come from strangers.
fn inert(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample;
    use super::*;

    fn exported(format: Format, transactions: &[Transaction]) -> String {
        let mut out = Vec::new();
        let mut export = Export::start(format, &mut out).unwrap();
        for transaction in transactions {
            export.push(transaction).unwrap();
        }
        export.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_reads_back_by_column() {
        let mut transaction = sample();
        transaction.path = "/a,b\"c\nd".to_owned();
        transaction.method = "=HYPERLINK(\"http://evil\")".to_owned();
        let text = exported(Format::Csv, &[transaction.clone()]);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header = reader.headers().unwrap().clone();
        let row = reader.records().next().unwrap().unwrap();
        let cell = |name| row.get(header.iter().position(|column| column == name).unwrap());
        assert_eq!(cell("id").unwrap(), transaction.id.to_string());
        assert_eq!(cell("amount_units"), Some("10000"));
        assert_eq!(cell("amount"), Some("0.01"));
        assert_eq!(cell("state"), Some("Completed"));
        assert_eq!(cell("payment"), Some("settled"));
        assert_eq!(cell("path"), Some("/a,b\"c\nd"));
        assert_eq!(cell("method"), Some("'=HYPERLINK(\"http://evil\")"));
        assert_eq!(
            cell("tx_hash").unwrap(),
            transaction.tx_hash.unwrap().to_string()
        );
    }

    #[test]
    fn json_is_one_array() {
        for count in 0..3 {
            let text = exported(Format::Json, &vec![sample(); count]);
            let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            assert_eq!(rows.len(), count);
            for row in rows {
                assert_eq!(row["amount"], "10000");
                assert_eq!(row["amountDecimal"], "0.01");
                assert_eq!(row["networkName"], "base-sepolia");
                assert_eq!(row["state"], "Completed");
            }
        }
    }

    proptest! {
        /// Whatever strangers put into a path, no cell of an export begins as a formula does.
        #[test]
        fn no_cell_is_a_formula(path in "\\PC{0,3}[=+@\\-\t\r\n]?\\PC{0,8}") {
            let mut transaction = sample();
            transaction.path = path.clone();
            transaction.method = path;
            let text = exported(Format::Csv, &[transaction]);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            for cell in reader.records().next().unwrap().unwrap().iter() {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell}");
            }
        }
    }
}
