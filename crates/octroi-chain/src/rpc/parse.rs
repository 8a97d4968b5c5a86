//! Reading the hex of JSON-RPC.

use octroi_types::{Address, B256};
use serde_json::Value;

use super::transport::RpcError;

/// The digits behind `0x`. The parsers behind it would take a sign or a second prefix.
fn hex_text(value: &Value) -> Result<&str, RpcError> {
    value
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn hex_is_digits_behind_one_prefix() {
        assert_eq!(quantity(&json!("0x1f")), Ok(31));
        assert_eq!(bytes_of(&json!("0x00Ff")), Ok(vec![0, 255]));
        assert_eq!(bytes_of(&json!("0x")), Ok(Vec::new()));
        assert_eq!(
            word_of(&json!("0x0102")).map(|word| word[30..] == [1, 2]),
            Ok(true)
        );
        for text in ["", "40", "0X40", "0x+1", "0x-1", "0x0x40", "0x4g", "0x 4"] {
            let value = json!(text);
            assert_eq!(quantity(&value), Err(RpcError::Malformed), "{text}");
            assert_eq!(bytes_of(&value), Err(RpcError::Malformed), "{text}");
            assert_eq!(word_of(&value), Err(RpcError::Malformed), "{text}");
        }
        let long = json!(format!("0x{}", "0".repeat(66)));
        assert_eq!(word_of(&long), Err(RpcError::Malformed));
    }
}
