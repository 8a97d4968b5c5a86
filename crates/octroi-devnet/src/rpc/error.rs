//! Errors as JSON-RPC carries them.

use std::fmt;

use alloy_primitives::{B256, U256, hex};
use serde_json::{Value, json};

use crate::mining::SubmitError;
use crate::store::StoreError;

/// The error object of a JSON-RPC answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcErrorObject {
    /// What kind of error, a program's side of it.
    pub code: i64,
    /// What happened, in words.
    pub message: String,
    /// The bytes of a revert, or the hash of a transaction that is not mined yet.
    pub data: Option<Value>,
}

/// The code that nodes use for everything they refuse.
const SERVER_ERROR: i64 = -32000;

impl RpcErrorObject {
    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::new(SERVER_ERROR, message)
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        Self::new(
            -32601,
            format!("the method {method} does not exist/is not available"),
        )
    }

    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    pub(crate) fn invalid_request() -> Self {
        Self::new(-32600, "invalid request")
    }

    pub(crate) fn parse_error() -> Self {
        Self::new(-32700, "parse error")
    }

    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new(-32005, message)
    }

    /// A call that ended with REVERT, with the reason if it is a text.
    pub(crate) fn reverted(output: &[u8]) -> Self {
        let message = match revert_reason(output) {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".to_owned(),
        };
        Self {
            data: Some(Value::String(hex::encode_prefixed(output))),
            ..Self::new(3, message)
        }
    }

    /// EIP-7966: the transaction is in the pool and not in a block.
    pub(crate) fn not_mined_yet(hash: B256) -> Self {
        Self {
            data: Some(Value::String(hash.to_string())),
            ..Self::new(4, "the transaction was accepted and is not in a block yet")
        }
    }

    fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            object["data"] = data.clone();
        }
        object
    }
}

/// The text of `Error(string)`.
fn revert_reason(output: &[u8]) -> Option<&str> {
    let words = output.strip_prefix(&[0x08, 0xc3, 0x79, 0xa0])?;
    let length = usize::try_from(U256::from_be_slice(words.get(32..64)?)).ok()?;
    std::str::from_utf8(words.get(64..64_usize.checked_add(length)?)?).ok()
}

impl fmt::Display for RpcErrorObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for RpcErrorObject {}

impl From<SubmitError> for RpcErrorObject {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refused) => Self::server(refused.to_string()),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for RpcErrorObject {
    fn from(error: StoreError) -> Self {
        Self::new(-32603, format!("internal error: {error}"))
    }
}
