//! The official parties among themselves: client, seller, facilitator and chain, none of them ours. What
//! the gate is compared with, and the proof that a failure elsewhere is not the harness's.

use anyhow::Context as _;
use octroi_interop::{
    BUYERS, BaseSepolia, Buyer, FACILITATOR, Http, Order, PAID_PATH, PAYEE, PRICE, Seller, Service,
    express_stack, facilitator, sign_payments,
};

#[tokio::test]
async fn v2_clients_pay_the_express_seller() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let facilitator = facilitator(&chain).await?;
    let seller = Seller::Express
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    everyone_pays(&chain, &seller, &Buyer::V2).await
}

#[tokio::test]
async fn v2_clients_pay_the_fastapi_seller() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let facilitator = facilitator(&chain).await?;
    let seller = Seller::FastApi
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    everyone_pays(&chain, &seller, &Buyer::V2).await
}

#[tokio::test]
async fn the_v1_client_pays_the_v1_seller() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let facilitator = facilitator(&chain).await?;
    let seller = Seller::ExpressV1
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    everyone_pays(&chain, &seller, &[Buyer::FetchV1]).await
}

#[tokio::test]
async fn the_stack_in_one_process_is_paid_as_well() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let stack = express_stack(&chain, PAYEE.address).await?;
    let free = Http::new().get(&format!("{}/free", stack.url())).await?;
    assert_eq!(free.status, 200);
    everyone_pays(&chain, &stack, &[Buyer::Fetch]).await
}

/// Each buyer pays once, from an account of its own, and the money is looked for on the chain.
async fn everyone_pays(
    chain: &BaseSepolia,
    seller: &Service,
    buyers: &[Buyer],
) -> anyhow::Result<()> {
    for (buyer, account) in buyers.iter().zip(BUYERS) {
        let payee_before = chain.usdc.balance(PAYEE.address).await?;
        let account_before = chain.usdc.balance(account.address).await?;
        let calls_before = handler_calls(seller).await?;

        let purchase = buyer
            .buy(&Order::get(account, seller.url(), PAID_PATH))
            .await?;
        assert!(purchase.success, "{buyer:?}: {purchase:?}");
        assert_eq!(purchase.status_code, Some(200), "{buyer:?}");
        assert_eq!(
            purchase.data["message"], "protected endpoint accessed",
            "{buyer:?}"
        );

        let receipt = purchase.payment_response.context("no receipt")?;
        assert_eq!(receipt["success"], true, "{buyer:?}");
        let hash = receipt["transaction"].as_str().context("no transaction")?;
        let mined = chain
            .receipt(hash.parse()?)
            .await?
            .context("no such transaction")?;
        assert!(mined.succeeded, "{buyer:?}");
        assert_eq!(
            chain.usdc.balance(PAYEE.address).await?,
            payee_before + PRICE,
            "{buyer:?}"
        );
        assert_eq!(
            chain.usdc.balance(account.address).await?,
            account_before - PRICE,
            "{buyer:?}"
        );
        assert_eq!(handler_calls(seller).await?, calls_before + 1, "{buyer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_request_without_payment_is_told_the_terms() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let facilitator = facilitator(&chain).await?;
    let seller = Seller::Express
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    let reply = Http::new()
        .get(&format!("{}{PAID_PATH}", seller.url()))
        .await?;
    assert_eq!(reply.status, 402);
    assert!(reply.header("payment-required").is_some());
    assert_eq!(handler_calls(&seller).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_buyer_without_money_is_refused_without_an_error_of_its_own() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let facilitator = facilitator(&chain).await?;
    let seller = Seller::Express
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    assert_eq!(chain.usdc.balance(FACILITATOR.address).await?, 0);
    for buyer in Buyer::V2 {
        let order = Order::get(FACILITATOR, seller.url(), PAID_PATH);
        let purchase = buyer.buy(&order).await?;
        assert!(!purchase.success, "{buyer:?}");
        assert_eq!(purchase.status_code, Some(402), "{buyer:?}: {purchase:?}");
    }
    assert_eq!(handler_calls(&seller).await?, 0);
    assert_eq!(chain.usdc.balance(PAYEE.address).await?, 0);
    Ok(())
}

/// The race that the official middleware loses: one payment sent several times at once is settled once,
/// but the work is done before that is known. The harness has to be able to show it.
#[tokio::test]
async fn one_payment_sent_at_once_several_times_is_settled_once() -> anyhow::Result<()> {
    const COPIES: usize = 10;
    let chain = BaseSepolia::start().await?;
    let facilitator = facilitator(&chain).await?;
    let seller = Seller::Express
        .start(facilitator.url(), None, PAYEE.address)
        .await?;
    let order = Order::get(BUYERS[0], seller.url(), PAID_PATH);
    let payment = sign_payments(&order, 1).await?.remove(0);
    let url = format!("{}{PAID_PATH}", seller.url());
    let http = Http::new();
    let copies = (0..COPIES).map(|_| http.get_with(&url, "payment-signature", &payment));
    let replies = futures_util::future::try_join_all(copies).await?;

    let paid = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(paid, 1);
    assert_eq!(chain.usdc.balance(PAYEE.address).await?, PRICE);
    let calls = handler_calls(&seller).await?;
    assert!((1..=COPIES as u64).contains(&calls), "{calls}");
    Ok(())
}

async fn handler_calls(seller: &Service) -> anyhow::Result<u64> {
    let reply = Http::new().get(&format!("{}/calls", seller.url())).await?;
    reply.json()?["calls"].as_u64().context("no count")
}
