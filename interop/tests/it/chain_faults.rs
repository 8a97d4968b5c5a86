//! The chain and its node fail: what the buyer is told, and that nobody is charged twice or for nothing.

use octroi_interop::{
    AFTER, Account, Arg, BUYERS, FIRST, Fault, Gate, Market, OWNER, PRICE, Payment, Relay, Setup,
    calldata, eventually,
};
use octroi_types::UnixMicros;
use serde_json::{Value, json};

use crate::outcome::{
    is_bought, is_pending, is_ready, is_refused, is_served_from_a_credit, is_unavailable, paying,
    waiting_transaction,
};

const BUYER: Account = BUYERS[0];

#[tokio::test]
async fn without_a_node_nothing_is_charged() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/stall");
    let payment = market.payment(BUYER, &path).await?;

    // Before the payment is claimed.
    market.line.cut().await?;
    is_unavailable(&market.pay(&path, &payment).await?)?;
    assert_eq!(market.origin.calls("/stall"), 0);
    assert!(market.gate.transactions().await?.is_empty());
    is_ready(&market, false).await?;
    assert_eq!(market.get(&path).await?.status, 402, "terms need no node");
    market.line.restore().await?;
    is_ready(&market, true).await?;

    // Between the claim and the settlement.
    let paying = paying(&market, &path, &payment)?;
    market.origin.called("/stall", 1).await?;
    market.line.cut().await?;
    market.origin.release();
    is_unavailable(&paying.await??)?;
    let record = market.concluded(1).await?.remove(0);
    assert_eq!((&*record.state, &*record.payment), ("Failed", "released"));
    market.line.restore().await?;
    is_ready(&market, true).await?;
    assert_eq!(market.earned().await?, 0);

    // The same payment buys when the node is back.
    let bought = market.pay(&path, &payment).await?;
    assert_eq!(bought.status, 200, "{:?}", bought.body);
    assert_eq!(market.earned().await?, PRICE);
    market.concluded(2).await?;
    market.reconcile().await
}

/// A node that takes calls and does not answer.
#[tokio::test]
async fn a_silent_node_charges_nothing() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    for call in ["eth_call", "eth_getCode", "eth_getBalance"] {
        market.line.disturb(call, Fault::Held);
    }
    is_unavailable(&market.pay(&path, &payment).await?)?;
    assert!(market.gate.transactions().await?.is_empty());
    assert_eq!(market.origin.calls("/json"), 0);
    market.line.mend();
    is_ready(&market, true).await?;
    assert_eq!(market.pay(&path, &payment).await?.status, 200);
    market.concluded(1).await?;
    market.reconcile().await
}

/// What could not be sent in the time that an answer waits is called back, and buys as soon as it comes
/// again.
#[tokio::test]
async fn a_payment_that_was_called_back_buys_at_once() -> anyhow::Result<()> {
    // The payer is known for the length of a block, so that only the settlement asks the node.
    let setup = Setup {
        block_time_ms: 20_000,
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let path = format!("{AFTER}/json");
    let first = market.payment(BUYER, &path).await?;
    assert_eq!(market.pay(&path, &first).await?.status, 200);
    let payment = market.payment(BUYER, &path).await?;
    for call in ["eth_call", "eth_estimateGas", "eth_getTransactionCount"] {
        market.line.disturb(call, Fault::Held);
    }
    is_unavailable(&market.pay(&path, &payment).await?)?;
    market.line.mend();
    let bought = market.pay(&path, &payment).await?;
    assert_eq!(bought.status, 200, "{:?}", bought.body);
    let records = market.concluded(3).await?;
    assert_eq!(
        (&*records[1].state, &*records[1].payment),
        ("Failed", "released")
    );
    assert_eq!(&*records[2].state, "Completed");
    assert_eq!(market.earned().await?, 2 * PRICE);
    market.reconcile().await
}

/// The node is gone when the transaction is on its way: nobody knows, until it is back.
#[tokio::test]
async fn a_node_that_dies_with_the_transaction_leaves_it_unknown() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    market.chain.set_automine(false).await?;
    let paying = paying(&market, &path, &payment)?;
    waiting_transaction(&market).await?;
    market.line.cut().await?;
    market.chain.mine(1).await?;
    is_pending(&paying.await??)?;
    assert_eq!(market.earned().await?, PRICE, "the chain went on");
    market.chain.set_automine(true).await?;
    market.line.restore().await?;
    is_ready(&market, true).await?;
    is_served_from_a_credit(&market, BUYER, &path, 0).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// No block comes: the answer waits a little, then the buyer is asked to come again. The fee is raised
/// meanwhile, under the same nonce; whichever is mined, the payment is charged once.
#[tokio::test]
async fn a_settlement_that_is_not_mined_is_pending_and_then_a_credit() -> anyhow::Result<()> {
    let market = Market::open().await?;
    for (index, (order, account)) in [AFTER, FIRST].into_iter().zip(BUYERS).enumerate() {
        let path = format!("{order}/json");
        let payment = market.payment(account, &path).await?;
        market.chain.set_automine(false).await?;
        let paying = paying(&market, &path, &payment)?;
        let first = waiting_transaction(&market).await?;
        is_pending(&paying.await??)?;
        is_pending(&market.pay(&path, &payment).await?)?;
        let fresh = market.payment(account, &path).await?;
        is_pending(&market.pay(&path, &fresh).await?)?;
        eventually("a higher fee", async || {
            let waiting = market.chain.pending().await?;
            Ok((waiting.len() == 1 && waiting != [first]).then_some(()))
        })
        .await?;
        market.chain.set_automine(true).await?;
        market.chain.mine(1).await?;
        is_served_from_a_credit(&market, account, &path, 2 * index).await?;
        assert_eq!(
            market.earned().await?,
            (index as u128 + 1) * PRICE,
            "{order}"
        );
    }
    market.reconcile().await
}

#[tokio::test]
async fn a_dropped_transaction_is_sent_again() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    market.chain.set_automine(false).await?;
    let paying = paying(&market, &path, &payment)?;
    let dropped = waiting_transaction(&market).await?;
    let sent = market.line.calls("eth_sendRawTransaction");
    market.chain.drop_transaction(dropped).await?;
    market
        .line
        .called("eth_sendRawTransaction", sent + 1)
        .await?;
    waiting_transaction(&market).await?;
    market.chain.set_automine(true).await?;
    market.chain.mine(1).await?;
    is_bought(&market, BUYER, &path, &paying.await??).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// A block with a settlement is replaced by one without it, when the answer is long delivered.
#[tokio::test]
async fn a_settlement_that_vanishes_is_settled_again() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    assert_eq!(market.pay(&path, &payment).await?.status, 200);
    market.concluded(1).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.chain.set_automine(false).await?;
    market.chain.reorganise(1).await?;
    assert_eq!(
        market.earned().await?,
        0,
        "the money is gone with its block"
    );
    waiting_transaction(&market).await?;
    let record = market.gate.transactions().await?.remove(0);
    assert_eq!(&*record.payment, "unknown", "the books know");
    market.chain.set_automine(true).await?;
    market.chain.mine(1).await?;
    let settled = eventually("the second settlement", async || {
        let record = market.gate.transactions().await?.remove(0);
        Ok((record.payment == "settled").then_some(record))
    })
    .await?;
    assert_eq!(
        (&*settled.state, &*settled.work),
        ("Completed", "delivered")
    );
    assert_eq!(market.earned().await?, PRICE);
    assert_eq!(market.origin.calls("/json"), 1);
    market.reconcile().await
}

/// A payment is public once it is sent, and anybody may send it. It counts, once, for whom it was claimed.
#[tokio::test]
async fn an_authorization_that_somebody_else_sends_counts_once() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    market.line.disturb("eth_sendRawTransaction", Fault::Held);
    let paying = paying(&market, &path, &payment)?;
    market.line.called("eth_sendRawTransaction", 1).await?;
    front_run(&market, &payment).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.line.mend();
    is_bought(&market, BUYER, &path, &paying.await??).await?;
    assert_eq!(market.earned().await?, PRICE);
    let again = market.pay(&path, &payment).await?;
    assert_eq!(again.status, 409, "{:?}", again.body);
    market.reconcile().await
}

/// Blocks tell no smaller time than seconds, and a use in the second of a claim counts for it.
async fn the_next_second() -> anyhow::Result<()> {
    let now = || UnixMicros::now().seconds();
    let begun = now();
    eventually("the clock goes on", async || {
        Ok((now() > begun).then_some(()))
    })
    .await
}

/// What was used before it was claimed here bought something elsewhere.
#[tokio::test]
async fn an_authorization_that_was_used_before_buys_nothing() -> anyhow::Result<()> {
    let market = Market::open().await?;
    for (order, account) in [AFTER, FIRST].into_iter().zip(BUYERS) {
        let path = format!("{order}/json");
        let payment = market.payment(account, &path).await?;
        front_run(&market, &payment).await?;
        the_next_second().await?;
        let refused = market.pay(&path, &payment).await?;
        is_refused(&refused, "invalid_exact_evm_nonce_already_used")?;
    }
    assert_eq!(market.line.calls("eth_sendRawTransaction"), 0);
    let records = market.gate.transactions().await?;
    assert!(
        records.iter().all(|record| record.payment == "released"),
        "{records:?}"
    );
    let books = market.gate.books().await?;
    assert_eq!(books["books"], json!([]), "nothing is booked");
    Ok(())
}

/// The money leaves the payer while the origin works.
#[tokio::test]
async fn a_payer_whose_money_is_gone_is_refused_before_anything_is_sent() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/stall");
    let payment = market.payment(BUYER, &path).await?;
    let paying = paying(&market, &path, &payment)?;
    market.origin.called("/stall", 1).await?;
    let usdc = &market.chain.usdc;
    let all = usdc.balance(BUYER.address).await?;
    let away = [Arg::Address(OWNER.address), Arg::Uint(all)];
    let transfer = calldata("transfer(address,uint256)", &away);
    market
        .chain
        .transact(BUYER.address, Some(usdc.address()), &transfer)
        .await?;
    market.origin.release();
    is_refused(&paying.await??, "invalid_exact_evm_insufficient_balance")?;
    assert_eq!(market.line.calls("eth_sendRawTransaction"), 0);
    let record = market.concluded(1).await?.remove(0);
    assert_eq!((&*record.state, &*record.payment), ("Failed", "released"));
    market.reconcile().await
}

#[tokio::test]
async fn gas_above_the_cap_is_not_paid() -> anyhow::Result<()> {
    const GWEI: u128 = 1_000_000_000;
    let setup = Setup {
        max_fee_gwei: 5,
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    market.chain.set_next_base_fee(10 * GWEI).await?;
    market.chain.mine(1).await?;
    // The second look at the newest block from now on sees this one.
    let looked = market.line.calls("eth_getBlockByNumber");
    market
        .line
        .called("eth_getBlockByNumber", looked + 2)
        .await?;
    is_unavailable(&market.pay(&path, &payment).await?)?;
    is_ready(&market, false).await?;
    let calls = market.origin.calls("/json");
    is_unavailable(&market.pay(&path, &payment).await?)?;
    assert_eq!(
        market.origin.calls("/json"),
        calls,
        "the origin does not work for nothing"
    );
    assert_eq!(market.line.calls("eth_sendRawTransaction"), 0);
    assert_eq!(market.earned().await?, 0);
    market.chain.set_next_base_fee(GWEI).await?;
    market.chain.mine(1).await?;
    is_ready(&market, true).await?;
    assert_eq!(market.pay(&path, &payment).await?.status, 200);
    market.concluded(2).await?;

    // The price rises when the transaction is signed already: it waits, and is not paid for twice.
    let payment = market.payment(BUYERS[1], &path).await?;
    market.chain.set_next_base_fee(10 * GWEI).await?;
    is_pending(&market.pay(&path, &payment).await?)?;
    assert_eq!(market.earned().await?, PRICE);
    market.chain.set_next_base_fee(GWEI).await?;
    market.chain.mine(1).await?;
    is_served_from_a_credit(&market, BUYERS[1], &path, 2).await?;
    assert_eq!(market.earned().await?, 2 * PRICE);
    market.reconcile().await
}

/// A node that shows the transaction and hides what it did is not believed, either way.
#[tokio::test]
async fn a_settlement_without_logs_is_neither_good_nor_bad() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    let hide = |receipt: &mut Value| {
        if let Some(logs) = receipt.get_mut("logs") {
            *logs = json!([]);
        }
    };
    market
        .line
        .disturb("eth_getTransactionReceipt", Fault::Edited(hide));
    market
        .line
        .disturb("eth_getLogs", Fault::Edited(|logs| *logs = json!([])));
    let reply = market.pay(&path, &payment).await?;
    assert_ne!(reply.status, 200);
    assert_ne!(
        reply.status, 402,
        "a second bill for a payment that was made"
    );
    is_pending(&reply)?;
    assert_eq!(market.earned().await?, PRICE);
    // However often it looks.
    let searched = market.line.calls("eth_getLogs");
    market.line.called("eth_getLogs", searched + 2).await?;
    assert_eq!(&*market.gate.transactions().await?[0].payment, "unknown");
    market.line.mend();
    is_served_from_a_credit(&market, BUYER, &path, 0).await?;
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

#[tokio::test]
async fn a_node_of_another_chain_is_not_sold_on() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let other: Fault = Fault::Edited(|id| *id = json!("0x1"));
    let line = Relay::start(market.chain.url()).await?;
    let config = Setup::default().config(market.origin.url(), &line.url());
    line.disturb("eth_chainId", other);
    let refused = Gate::start(&config).await.unwrap_err().to_string();
    assert!(
        refused.contains("eip155:1") && refused.contains("eip155:84532"),
        "{refused}"
    );

    // One that is down at the start, and turns out to be of another chain.
    line.cut().await?;
    let gate = Gate::start(&config).await?;
    let http = &market.http;
    let ready = format!("{}/readyz", gate.url()?);
    assert_eq!(http.get(&ready).await?.status, 503);
    line.restore().await?;
    let asked = line.calls("eth_chainId");
    line.called("eth_chainId", asked + 1).await?;
    let path = format!("{AFTER}/json");
    let payment = market.payment(BUYER, &path).await?;
    let url = format!("{}{path}", gate.url()?);
    is_unavailable(
        &http
            .get_with(&url, "payment-signature", &payment.header())
            .await?,
    )?;
    assert_eq!(http.get(&ready).await?.status, 503);
    assert_eq!(market.origin.calls("/json"), 0);
    assert!(gate.transactions().await?.is_empty());
    Ok(())
}

/// A third party sends the authorization, as the contract lets everybody do.
async fn front_run(market: &Market, payment: &Payment) -> anyhow::Result<()> {
    let usdc = market.chain.usdc.address();
    let data = payment.transfer_calldata()?;
    market
        .chain
        .transact(OWNER.address, Some(usdc), &data)
        .await?;
    Ok(())
}
