//! Speaking JSON-RPC to a node, typed.

mod http;
mod parse;
mod transport;
mod types;

#[cfg(fuzzing)]
pub(crate) use http::in_order;
pub use http::{HttpTransport, HttpTransportOptions};
pub use transport::{RpcError, Transport};
pub use types::{BlockHead, BlockTag, Log, LogFilter, TransactionReceipt};

use std::sync::Arc;

use octroi_types::{Address, Amount, B256, ChainId};
use serde_json::{Value, json};

use crate::abi;
use crate::token::QUESTION_GAS;

use parse::{bytes_of, quantity, word_of};

/// A node, asked in words of the EVM.
#[derive(Clone)]
pub struct Rpc {
    transport: Arc<dyn Transport>,
}

impl Rpc {
    /// Wraps a transport.
    #[must_use]
    pub fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// The transport.
    #[must_use]
    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.transport
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, RpcError> {
        self.transport.call(method, params).await
    }

    /// `eth_chainId`.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn chain_id(&self) -> Result<ChainId, RpcError> {
        quantity(&self.call("eth_chainId", json!([])).await?).map(ChainId)
    }

    /// The head of a block; `None` if the node has none there.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn block(&self, tag: BlockTag) -> Result<Option<BlockHead>, RpcError> {
        let value = self
            .call("eth_getBlockByNumber", json!([tag.to_text(), false]))
            .await?;
        BlockHead::parse(&value)
    }

    /// The number of transactions an account has sent, by the given block.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn transaction_count(
        &self,
        account: Address,
        tag: BlockTag,
    ) -> Result<u64, RpcError> {
        let params = json!([account, tag.to_text()]);
        quantity(&self.call("eth_getTransactionCount", params).await?)
    }

    /// The code of an account.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn code(&self, account: Address) -> Result<Vec<u8>, RpcError> {
        bytes_of(&self.call("eth_getCode", json!([account, "latest"])).await?)
    }

    /// Whether a payer has code, and its balance of a token, in one message.
    ///
    /// # Errors
    /// [`RpcError`].
    pub(crate) async fn payer_facts(
        &self,
        token: Address,
        payer: Address,
    ) -> Result<(bool, Amount), RpcError> {
        let call = call_object(None, token, &abi::balance_of(payer), QUESTION_GAS);
        let calls = vec![
            ("eth_getCode", json!([payer, "latest"])),
            ("eth_call", json!([call, "latest"])),
        ];
        let mut answers = self.transport.batch(calls).await?.into_iter();
        let (Some(code), Some(balance)) = (answers.next(), answers.next()) else {
            return Err(RpcError::Malformed);
        };
        let has_code = !bytes_of(&code?)?.is_empty();
        let balance = abi::read_amount(&bytes_of(&balance?)?).ok_or(RpcError::Malformed)?;
        Ok((has_code, balance))
    }

    /// The native balance of an account in wei, saturating at `u128::MAX`.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn balance(&self, account: Address) -> Result<u128, RpcError> {
        let word = word_of(
            &self
                .call("eth_getBalance", json!([account, "latest"]))
                .await?,
        )?;
        let (high, low) = word.split_at(16);
        if high.iter().any(|byte| *byte != 0) {
            return Ok(u128::MAX);
        }
        Ok(low.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }

    /// Runs a call without sending it. A revert is [`RpcError::Refused`].
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn eth_call(
        &self,
        from: Option<Address>,
        to: Address,
        data: &[u8],
        gas: u64,
        tag: BlockTag,
    ) -> Result<Vec<u8>, RpcError> {
        let call = call_object(from, to, data, gas);
        bytes_of(&self.call("eth_call", json!([call, tag.to_text()])).await?)
    }

    /// The tip that the node suggests, in wei per gas.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn priority_fee(&self) -> Result<u64, RpcError> {
        quantity(&self.call("eth_maxPriorityFeePerGas", json!([])).await?)
    }

    /// Sends a signed transaction.
    ///
    /// # Errors
    /// [`RpcError`]; see [`RpcError::may_have_been_sent`].
    pub async fn send_raw(&self, raw: &[u8]) -> Result<(), RpcError> {
        let params = json!([format!("0x{}", hex::encode(raw))]);
        self.call("eth_sendRawTransaction", params).await.map(drop)
    }

    /// The receipt of a transaction that is in a block.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn receipt(&self, tx_hash: B256) -> Result<Option<TransactionReceipt>, RpcError> {
        let value = self
            .call("eth_getTransactionReceipt", json!([tx_hash]))
            .await?;
        TransactionReceipt::parse(&value)
    }

    /// Logs that match a filter.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn logs(&self, filter: &LogFilter) -> Result<Vec<Log>, RpcError> {
        let value = self.call("eth_getLogs", json!([filter.to_json()])).await?;
        value
            .as_array()
            .ok_or(RpcError::Malformed)?
            .iter()
            .map(Log::parse)
            .collect()
    }
}

fn call_object(from: Option<Address>, to: Address, data: &[u8], gas: u64) -> Value {
    let mut call = json!({
        "to": to,
        "data": format!("0x{}", hex::encode(data)),
        "gas": format!("{gas:#x}"),
    });
    if let (Some(from), Some(fields)) = (from, call.as_object_mut()) {
        fields.insert("from".to_owned(), json!(from));
    }
    call
}
