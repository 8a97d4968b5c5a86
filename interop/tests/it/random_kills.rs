//! The gate is killed at random moments while buyers buy, again and again: afterwards the chain, the books
//! and the buyers agree.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use octroi_interop::{
    AFTER, ANY, Account, BUYERS, FIRST, Http, Market, PRICE, Rpc, Setup, Terms, Transaction,
    eventually,
};
use octroi_types::B256;
use tokio::task::JoinSet;

/// What buyers ask for; the last is an answer that is not charged for.
const PATHS: [&str; 5] = [
    "/json",
    "/json",
    "/upload",
    "/download?bytes=200000",
    "/status/500",
];

/// An answer with a receipt: the chain transaction, none where a credit paid.
type Receipts = Vec<Option<B256>>;

#[tokio::test]
async fn after_kills_at_random_moments_everything_adds_up() -> Result<()> {
    kill_at_random(&[], 30).await
}

/// With a block every second most settlements wait for one when the gate is killed.
#[tokio::test]
async fn after_kills_between_blocks_everything_adds_up() -> Result<()> {
    kill_at_random(&["--block-time", "1"], 10).await
}

async fn kill_at_random(node_options: &'static [&'static str], rounds: usize) -> Result<()> {
    let setup = Setup {
        node_options,
        ..Setup::default()
    };
    let mut market = Market::open_with(&setup).await?;
    let before = balances(&market).await?;
    let terms: Vec<(String, Terms)> = {
        let mut all = Vec::new();
        for (index, path) in PATHS.iter().enumerate() {
            let order = if index % 2 == 0 { AFTER } else { FIRST };
            let path = format!("{order}{path}");
            let terms = market.terms(&path).await?;
            all.push((path, terms));
        }
        all
    };
    let terms = Arc::new(terms);
    let (mut receipts, mut moments) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        // Each question to the node is a moment in the life of some payment.
        let moment = usize::from(random_byte()? % 96);
        moments.push(moment);
        let moment = market.line.calls(ANY) + moment;
        let mut buyers = JoinSet::new();
        for (index, account) in BUYERS.into_iter().enumerate() {
            let (http, node) = (market.http.clone(), Rpc::clone(&market.chain));
            let (gate, terms) = (market.gate.url()?.to_owned(), Arc::clone(&terms));
            let start = round + index;
            buyers.spawn(async move {
                buy_until_it_breaks(http, node, gate, terms, account, start).await
            });
        }
        market.line.called(ANY, moment).await?;
        market.gate.kill();
        while let Some(bought) = buyers.join_next().await {
            receipts.extend(bought??);
        }
        market.gate.restart().await?;
    }
    let records = eventually("every fate to be known", async || {
        let records = market.concluded(1).await?;
        Ok(records
            .iter()
            .all(|one| one.state != "Unknown")
            .then_some(records))
    })
    .await?;
    let adds_up = async {
        ensure!(!receipts.is_empty(), "nothing was ever bought");
        answers_were_paid(&market, &receipts).await?;
        money_is_accounted_for(&records)?;
        payers_agree(&records, &before, &balances(&market).await?)?;
        market.reconcile().await
    };
    adds_up
        .await
        .with_context(|| format!("killed at the node's calls {moments:?}"))
}

/// Buys one thing after the other until the gate is gone, and returns the receipts of complete answers.
async fn buy_until_it_breaks(
    http: Http,
    node: Rpc,
    gate: String,
    terms: Arc<Vec<(String, Terms)>>,
    account: Account,
    start: usize,
) -> Result<Receipts> {
    let mut receipts = Vec::new();
    for (path, terms) in terms.iter().cycle().skip(start) {
        let payment = terms.sign(&node, account).await?;
        let url = format!("{gate}{path}");
        let Ok(reply) = http
            .get_with(&url, "payment-signature", &payment.header())
            .await
        else {
            break;
        };
        match reply.status.as_u16() {
            200 => {
                let receipt = reply.decoded("payment-response")?;
                ensure!(receipt["success"] == true, "{receipt}");
                let hash = receipt["transaction"].as_str().context("no transaction")?;
                receipts.push(if hash.is_empty() {
                    None
                } else {
                    Some(hash.parse()?)
                });
            }
            // An earlier payment for the same request is not settled yet; the origin's own error.
            503 | 500 => {}
            other => anyhow::bail!("{other}: {:?}", reply.body),
        }
    }
    Ok(receipts)
}

/// No answer was given that the chain knows nothing of.
async fn answers_were_paid(market: &Market, receipts: &Receipts) -> Result<()> {
    for hash in receipts.iter().flatten() {
        let receipt = market.chain.receipt(*hash).await?;
        ensure!(receipt.is_some_and(|receipt| receipt.succeeded), "{hash}");
    }
    Ok(())
}

/// What was settled was delivered or is a credit, and no credit was spent twice.
fn money_is_accounted_for(records: &[Transaction]) -> Result<()> {
    let credits: HashSet<_> = records
        .iter()
        .filter_map(|one| one.refund_credit.as_ref())
        .collect();
    let mut spent = HashSet::new();
    for record in records {
        match (&*record.payment, &*record.state) {
            ("settled", "Completed") => ensure!(record.refund_credit.is_none(), "{record:?}"),
            ("settled", "Failed") => ensure!(record.refund_credit.is_some(), "{record:?}"),
            ("covered", "Completed") => {
                let credit = record.covered_by.as_ref().context("covered by nothing")?;
                ensure!(credits.contains(credit), "{record:?}: no such credit");
                ensure!(spent.insert(credit), "{record:?}: spent twice");
            }
            ("released", "Failed") => {}
            _ => anyhow::bail!("{record:?}"),
        }
    }
    Ok(())
}

/// Each payer is poorer by what was settled of its payments, and by nothing else.
fn payers_agree(
    records: &[Transaction],
    before: &BTreeMap<String, u128>,
    after: &BTreeMap<String, u128>,
) -> Result<()> {
    for account in BUYERS {
        let name = account.address.to_string();
        let settled = records
            .iter()
            .filter(|one| one.payer == account.address && one.payment == "settled")
            .count();
        let paid = before[&name] - after[&name];
        ensure!(
            paid == settled as u128 * PRICE,
            "{name}: {paid} paid, {settled} settled"
        );
    }
    Ok(())
}

async fn balances(market: &Market) -> Result<BTreeMap<String, u128>> {
    let mut balances = BTreeMap::new();
    for account in BUYERS {
        let balance = market.chain.usdc.balance(account.address).await?;
        balances.insert(account.address.to_string(), balance);
    }
    Ok(balances)
}

fn random_byte() -> Result<u8> {
    let mut byte = [0];
    getrandom::fill(&mut byte).ok().context("no randomness")?;
    Ok(byte[0])
}
