//! `octroi books`: the trial balance (money rule 26).

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use octroi_ledger::{Account, AccountKind, Totals, trial_balance};
use octroi_store::TransactionStore as _;
use octroi_types::{Asset, Mode};
use serde::Serialize;
use serde_json::json;

use crate::cli::BooksArgs;
use crate::failure::{Failure, ResultExt as _};
use crate::output::{Align, Style, Table};
use crate::{records, tokens};

/// Sums of one kind of account, or of all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Sums {
    debits_posted: u128,
    credits_posted: u128,
    debits_pending: u128,
    credits_pending: u128,
}

/// The books of one asset in one mode.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Balance {
    mode: Mode,
    asset: Asset,
    accounts: Vec<KindBalance>,
    total: Sums,
    balanced: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct KindBalance {
    kind: &'static str,
    #[serde(flatten)]
    sums: Sums,
}

/// Shows the books. Exits with 1 if they do not balance.
pub(crate) async fn run(args: &BooksArgs) -> Result<ExitCode, Failure> {
    let store = records::open(&args.store)?;
    let accounts = store.accounts_list().await;
    let books = balances(&accounts.or_fail("the store cannot be read")?);
    let balanced = books.iter().all(|balance| balance.balanced);
    let head = if args.audit {
        let audited = store
            .audit()
            .await
            .or_fail("the books do not pass the audit");
        let help = "stop selling, keep the store as it is, and compare it with a backup";
        Some(audited.map_err(|failure| failure.help(help))?)
    } else {
        None
    };
    let mut out = io::stdout().lock();
    if args.json {
        let audit = head.map(|head| json!({"batches": head.sequence, "head": head.hash}));
        let books = json!({"balanced": balanced, "books": books, "audit": audit});
        writeln!(out, "{books:#}")?;
    } else {
        out.write_all(text(&books, balanced, Style::stdout()).as_bytes())?;
        if let Some(head) = head {
            let (batches, hash) = (head.sequence, head.hash);
            writeln!(
                out,
                "Every row is as it was written ({batches} batches, head {hash})."
            )?;
        }
    }
    out.flush()?;
    Ok(if balanced {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl From<Totals> for Sums {
    fn from(totals: Totals) -> Self {
        Self {
            debits_posted: totals.debits_posted,
            credits_posted: totals.credits_posted,
            debits_pending: totals.debits_pending,
            credits_pending: totals.credits_pending,
        }
    }
}

fn balances(accounts: &[Account]) -> Vec<Balance> {
    let mut kinds: BTreeMap<(Mode, Asset), Vec<KindBalance>> = BTreeMap::new();
    for kind in AccountKind::ALL {
        let of_kind = accounts.iter().filter(|account| account.kind == *kind);
        for (books, totals) in trial_balance(of_kind) {
            kinds.entry(books).or_default().push(KindBalance {
                kind: kind.as_str(),
                sums: totals.into(),
            });
        }
    }
    trial_balance(accounts)
        .into_iter()
        .map(|((mode, asset), totals)| Balance {
            mode,
            asset,
            accounts: kinds.remove(&(mode, asset)).unwrap_or_default(),
            total: totals.into(),
            balanced: totals.is_balanced(),
        })
        .collect()
}

fn text(books: &[Balance], balanced: bool, style: Style) -> String {
    if books.is_empty() {
        return "The books are empty.\n".to_owned();
    }
    let mut out = String::new();
    for balance in books {
        let title = format!("{} ({})", asset_name(balance.asset), balance.mode);
        out.push_str(&style.bold(&title));
        out.push('\n');
        let mut table = Table::new([
            ("ACCOUNTS", Align::Left),
            ("DEBITS", Align::Right),
            ("CREDITS", Align::Right),
            ("DEBITS ON HOLD", Align::Right),
            ("CREDITS ON HOLD", Align::Right),
        ]);
        for row in &balance.accounts {
            table.push(cells(row.kind, row.sums, balance.asset));
        }
        table.push(cells("total", balance.total, balance.asset));
        out.push_str(&table.render(style));
        out.push('\n');
    }
    let verdict = if balanced {
        style.green("The books balance.")
    } else {
        style.red("THE BOOKS DO NOT BALANCE. Stop selling and look at the store.")
    };
    out.push_str(&verdict);
    out.push('\n');
    out
}

fn cells(name: &str, sums: Sums, asset: Asset) -> [String; 5] {
    let decimals = decimals(asset);
    let shown = |units| decimal(units, decimals);
    [
        name.to_owned(),
        shown(sums.debits_posted),
        shown(sums.credits_posted),
        shown(sums.debits_pending),
        shown(sums.credits_pending),
    ]
}

fn asset_name(asset: Asset) -> String {
    let Asset::Token { chain, address } = asset else {
        return "US dollars".to_owned();
    };
    let network = tokens::chain_name(chain);
    match tokens::find(chain, address).and_then(|token| token.symbol) {
        Some(symbol) => format!("{symbol} on {network}"),
        None => format!("units of {address} on {network}"),
    }
}

/// Decimals of the unit in which an asset is booked; a token that is not known is shown in units.
fn decimals(asset: Asset) -> usize {
    match asset {
        Asset::Usd => 9,
        Asset::Token { chain, address } => {
            tokens::find(chain, address).map_or(0, |token| token.decimals.into())
        }
    }
}

/// A sum in whole units, with two decimals or more where there are any: sums do not fit an amount.
fn decimal(units: u128, decimals: usize) -> String {
    let digits = format!("{units:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let kept = fraction.trim_end_matches('0').len().max(2).min(decimals);
    match fraction.get(..kept) {
        None | Some("") => whole.to_owned(),
        Some(fraction) => format!("{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use octroi_ledger::{AccountLimit, Ledger};
    use octroi_types::{AccountId, Amount, KnownNetwork, TenantId, UnixMicros};

    use super::*;

    fn account(kind: AccountKind, debits: u64, credits: u64) -> Account {
        let network = KnownNetwork::by_name("base").unwrap();
        let sums = |posted| octroi_ledger::Sums {
            posted: Amount::new(posted).unwrap(),
            pending: Amount::ZERO,
        };
        Account {
            id: AccountId::generate(),
            ledger: Ledger {
                tenant: TenantId::from_bytes([1; 16]),
                mode: Mode::Live,
                asset: Asset::Token {
                    chain: network.chain,
                    address: network.usdc.unwrap().address,
                },
            },
            kind,
            limit: AccountLimit::None,
            debits: sums(debits),
            credits: sums(credits),
            created_at: UnixMicros(0),
            version: 1,
        }
    }

    #[test]
    fn sums_are_shown_by_kind_and_a_missing_unit_is_seen() {
        let good = [
            account(AccountKind::RailClearing, 30_000, 0),
            account(AccountKind::TenantRevenue, 0, 10_000),
            account(AccountKind::TenantRevenue, 0, 20_000),
        ];
        let books = balances(&good);
        assert_eq!(books.len(), 1);
        assert!(books[0].balanced);
        let shown = text(&books, true, Style::plain());
        assert!(shown.starts_with("USDC on base (live)\n"), "{shown}");
        assert!(shown.contains("tenant_revenue    0.00     0.03"), "{shown}");
        assert!(shown.ends_with("The books balance.\n"));

        let mut bad = good.to_vec();
        bad.push(account(AccountKind::Fees, 0, 1));
        assert!(!balances(&bad)[0].balanced);
    }

    #[test]
    fn sums_beyond_an_amount_are_shown_exactly() {
        assert_eq!(
            decimal(u128::from(u64::MAX) * 3, 6),
            "55340232221128.654845"
        );
        assert_eq!(decimal(0, 6), "0.00");
        assert_eq!(decimal(1_500_000, 6), "1.50");
        assert_eq!(decimal(1, 9), "0.000000001");
        assert_eq!(decimal(7, 0), "7");
        assert_eq!(decimal(7, 1), "0.7");
    }
}
