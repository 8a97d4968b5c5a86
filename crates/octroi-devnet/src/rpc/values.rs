//! Writing values.

use std::fmt::LowerHex;

use alloy_consensus::{Transaction as _, TxEnvelope, Typed2718};
use alloy_primitives::{Address, B256, Bloom, Log, hex};
use serde_json::{Value, json};

use crate::block::Mined;
use crate::history::Link;
use crate::transaction::decode_envelope;

/// A number as Ethereum writes it: hex without leading zeros.
pub(crate) fn quantity(number: impl LowerHex) -> Value {
    Value::String(format!("{number:#x}"))
}

/// A place in a list.
fn position(index: usize) -> Value {
    quantity(index)
}

pub(crate) fn bytes(bytes: &[u8]) -> Value {
    Value::String(hex::encode_prefixed(bytes))
}

pub(crate) fn address(address: Address) -> Value {
    bytes(address.as_slice())
}

pub(crate) fn hash(hash: B256) -> Value {
    bytes(hash.as_slice())
}

pub(crate) fn bloom(bloom: &Bloom) -> Value {
    bytes(bloom.as_slice())
}

/// A block's header and whatever stands for its transactions.
pub(crate) fn block(link: &Link, full: bool) -> Value {
    let header = &link.block.header;
    let transactions = link.block.transactions.iter();
    let transactions: Vec<_> = if full {
        transactions
            .enumerate()
            .map(|(index, mined)| mined_transaction(mined, link, index))
            .collect()
    } else {
        transactions.map(|mined| hash(mined.hash)).collect()
    };
    json!({
        "baseFeePerGas": quantity(header.base_fee_per_gas.unwrap_or_default()),
        "difficulty": quantity(header.difficulty),
        "extraData": bytes(&header.extra_data),
        "gasLimit": quantity(header.gas_limit),
        "gasUsed": quantity(header.gas_used),
        "hash": hash(link.hash),
        "logsBloom": bloom(&header.logs_bloom),
        "miner": address(header.beneficiary),
        "mixHash": hash(header.mix_hash),
        "nonce": bytes(header.nonce.as_slice()),
        "number": quantity(header.number),
        "parentHash": hash(header.parent_hash),
        "receiptsRoot": hash(header.receipts_root),
        "sha3Uncles": hash(header.ommers_hash),
        "size": quantity(link.size),
        "stateRoot": hash(header.state_root),
        "timestamp": quantity(header.timestamp),
        "transactions": transactions,
        "transactionsRoot": hash(header.transactions_root),
        "uncles": [],
    })
}

/// A transaction in a block.
pub(crate) fn mined_transaction(mined: &Mined, link: &Link, index: usize) -> Value {
    // It was decoded before it was mined.
    let Some(envelope) = decode_envelope(&mined.raw) else {
        return Value::Null;
    };
    let mut value = transaction(&envelope, mined.sender);
    let base_fee = link.block.header.base_fee_per_gas;
    value["gasPrice"] = quantity(envelope.effective_gas_price(base_fee));
    value["blockHash"] = hash(link.hash);
    value["blockNumber"] = quantity(link.number());
    value["transactionIndex"] = position(index);
    value
}

/// A transaction that is in no block.
pub(crate) fn transaction(envelope: &TxEnvelope, sender: Address) -> Value {
    let signature = envelope.signature();
    let parity = u64::from(signature.v());
    let mut value = json!({
        "blockHash": null,
        "blockNumber": null,
        "chainId": envelope.chain_id().map(quantity),
        "from": address(sender),
        "gas": quantity(envelope.gas_limit()),
        "gasPrice": quantity(envelope.max_fee_per_gas()),
        "hash": hash(*envelope.tx_hash()),
        "input": bytes(envelope.input()),
        "nonce": quantity(envelope.nonce()),
        "r": quantity(signature.r()),
        "s": quantity(signature.s()),
        "to": envelope.to().map(address),
        "transactionIndex": null,
        "type": quantity(envelope.ty()),
        "value": quantity(envelope.value()),
    });
    match envelope.chain_id() {
        // EIP-155 puts the chain into the signature of a legacy transaction.
        Some(chain) if envelope.is_legacy() => value["v"] = quantity(chain * 2 + 35 + parity),
        _ => {
            value["v"] = quantity(parity);
            value["yParity"] = quantity(parity);
        }
    }
    if let Some(tip) = envelope.max_priority_fee_per_gas() {
        value["maxFeePerGas"] = quantity(envelope.max_fee_per_gas());
        value["maxPriorityFeePerGas"] = quantity(tip);
    }
    if let Some(list) = envelope.access_list() {
        value["accessList"] = list
            .iter()
            .map(|item| {
                let keys: Vec<_> = item.storage_keys.iter().copied().map(hash).collect();
                json!({ "address": address(item.address), "storageKeys": keys })
            })
            .collect();
    }
    value
}

/// The receipt of a transaction in a block.
pub(crate) fn receipt(mined: &Mined, link: &Link, index: usize) -> Value {
    let Some(envelope) = decode_envelope(&mined.raw) else {
        return Value::Null;
    };
    let before = &link.block.transactions[..index];
    let gas_before: u64 = before.iter().map(|mined| mined.gas_used).sum();
    let logs_before: usize = before.iter().map(|mined| mined.logs.len()).sum();
    let logs: Vec<_> = mined
        .logs
        .iter()
        .zip(logs_before..)
        .map(|(entry, log_index)| log(entry, mined, link, index, log_index))
        .collect();
    let created =
        (mined.succeeded && envelope.to().is_none()).then(|| mined.sender.create(envelope.nonce()));
    let base_fee = link.block.header.base_fee_per_gas;
    json!({
        "blockHash": hash(link.hash),
        "blockNumber": quantity(link.number()),
        "contractAddress": created.map(address),
        "cumulativeGasUsed": quantity(gas_before + mined.gas_used),
        "effectiveGasPrice": quantity(envelope.effective_gas_price(base_fee)),
        "from": address(mined.sender),
        "gasUsed": quantity(mined.gas_used),
        "logs": logs,
        "logsBloom": bloom(&mined.bloom()),
        "status": quantity(u8::from(mined.succeeded)),
        "to": envelope.to().map(address),
        "transactionHash": hash(mined.hash),
        "transactionIndex": position(index),
        "type": quantity(envelope.ty()),
    })
}

/// One log. `log_index` counts through the whole block.
pub(crate) fn log(log: &Log, mined: &Mined, link: &Link, index: usize, log_index: usize) -> Value {
    let topics: Vec<_> = log.topics().iter().copied().map(hash).collect();
    json!({
        "address": address(log.address),
        "blockHash": hash(link.hash),
        "blockNumber": quantity(link.number()),
        "blockTimestamp": quantity(link.timestamp()),
        "data": bytes(&log.data.data),
        "logIndex": position(log_index),
        "removed": false,
        "topics": topics,
        "transactionHash": hash(mined.hash),
        "transactionIndex": position(index),
    })
}
