//! Opening a chain: what is configured must be what the chain says.

use std::sync::Arc;

use octroi_chain::{AcceptedToken, Settler, StartError};
use octroi_devnet::{MULTICALL_ADDRESS, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION};
use octroi_types::{Address, ChainId};
use octroi_x402::Token;
use serde_json::json;

use crate::bench::{Bench, CHAIN, PAYEE, PRICE, settled, wallet};
use crate::node::{Fault, eventually};

async fn refusal(bench: &Bench) -> String {
    match bench.try_start().await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

fn accept(bench: &mut Bench, token: Token, decimals: u8) {
    bench.options.tokens = vec![AcceptedToken {
        token: Arc::new(token),
        decimals,
    }];
}

#[tokio::test]
async fn every_difference_is_named_with_both_sides() {
    let mut bench = Bench::new();
    accept(
        &mut bench,
        Token::new(CHAIN, TOKEN_ADDRESS, "USD Coin", TOKEN_VERSION),
        6,
    );
    assert_eq!(
        refusal(&bench).await,
        format!(
            "devnet: the EIP-712 name of {TOKEN_ADDRESS} is configured as USD Coin, but the \
             contract says TestUSD"
        )
    );
    accept(
        &mut bench,
        Token::new(CHAIN, TOKEN_ADDRESS, TOKEN_NAME, "2"),
        6,
    );
    assert!(
        refusal(&bench)
            .await
            .ends_with("is configured as 2, but the contract says 1")
    );
    accept(
        &mut bench,
        Token::new(CHAIN, TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION),
        18,
    );
    assert!(
        refusal(&bench)
            .await
            .ends_with("is configured as 18, but the contract says 6")
    );
    let nowhere = Address([9; 20]);
    accept(
        &mut bench,
        Token::new(CHAIN, nowhere, TOKEN_NAME, TOKEN_VERSION),
        6,
    );
    let expected = format!("devnet: there is no contract at the token's address {nowhere}");
    assert_eq!(refusal(&bench).await, expected);
    // Something else than a token.
    accept(
        &mut bench,
        Token::new(CHAIN, MULTICALL_ADDRESS, TOKEN_NAME, TOKEN_VERSION),
        6,
    );
    assert!(
        refusal(&bench)
            .await
            .ends_with("is configured as 6, but the contract says nothing")
    );
}

#[tokio::test]
async fn a_separator_of_another_domain_is_refused_although_the_names_agree() {
    let bench = Bench::new();
    let separator = octroi_types::keccak256(b"DOMAIN_SEPARATOR()");
    let selector = format!("0x{}", hex::encode(&separator.0[..4]));
    let _lie = bench.node.rule(move |method, params| {
        let asked = method == "eth_call" && params[0]["data"] == selector.as_str();
        asked.then(|| Fault::Say(json!(octroi_types::B256([7; 32]))))
    });
    let error = refusal(&bench).await;
    assert!(error.contains("the DOMAIN_SEPARATOR of"), "{error}");
    assert!(
        error.contains(&bench.token.domain_separator().to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused() {
    let bench = Bench::new();
    let _lie = bench
        .node
        .always("eth_chainId", || Fault::Say(json!("0x1")));
    let Err(error) = bench.try_start().await else {
        panic!("it started")
    };
    let expected = StartError::OtherChain {
        name: "devnet".to_owned(),
        configured: CHAIN,
        told: ChainId(1),
    };
    assert_eq!(error, expected);
}

#[tokio::test]
async fn nonsense_is_refused_without_a_node() {
    let mut bench = Bench::new();
    let _outage = bench.node.down();
    bench.options.settler = Settler::Wallets(Vec::new());
    assert!(matches!(
        bench.try_start().await,
        Err(StartError::NoSettler { .. })
    ));
    bench.options.settler = Settler::Wallets(vec![wallet(1), wallet(2), wallet(1)]);
    assert!(matches!(
        bench.try_start().await,
        Err(StartError::WalletTwice { .. })
    ));
    bench.options.settler = Settler::Wallets(vec![wallet(1)]);
    accept(
        &mut bench,
        Token::new(ChainId(1), TOKEN_ADDRESS, TOKEN_NAME, TOKEN_VERSION),
        6,
    );
    assert!(matches!(
        bench.try_start().await,
        Err(StartError::TokenOfOtherChain { .. })
    ));
}

#[tokio::test]
async fn a_node_that_is_down_at_the_start_is_waited_for() {
    let bench = Bench::new();
    let outage = bench.node.down();
    let running = bench.start().await;
    assert!(!running.chain.is_ready());
    assert_eq!(running.chain.status().head, None);
    drop(outage);
    eventually("the chain is ready", || async {
        running.chain.is_ready().then_some(())
    })
    .await;
    assert_eq!(running.chain.signers(), [wallet(0).address()]);
    settled(running.chain.settle(bench.job(0).await).await);
    running.kill().await;
}

#[tokio::test]
async fn a_node_that_comes_late_and_differs_is_never_used() {
    let bench = Bench::new();
    let outage = bench.node.down();
    let running = bench.start().await;
    let _lie = bench
        .node
        .always("eth_chainId", || Fault::Say(json!("0x1")));
    drop(outage);
    eventually("it was compared", || async {
        (bench.node.count("eth_chainId") > 1).then_some(())
    })
    .await;
    eventually("the head is known", || async {
        running.chain.status().head
    })
    .await;
    assert!(!running.chain.is_ready());
    running.kill().await;
}

#[tokio::test]
async fn without_multicall_payments_travel_one_by_one() {
    let mut bench = Bench::new();
    bench.options.multicall = Address([0x11; 20]);
    let running = bench.start().await;
    let jobs = [bench.job(0).await, bench.job(1).await, bench.job(2).await];
    let settling = jobs.map(|job| running.chain.settle(job));
    for outcome in futures_util::future::join_all(settling).await {
        settled(outcome);
    }
    assert_eq!(bench.tokens(PAYEE), 3 * PRICE);
    assert_eq!(bench.nonce(wallet(0).address()), 3);
    running.kill().await;
}
