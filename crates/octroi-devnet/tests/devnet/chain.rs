//! Blocks, time and finality.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use octroi_devnet::{BaseFee, BlockTime, IdleBlocks};
use serde_json::{Value, json};

use crate::support::*;

impl Net {
    pub(crate) fn block(&self, id: &str) -> Value {
        self.rpc("eth_getBlockByNumber", json!([id, false]))
    }

    fn number_of(&self, tag: &str) -> u64 {
        quantity(&self.block(tag)["number"])
    }

    fn pay(&self, salt: u64) -> Value {
        let call = payment(&Wallet::of(2), Wallet::of(77).address, 1, salt);
        self.transact(&Wallet::of(1), token(), call)
    }
}

#[test]
fn blocks_hang_together() {
    let net = Net::new();
    for salt in 0..3 {
        net.pass(salt);
        net.pay(salt);
    }
    let mut parent = net.block("earliest");
    assert_eq!(quantity(&parent["timestamp"]), START);
    for number in 1..=3 {
        let block = net.block(&format!("{number:#x}"));
        assert_eq!(block["parentHash"], parent["hash"]);
        assert!(quantity(&block["timestamp"]) >= quantity(&parent["timestamp"]));
        let by_hash = net.rpc("eth_getBlockByHash", json!([block["hash"], false]));
        assert_eq!(by_hash, block);
        let receipts = net.rpc("eth_getBlockReceipts", json!([format!("{number:#x}")]));
        assert_eq!(receipts[0]["transactionHash"], block["transactions"][0]);
        assert_eq!(receipts[0]["gasUsed"], block["gasUsed"]);
        parent = block;
    }
    assert_eq!(net.block("latest"), parent);
    assert!(net.block("0x4").is_null());
}

#[test]
fn networks_begin_alike_and_differ_by_chain() {
    let first = |chain| {
        let net = Net::with(|options| options.chain_id = octroi_types::ChainId(chain));
        net.block("earliest")["hash"].clone()
    };
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}

#[test]
fn the_newest_block_is_announced() {
    let net = Net::new();
    let mut head = net.node.subscribe_blocks();
    assert_eq!(*head.borrow_and_update(), 0);
    net.pay(1);
    assert!(head.has_changed().unwrap());
    assert_eq!(*head.borrow_and_update(), 1);
    net.rpc("anvil_reorg", json!([1]));
    assert!(head.has_changed().unwrap());
}

#[test]
fn an_idle_instant_network_makes_payments_final() {
    let net = Net::with(|options| {
        options.idle_blocks = IdleBlocks {
            unfinalized: Duration::from_secs(1),
            quiet: Duration::from_secs(12),
        };
    });
    net.pay(1);
    assert_eq!((net.number_of("safe"), net.number_of("finalized")), (1, 0));
    for _ in 0..2 {
        net.node.tick().unwrap();
        net.pass(1);
        net.node.tick().unwrap();
    }
    assert_eq!((net.head(), net.number_of("finalized")), (3, 1));
    // Then blocks come seldom, but they come: somebody may wait for a payment's end.
    net.pass(11);
    net.node.tick().unwrap();
    assert_eq!(net.head(), 3);
    net.pass(1);
    net.node.tick().unwrap();
    assert_eq!(net.head(), 4);
    assert_eq!(quantity(&net.block("latest")["timestamp"]), net.now());
}

#[test]
fn an_interval_network_mines_when_it_is_time() {
    let net = Net::with(|options| {
        options.block_time = BlockTime::Interval(Duration::from_millis(1500));
    });
    let raw = Wallet::of(1).transaction(0, Address::ZERO, Vec::new(), |_| {});
    let hash = net.send(&raw);
    net.pass(1);
    net.node.tick().unwrap();
    assert_eq!(net.head(), 0);
    net.pass(1);
    net.node.tick().unwrap();
    assert_eq!(net.head(), 1);
    assert_eq!(net.receipt(hash)["status"], "0x1");
    // Without transactions too.
    net.pass(2);
    net.node.tick().unwrap();
    assert_eq!(net.head(), 2);
}

#[test]
fn time_can_be_moved_but_never_back() {
    let net = Net::new();
    assert_eq!(net.rpc("evm_increaseTime", json!(["0x64"])), 100);
    net.rpc("evm_mine", json!([]));
    assert_eq!(quantity(&net.block("latest")["timestamp"]), START + 100);
    net.rpc("evm_setNextBlockTimestamp", json!([START + 500]));
    net.pass(3);
    net.rpc("evm_mine", json!([]));
    assert_eq!(quantity(&net.block("latest")["timestamp"]), START + 500);
    net.rpc("evm_mine", json!([]));
    assert_eq!(quantity(&net.block("latest")["timestamp"]), START + 503);
    let refusal = net.refusal("evm_setNextBlockTimestamp", json!([START]));
    assert!(refusal.contains("before the newest block"), "{refusal}");
    net.rpc("evm_mine", json!([START + 600]));
    assert_eq!(quantity(&net.block("latest")["timestamp"]), START + 600);
    net.rpc("anvil_mine", json!(["0x3", "0xa"]));
    assert_eq!(quantity(&net.block("latest")["timestamp"]), START + 620);
    assert_eq!(net.head(), 7);
}

#[test]
fn earlier_states_can_be_read() {
    let net = Net::new();
    for salt in 0..4 {
        net.pay(salt);
    }
    let payee = Wallet::of(77).address;
    let balance = abi("balanceOf(address)", &[payee.into_word()]);
    for number in 0..=4_u64 {
        let at = format!("{number:#x}");
        let then = net.call_at(token(), balance.clone(), &at);
        assert_eq!(U256::from_be_slice(&then), U256::from(number));
        let settler = json!([Wallet::of(1).address.to_string(), at]);
        assert_eq!(net.number("eth_getTransactionCount", settler), number);
        let time = abi("getBlockNumber()", &[]);
        let seen = net.call_at(multicall(), time, &at);
        assert_eq!(U256::from_be_slice(&seen), U256::from(number));
    }
    let finalized = net.call_at(token(), balance, "finalized");
    assert_eq!(U256::from_be_slice(&finalized), U256::from(2));
    let ahead = json!([{ "to": token().to_string() }, "0x9"]);
    assert_eq!(net.refusal("eth_call", ahead), "header not found");
}

#[test]
fn the_base_fee_follows_use_if_asked_to() {
    let net = Net::with(|options| {
        options.base_fee = BaseFee::Eip1559(1_000_000_000);
        options.block_gas_limit = 15_000_000;
    });
    let fee = || quantity(&net.block("latest")["baseFeePerGas"]);
    net.rpc("evm_mine", json!([]));
    assert_eq!(fee(), 875_000_000);
    net.rpc("anvil_setNextBlockBaseFeePerGas", json!(["0x3b9aca00"]));
    net.rpc("evm_mine", json!([]));
    assert_eq!(fee(), 1_000_000_000);
    net.pay(1);
    assert_eq!(fee(), 875_000_000);
}

#[test]
fn old_blocks_are_forgotten_and_the_state_is_not() {
    let net = Net::with(|options| options.retention.blocks = 10);
    let first = net.pay(1);
    net.rpc("anvil_mine", json!(["0x12c"]));
    assert!(
        net.receipt(first["transactionHash"].as_str().unwrap().parse().unwrap())
            .is_null()
    );
    assert!(net.block("0x1").is_null());
    assert!(!net.block("0x0").is_null());
    assert_eq!(net.tokens(Wallet::of(77).address), U256::ONE);
    // 256 blocks stay whatever the options say.
    let oldest = net.head() - 255;
    assert!(!net.block(&format!("{oldest:#x}")).is_null());
    assert!(net.block(&format!("{:#x}", oldest - 1)).is_null());
    let all = json!([{ "fromBlock": "0x0", "toBlock": "latest", "address": token().to_string() }]);
    assert_eq!(net.rpc("eth_getLogs", all), json!([]));
}
