//! The chain is what it claims to be.

use octroi_interop::{
    Arg, BUYERS, BaseSepolia, MULTICALL3, OWNER, PAYEE, PERMIT2, calldata, eventually,
};
use octroi_types::{Address, ChainId, keccak256};
use serde_json::json;

#[tokio::test]
async fn the_token_is_the_public_one() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let usdc = &chain.usdc;
    assert_eq!(usdc.name().await?, "USDC");
    assert_eq!(usdc.version().await?, "2");
    // What the public token on Base Sepolia answers.
    assert_eq!(
        usdc.domain_separator().await?.to_string(),
        "0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818"
    );
    assert_eq!(usdc.balance(BUYERS[0].address).await?, 1_000_000_000_000);
    assert_eq!(
        chain.wei(BUYERS[0].address).await?,
        10_000 * 10_u128.pow(18)
    );
    let network = ChainId(BaseSepolia::CHAIN_ID).known().unwrap();
    assert_eq!(
        network.usdc.map(|token| token.address),
        Some(usdc.address())
    );
    Ok(())
}

#[tokio::test]
async fn the_usual_contracts_are_there() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    // The hash of Multicall3's code is the same on every chain that has it.
    let multicall: Address = MULTICALL3.parse()?;
    assert_eq!(
        keccak256(&chain.code(multicall).await?).to_string(),
        "0xd5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891"
    );
    let own_view = calldata("getChainId()", &[]);
    assert_eq!(chain.call_uint(multicall, &own_view).await?, 84_532);
    assert_eq!(chain.code(PERMIT2.parse()?).await?.len(), 9_152);
    Ok(())
}

#[tokio::test]
async fn blocks_come_when_told() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let transfer = calldata(
        "transfer(address,uint256)",
        &[Arg::Address(PAYEE.address), Arg::Uint(5)],
    );
    let transaction = json!([{
        "from": BUYERS[0].address,
        "to": chain.usdc.address(),
        "data": format!("0x{}", hex::encode(&transfer)),
    }]);

    chain.set_automine(false).await?;
    let hash = chain
        .request("eth_sendTransaction", transaction.clone())
        .await?;
    let hash = hash.as_str().unwrap().parse()?;
    assert_eq!(chain.pending().await?, [hash]);
    assert!(chain.receipt(hash).await?.is_none());
    chain.mine(1).await?;
    assert!(chain.wait_for_receipt(hash).await?.succeeded);
    assert_eq!(chain.usdc.balance(PAYEE.address).await?, 5);

    chain.reorganise(1).await?;
    assert_eq!(chain.usdc.balance(PAYEE.address).await?, 0);

    let hash = chain.request("eth_sendTransaction", transaction).await?;
    let hash = hash.as_str().unwrap().parse()?;
    eventually("the transaction to wait", async || {
        Ok(chain.pending().await?.contains(&hash).then_some(()))
    })
    .await?;
    chain.drop_transaction(hash).await?;
    chain.mine(1).await?;
    assert!(chain.receipt(hash).await?.is_none());
    Ok(())
}

#[tokio::test]
async fn a_snapshot_brings_the_past_back() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    let snapshot = chain.snapshot().await?;
    chain.usdc.mint(PAYEE.address, 7).await?;
    assert_eq!(chain.usdc.balance(PAYEE.address).await?, 7);
    chain.revert(snapshot).await?;
    assert_eq!(chain.usdc.balance(PAYEE.address).await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_blacklisted_holder_cannot_pay() -> anyhow::Result<()> {
    let chain = BaseSepolia::start().await?;
    chain.usdc.blacklist(BUYERS[0].address).await?;
    let transfer = calldata(
        "transfer(address,uint256)",
        &[Arg::Address(OWNER.address), Arg::Uint(1)],
    );
    let refused = chain
        .transact(BUYERS[0].address, Some(chain.usdc.address()), &transfer)
        .await
        .unwrap_err();
    assert!(
        format!("{refused:#}").contains("blacklisted"),
        "{refused:#}"
    );
    Ok(())
}
