//! More than one asset on a network, and a network that only its operator knows.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use octroi_testkit::{
    Answer, Buyer, CHAIN, Net, Node, PAYEE, Payment, Request, Setup, TOKEN, TestGate,
};
use octroi_types::{Address, ChainId};
use octroi_x402::Version;
use octroi_x402::client::Required;
use serde_json::Value;

use crate::{ITEM, PRICE, SERVED};

/// Far from every chain that has a name.
const HOME: ChainId = ChainId(777_001);

/// The ways to pay that a 402 offers: network, asset, name and version of the domain.
fn offered(challenge: &Answer) -> Vec<[String; 4]> {
    let header = STANDARD
        .decode(challenge.header("payment-required").unwrap())
        .unwrap();
    let terms: Value = serde_json::from_slice(&header).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let accepts = terms["accepts"].as_array().unwrap().iter();
    let mut offered: Vec<_> = accepts
        .map(|accepted| {
            let extra = &accepted["extra"];
            assert_eq!(accepted["amount"], PRICE.to_string());
            [
                &accepted["network"],
                &accepted["asset"],
                &extra["name"],
                &extra["version"],
            ]
            .map(text)
        })
        .collect();
    offered.sort();
    offered
}

/// The message of a payment.
fn message(payment: &Payment) -> Value {
    serde_json::from_slice(&STANDARD.decode(&payment.header_value).unwrap()).unwrap()
}

/// What one payment signed, under the terms that another one accepted.
fn mixed(signed: &Payment, accepted: &Payment) -> Payment {
    let mut mixed = message(signed);
    mixed["accepted"] = message(accepted)["accepted"].clone();
    Payment {
        header_value: STANDARD.encode(mixed.to_string()),
        ..signed.clone()
    }
}

async fn refusal(gate: &TestGate, payment: &Payment) -> String {
    let answer = gate.send(&payment.on(Request::get(ITEM))).await;
    answer.required(Version::V2).error().unwrap().to_owned()
}

/// Signs with each of two assets, and mixes them up: only what fits is taken.
async fn either_pays_and_no_mixture(
    gate: &TestGate,
    buyer: &Buyer,
    assets: [(ChainId, Address); 2],
) {
    let terms = gate.send(&Request::get(ITEM)).await.required(Version::V2);
    let payments = assets.map(|(chain, asset)| buyer.sign_with(chain, asset, &terms));
    let [first, second] = &payments;
    for mixture in [mixed(first, second), mixed(second, first)] {
        assert_eq!(refusal(gate, &mixture).await, "invalid_exact_evm_signature");
    }
    assert_eq!(gate.origin.calls(), 0);
    for (chain, asset) in assets {
        is_sold(gate, buyer, Version::V2, chain, asset).await;
    }
}

async fn is_sold(gate: &TestGate, buyer: &Buyer, version: Version, chain: ChainId, asset: Address) {
    let terms = gate.send(&Request::get(ITEM)).await.required(version);
    let payment = buyer.sign_with(chain, asset, &terms);
    let answer = gate.send(&payment.on(Request::get(ITEM))).await;
    assert_eq!((answer.status, answer.text()), (200, "content"));
    assert!(answer.receipt(version).unwrap().success);
}

#[tokio::test]
async fn each_asset_of_a_network_pays_under_its_own_domain() {
    let net = Net::new();
    let buyer = net.buyer();
    let other = net.add_token("Other Dollar", "7", &[buyer.address]);
    // The domain of the second is read from its contract.
    let assets = format!(
        r#"
[[network.base-sepolia.asset]]
address = "{TOKEN}"
name = "USDC"
version = "2"

[[network.base-sepolia.asset]]
address = "{other}"
symbol = "OTHER"
"#
    );
    let gate = Setup::on(net).await.sections(&assets).start().await;
    let network = CHAIN.to_string();
    let mut expected =
        [(TOKEN, "USDC", "2"), (other, "Other Dollar", "7")].map(|(asset, name, version)| {
            [
                network.clone(),
                asset.to_string(),
                name.to_owned(),
                version.to_owned(),
            ]
        });
    expected.sort();
    assert_eq!(offered(&gate.send(&Request::get(ITEM)).await), expected);

    either_pays_and_no_mixture(&gate, &buyer, [(CHAIN, TOKEN), (CHAIN, other)]).await;
    // A payment of version 1 does not say in which asset: what was signed tells.
    for asset in [TOKEN, other] {
        is_sold(&gate, &buyer, Version::V1, CHAIN, asset).await;
        assert_eq!(gate.net.tokens_of(asset, PAYEE), 2 * PRICE);
    }
    assert_eq!(gate.finish().await.states(), [SERVED; 4]);
}

#[tokio::test]
async fn a_token_that_is_not_what_the_file_says_keeps_the_gate_from_starting() {
    for (key, value) in [
        ("name", "\"US Dollar\""),
        ("version", "\"1\""),
        ("decimals", "18"),
    ] {
        let asset =
            format!("[[network.base-sepolia.asset]]\naddress = \"{TOKEN}\"\n{key} = {value}\n");
        let refused = Setup::new().await.sections(&asset).try_start().await;
        let error = refused.err().unwrap();
        assert!(
            error.contains("base-sepolia") && error.contains(key),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_network_of_the_operators_own_is_paid_on_beside_a_known_one() {
    let (net, home) = (Net::new(), Arc::new(Net::of(HOME)));
    // The same account, with money on both chains, and the same address of the token.
    let (buyer, there) = (net.buyer(), home.buyer());
    assert_eq!(buyer.address, there.address);
    let section = format!(
        r#"
[network.home]
chain_id = {HOME}
mode = "test"
rpc_urls = ["http://127.0.0.1:9"]
block_time_ms = 50
wallet_key_files = ["wallet-0.key"]

[[network.home.asset]]
address = "{TOKEN}"
"#,
        HOME = HOME.0
    );
    let node = Node::new(home.devnet());
    let setup = Setup::on(net)
        .await
        .sections(&section)
        .options(move |options| {
            options.local_nodes.insert(HOME, Arc::clone(&node) as _);
        });
    let gate = setup.start().await;
    let of = |chain: ChainId| {
        [
            chain.to_string(),
            TOKEN.to_string(),
            "USDC".to_owned(),
            "2".to_owned(),
        ]
    };
    let mut expected = [of(CHAIN), of(HOME)];
    expected.sort();
    assert_eq!(offered(&gate.send(&Request::get(ITEM)).await), expected);

    either_pays_and_no_mixture(&gate, &buyer, [(CHAIN, TOKEN), (HOME, TOKEN)]).await;
    // Version 1 has names for known networks only, and offers those.
    let terms = gate.send(&Request::get(ITEM)).await.required(Version::V1);
    let Required::V1(required) = &terms else {
        panic!("not what was asked for")
    };
    assert_eq!(required.accepts.len(), 1);
    is_sold(&gate, &buyer, Version::V1, CHAIN, TOKEN).await;
    assert_eq!((gate.paid_units(), home.tokens(PAYEE)), (2 * PRICE, PRICE));
    // A part of it is on the other chain.
    let books = gate.finish_with_open(0).await;
    assert_eq!(
        (books.states(), books.settled_units()),
        (vec![SERVED; 3], 3 * PRICE)
    );
}
