//! Smart wallets and tokens that misbehave.

use alloy_primitives::{Address, B256, U256};
use octroi_devnet::{Contract, DevNetError, TokenOptions};
use octroi_types::Amount;
use serde_json::json;

use crate::support::*;

const FACTORY: octroi_types::Address = octroi_types::Address([0xfa; 20]);
const HOSTILE: octroi_types::Address = octroi_types::Address([0xee; 20]);

fn hostile(contract: Contract, payer: &Wallet) -> Net {
    let net = Net::new();
    let domain = TokenOptions {
        address: HOSTILE,
        name: "TestUSD".to_owned(),
        version: "1".to_owned(),
        owner: octroi_types::Address([0x99; 20]),
    };
    let holder = octroi_types::Address(payer.address.into_array());
    let holders = [(holder, Amount::new(1_000_000).unwrap())];
    net.node.deploy_token(contract, &domain, &holders).unwrap();
    net
}

fn hostile_payment(payer: &Wallet, to: Address, value: u64, salt: u64) -> Vec<u8> {
    let authorization = Authorization::new(payer.address, to, value, salt);
    let digest = authorization.digest_for(evm(HOSTILE), "TransferWithAuthorization");
    authorization.vrs_call(&payer.sign(digest))
}

#[test]
fn a_smart_wallet_pays_with_the_bytes_form() {
    let net = Net::new();
    let (settler, owner, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    net.node
        .deploy(Contract::SmartWalletFactory, FACTORY)
        .unwrap();
    let arguments = [owner.address.into_word(), B256::ZERO];
    let wallet = net.call(evm(FACTORY), abi("walletOf(address,bytes32)", &arguments));
    let wallet = Address::from_slice(&wallet[12..]);
    let funded = octroi_types::Address(wallet.into_array());
    net.node.fund(funded, Amount::new(500).unwrap(), 0).unwrap();

    let authorization = Authorization::new(wallet, payee.address, 500, 1);
    let signature = owner.sign(authorization.digest()).as_bytes();
    let call = authorization.bytes_call(&signature);
    // Before it exists, its address is an account without code, and nobody has its key.
    let reason = net.revert(token(), call.clone());
    assert!(reason.ends_with("invalid signature"), "{reason}");
    // ERC-6492: deployment and payment can be tried in one call.
    let deploy = abi("deploy(address,bytes32)", &arguments);
    let both = aggregate(&[(evm(FACTORY), deploy.clone()), (token(), call.clone())]);
    assert_eq!(successes(&net.call(multicall(), both)), [true, true]);

    assert_eq!(
        net.transact(&settler, evm(FACTORY), deploy)["status"],
        "0x1"
    );
    let code = net.rpc("eth_getCode", json!([wallet.to_string(), "latest"]));
    assert!(bytes(&code).len() > 100);
    let stranger = settler.sign(authorization.digest()).as_bytes();
    let reason = net.revert(token(), authorization.bytes_call(&stranger));
    assert!(reason.ends_with("invalid signature"), "{reason}");
    assert_eq!(net.transact(&settler, token(), call)["status"], "0x1");
    assert_eq!(net.tokens(payee.address), U256::from(500));
}

#[test]
fn silent_reuse_succeeds_without_moving_money() {
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let net = hostile(Contract::SilentReuseToken, &payer);
    let call = hostile_payment(&payer, payee.address, 100, 1);
    assert_eq!(
        net.transact(&settler, evm(HOSTILE), call.clone())["status"],
        "0x1"
    );
    let again = net.transact(&settler, evm(HOSTILE), call);
    assert_eq!(again["status"], "0x1");
    let logs = again["logs"].as_array().unwrap();
    assert_eq!(logs.len(), 1);
    assert_ne!(
        logs[0]["topics"][0],
        topic("Transfer(address,address,uint256)")
    );
    assert_eq!(net.tokens_of(evm(HOSTILE), payee.address), U256::from(100));
}

#[test]
fn a_fee_on_transfer_leaves_the_payee_with_less() {
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let net = hostile(Contract::FeeOnTransferToken, &payer);
    let call = hostile_payment(&payer, payee.address, 1000, 1);
    assert_eq!(net.transact(&settler, evm(HOSTILE), call)["status"], "0x1");
    assert_eq!(net.tokens_of(evm(HOSTILE), payee.address), U256::from(990));
}

#[test]
fn a_gas_burner_takes_all_it_is_given() {
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let net = hostile(Contract::GasBurnerToken, &payer);
    let call = hostile_payment(&payer, payee.address, 1000, 1);
    let raw = settler.transaction(0, evm(HOSTILE), call, |transaction| {
        transaction.gas_limit = 300_000;
    });
    let receipt = net.rpc("eth_sendRawTransactionSync", json!([raw.to_string()]));
    assert_eq!(receipt["status"], "0x0");
    assert_eq!(quantity(&receipt["gasUsed"]), 300_000);
}

#[test]
fn a_contract_without_a_domain_is_no_token() {
    let net = Net::new();
    let options = TokenOptions {
        address: HOSTILE,
        name: "x".to_owned(),
        version: "1".to_owned(),
        owner: HOSTILE,
    };
    assert!(matches!(
        net.node.deploy_token(Contract::Multicall, &options, &[]),
        Err(DevNetError::NotAToken)
    ));
    let long = TokenOptions {
        name: "x".repeat(32),
        ..options
    };
    assert!(matches!(
        net.node.deploy_token(Contract::TestUsd, &long, &[]),
        Err(DevNetError::TokenTextTooLong)
    ));
}
