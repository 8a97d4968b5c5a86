//! The way to a node in this process.

use std::sync::Arc;

use async_trait::async_trait;
use octroi_chain::{RpcError, Transport};
use octroi_devnet::{DevNet, RpcErrorObject};
use serde_json::Value;
use tokio::sync::watch;

/// Calls a development network directly.
pub struct LocalNode {
    node: Arc<DevNet>,
}

impl LocalNode {
    /// The way to this network.
    #[must_use]
    pub const fn new(node: Arc<DevNet>) -> Self {
        Self { node }
    }
}

#[async_trait]
impl Transport for LocalNode {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        if !executes(method) {
            return self.node.handle(method, &params).map_err(refused);
        }
        // Executing a batch keeps a thread for milliseconds: not one that serves requests.
        let node = Arc::clone(&self.node);
        tokio::task::spawn_blocking(move || node.handle(method, &params))
            .await
            .map_err(|_| RpcError::Silent)?
            .map_err(refused)
    }

    fn blocks(&self) -> Option<watch::Receiver<u64>> {
        Some(self.node.subscribe_blocks())
    }
}

/// Whether a method may execute many transactions. One call of a token takes a fraction of a
/// millisecond and waits for no block that is being made: handing it to another thread costs as much.
fn executes(method: &str) -> bool {
    matches!(
        method,
        "eth_sendRawTransaction" | "eth_sendRawTransactionSync"
    )
}

fn refused(error: RpcErrorObject) -> RpcError {
    let data = error
        .data
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|text| hex::decode(text.trim_start_matches("0x")).ok());
    RpcError::Refused {
        code: error.code,
        message: error.message,
        data,
    }
}
