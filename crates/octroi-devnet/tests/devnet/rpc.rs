//! JSON-RPC as clients see it.

use alloy_primitives::{Address, B256, U256, hex, keccak256};
use octroi_devnet::BlockTime;
use serde_json::{Value, json};

use crate::support::*;

fn body(net: &Net, request: &str) -> Value {
    let answer = net.node.handle_body(request.as_bytes());
    serde_json::from_slice(&answer).unwrap()
}

#[test]
fn bodies_are_calls_batches_or_nonsense() {
    let net = Net::new();
    let one = body(&net, r#"{"jsonrpc":"2.0","id":7,"method":"eth_chainId"}"#);
    assert_eq!(
        one,
        json!({ "jsonrpc": "2.0", "id": 7, "result": "0x7a69" })
    );
    let batch = body(
        &net,
        r#"[{"jsonrpc":"2.0","id":"a","method":"net_version","params":[]},
            {"jsonrpc":"2.0","method":"evm_mine"},
            {"jsonrpc":"2.0","id":2,"method":"eth_nothing"}, 5]"#,
    );
    assert_eq!(batch[0]["result"], "31337");
    assert_eq!(
        (&batch[1]["id"], &batch[1]["error"]["code"]),
        (&json!(2), &json!(-32601))
    );
    assert_eq!(batch[2]["error"]["code"], -32600);
    assert_eq!(batch.as_array().unwrap().len(), 3);
    // The notification was carried out, silently.
    assert_eq!(net.head(), 1);
    assert!(
        net.node
            .handle_body(br#"{"jsonrpc":"2.0","method":"evm_mine"}"#)
            .is_empty()
    );
    assert_eq!(body(&net, "{")["error"]["code"], -32700);
    assert_eq!(body(&net, "[]")["error"]["code"], -32600);
    let object = body(&net, r#"{"id":1,"method":"eth_chainId","params":{}}"#);
    assert_eq!(object["error"]["code"], -32602);
}

#[test]
fn wrong_parameters_are_named() {
    let net = Net::new();
    for (method, params) in [
        ("eth_getBalance", json!(["0x12", "latest"])),
        ("eth_getBalance", json!([])),
        ("eth_getBlockByNumber", json!(["newest"])),
        ("eth_getBlockByNumber", json!(["12"])),
        ("eth_getTransactionReceipt", json!(["0x00"])),
        ("eth_sendRawTransaction", json!(["f86c"])),
        ("eth_call", json!(["0x"])),
        ("eth_call", json!([{ "to": "0x1" }])),
        ("eth_getLogs", json!([{ "topics": "0x" }])),
        (
            "eth_getLogs",
            json!([{ "fromBlock": "0x2", "toBlock": "0x1" }]),
        ),
        ("eth_feeHistory", json!(["0x1", "latest", [50, 10]])),
    ] {
        let error = net.node.handle(method, &params).unwrap_err();
        assert_eq!(error.code, -32602, "{method} {params}: {error}");
    }
}

#[test]
fn a_revert_carries_its_bytes() {
    let net = Net::new();
    let payer = Wallet::of(2);
    let mint = abi(
        "mint(address,uint256)",
        &[payer.address.into_word(), B256::ZERO],
    );
    let call = json!([{
        "from": payer.address.to_string(),
        "to": token().to_string(),
        "input": hex::encode_prefixed(mint),
    }]);
    let error = net.node.handle("eth_call", &call).unwrap_err();
    assert_eq!(error.code, 3);
    assert_eq!(
        error.message,
        "execution reverted: TestUSD: only the owner mints"
    );
    let data = bytes(&error.data.unwrap());
    assert_eq!(data[..4], keccak256("Error(string)")[..4]);
    assert_eq!(
        net.node.handle("eth_estimateGas", &call).unwrap_err().code,
        3
    );
}

#[test]
fn a_call_changes_nothing_and_needs_no_money() {
    let net = Net::new();
    let somebody = Address::repeat_byte(0x55);
    let call = abi(
        "transfer(address,uint256)",
        &[somebody.into_word(), B256::ZERO],
    );
    let request = json!([{
        "from": token().to_string(),
        "to": token().to_string(),
        "data": hex::encode_prefixed(call),
    }, "latest"]);
    // The sender here is a contract without any coin.
    let answer = bytes(&net.rpc("eth_call", request));
    assert_eq!(U256::from_be_slice(&answer), U256::ONE);
    assert_eq!(net.head(), 0);
    assert_eq!(
        net.rpc("eth_call", json!([{ "to": somebody.to_string() }])),
        "0x"
    );
    let poor = json!([{ "from": somebody.to_string(), "to": token().to_string(), "value": "0x1" }]);
    assert!(
        net.refusal("eth_call", poor)
            .starts_with("insufficient funds")
    );
    let starved = json!([{ "to": token().to_string(), "gas": "0x5207" }]);
    assert!(
        net.refusal("eth_call", starved)
            .starts_with("intrinsic gas too low")
    );
}

#[test]
fn the_estimate_is_enough_and_one_less_is_not() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    let call = aggregate(&[(token(), payment(&payer, payee.address, 5, 1))]);
    let request = json!([{
        "from": settler.address.to_string(),
        "to": multicall().to_string(),
        "input": hex::encode_prefixed(&call),
    }]);
    // `aggregate3` hides a payment that ran out of gas, so ask about the plain payment instead.
    let plain = json!([{
        "to": token().to_string(),
        "input": hex::encode_prefixed(payment(&payer, payee.address, 5, 1)),
    }]);
    assert!(net.number("eth_estimateGas", request) > 21_000);
    let gas = net.number("eth_estimateGas", plain);
    for (gas, status) in [(gas - 1, "0x0"), (gas, "0x1")] {
        let call = payment(&payer, payee.address, 5, 1);
        let raw = settler.transaction(net.nonce(settler.address), token(), call, |transaction| {
            transaction.gas_limit = gas;
        });
        let receipt = net.rpc("eth_sendRawTransactionSync", json!([raw.to_string()]));
        assert_eq!(receipt["status"], status, "{gas}");
    }
    let transfer = json!([{ "to": payee.address.to_string() }]);
    assert_eq!(net.number("eth_estimateGas", transfer), 21_000);
}

#[test]
fn logs_are_found_by_what_they_say() {
    let net = Net::new();
    let (settler, payee) = (Wallet::of(1), Wallet::of(77));
    for salt in 0..20 {
        let payer = Wallet::of(2 + u32::try_from(salt % 4).unwrap());
        net.transact(
            &settler,
            token(),
            payment(&payer, payee.address, salt + 1, salt),
        );
    }
    let found = |filter: Value| {
        let logs = net.rpc("eth_getLogs", json!([filter]));
        logs.as_array().unwrap().clone()
    };
    let used = topic("AuthorizationUsed(address,bytes32)");
    let moved = topic("Transfer(address,address,uint256)");
    let payer = Wallet::of(3).address.into_word().to_string();
    let nonce = keccak256(7_u64.to_be_bytes()).to_string();
    let all = json!({ "fromBlock": "earliest", "toBlock": "latest" });
    let with = |key: &str, value: Value| {
        let mut filter = all.clone();
        filter[key] = value;
        filter
    };
    assert_eq!(found(all.clone()).len(), 40);
    assert_eq!(found(json!({})).len(), 2, "the newest block only");
    assert_eq!(found(with("topics", json!([used]))).len(), 20);
    assert_eq!(found(with("topics", json!([[used, moved]]))).len(), 40);
    assert_eq!(found(with("topics", json!([null, payer]))).len(), 10);
    assert_eq!(found(with("topics", json!([moved, payer]))).len(), 5);
    // A topic in another place is another topic.
    assert_eq!(found(with("topics", json!([null, null, payer]))).len(), 0);
    assert_eq!(
        found(with("topics", json!([moved, null, null, null]))).len(),
        0
    );
    assert_eq!(
        found(with("address", json!(multicall().to_string()))).len(),
        0
    );
    assert_eq!(
        found(with(
            "address",
            json!([multicall().to_string(), token().to_string()])
        ))
        .len(),
        40
    );
    let one = found(with("topics", json!([used, null, nonce])));
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["blockNumber"], "0x8");
    assert_eq!(one[0]["logIndex"], "0x0");
    let block = net.block("0x8");
    assert_eq!(one[0]["blockHash"], block["hash"]);
    assert_eq!(found(json!({ "blockHash": block["hash"] })).len(), 2);
    let range = |from: &str, to: &str| {
        let filter = json!({ "fromBlock": from, "toBlock": to, "topics": [moved, payer] });
        found(filter).len()
    };
    assert_eq!(
        (
            range("0x1", "0x2"),
            range("0x2", "0x2"),
            range("0x3", "0x5")
        ),
        (1, 1, 0)
    );
    assert_eq!(range("0x2", "0xffff"), 5);
}

#[test]
fn receipts_add_up_through_a_block() {
    let net = Net::with(|options| options.block_time = BlockTime::Manual);
    let payee = Wallet::of(77);
    let hashes: Vec<_> = (2..5)
        .map(|index| {
            let wallet = Wallet::of(index);
            let call = payment(&wallet, payee.address, 1, index.into());
            net.send(&wallet.transaction(0, token(), call, |_| {}))
        })
        .collect();
    let pending = net.rpc("eth_getBlockByNumber", json!(["pending", false]));
    assert_eq!(pending["transactions"].as_array().unwrap().len(), 3);
    assert_eq!(
        (&pending["number"], &pending["hash"]),
        (&json!("0x1"), &Value::Null)
    );
    net.rpc("evm_mine", json!([]));
    let mut gas = 0;
    let mut log_index = 0;
    for (place, hash) in hashes.iter().enumerate() {
        let receipt = net.receipt(*hash);
        gas += quantity(&receipt["gasUsed"]);
        assert_eq!(quantity(&receipt["cumulativeGasUsed"]), gas);
        assert_eq!(receipt["transactionIndex"], format!("{place:#x}"));
        for log in receipt["logs"].as_array().unwrap() {
            assert_eq!(quantity(&log["logIndex"]), log_index);
            log_index += 1;
        }
        assert_ne!(receipt["logsBloom"], net.block("0x0")["logsBloom"]);
    }
    assert_eq!(quantity(&net.block("0x1")["gasUsed"]), gas);
    let full = net.rpc("eth_getBlockByNumber", json!(["0x1", true]));
    assert_eq!(full["transactions"][2]["hash"], hashes[2].to_string());
}

#[test]
fn creation_names_the_contract() {
    let net = Net::new();
    let wallet = Wallet::of(2);
    let creation = include_str!("../../contracts/artifacts/Multicall.bin");
    let code = hex::decode(creation).unwrap();
    let raw = wallet.transaction(0, Address::ZERO, code, |transaction| {
        transaction.to = alloy_primitives::TxKind::Create;
    });
    let receipt = net.rpc("eth_sendRawTransactionSync", json!([raw.to_string()]));
    let address: Address = receipt["contractAddress"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(address, wallet.address.create(0));
    assert!(receipt["to"].is_null());
    let chain = net.call(address, abi("getChainId()", &[]));
    assert_eq!(U256::from_be_slice(&chain), U256::from(CHAIN));
}

#[test]
fn fees_are_told() {
    let net = Net::new();
    let (settler, payer, payee) = (Wallet::of(1), Wallet::of(2), Wallet::of(77));
    for salt in 0..3 {
        net.transact(&settler, token(), payment(&payer, payee.address, 1, salt));
    }
    let base_fee = quantity(&net.block("latest")["baseFeePerGas"]);
    let tip = net.number("eth_maxPriorityFeePerGas", json!([]));
    assert_eq!(net.number("eth_gasPrice", json!([])), base_fee + tip);
    let history = net.rpc("eth_feeHistory", json!(["0x2", "latest", [0, 50, 100]]));
    assert_eq!(history["oldestBlock"], "0x2");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 3);
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
    assert_eq!(
        history["reward"][1],
        json!(["0x3b9aca00", "0x3b9aca00", "0x3b9aca00"])
    );
    let none = net.rpc("eth_feeHistory", json!([0, "latest"]));
    assert_eq!(none["gasUsedRatio"], json!([]));
}
