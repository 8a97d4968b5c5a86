//! One transaction with everything that belongs to it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use octroi_ledger::{Account, Transfer, TransferKind};
use octroi_store::{Event, Transaction, TransactionStore};
use octroi_types::{AccountId, Amount, TransferId, UnixMicros};
use serde::Serialize;

use super::export::word;
use super::view::{TransactionView, dollars, second};
use crate::failure::{Failure, ResultExt as _};
use crate::output::{Align, Style, Table, printable};
use crate::tokens;

use super::args::ShowArgs;

#[derive(Serialize)]
struct Story<'t> {
    transaction: TransactionView<'t>,
    events: &'t [Event],
    transfers: &'t [TransferView],
}

/// A transfer with the kinds of its accounts in place of what only the store knows by id.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TransferView {
    id: TransferId,
    kind: &'static str,
    reason: &'static str,
    debit: AccountView,
    credit: AccountView,
    amount: Amount,
    created_at: UnixMicros,
}

#[derive(Serialize)]
struct AccountView {
    id: AccountId,
    kind: &'static str,
}

pub(crate) async fn run(args: &ShowArgs, store: &impl TransactionStore) -> Result<(), Failure> {
    let read = "the store cannot be read";
    let transaction = store.transaction_get(args.id).await.or_fail(read)?;
    let transaction = transaction.ok_or_else(|| {
        Failure::new(format!("there is no transaction {}", args.id))
            .help("`octroi transactions list` shows which there are")
    })?;
    let events = store.transaction_events(args.id).await.or_fail(read)?;
    let transfers = store.transaction_transfers(args.id).await.or_fail(read)?;
    let accounts = store.accounts_list().await.or_fail(read)?;
    let transfers: Vec<_> = transfers
        .iter()
        .map(|transfer| TransferView::new(transfer, &accounts))
        .collect();
    let mut out = io::stdout().lock();
    if args.json {
        let story = Story {
            transaction: TransactionView::new(&transaction),
            events: &events,
            transfers: &transfers,
        };
        serde_json::to_writer_pretty(&mut out, &story).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let style = Style::stdout();
        out.write_all(text(&transaction, &events, &transfers, style).as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

impl TransferView {
    fn new(transfer: &Transfer, accounts: &[Account]) -> Self {
        let account = |id| AccountView {
            id,
            kind: accounts
                .iter()
                .find(|account| account.id == id)
                .map_or("unknown", |account| account.kind.as_str()),
        };
        Self {
            id: transfer.id,
            kind: kind(transfer.kind),
            reason: transfer.cause.reason.as_str(),
            debit: account(transfer.debit),
            credit: account(transfer.credit),
            amount: transfer.amount,
            created_at: transfer.created_at,
        }
    }
}

const fn kind(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Post => "post",
        TransferKind::Hold { .. } => "hold",
        TransferKind::Capture { .. } => "capture",
        TransferKind::Void { .. } => "void",
        TransferKind::Expire { .. } => "expire",
    }
}

fn text(
    transaction: &Transaction,
    events: &[Event],
    transfers: &[TransferView],
    style: Style,
) -> String {
    let mut out = String::new();
    for (name, value) in facts(transaction) {
        let name = format!("{name:<13}");
        let _ = writeln!(out, "{} {}", style.dim(&name), printable(&value));
    }
    let history = history(events).render(style);
    let posted = posted(transfers).render(style);
    let _ = write!(out, "\n{history}\n{posted}");
    out
}

fn facts(transaction: &Transaction) -> [(&'static str, String); 18] {
    fn or_none<T: ToString>(value: Option<T>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| value.to_string())
    }
    let (units, asset) = (transaction.amount, transaction.asset);
    let (network, mode) = (tokens::chain_name(transaction.network), transaction.mode);
    let (method, path) = (&transaction.method, &transaction.path);
    let amount = format!("{} = {units} units of {asset}", dollars(transaction));
    [
        ("transaction", transaction.id.to_string()),
        ("state", transaction.state.as_str().to_owned()),
        ("payment", word(&transaction.payment)),
        ("work", word(&transaction.work)),
        ("amount", amount),
        ("network", format!("{network} ({mode})")),
        ("payer", transaction.payer.to_string()),
        ("pay to", transaction.pay_to.to_string()),
        ("tx hash", or_none(transaction.tx_hash)),
        ("covered by", or_none(transaction.covered_by)),
        ("refund credit", or_none(transaction.refund_credit)),
        ("request", format!("{method} {path}")),
        ("request id", transaction.request.to_string()),
        ("rail", transaction.rail.clone()),
        ("paywall", transaction.paywall.to_string()),
        ("service", or_none(transaction.service)),
        ("created", second(transaction.created_at)),
        ("updated", second(transaction.updated_at)),
    ]
}

fn history(events: &[Event]) -> Table<2> {
    let mut table = Table::new([("EVENT", Align::Left), ("TIME", Align::Left)]);
    for event in events {
        table.push([word(&event.kind), event.at.to_string()]);
    }
    table
}

fn posted(transfers: &[TransferView]) -> Table<5> {
    let mut table = Table::new([
        ("TRANSFER", Align::Left),
        ("REASON", Align::Left),
        ("DEBIT", Align::Left),
        ("CREDIT", Align::Left),
        ("UNITS", Align::Right),
    ]);
    for transfer in transfers {
        table.push([
            format!("{} {}", transfer.kind, transfer.id),
            transfer.reason.to_owned(),
            transfer.debit.kind.to_owned(),
            transfer.credit.kind.to_owned(),
            transfer.amount.to_string(),
        ]);
    }
    table
}
