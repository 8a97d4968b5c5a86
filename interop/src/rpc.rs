//! Ethereum JSON-RPC, as far as the tests ask the node for themselves.

use anyhow::{Context as _, Result, bail, ensure};
use octroi_types::{Address, B256};
use serde_json::{Value, json};

use crate::{Http, abi, eventually};

/// A node's JSON-RPC endpoint. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Rpc {
    http: Http,
    url: String,
}

/// What a test looks at in a transaction's receipt.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Whether it did not revert.
    pub succeeded: bool,
    /// The contract it created, if any.
    pub contract: Option<Address>,
    /// The number of its block.
    pub block: u128,
    /// The gas it used.
    pub gas_used: u128,
}

impl Rpc {
    /// The endpoint at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            http: Http::new(),
            url: url.to_owned(),
        }
    }

    /// Where the node listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls any method.
    ///
    /// # Errors
    /// When the node answers with an error, which the text carries.
    pub async fn request(&self, method: &str, params: Value) -> Result<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut answer = self.http.post(&self.url, &body).await?.json()?;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].take())
    }

    /// The code at `address`, empty where there is none.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn code(&self, address: Address) -> Result<Vec<u8>> {
        let code = self
            .request("eth_getCode", json!([address, "latest"]))
            .await?;
        bytes(&code)
    }

    /// Calls `to` on the latest block without a transaction.
    ///
    /// # Errors
    /// When the call reverts.
    pub async fn call(&self, to: Address, data: &[u8]) -> Result<Vec<u8>> {
        let call = json!({"to": to, "data": hex_text(data)});
        let output = self.request("eth_call", json!([call, "latest"])).await?;
        bytes(&output)
    }

    /// An account's balance of the chain's own coin, in wei.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn wei(&self, address: Address) -> Result<u128> {
        let balance = self
            .request("eth_getBalance", json!([address, "latest"]))
            .await?;
        quantity(&balance)
    }

    /// Sends a transaction from an account whose key the node holds, waits for its receipt and insists
    /// that it succeeded. Without `to` it creates a contract.
    ///
    /// # Errors
    /// When it is refused or reverts; the contract's reason is in the text.
    pub async fn transact(
        &self,
        from: Address,
        to: Option<Address>,
        data: &[u8],
    ) -> Result<Receipt> {
        let mut transaction = json!({"from": from, "data": hex_text(data)});
        if let Some(to) = to {
            transaction["to"] = json!(to);
        }
        // A receipt does not say why a transaction reverted; a call does.
        let trial = json!([transaction.clone(), "latest"]);
        self.request("eth_call", trial).await?;
        let hash = self
            .request("eth_sendTransaction", json!([transaction]))
            .await?;
        let hash = hash.as_str().context("no transaction hash")?.parse()?;
        let receipt = self.wait_for_receipt(hash).await?;
        ensure!(receipt.succeeded, "transaction {hash} reverted");
        Ok(receipt)
    }

    /// A transaction's receipt, if it is in a block.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn receipt(&self, hash: B256) -> Result<Option<Receipt>> {
        let receipt = self
            .request("eth_getTransactionReceipt", json!([hash]))
            .await?;
        if receipt.is_null() {
            return Ok(None);
        }
        Ok(Some(Receipt {
            succeeded: quantity(&receipt["status"])? == 1,
            contract: receipt["contractAddress"]
                .as_str()
                .map(str::parse)
                .transpose()?,
            block: quantity(&receipt["blockNumber"])?,
            gas_used: quantity(&receipt["gasUsed"])?,
        }))
    }

    /// Waits until a transaction is in a block.
    ///
    /// # Errors
    /// When the node refuses or patience runs out.
    pub async fn wait_for_receipt(&self, hash: B256) -> Result<Receipt> {
        let what = format!("transaction {hash} to be in a block");
        eventually(&what, async || self.receipt(hash).await).await
    }

    /// Calls a view of `to` that returns one unsigned integer.
    ///
    /// # Errors
    /// When the call reverts or returns something else.
    pub async fn call_uint(&self, to: Address, data: &[u8]) -> Result<u128> {
        let output = self.call(to, data).await?;
        abi::returned_uint(&output).context("not an unsigned integer below 2^128")
    }

    /// Calls a view of `to` that returns one string.
    ///
    /// # Errors
    /// When the call reverts or returns something else.
    pub async fn call_text(&self, to: Address, data: &[u8]) -> Result<String> {
        let output = self.call(to, data).await?;
        abi::returned_text(&output).context("not a string")
    }
}

/// `0x` and the bytes in hex.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn bytes(value: &Value) -> Result<Vec<u8>> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    Ok(hex::decode(digits.context("expected hex bytes")?)?)
}

fn quantity(value: &Value) -> Result<u128> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    Ok(u128::from_str_radix(
        digits.context("expected a hex number")?,
        16,
    )?)
}
