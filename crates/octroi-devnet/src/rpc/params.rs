//! Reading parameters.

use std::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde_json::Value;

use crate::chain::Chain;
use crate::options::Finality;
use crate::rpc::RpcErrorObject;

/// The parameters of a call, by position.
#[derive(Debug)]
pub(crate) struct Params<'a>(&'a [Value]);

/// Which block a call speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockId {
    Number(u64),
    Hash(B256),
    Earliest,
    Finalized,
    Safe,
    Latest,
    /// The block that would be made now.
    Pending,
}

impl<'a> Params<'a> {
    pub(crate) fn of(params: &'a Value) -> Result<Self, RpcErrorObject> {
        match params {
            Value::Null => Ok(Self(&[])),
            Value::Array(params) => Ok(Self(params)),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                Err(RpcErrorObject::invalid_params("params must be an array"))
            }
        }
    }

    /// The parameter, unless it is missing or null.
    pub(crate) fn get(&self, index: usize) -> Option<&'a Value> {
        self.0.get(index).filter(|value| !value.is_null())
    }

    fn required<T>(
        &self,
        index: usize,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, RpcErrorObject> {
        self.get(index)
            .and_then(read)
            .ok_or_else(|| invalid(index, expected))
    }

    fn optional<T>(
        &self,
        index: usize,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, RpcErrorObject> {
        self.get(index)
            .map(|value| read(value).ok_or_else(|| invalid(index, expected)))
            .transpose()
    }

    pub(crate) fn address(&self, index: usize) -> Result<Address, RpcErrorObject> {
        self.required(index, "an address", address)
    }

    pub(crate) fn hash(&self, index: usize) -> Result<B256, RpcErrorObject> {
        self.required(index, "a 32-byte hash", hash)
    }

    pub(crate) fn data(&self, index: usize) -> Result<Bytes, RpcErrorObject> {
        self.required(index, "0x-prefixed bytes", data)
    }

    pub(crate) fn word(&self, index: usize) -> Result<U256, RpcErrorObject> {
        self.required(index, "a quantity", quantity)
    }

    pub(crate) fn number(&self, index: usize) -> Result<u64, RpcErrorObject> {
        self.required(index, "a quantity", number)
    }

    pub(crate) fn optional_number(&self, index: usize) -> Result<Option<u64>, RpcErrorObject> {
        self.optional(index, "a quantity", number)
    }

    pub(crate) fn flag(&self, index: usize) -> Result<Option<bool>, RpcErrorObject> {
        self.optional(index, "true or false", Value::as_bool)
    }

    /// The block, `latest` if none is named.
    pub(crate) fn block(&self, index: usize) -> Result<BlockId, RpcErrorObject> {
        let block = self.optional(index, "a block number, tag or hash", block)?;
        Ok(block.unwrap_or(BlockId::Latest))
    }
}

impl BlockId {
    /// The number, or `None` if the chain has no such block yet or any more.
    pub(crate) fn resolve(self, chain: &Chain, finality: Finality) -> Option<u64> {
        let head = chain.head().number();
        match self {
            Self::Number(number) => (number <= head).then_some(number),
            Self::Hash(hash) => chain.history.number_of(hash),
            Self::Earliest => Some(chain.history.genesis().number()),
            Self::Finalized => Some(head.saturating_sub(finality.finalized_depth)),
            Self::Safe => Some(head.saturating_sub(finality.safe_depth)),
            Self::Latest | Self::Pending => Some(head),
        }
    }
}

fn invalid(index: usize, expected: &str) -> RpcErrorObject {
    RpcErrorObject::invalid_params(format!("invalid argument {index}: expected {expected}"))
}

pub(crate) fn address(value: &Value) -> Option<Address> {
    Address::from_str(value.as_str().filter(|text| text.starts_with("0x"))?).ok()
}

pub(crate) fn hash(value: &Value) -> Option<B256> {
    B256::from_str(value.as_str().filter(|text| text.starts_with("0x"))?).ok()
}

pub(crate) fn data(value: &Value) -> Option<Bytes> {
    let digits = value.as_str()?.strip_prefix("0x")?;
    hex::decode(digits).ok().map(Bytes::from)
}

/// A hex quantity; development tools also send plain numbers.
pub(crate) fn quantity(value: &Value) -> Option<U256> {
    match value {
        Value::Number(number) => number.as_u64().map(U256::from),
        Value::String(text) => {
            let digits = text
                .strip_prefix("0x")
                .filter(|digits| !digits.is_empty())?;
            U256::from_str_radix(digits, 16).ok()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(crate) fn number(value: &Value) -> Option<u64> {
    u64::try_from(quantity(value)?).ok()
}

/// A number, a tag, or an object with `blockHash` or `blockNumber` (EIP-1898).
pub(crate) fn block(value: &Value) -> Option<BlockId> {
    match value.as_str() {
        Some("earliest") => Some(BlockId::Earliest),
        Some("finalized") => Some(BlockId::Finalized),
        Some("safe") => Some(BlockId::Safe),
        Some("latest") => Some(BlockId::Latest),
        Some("pending") => Some(BlockId::Pending),
        Some(_) => number(value).map(BlockId::Number),
        None => match (value.get("blockHash"), value.get("blockNumber")) {
            (Some(value), None) => hash(value).map(BlockId::Hash),
            (None, Some(value)) => number(value).map(BlockId::Number),
            _ => None,
        },
    }
}
