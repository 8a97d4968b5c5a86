//! A node's answers: receipts, logs, blocks and batches. What is read is what the node wrote.
#![no_main]

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use libfuzzer_sys::fuzz_target;
use octroi_chain::fuzzing::batch_results;
use octroi_chain::{BlockTag, Log, LogFilter, Rpc, RpcError, TransactionReceipt, Transport};
use octroi_types::{Address, B256};
use serde_json::{Value, json};

fuzz_target!(|text: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        return;
    };
    check_batch(&value);
    let rpc = Rpc::new(Arc::new(Node(value.clone())));
    if let Ok(Some(receipt)) = now(rpc.receipt(B256::ZERO)) {
        assert!(receipt.success || receipt.logs.is_empty());
        assert_wrote(&receipt_json(&receipt), &value);
    }
    let filter = LogFilter {
        address: Address::ZERO,
        topics: Vec::new(),
        from_block: 0,
        to_block: 0,
    };
    if let Ok(logs) = now(rpc.logs(&filter)) {
        assert_wrote(&logs.iter().map(log_json).collect(), &value);
    }
    if let Ok(Some(head)) = now(rpc.block(BlockTag::Latest)) {
        let mut written = json!({
            "number": quantity(head.number),
            "hash": head.hash,
            "parentHash": head.parent_hash,
            "timestamp": quantity(head.timestamp.0),
        });
        if !value["baseFeePerGas"].is_null() {
            written["baseFeePerGas"] = quantity(head.base_fee_per_gas);
        }
        assert_wrote(&written, &value);
    }
    if let Ok(balance) = now(rpc.balance(Address::ZERO)) {
        let digits = digits(&value)
            .expect("hex")
            .trim_start_matches('0')
            .to_owned();
        let exact = u128::from_str_radix(&format!("0{digits}"), 16).unwrap_or(u128::MAX);
        assert_eq!(balance, exact);
    }
    if let Ok(code) = now(rpc.code(Address::ZERO)) {
        assert_wrote(&json!(format!("0x{}", hex::encode(code))), &value);
    }
});

/// Every result is one that the node gave to that very call, without an error.
fn check_batch(value: &Value) {
    let Some(answers) = value.as_array() else {
        return;
    };
    let results = batch_results(answers.clone(), 3);
    assert_eq!(results.len(), 3);
    for (id, result) in results.iter().enumerate() {
        match result {
            Ok(result) => assert!(answers.iter().any(|answer| {
                answer["id"] == id && answer["result"] == *result && answer["error"].is_null()
            })),
            Err(RpcError::Refused { message, .. }) => {
                assert!(message.len() <= 200 && !message.contains(char::is_control));
            }
            Err(error) => assert_eq!(*error, RpcError::Malformed),
        }
    }
}

/// A node that answers everything with the same.
struct Node(Value);

#[async_trait]
impl Transport for Node {
    async fn call(&self, _: &'static str, _: Value) -> Result<Value, RpcError> {
        Ok(self.0.clone())
    }
}

fn now<T>(answer: impl Future<Output = T>) -> T {
    answer.now_or_never().expect("the node waits for nothing")
}

/// Every field that was read is in the answer, up to letter case and leading zeros.
fn assert_wrote(read: &Value, answer: &Value) {
    match (read, answer) {
        (Value::Object(fields), _) => {
            for (name, field) in fields {
                assert_wrote(field, &answer[name]);
            }
        }
        (Value::Array(read), Value::Array(answer)) => {
            assert_eq!(read.len(), answer.len());
            for (read, answer) in read.iter().zip(answer) {
                assert_wrote(read, answer);
            }
        }
        _ => {
            let (read, answer) = (digits(read).expect("hex"), digits(answer).expect("hex"));
            assert_eq!(read.trim_start_matches('0'), answer.trim_start_matches('0'));
        }
    }
}

fn digits(value: &Value) -> Option<String> {
    Some(value.as_str()?.strip_prefix("0x")?.to_ascii_lowercase())
}

fn receipt_json(receipt: &TransactionReceipt) -> Value {
    let mut written = json!({
        "transactionHash": receipt.tx_hash,
        "blockNumber": quantity(receipt.block_number),
        "blockHash": receipt.block_hash,
        "logs": receipt.logs.iter().map(log_json).collect::<Vec<_>>(),
    });
    if receipt.success {
        written["status"] = quantity(1);
    }
    written
}

fn log_json(log: &Log) -> Value {
    json!({
        "address": log.address,
        "topics": log.topics,
        "data": format!("0x{}", hex::encode(&log.data)),
        "logIndex": quantity(log.log_index),
        "transactionHash": log.tx_hash,
        "blockNumber": quantity(log.block_number),
        "blockHash": log.block_hash,
    })
}

fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}
