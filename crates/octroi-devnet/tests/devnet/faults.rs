//! Faults that a test can cause.

use alloy_primitives::{Address, B256, U256};
use octroi_devnet::BlockTime;
use serde_json::{Value, json};

use crate::support::*;

fn hash_of(receipt: &Value) -> B256 {
    receipt["transactionHash"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_reorganisation_loses_what_was_in_the_blocks() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let kept = Authorization::new(payer.address, payee.address, 10, 1);
    let lost = Authorization::new(payer.address, payee.address, 20, 2);
    let call =
        |authorization: &Authorization| authorization.vrs_call(&payer.sign(authorization.digest()));
    let first = net.transact(&settler, token(), call(&kept));
    let second = net.transact(&settler, token(), call(&lost));
    let fork = net.block("0x2")["hash"].clone();

    net.rpc("anvil_reorg", json!([1]));
    assert_eq!(net.head(), 2);
    assert_ne!(net.block("0x2")["hash"], fork);
    assert!(
        net.rpc("eth_getBlockByHash", json!([fork, false]))
            .is_null()
    );
    assert!(!net.receipt(hash_of(&first)).is_null());
    assert!(net.receipt(hash_of(&second)).is_null());
    assert!(net.is_used(payer.address, kept.nonce));
    assert!(!net.is_used(payer.address, lost.nonce));
    assert_eq!(net.tokens(payee.address), U256::from(10));
    assert_eq!(net.nonce(settler.address), 1);
    let used = json!([{ "fromBlock": "0x0", "topics": [null, null, lost.nonce.to_string()] }]);
    assert_eq!(net.rpc("eth_getLogs", used), json!([]));

    // The same transaction can be sent again.
    let again = net.transact(&settler, token(), call(&lost));
    assert_eq!(hash_of(&again), hash_of(&second));
    assert_ne!(again["blockHash"], second["blockHash"]);
}

#[test]
fn a_reorganisation_may_keep_the_transactions_waiting() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let hashes: Vec<_> = (0..3)
        .map(|salt| {
            hash_of(&net.transact(&settler, token(), payment(&payer, payee.address, 1, salt)))
        })
        .collect();
    net.rpc("anvil_reorg", json!([2, true]));
    assert_eq!(net.tokens(payee.address), U256::ONE);
    for hash in &hashes[1..] {
        assert!(net.receipt(*hash).is_null());
        assert!(
            !net.rpc("eth_getTransactionByHash", json!([hash.to_string()]))
                .is_null()
        );
    }
    net.rpc("evm_mine", json!([]));
    assert_eq!(net.tokens(payee.address), U256::from(3));
    assert_eq!(net.receipt(hashes[2])["blockNumber"], "0x4");
}

#[test]
fn a_reorganisation_cannot_go_behind_the_start() {
    let net = Net::new();
    net.rpc("evm_mine", json!([]));
    let refusal = net.refusal("anvil_reorg", json!([2]));
    assert!(refusal.contains("does not go 2 blocks back"), "{refusal}");
    net.rpc("anvil_reorg", json!([1]));
    assert_eq!(net.head(), 1);
}

#[test]
fn a_dropped_transaction_is_gone_and_can_be_sent_again() {
    let net = Net::with(|options| options.block_time = BlockTime::Manual);
    let wallet = Wallet::of(2);
    let raw = wallet.transaction(0, Address::ZERO, Vec::new(), |_| {});
    let hash = net.send(&raw);
    let dropped = net.rpc("anvil_dropTransaction", json!([hash.to_string()]));
    assert_eq!(dropped, hash.to_string());
    assert!(
        net.rpc("anvil_dropTransaction", json!([hash.to_string()]))
            .is_null()
    );
    net.rpc("evm_mine", json!([]));
    assert!(
        net.rpc("eth_getTransactionByHash", json!([hash.to_string()]))
            .is_null()
    );
    net.send(&raw);
    net.rpc("evm_mine", json!([]));
    assert_eq!(net.receipt(hash)["status"], "0x1");
}

#[test]
fn mining_can_be_switched_off_and_on() {
    let net = Net::new();
    let wallet = Wallet::of(2);
    net.rpc("evm_setAutomine", json!([false]));
    let first = wallet.transaction(0, Address::ZERO, Vec::new(), |_| {});
    let error = net
        .node
        .handle("eth_sendRawTransactionSync", &json!([first.to_string()]))
        .unwrap_err();
    // EIP-7966: not in a block in time, with the hash to ask for later.
    assert_eq!(error.code, 4);
    let hash: B256 = error.data.unwrap().as_str().unwrap().parse().unwrap();
    net.pass(1000);
    net.node.tick().unwrap();
    assert_eq!(net.head(), 0);
    net.rpc("evm_setAutomine", json!([true]));
    net.send(&wallet.transaction(1, Address::ZERO, Vec::new(), |_| {}));
    assert_eq!(net.receipt(hash)["blockNumber"], "0x1");
    net.rpc("evm_setIntervalMining", json!([5]));
    let waiting = net.send(&wallet.transaction(2, Address::ZERO, Vec::new(), |_| {}));
    assert!(net.receipt(waiting).is_null());
    net.pass(5);
    net.node.tick().unwrap();
    assert!(!net.receipt(waiting).is_null());
}

#[test]
fn a_named_point_can_be_gone_back_to_once() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let pay = |salt| net.transact(&settler, token(), payment(&payer, payee.address, 1, salt));
    pay(1);
    let first = net.rpc("evm_snapshot", json!([]));
    net.rpc(
        "anvil_setBalance",
        json!([payee.address.to_string(), "0x7"]),
    );
    pay(2);
    let second = net.rpc("evm_snapshot", json!([]));
    pay(3);
    assert_eq!(net.rpc("evm_revert", json!([first])), true);
    assert_eq!(net.head(), 1);
    assert_eq!(net.tokens(payee.address), U256::ONE);
    let balance = json!([payee.address.to_string(), "latest"]);
    assert_eq!(net.rpc("eth_getBalance", balance), "0x0");
    assert_eq!(net.rpc("evm_revert", json!([second])), false);
    assert_eq!(net.rpc("evm_revert", json!([first])), false);
}

#[test]
fn going_back_keeps_what_was_set_before_the_name_was_given() {
    let net = Net::new();
    let set = |wei: &str| {
        net.rpc("anvil_setBalance", json!([Address::ZERO.to_string(), wei]));
    };
    let wei = || {
        net.rpc(
            "eth_getBalance",
            json!([Address::ZERO.to_string(), "latest"]),
        )
    };
    // Before the first block too.
    for _ in 0..2 {
        set("0x1");
        let mark = net.rpc("evm_snapshot", json!([]));
        set("0x2");
        assert_eq!(net.rpc("evm_revert", json!([mark])), true);
        assert_eq!(wei(), "0x1");
        net.rpc("evm_mine", json!([]));
    }
}

#[test]
fn the_state_can_be_set() {
    let net = Net::new();
    let somebody = Address::repeat_byte(0x42).to_string();
    net.rpc("anvil_setBalance", json!([somebody, "0x10"]));
    net.rpc("anvil_setNonce", json!([somebody, "0x5"]));
    net.rpc("anvil_setCode", json!([somebody, "0x6001600055"]));
    net.rpc(
        "anvil_setStorageAt",
        json!([somebody, "0x3", format!("{:#066x}", 8)]),
    );
    assert_eq!(
        net.rpc("eth_getBalance", json!([somebody, "latest"])),
        "0x10"
    );
    assert_eq!(
        net.number("eth_getTransactionCount", json!([somebody, "latest"])),
        5
    );
    assert_eq!(
        net.rpc("eth_getCode", json!([somebody, "latest"])),
        "0x6001600055"
    );
    let slot = |slot: &str| {
        let word = net.rpc("eth_getStorageAt", json!([somebody, slot, "latest"]));
        U256::from_be_slice(&bytes(&word))
    };
    assert_eq!(slot("0x3"), U256::from(8));
    net.transact(&Wallet::of(1), Address::repeat_byte(0x42), Vec::new());
    assert_eq!(slot("0x0"), U256::ONE);
    net.rpc("anvil_setCode", json!([somebody, "0x"]));
    assert_eq!(net.rpc("eth_getCode", json!([somebody, "latest"])), "0x");
}
