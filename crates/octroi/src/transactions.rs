//! `octroi transactions`: what was paid, for what, and what became of it.

mod args;
mod export;
mod moment;
mod show;
mod view;

use std::fs::File;
use std::io::{self, BufWriter, Write};

use octroi_store::{Page, Transaction, TransactionFilter, TransactionStore};

pub(crate) use self::args::TransactionsArgs;
pub(crate) use self::view::second;

use self::args::{Action, ExportArgs, Format, ListArgs};
use self::export::Export;
use self::view::dollars;
use crate::failure::{Failure, ResultExt as _};
use crate::output::{self, Align, Style, Table};
use crate::{records, tokens};

pub(crate) async fn run(args: &TransactionsArgs) -> Result<(), Failure> {
    match &args.action {
        Action::List(args) => list(args, &records::open(&args.store)?).await,
        Action::Show(args) => show::run(args, &records::open(&args.store)?).await,
        Action::Export(args) => export(args, &records::open(&args.store)?).await,
    }
}

async fn list(args: &ListArgs, store: &impl TransactionStore) -> Result<(), Failure> {
    let out = io::stdout();
    if args.json {
        let mut export = Export::start(Format::Json, BufWriter::new(out.lock()))?;
        for_each(store, &args.filter.filter(), Some(args.limit), |row| {
            export.push(row)
        })
        .await?;
        return Ok(export.finish()?);
    }
    let mut table = table();
    let mut count = 0_usize;
    for_each(store, &args.filter.filter(), Some(args.limit), |row| {
        table.push(cells(row));
        count += 1;
        Ok(())
    })
    .await?;
    if count == 0 {
        output::note("There are no such transactions.");
        return Ok(());
    }
    let mut out = out.lock();
    out.write_all(table.render(Style::stdout()).as_bytes())?;
    out.flush()?;
    Ok(())
}

async fn export(args: &ExportArgs, store: &impl TransactionStore) -> Result<(), Failure> {
    let out: Box<dyn Write> = match &args.out {
        Some(path) => {
            let file = File::create(path);
            Box::new(file.or_fail(format!("cannot create {}", path.display()))?)
        }
        None => Box::new(io::stdout()),
    };
    let mut export = Export::start(args.format, BufWriter::new(out))?;
    let filter = args.filter.filter();
    for_each(store, &filter, args.limit, |row| export.push(row)).await?;
    Ok(export.finish()?)
}

/// Calls for each transaction, newest first, page by page.
async fn for_each(
    store: &impl TransactionStore,
    filter: &TransactionFilter,
    limit: Option<usize>,
    mut call: impl FnMut(&Transaction) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut left = limit.unwrap_or(usize::MAX);
    let mut after = None;
    while left > 0 {
        let rows = left.min(Page::ROWS_MAX);
        let page = store.transactions_list(filter.clone(), after, rows).await;
        let page = page.or_fail("the store cannot be read")?;
        for row in &page.rows {
            call(row)?;
        }
        left = left.saturating_sub(page.rows.len());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

fn table() -> Table<8> {
    Table::new([
        ("TIME", Align::Left),
        ("TRANSACTION", Align::Left),
        ("STATE", Align::Left),
        ("AMOUNT", Align::Right),
        ("UNITS", Align::Right),
        ("NETWORK", Align::Left),
        ("PAYER", Align::Left),
        ("REQUEST", Align::Left),
    ])
}

fn cells(row: &Transaction) -> [String; 8] {
    [
        second(row.created_at),
        row.id.to_string(),
        row.state.as_str().to_owned(),
        dollars(row),
        row.amount.to_string(),
        tokens::chain_name(row.network),
        row.payer.to_string(),
        format!("{} {}", row.method, row.path),
    ]
}

/// A transaction for tests.
#[cfg(test)]
fn sample() -> Transaction {
    use octroi_claim::{PaymentState, WorkState};
    use octroi_store::TransactionState;
    use octroi_types::{
        Address, Amount, B256, KnownNetwork, Mode, PaywallId, RequestId, ServiceId, TenantId,
        TransactionId, UnixMicros,
    };
    let network = KnownNetwork::by_name("base-sepolia").unwrap();
    Transaction {
        id: TransactionId::generate(),
        tenant: TenantId::generate(),
        mode: Mode::Test,
        state: TransactionState::Completed,
        payment: PaymentState::Settled,
        work: WorkState::Delivered,
        service: Some(ServiceId::generate()),
        paywall: PaywallId::generate(),
        request: RequestId::generate(),
        method: "GET".to_owned(),
        path: "/hello".to_owned(),
        rail: "x402-v2".to_owned(),
        network: network.chain,
        asset: network.usdc.unwrap().address,
        amount: Amount::new(10_000).unwrap(),
        payer: Address([1; 20]),
        pay_to: Address([2; 20]),
        tx_hash: Some(B256([3; 32])),
        covered_by: None,
        refund_credit: None,
        created_at: UnixMicros(1_763_769_600_000_000),
        updated_at: UnixMicros(1_763_769_601_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_show_dollars_and_units_and_cannot_steer_the_terminal() {
        let mut row = sample();
        row.path = "/a\u{1b}[2J".to_owned();
        let mut table = table();
        table.push(cells(&row));
        let text = table.render(Style::plain());
        assert!(text.contains("  $0.01  10000  base-sepolia  "), "{text}");
        assert!(text.contains("2025-11-22 00:00:00Z") && text.contains(&row.id.to_string()));
        assert!(!text.contains('\u{1b}'));
        row.asset = octroi_types::Address([9; 20]);
        assert_eq!(cells(&row)[3], "-");
    }
}
