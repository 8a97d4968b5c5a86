//! What a node tells.

use octroi_types::{Address, B256, UnixSeconds};
use serde_json::{Value, json};

use super::parse::{address, bytes_of, hash, quantity};
use super::transport::RpcError;

/// Which block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockTag {
    /// The newest.
    Latest,
    /// The newest with what waits in the pool.
    Pending,
    /// One that is unlikely to be replaced.
    Safe,
    /// One that cannot be replaced.
    Finalized,
    /// This one.
    Number(u64),
}

impl BlockTag {
    pub(super) fn to_text(self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Pending => "pending".to_owned(),
            Self::Safe => "safe".to_owned(),
            Self::Finalized => "finalized".to_owned(),
            Self::Number(number) => format!("{number:#x}"),
        }
    }
}

/// What the engine needs of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHead {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// Its time.
    pub timestamp: UnixSeconds,
    /// Its base fee, in wei per gas; 0 on chains without one.
    pub base_fee_per_gas: u64,
}

impl BlockHead {
    pub(super) fn parse(value: &Value) -> Result<Option<Self>, RpcError> {
        if value.is_null() {
            return Ok(None);
        }
        Ok(Some(Self {
            number: quantity(&value["number"])?,
            hash: hash(&value["hash"])?,
            parent_hash: hash(&value["parentHash"])?,
            timestamp: UnixSeconds(quantity(&value["timestamp"])?),
            base_fee_per_gas: match &value["baseFeePerGas"] {
                Value::Null => 0,
                fee => quantity(fee)?,
            },
        }))
    }
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The contract that wrote it.
    pub address: Address,
    /// Its topics.
    pub topics: Vec<B256>,
    /// Its data.
    pub data: Vec<u8>,
    /// Its place in the block.
    pub log_index: u64,
    /// The transaction.
    pub tx_hash: B256,
    /// The block.
    pub block_number: u64,
    /// The block.
    pub block_hash: B256,
}

impl Log {
    pub(super) fn parse(value: &Value) -> Result<Self, RpcError> {
        let topics = value["topics"].as_array().ok_or(RpcError::Malformed)?;
        Ok(Self {
            address: address(&value["address"])?,
            topics: topics.iter().map(hash).collect::<Result<_, _>>()?,
            data: bytes_of(&value["data"])?,
            log_index: quantity(&value["logIndex"])?,
            tx_hash: hash(&value["transactionHash"])?,
            block_number: quantity(&value["blockNumber"])?,
            block_hash: hash(&value["blockHash"])?,
        })
    }
}

/// The receipt of a transaction that is in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionReceipt {
    /// The transaction.
    pub tx_hash: B256,
    /// Its block.
    pub block_number: u64,
    /// Its block.
    pub block_hash: B256,
    /// Whether it went through.
    pub success: bool,
    /// What it logged.
    pub logs: Vec<Log>,
}

impl TransactionReceipt {
    pub(super) fn parse(value: &Value) -> Result<Option<Self>, RpcError> {
        // Some nodes answer early with a receipt that has no block yet.
        if value.is_null() || value["blockHash"].is_null() {
            return Ok(None);
        }
        let logs = value["logs"].as_array().ok_or(RpcError::Malformed)?;
        let success = quantity(&value["status"])? == 1;
        // What was reverted has logged nothing.
        if !success && !logs.is_empty() {
            return Err(RpcError::Malformed);
        }
        Ok(Some(Self {
            tx_hash: hash(&value["transactionHash"])?,
            block_number: quantity(&value["blockNumber"])?,
            block_hash: hash(&value["blockHash"])?,
            success,
            logs: logs.iter().map(Log::parse).collect::<Result<_, _>>()?,
        }))
    }
}

/// Which logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter {
    /// The contract.
    pub address: Address,
    /// Topics by place, each with its alternatives.
    pub topics: Vec<Vec<B256>>,
    /// First block.
    pub from_block: u64,
    /// Last block.
    pub to_block: u64,
}

impl LogFilter {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "address": self.address,
            "topics": self.topics,
            "fromBlock": format!("{:#x}", self.from_block),
            "toBlock": format!("{:#x}", self.to_block),
        })
    }
}
