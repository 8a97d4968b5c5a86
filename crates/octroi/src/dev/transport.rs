//! The way to the node in this process.

use async_trait::async_trait;
use octroi_chain::{RpcError, Transport};
use octroi_devnet::RpcErrorObject;
use serde_json::Value;
use tokio::sync::watch;

use super::Node;

/// Calls the node directly.
pub(crate) struct LocalTransport {
    node: Node,
}

impl LocalTransport {
    pub(crate) const fn new(node: Node) -> Self {
        Self { node }
    }
}

#[async_trait]
impl Transport for LocalTransport {
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        if !executes(method) {
            return self.node.handle(method, &params).map_err(refused);
        }
        // Executing a batch keeps a thread for milliseconds: not one that serves requests.
        let node = self.node.clone();
        tokio::task::spawn_blocking(move || node.handle(method, &params))
            .await
            .map_err(|_| RpcError::Silent)?
            .map_err(refused)
    }

    fn blocks(&self) -> Option<watch::Receiver<u64>> {
        Some(self.node.subscribe_blocks())
    }
}

/// Whether a method may execute many transactions.
fn executes(method: &str) -> bool {
    matches!(method, "eth_sendRawTransaction" | "eth_sendRawTransactionSync")
}

fn refused(error: RpcErrorObject) -> RpcError {
    let data = error
        .data
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|text| hex::decode(text.trim_start_matches("0x")).ok());
    RpcError::Refused { code: error.code, message: error.message, data }
}
