//! How a request reaches a node.

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::watch;

/// Why a node did not give the answer that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No connection; the request did not reach the node.
    #[error("the node cannot be reached")]
    Unreachable,
    /// No answer in time, or the connection broke; the request may have reached the node.
    #[error("the node did not answer")]
    Silent,
    /// The node answered with an error.
    #[error("the node refused: {message} ({code})")]
    Refused {
        /// JSON-RPC error code.
        code: i64,
        /// Its message, shortened.
        message: String,
        /// Revert data, where the node gave it.
        data: Option<Vec<u8>>,
    },
    /// The answer is not what the method returns.
    #[error("the node's answer is malformed")]
    Malformed,
}

impl RpcError {
    /// Whether the request may have had its effect although there is no good answer.
    #[must_use]
    pub const fn may_have_been_sent(&self) -> bool {
        matches!(self, Self::Silent | Self::Malformed)
    }

    /// Whether the node says that it cannot answer this, as opposed to one that is too busy, or lacks
    /// what another may have.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if !is_busy(*code))
    }

    /// Whether the node ran a call and the call failed, as opposed to a node that would not run it.
    /// Nodes agree on the words more than on the codes.
    #[must_use]
    pub fn is_revert(&self) -> bool {
        let Self::Refused { code, message, .. } = self else {
            return false;
        };
        let message = message.to_ascii_lowercase();
        let words = [
            "revert",
            "out of gas",
            "invalid opcode",
            "invalid jump",
            "stack underflow",
        ];
        *code == 3
            || words.iter().any(|word| message.contains(word))
            || message.starts_with("execution halted")
    }
}

/// Whether a JSON-RPC error says that the node is too busy, or lacks what another may have.
pub(super) const fn is_busy(code: i64) -> bool {
    matches!(code, -32005 | 429)
}

/// A way to a node: HTTP, or a node in this process.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Calls a method.
    ///
    /// # Errors
    /// [`RpcError`].
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError>;

    /// Calls several methods at once, in one message where the transport can. The answers are in the
    /// order of the calls.
    ///
    /// # Errors
    /// [`RpcError`] if there are no answers at all.
    async fn batch(
        &self,
        calls: Vec<(&'static str, Value)>,
    ) -> Result<Vec<Result<Value, RpcError>>, RpcError> {
        let mut answers = Vec::with_capacity(calls.len());
        for (method, params) in calls {
            answers.push(self.call(method, params).await);
        }
        Ok(answers)
    }

    /// Tells the newest block number as it changes, where the node can push. Without it the engine
    /// polls.
    fn blocks(&self) -> Option<watch::Receiver<u64>> {
        None
    }
}
