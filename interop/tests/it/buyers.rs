//! Every client of the x402 project pays the gate as it is published.

use anyhow::Context as _;
use octroi_interop::{
    AFTER, Anvil, BUYERS, Buyer, FACILITATOR, FIRST, Market, Order, PAYEE, PRICE, Purchase, Relay,
    Setup, Usdc,
};
use octroi_types::ChainId;
use serde_json::json;
use sha2::{Digest as _, Sha256};

const EVERY_BUYER: [Buyer; 5] = [
    Buyer::Fetch,
    Buyer::Axios,
    Buyer::Httpx,
    Buyer::Requests,
    Buyer::FetchV1,
];

#[tokio::test]
async fn every_client_pays_a_paywall() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let url = market.gate.url()?.to_owned();
    let path = format!("{AFTER}/json?page=2");
    for (index, (buyer, account)) in EVERY_BUYER.into_iter().zip(BUYERS).enumerate() {
        let order = Order::get(account, &url, &path);
        let purchase = buys(&market, buyer, &order, "/json").await?;
        let content = json!({"message": "hello", "call": index + 1});
        assert_eq!(purchase.data, content, "{buyer:?}");
    }
    assert!(
        market
            .origin
            .seen()
            .iter()
            .all(|seen| seen.target == "/json?page=2")
    );
    market.reconcile().await
}

/// The other shape of gate, and a request with a body.
#[tokio::test]
async fn every_client_pays_a_priced_route_of_a_site() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let url = market.site_url()?;
    let body = json!({"question": "how much?"}).to_string();
    for (buyer, account) in EVERY_BUYER.into_iter().zip(BUYERS) {
        let order = Order {
            method: "POST",
            body: Some(&body),
            ..Order::get(account, &url, "/upload")
        };
        let purchase = buys(&market, buyer, &order, "/upload").await?;
        let echo = json!({"bytes": body.len(), "sha256": hex::encode(Sha256::digest(&body))});
        assert_eq!(purchase.data, echo, "{buyer:?}");
    }
    // What is not priced is free.
    let free = market.http.get(&format!("{url}/status/204")).await?;
    assert_eq!(free.status, 204);
    market.reconcile().await
}

/// The terms come back while the body is still on its way, which no client may take for a failure.
#[tokio::test]
async fn every_client_uploads_a_large_body() -> anyhow::Result<()> {
    const LENGTH: usize = 1_000_000;
    let market = Market::open().await?;
    let url = market.gate.url()?.to_owned();
    let path = format!("{AFTER}/upload");
    for (buyer, account) in EVERY_BUYER.into_iter().zip(BUYERS) {
        let order = Order {
            method: "POST",
            body_bytes: LENGTH,
            ..Order::get(account, &url, &path)
        };
        let purchase = buys(&market, buyer, &order, "/upload").await?;
        assert_eq!(purchase.data["bytes"], LENGTH, "{buyer:?}");
    }
    market.reconcile().await
}

/// The buyer buys what costs [`PRICE`], and it is looked everywhere that all is as it should be.
async fn buys(
    market: &Market,
    buyer: Buyer,
    order: &Order<'_>,
    origin_path: &str,
) -> anyhow::Result<Purchase> {
    let usdc = &market.chain.usdc;
    let earned_before = market.earned().await?;
    let held_before = usdc.balance(order.account.address).await?;
    let calls_before = market.origin.calls(origin_path);
    let sold_before = market.gate.transactions().await?.len();

    let purchase = buyer.buy(order).await?;
    assert!(purchase.success, "{buyer:?}: {purchase:?}");
    assert_eq!(purchase.status_code, Some(200), "{buyer:?}");
    let receipt = purchase.payment_response.as_ref().context("no receipt")?;
    assert_eq!(receipt["success"], true, "{buyer:?}");
    let payer = receipt["payer"].as_str().context("no payer")?;
    assert_eq!(payer, order.account.address.to_string(), "{buyer:?}");
    let network = match buyer {
        Buyer::FetchV1 => "base-sepolia",
        _ => "eip155:84532",
    };
    assert_eq!(receipt["network"], network, "{buyer:?}");

    assert_eq!(market.earned().await?, earned_before + PRICE, "{buyer:?}");
    let held = usdc.balance(order.account.address).await?;
    assert_eq!(held, held_before - PRICE, "{buyer:?}");
    assert_eq!(
        market.origin.calls(origin_path),
        calls_before + 1,
        "{buyer:?}"
    );
    shows_no_payment(market)?;

    let sold = market.concluded(sold_before + 1).await?;
    assert_eq!(sold.len(), sold_before + 1, "{buyer:?}");
    let record = sold.last().context("no record")?;
    assert_eq!(
        (&*record.state, &*record.payment, &*record.work),
        ("Completed", "settled", "delivered"),
        "{buyer:?}"
    );
    let rail = match buyer {
        Buyer::FetchV1 => "x402-v1",
        _ => "x402-v2",
    };
    assert_eq!(record.rail, rail, "{buyer:?}");
    assert_eq!(record.payer, order.account.address, "{buyer:?}");
    let hash = record.tx_hash.context("no transaction")?;
    assert_eq!(receipt["transaction"], hash.to_string(), "{buyer:?}");
    Ok(purchase)
}

/// No payment header reaches the origin.
fn shows_no_payment(market: &Market) -> anyhow::Result<()> {
    for seen in market.origin.seen() {
        for name in ["payment-signature", "x-payment", "payment-required"] {
            anyhow::ensure!(
                !seen.headers.contains_key(name),
                "{name} reached the origin"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_buyer_without_money_is_told_so_and_nothing_happens() -> anyhow::Result<()> {
    let market = Market::open().await?;
    assert_eq!(market.chain.usdc.balance(FACILITATOR.address).await?, 0);
    let url = market.gate.url()?.to_owned();
    let path = format!("{FIRST}/json");
    for buyer in [Buyer::Fetch, Buyer::Requests, Buyer::FetchV1] {
        let purchase = buyer.buy(&Order::get(FACILITATOR, &url, &path)).await?;
        assert!(!purchase.success, "{buyer:?}");
        assert_eq!(purchase.status_code, Some(402), "{buyer:?}: {purchase:?}");
        let reason = "invalid_exact_evm_insufficient_balance";
        assert_eq!(purchase.data["error"], reason, "{buyer:?}: {purchase:?}");
    }
    assert_eq!(market.origin.calls("/json"), 0);
    assert!(market.gate.transactions().await?.is_empty());
    market.reconcile().await
}

/// What a client does that loses the answer to its payment: it knows nothing of what happened, comes
/// again as if for the first time, and signs again. It is not charged again.
#[tokio::test]
async fn a_client_that_lost_its_answer_is_not_charged_again() -> anyhow::Result<()> {
    let market = Market::open().await?;
    let line = Relay::start(market.gate.url()?).await?;
    let path = format!("{AFTER}/stall");
    let (url, account) = (line.url(), BUYERS[0]);
    let buying = tokio::spawn({
        let path = path.clone();
        async move { Buyer::Fetch.buy(&Order::get(account, &url, &path)).await }
    });
    market.origin.called("/stall", 1).await?;
    drop(line);
    let purchase = buying.await??;
    assert!(
        !purchase.success && purchase.status_code.is_none(),
        "{purchase:?}"
    );
    market.origin.release();
    let lost = market.concluded(1).await?.remove(0);
    assert_eq!((&*lost.state, &*lost.payment), ("Failed", "settled"));
    assert_eq!(market.earned().await?, PRICE);

    let url = market.gate.url()?.to_owned();
    let again = Buyer::Fetch.buy(&Order::get(account, &url, &path)).await?;
    assert!(again.success, "{again:?}");
    assert_eq!(again.data, "at last");
    let records = market.concluded(2).await?;
    assert_eq!(&*records[1].state, "Completed");
    assert_eq!(records[1].covered_by, lost.refund_credit);
    assert!(lost.refund_credit.is_some());
    assert_eq!(market.earned().await?, PRICE);
    market.reconcile().await
}

/// One offer for two chains: every client pays where it wants to, and the one of version 1 where it can.
#[tokio::test]
async fn buyers_pay_on_the_network_of_their_choice() -> anyhow::Result<()> {
    const ARBITRUM_SEPOLIA: u64 = 421_614;
    let token = ChainId(ARBITRUM_SEPOLIA)
        .known()
        .and_then(|network| network.usdc)
        .context("no USDC")?;
    let arbitrum = Anvil::start(ARBITRUM_SEPOLIA, &[]).await?;
    let usdc = Usdc::deploy(&arbitrum, token.address, token.name.context("no name")?).await?;
    for buyer in BUYERS {
        usdc.mint(buyer.address, 10 * PRICE).await?;
    }
    let url = arbitrum.url();
    let setup = Setup {
        networks: format!(
            "[network.arbitrum-sepolia]\nrpc_urls = [\"{url}\"]\nblock_time_ms = 200\n\
             wallet_key_files = [\"wallet.key\"]"
        ),
        ..Setup::default()
    };
    let market = Market::open_with(&setup).await?;
    let path = format!("{AFTER}/json");
    let unpaid = market.get(&path).await?;
    let offer = unpaid.decoded("payment-required")?;
    let offered = offer["accepts"].as_array().context("no offer")?.iter();
    let offered: Vec<_> = offered.map(|terms| terms["network"].clone()).collect();
    assert_eq!(offered.len(), 2, "{offered:?}");
    // Version 1 has no name for the second, and its clients refuse names that they do not know.
    let of_v1 = unpaid.json()?["accepts"].clone();
    assert_eq!(of_v1.as_array().map(Vec::len), Some(1), "{of_v1}");
    assert_eq!(of_v1[0]["network"], "base-sepolia");

    let url = market.gate.url()?.to_owned();
    for (buyer, account) in [Buyer::Fetch, Buyer::Requests].into_iter().zip(BUYERS) {
        for network in ["eip155:84532", "eip155:421614"] {
            let before = (market.earned().await?, usdc.balance(PAYEE.address).await?);
            let order = Order {
                network: Some(network),
                ..Order::get(account, &url, &path)
            };
            let purchase = buyer.buy(&order).await?;
            assert!(purchase.success, "{buyer:?} on {network}: {purchase:?}");
            let receipt = purchase.payment_response.context("no receipt")?;
            assert_eq!(receipt["network"], network, "{buyer:?}");
            let after = (market.earned().await?, usdc.balance(PAYEE.address).await?);
            let paid = if network == "eip155:84532" {
                (before.0 + PRICE, before.1)
            } else {
                (before.0, before.1 + PRICE)
            };
            assert_eq!(after, paid, "{buyer:?} on {network}");
        }
    }
    let purchase = Buyer::FetchV1
        .buy(&Order::get(BUYERS[2], &url, &path))
        .await?;
    assert!(purchase.success, "{purchase:?}");
    assert_eq!(market.earned().await?, 3 * PRICE);
    let books = market.gate.books().await?;
    assert_eq!(books["books"].as_array().map(Vec::len), Some(2), "{books}");
    Ok(())
}
