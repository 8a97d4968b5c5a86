//! The arguments of `octroi transactions`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use octroi_store::{TransactionFilter, TransactionState};
use octroi_types::{Address, PaywallId, TransactionId, UnixMicros};

use super::moment::parse_moment;
use crate::cli::StoreArgs;

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi transactions list
  octroi transactions list --state unknown --since 24h
  octroi transactions show tx_0192f0c1d2e37a4b8c5d6e7f8091a2b3
  octroi transactions export --format csv --since 2026-11-01 --until 2026-12-01 --out november.csv

The gate may be running: nothing is written, and nothing has to wait.")]
pub(crate) struct TransactionsArgs {
    #[command(subcommand)]
    pub(crate) action: Action,
}

#[derive(Subcommand)]
pub(crate) enum Action {
    /// Lists transactions, the newest first
    List(ListArgs),
    /// Shows one transaction with its history and the transfers it caused
    Show(ShowArgs),
    /// Writes transactions as CSV or JSON, the newest first
    Export(ExportArgs),
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi transactions list --limit 200
  octroi transactions list --payer 0x2c7536E3605D9C16a7a3D7b1898e529396a65c23 --json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// How many at most
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) limit: usize,
    /// Print one JSON array
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

#[derive(Args)]
#[command(after_help = "\
Example:
  octroi transactions show tx_0192f0c1d2e37a4b8c5d6e7f8091a2b3 --json")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// The transaction, tx_…
    #[arg(value_name = "ID")]
    pub(crate) id: TransactionId,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(after_help = "\
Examples:
  octroi transactions export --format csv --out all.csv
  octroi transactions export --format json --state completed | jq '.[].txHash'

CSV cells that a spreadsheet would take for a formula begin with an apostrophe.")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    /// As what
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Format,
    /// Write to a file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// How many at most [default: all]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
}

/// How transactions are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A header and one line for each
    Csv,
    /// One array of objects
    Json,
}

/// Which transactions.
#[derive(Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only in this state: pending, completed, failed or unknown
    #[arg(long, value_name = "STATE", value_parser = parse_state)]
    pub(crate) state: Option<TransactionState>,
    /// Only of this paywall, pw_…
    #[arg(long, value_name = "ID")]
    pub(crate) paywall: Option<PaywallId>,
    /// Only by this payer
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) payer: Option<Address>,
    /// Only since then: a date or time (UTC unless it says otherwise), or an age like 24h or 7d
    #[arg(long, value_name = "TIME", value_parser = parse_now)]
    pub(crate) since: Option<UnixMicros>,
    /// Only before then
    #[arg(long, value_name = "TIME", value_parser = parse_now)]
    pub(crate) until: Option<UnixMicros>,
}

impl FilterArgs {
    pub(crate) fn filter(&self) -> TransactionFilter {
        TransactionFilter {
            tenant: None,
            state: self.state,
            paywall: self.paywall,
            payer: self.payer,
            from: self.since,
            until: self.until,
        }
    }
}

fn parse_state(text: &str) -> Result<TransactionState, &'static str> {
    let states = TransactionState::ALL.iter().copied();
    let mut named = states.filter(|state| state.as_str().eq_ignore_ascii_case(text));
    named
        .next()
        .ok_or("a state is pending, completed, failed or unknown")
}

fn parse_now(text: &str) -> Result<UnixMicros, &'static str> {
    parse_moment(text, UnixMicros::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_in_any_case() {
        for state in TransactionState::ALL {
            for text in [state.as_str().to_owned(), state.as_str().to_lowercase()] {
                assert_eq!(parse_state(&text), Ok(*state));
            }
        }
        assert!(parse_state("paid").is_err());
    }
}
