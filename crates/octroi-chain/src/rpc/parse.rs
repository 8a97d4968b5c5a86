//! Reading the hex of JSON-RPC.

use octroi_types::{Address, B256};
use serde_json::Value;

use super::transport::RpcError;

fn hex_text(value: &Value) -> Result<&str, RpcError> {
    value
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .ok_or(RpcError::Malformed)
}

/// A quantity that fits 64 bits.
pub(super) fn quantity(value: &Value) -> Result<u64, RpcError> {
    u64::from_str_radix(hex_text(value)?, 16).map_err(|_| RpcError::Malformed)
}

/// Bytes of any length.
pub(super) fn bytes_of(value: &Value) -> Result<Vec<u8>, RpcError> {
    hex::decode(hex_text(value)?).map_err(|_| RpcError::Malformed)
}

/// A quantity of up to 256 bits as a word.
pub(super) fn word_of(value: &Value) -> Result<[u8; 32], RpcError> {
    let mut word = [0; 32];
    let padded = format!("{:0>64}", hex_text(value)?);
    hex::decode_to_slice(padded, &mut word).map_err(|_| RpcError::Malformed)?;
    Ok(word)
}

pub(super) fn hash(value: &Value) -> Result<B256, RpcError> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or(RpcError::Malformed)
}

pub(super) fn address(value: &Value) -> Result<Address, RpcError> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or(RpcError::Malformed)
}
