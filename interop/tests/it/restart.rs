//! The gate is killed where it stands and started again on the same folder: nothing is charged twice, and
//! nothing that was paid is lost.

use anyhow::Context as _;
use hyper::Method;
use octroi_interop::{
    AFTER, Account, BUYERS, FIRST, Fault, GATE_WALLET, Market, OWNER, PRICE, Transaction,
    eventually,
};
use serde_json::json;

use crate::outcome::{is_ready, is_served_from_a_credit, paying, waiting_transaction};

const BUYER: Account = BUYERS[0];

#[tokio::test]
async fn killed_before_the_claim() -> anyhow::Result<()> {
    let mut market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    market.line.disturb("eth_getCode", Fault::Held);
    let asked = market.line.calls("eth_getCode");
    let paying = paying(&market, &path, &payment)?;
    market.line.called("eth_getCode", asked + 1).await?;
    market.gate.kill();
    assert!(paying.await?.is_err());
    market.line.mend();
    market.gate.restart().await?;
    assert!(market.gate.transactions().await?.is_empty());
    assert_eq!(market.pay(&path, &payment).await?.status, 200);
    market.concluded(1).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// The origin works, nothing is sent: the claim is released, and the same payment buys.
#[tokio::test]
async fn killed_while_the_origin_works() -> anyhow::Result<()> {
    let mut market = Market::open().await?;
    let path = format!("{AFTER}/stall");
    let payment = market.payment(BUYER, &path).await?;
    let paying = paying(&market, &path, &payment)?;
    market.origin.called("/stall", 1).await?;
    market.gate.kill();
    assert!(paying.await?.is_err());
    market.gate.restart().await?;
    let released = recovered(&market, 1).await?.remove(0);
    assert_eq!(
        (&*released.state, &*released.payment),
        ("Failed", "released")
    );
    market.origin.release();
    assert_eq!(market.pay(&path, &payment).await?.status, 200);
    market.concluded(2).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// The signed transaction is durable and was not sent: the next start sends the same bytes.
#[tokio::test]
async fn killed_between_signing_and_sending() -> anyhow::Result<()> {
    let mut market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    market.line.disturb("eth_sendRawTransaction", Fault::Lost);
    let paying = paying(&market, &path, &payment)?;
    market.line.called("eth_sendRawTransaction", 1).await?;
    market.gate.kill();
    assert!(paying.await?.is_err());
    assert_eq!(market.earned().await?, 0);
    market.line.mend();
    market.gate.restart().await?;
    is_served_from_a_credit(&market, BUYER, &path, 0).await?;
    is_charged_once(&market).await
}

/// The transaction waits for a block when the gate dies; the block comes before, or after, the next
/// start, or the node forgets the transaction.
#[tokio::test]
async fn killed_while_the_settlement_waits_for_a_block() -> anyhow::Result<()> {
    for case in ["mined after the start", "mined before the start", "dropped"] {
        let mut market = Market::open().await?;
        let path = format!("{FIRST}/json");
        let payment = market.payment(BUYER, &path).await?;
        market.chain.set_automine(false).await?;
        let paying = paying(&market, &path, &payment)?;
        waiting_transaction(&market).await?;
        market.gate.kill();
        assert!(paying.await?.is_err());
        match case {
            "mined before the start" => market.chain.mine(1).await?,
            "dropped" => {
                let waiting = waiting_transaction(&market).await?;
                market.chain.drop_transaction(waiting).await?;
            }
            _ => {}
        }
        market.gate.restart().await?;
        if case == "dropped" {
            waiting_transaction(&market).await?;
        }
        market.chain.set_automine(true).await?;
        market.chain.mine(1).await?;
        is_served_from_a_credit(&market, BUYER, &path, 0)
            .await
            .context(case)?;
        is_charged_once(&market).await.context(case)?;
    }
    Ok(())
}

/// Settled first, and then the origin did not get to answer.
#[tokio::test]
async fn killed_between_settlement_and_answer() -> anyhow::Result<()> {
    let mut market = Market::open().await?;
    let path = format!("{FIRST}/stall");
    let payment = market.payment(BUYER, &path).await?;
    let paying = paying(&market, &path, &payment)?;
    market.origin.called("/stall", 1).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.gate.kill();
    assert!(paying.await?.is_err());
    market.gate.restart().await?;
    market.origin.release();
    is_served_from_a_credit(&market, BUYER, &path, 0).await?;
    assert_eq!(market.origin.calls("/stall"), 2);
    is_charged_once(&market).await
}

/// In the middle of a stream that was paid for at its head.
#[tokio::test]
async fn killed_while_the_answer_is_delivered() -> anyhow::Result<()> {
    let mut market = Market::open().await?;
    let path = format!("{AFTER}/stall-in-body");
    let payment = market.payment(BUYER, &path).await?;
    let request = market.paid(Method::GET, &path, &payment, "")?;
    let open = market.http.open(request).await?;
    assert_eq!(open.status(), 200);
    assert_eq!(market.earned().await?, PRICE);
    market.gate.kill();
    market.gate.restart().await?;
    market.origin.release();
    is_served_from_a_credit(&market, BUYER, &path, 0).await?;
    is_charged_once(&market).await
}

/// A credit that was being spent is there again.
#[tokio::test]
async fn killed_while_a_credit_is_spent() -> anyhow::Result<()> {
    let mut market = Market::open().await?;
    let failing = format!("{FIRST}/status/500");
    let payment = market.payment(BUYER, &failing).await?;
    let failed = market.pay(&failing, &payment).await?;
    let credit = failed.header("x-refund-credit").unwrap().to_owned();

    let path = format!("{AFTER}/stall");
    let payment = market.payment(BUYER, &path).await?;
    let paying = paying(&market, &path, &payment)?;
    market.origin.called("/stall", 1).await?;
    market.gate.kill();
    assert!(paying.await?.is_err());
    market.gate.restart().await?;
    recovered(&market, 2).await?;
    market.origin.release();
    let fresh = market.payment(BUYER, &path).await?;
    assert_eq!(market.pay(&path, &fresh).await?.status, 200);
    let records = market.concluded(3).await?;
    assert_eq!(&*records[1].state, "Failed");
    assert_eq!(records[2].covered_by.as_deref(), Some(&*credit));
    is_charged_once(&market).await
}

/// What is done stays done, and a settlement that vanishes while nobody looks is settled again.
#[tokio::test]
async fn killed_after_delivery() -> anyhow::Result<()> {
    let mut market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    assert_eq!(market.pay(&path, &payment).await?.status, 200);
    market.concluded(1).await?;
    market.gate.kill();
    market.gate.restart().await?;
    let again = market.pay(&path, &payment).await?;
    assert_eq!(
        again.code().as_deref(),
        Some("payment_already_used"),
        "{:?}",
        again.body
    );

    market.gate.kill();
    market.chain.reorganise(1).await?;
    assert_eq!(market.earned().await?, 0);
    market.gate.restart().await?;
    eventually("the second settlement", async || {
        Ok((market.earned().await? == PRICE).then_some(()))
    })
    .await?;
    eventually("the books to know", async || {
        let record = market.gate.transactions().await?.remove(0);
        Ok((record.payment == "settled").then_some(()))
    })
    .await?;
    assert_eq!(market.origin.calls("/json"), 1);
    market.reconcile().await
}

/// The chain is the witness of a settlement that the gate had asked a facilitator for.
#[tokio::test]
async fn killed_while_a_facilitator_settles() -> anyhow::Result<()> {
    let mut delegated = crate::remote_facilitator::Delegated::open().await?;
    let (market, line) = (&mut delegated.market, &delegated.facilitator_line);
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    line.disturb("/settle", Fault::Held);
    let paying = paying(market, &path, &payment)?;
    line.called("/settle", 1).await?;
    market.gate.kill();
    assert!(paying.await?.is_err());
    market.gate.restart().await?;
    let usdc = market.chain.usdc.address();
    let transfer = payment.transfer_calldata()?;
    market
        .chain
        .transact(OWNER.address, Some(usdc), &transfer)
        .await?;
    is_served_from_a_credit(market, BUYER, &path, 0).await?;
    assert_eq!(line.calls("/settle"), 1, "not asked again");
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// One transaction of the gate's wallet, one price for the payee.
async fn is_charged_once(market: &Market) -> anyhow::Result<()> {
    let sent = market
        .chain
        .request(
            "eth_getTransactionCount",
            json!([GATE_WALLET.address, "latest"]),
        )
        .await?;
    assert_eq!(sent, "0x1");
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// Waits until the claims of the dead process are what recovery makes of them.
async fn recovered(market: &Market, count: usize) -> anyhow::Result<Vec<Transaction>> {
    is_ready(market, true).await?;
    market.concluded(count).await
}
