//! What a buyer does and may be told, and what must be true then.

use hyper::Method;
use octroi_interop::{Account, Market, Payment, Reply, eventually};
use octroi_types::B256;
use tokio::task::JoinHandle;

/// Sends a payment on a task of its own.
pub(crate) fn paying(
    market: &Market,
    path: &str,
    payment: &Payment,
) -> anyhow::Result<JoinHandle<anyhow::Result<Reply>>> {
    let request = market.paid(Method::GET, path, payment, "")?;
    let http = market.http.clone();
    Ok(tokio::spawn(async move { http.send(request).await }))
}

/// Waits until one transaction waits for a block.
pub(crate) async fn waiting_transaction(market: &Market) -> anyhow::Result<B256> {
    eventually("a transaction in the pool", async || {
        Ok(market.chain.pending().await?.first().copied())
    })
    .await
}

/// Waits until the gate says that it is ready, or that it is not.
pub(crate) async fn is_ready(market: &Market, ready: bool) -> anyhow::Result<()> {
    eventually(&format!("ready: {ready}"), async || {
        let told = market.get("/readyz").await?.status == 200;
        Ok((told == ready).then_some(()))
    })
    .await
}

/// The payment was sent and its fate is open. That is never a bill: the buyer would pay twice.
pub(crate) fn is_pending(reply: &Reply) -> anyhow::Result<()> {
    assert_eq!(reply.status, 503, "{:?}", reply.body);
    assert_eq!(reply.code().as_deref(), Some("settlement_pending"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(reply.header("payment-required"), None);
    let told = reply.decoded("payment-response")?;
    assert_eq!(told["success"], false);
    assert_eq!(told["errorReason"], "settlement_pending");
    Ok(())
}

/// Nothing was sent, and nothing will be: the same payment may come again.
pub(crate) fn is_unavailable(reply: &Reply) -> anyhow::Result<()> {
    assert_eq!(reply.status, 503, "{:?}", reply.body);
    assert_eq!(reply.code().as_deref(), Some("settlement_unavailable"));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(reply.header("payment-required"), None);
    assert_eq!(reply.header("payment-response"), None);
    Ok(())
}

/// The payment is refused for this reason, in both versions' words and with fresh terms.
pub(crate) fn is_refused(reply: &Reply, reason: &str) -> anyhow::Result<()> {
    assert_eq!(reply.status, 402, "{:?}", reply.body);
    let terms = reply.decoded("payment-required")?;
    assert_eq!(terms["error"], reason);
    assert_eq!(reply.json()?["error"], reason);
    Ok(())
}

/// What the buyer paid for and did not get is a credit: once the fate of its payment is known, a fresh
/// one for the same request is served from it and never sent. `earlier` transactions come before the two.
pub(crate) async fn is_served_from_a_credit(
    market: &Market,
    account: Account,
    path: &str,
    earlier: usize,
) -> anyhow::Result<()> {
    let fresh = market.payment(account, path).await?;
    let served = eventually("the credit", async || {
        let reply = market.pay(path, &fresh).await?;
        if reply.status == 503 {
            is_pending(&reply)?;
        }
        Ok((reply.status != 503).then_some(reply))
    })
    .await?;
    assert_eq!(served.status, 200, "{:?}", served.body);
    let receipt = served.decoded("payment-response")?;
    assert_eq!(
        (&receipt["success"], &receipt["transaction"]),
        (&true.into(), &"".into())
    );
    let records = market.concluded(earlier + 2).await?;
    let [settled, covered] = &records[earlier..] else {
        anyhow::bail!("{} transactions: {records:?}", records.len());
    };
    assert_eq!((&*settled.state, &*settled.payment), ("Failed", "settled"));
    assert!(settled.refund_credit.is_some());
    assert_eq!(covered.covered_by, settled.refund_credit);
    assert_eq!(
        (&*covered.state, &*covered.payment),
        ("Completed", "covered")
    );
    Ok(())
}

/// The buyer got what it paid for: with its answer, or, where the settlement took longer than an answer
/// waits, by coming again.
pub(crate) async fn is_bought(
    market: &Market,
    account: Account,
    path: &str,
    reply: &Reply,
) -> anyhow::Result<()> {
    if reply.status == 503 {
        is_pending(reply)?;
        return is_served_from_a_credit(market, account, path, 0).await;
    }
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    assert_eq!(reply.decoded("payment-response")?["success"], true);
    let records = market.concluded(1).await?;
    assert_eq!(
        (&*records[0].state, &*records[0].payment),
        ("Completed", "settled")
    );
    Ok(())
}
