//! The rules that a node applies before and while a transaction waits.

use alloy_consensus::{TxEip1559, TxEip2930, TxLegacy};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use octroi_devnet::{BaseFee, BlockTime};
use serde_json::json;

use crate::support::*;

fn manual() -> Net {
    Net::with(|options| options.block_time = BlockTime::Manual)
}

fn plain(wallet: &Wallet, nonce: u64, change: impl FnOnce(&mut TxEip1559)) -> Bytes {
    wallet.transaction(nonce, Address::repeat_byte(9), Vec::new(), change)
}

impl Net {
    fn refused(&self, raw: &Bytes) -> String {
        self.refusal("eth_sendRawTransaction", json!([raw.to_string()]))
    }

    fn is_mined(&self, hash: alloy_primitives::B256) -> bool {
        !self.receipt(hash).is_null()
    }

    fn pending_nonce(&self, wallet: &Wallet) -> u64 {
        let params = json!([wallet.address.to_string(), "pending"]);
        self.number("eth_getTransactionCount", params)
    }
}

#[test]
fn nonces_are_used_once_and_in_order() {
    let net = Net::new();
    let wallet = Wallet::of(2);
    let first = plain(&wallet, 0, |_| {});
    net.send(&first);
    assert!(
        net.refused(&first)
            .starts_with("nonce too low: next nonce 1, tx nonce 0")
    );

    // Behind a gap a transaction waits, and runs with the one that fills the gap.
    let third = net.send(&plain(&wallet, 2, |_| {}));
    assert!(!net.is_mined(third));
    assert_eq!(net.pending_nonce(&wallet), 1);
    net.rpc("evm_mine", json!([]));
    assert!(!net.is_mined(third));
    let second = net.send(&plain(&wallet, 1, |_| {}));
    assert!(net.is_mined(second) && net.is_mined(third));
    let place = |hash| quantity(&net.receipt(hash)["transactionIndex"]);
    assert_eq!((place(second), place(third)), (0, 1));
    assert_eq!(net.nonce(wallet.address), 3);
}

#[test]
fn a_waiting_transaction_is_known_and_counted() {
    let net = manual();
    let wallet = Wallet::of(2);
    let raw = plain(&wallet, 0, |_| {});
    let hash = net.send(&raw);
    assert_eq!(net.refused(&raw), "already known");
    assert_eq!(
        (net.nonce(wallet.address), net.pending_nonce(&wallet)),
        (0, 1)
    );
    let found = net.rpc("eth_getTransactionByHash", json!([hash.to_string()]));
    assert!(found["blockHash"].is_null());
    assert_eq!(found["from"], wallet.address.to_string().to_lowercase());
    net.rpc("evm_mine", json!([]));
    assert!(net.is_mined(hash));
}

#[test]
fn a_replacement_must_raise_both_fees_by_a_tenth() {
    let net = manual();
    let wallet = Wallet::of(2);
    let fees = |cap: u128, tip: u128| {
        plain(&wallet, 0, |transaction| {
            transaction.max_fee_per_gas = cap;
            transaction.max_priority_fee_per_gas = tip;
        })
    };
    let old = net.send(&fees(100 * GWEI, 10 * GWEI));
    for (cap, tip) in [
        (110 * GWEI - 1, 11 * GWEI),
        (110 * GWEI, 11 * GWEI - 1),
        (100 * GWEI, 20 * GWEI),
    ] {
        assert_eq!(
            net.refused(&fees(cap, tip)),
            "replacement transaction underpriced"
        );
    }
    let new = net.send(&fees(110 * GWEI, 11 * GWEI));
    net.rpc("evm_mine", json!([]));
    assert!(net.is_mined(new) && !net.is_mined(old));
}

#[test]
fn nobody_sends_more_than_they_have() {
    let net = manual();
    let wallet = Wallet::of(40);
    let wei = U256::from(21_000) * U256::from(100 * GWEI);
    let set = |wei: U256| {
        net.rpc(
            "anvil_setBalance",
            json!([wallet.address.to_string(), format!("{wei:#x}")]),
        );
    };
    let cheap = |nonce| plain(&wallet, nonce, |transaction| transaction.gas_limit = 21_000);
    set(wei - U256::ONE);
    assert!(
        net.refused(&cheap(0))
            .starts_with("insufficient funds for gas * price + value")
    );
    set(wei);
    net.send(&cheap(0));
    // What waits already is counted too.
    assert!(
        net.refused(&cheap(1))
            .starts_with("insufficient funds for gas * price + value")
    );
}

#[test]
fn money_spent_in_between_removes_a_transaction_that_waits() {
    let net = manual();
    let (wallet, other) = (Wallet::of(40), Wallet::of(2));
    let wei = U256::from(21_000) * U256::from(100 * GWEI);
    let set = |wei: U256| {
        net.rpc(
            "anvil_setBalance",
            json!([wallet.address.to_string(), format!("{wei:#x}")]),
        );
    };
    set(wei);
    let poor = net.send(&plain(&wallet, 0, |transaction| {
        transaction.gas_limit = 21_000;
    }));
    let rich = net.send(&plain(&other, 0, |_| {}));
    set(wei - U256::ONE);
    net.rpc("evm_mine", json!([]));
    assert!(net.is_mined(rich) && !net.is_mined(poor));
    assert!(
        net.rpc("eth_getTransactionByHash", json!([poor.to_string()]))
            .is_null()
    );
}

#[test]
fn too_little_for_the_base_fee_waits_until_gas_is_cheaper() {
    let net = Net::with(|options| options.base_fee = BaseFee::Constant(5_000_000_000));
    let wallet = Wallet::of(2);
    let low = plain(&wallet, 0, |transaction| {
        transaction.max_fee_per_gas = 5_000_000_000 - 1;
        transaction.max_priority_fee_per_gas = 0;
    });
    let hash = net.send(&low);
    let behind = net.send(&plain(&wallet, 1, |_| {}));
    net.rpc("evm_mine", json!([]));
    assert!(!net.is_mined(hash) && !net.is_mined(behind));
    net.rpc("anvil_setNextBlockBaseFeePerGas", json!(["0x1"]));
    net.rpc("evm_mine", json!([]));
    assert!(net.is_mined(hash) && net.is_mined(behind));
    assert_eq!(net.receipt(hash)["effectiveGasPrice"], "0x1");
}

#[test]
fn what_can_never_run_is_refused_at_once() {
    let net = Net::new();
    let wallet = Wallet::of(2);
    type Change = fn(&mut TxEip1559);
    let cases: [(&str, Change); 7] = [
        ("intrinsic gas too low", |tx| tx.gas_limit = 20_999),
        ("exceeds block gas limit", |tx| tx.gas_limit = 60_000_001),
        (
            "max priority fee per gas higher than max fee per gas",
            |tx| tx.max_priority_fee_per_gas = tx.max_fee_per_gas + 1,
        ),
        ("invalid sender: invalid chain id", |tx| tx.chain_id = 1),
        ("max initcode size exceeded", |tx| {
            tx.to = TxKind::Create;
            tx.input = vec![0; 49_153].into();
        }),
        ("nonce has max value", |tx| tx.nonce = u64::MAX),
        ("oversized data", |tx| tx.input = vec![1; 128 * 1024].into()),
    ];
    for (reason, change) in cases {
        let refusal = net.refused(&plain(&wallet, 0, change));
        assert!(refusal.starts_with(reason), "{refusal}");
    }
    let mut cut = plain(&wallet, 0, |_| {}).to_vec();
    cut.push(0);
    assert!(net.refused(&cut.into()).starts_with("rlp"));
    assert!(net.refused(&Bytes::new()).starts_with("rlp"));
}

#[test]
fn an_account_with_code_does_not_send() {
    let net = Net::new();
    let wallet = Wallet::of(2);
    net.rpc("anvil_setCode", json!([wallet.address.to_string(), "0x00"]));
    assert_eq!(net.refused(&plain(&wallet, 0, |_| {})), "sender not an eoa");
}

#[test]
fn a_signature_that_is_not_one_is_refused() {
    let net = Net::new();
    let wallet = Wallet::of(2);
    let mut raw = plain(&wallet, 0, |_| {}).to_vec();
    let s = raw.len() - 32;
    // Above half the order of the curve (EIP-2).
    raw[s] = 0xff;
    assert!(net.refused(&raw.into()).starts_with("invalid sender"));
}

#[test]
fn older_types_of_transaction_are_taken_and_unprotected_ones_not() {
    let net = Net::new();
    let wallet = Wallet::of(2);
    let legacy = TxLegacy {
        chain_id: Some(CHAIN),
        nonce: 0,
        gas_price: 2 * GWEI,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(9)),
        value: U256::from(5),
        input: Bytes::new(),
    };
    let hash = net.send(&wallet.signed(legacy.clone()));
    assert_eq!(net.receipt(hash)["type"], "0x0");
    let found = net.rpc("eth_getTransactionByHash", json!([hash.to_string()]));
    assert!([CHAIN * 2 + 35, CHAIN * 2 + 36].contains(&quantity(&found["v"])));
    let unprotected = TxLegacy {
        chain_id: None,
        nonce: 1,
        ..legacy
    };
    assert!(
        net.refused(&wallet.signed(unprotected))
            .starts_with("only replay-protected")
    );
    let with_list = TxEip2930 {
        chain_id: CHAIN,
        nonce: 1,
        gas_price: 2 * GWEI,
        gas_limit: 30_000,
        to: TxKind::Call(Address::repeat_byte(9)),
        ..TxEip2930::default()
    };
    let hash = net.send(&wallet.signed(with_list));
    assert_eq!(net.receipt(hash)["type"], "0x1");
}

#[test]
fn a_block_takes_what_fits_and_the_next_takes_the_rest() {
    let net = Net::with(|options| {
        options.block_time = BlockTime::Manual;
        options.block_gas_limit = 100_000;
    });
    let hashes: Vec<_> = (2..5)
        .map(|index| {
            let wallet = Wallet::of(index);
            net.send(&plain(&wallet, 0, |tx| tx.gas_limit = 60_000))
        })
        .collect();
    // Limits count before a transaction runs, so two of 60,000 fit only after 21,000 are used.
    net.rpc("evm_mine", json!([]));
    let mined = || hashes.iter().filter(|hash| net.is_mined(**hash)).count();
    assert_eq!(mined(), 2);
    net.rpc("evm_mine", json!([]));
    assert_eq!(mined(), 3);
}

#[test]
fn transactions_that_arrive_together_share_blocks_and_all_run() {
    let net = Net::new();
    std::thread::scope(|scope| {
        for index in 2..6 {
            let net = &net;
            scope.spawn(move || {
                let wallet = Wallet::of(index);
                for nonce in 0..25 {
                    net.send(&plain(&wallet, nonce, |_| {}));
                }
            });
        }
    });
    for index in 2..6 {
        assert_eq!(net.nonce(Wallet::of(index).address), 25);
    }
    assert!(net.head() <= 100);
}
