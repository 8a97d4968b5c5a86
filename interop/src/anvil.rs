//! A real EVM node in a process of its own, and the faults it can be told to have.

use std::ops::Deref;
use std::process::Command;

use anyhow::Result;
use octroi_types::{Address, B256};
use serde_json::{Value, json};

use crate::rpc::hex_text;
use crate::{Rpc, Service, installed};

/// A running anvil node. It dereferences to its JSON-RPC endpoint.
#[derive(Debug)]
pub struct Anvil {
    service: Service,
    rpc: Rpc,
}

impl Anvil {
    /// Starts a node with this chain id on a free port. `options` are the node's own command-line
    /// arguments, such as `["--block-time", "1"]` or `["--no-mining"]`; without any it mines each
    /// transaction as it comes.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(chain_id: u64, options: &[&str]) -> Result<Self> {
        let mut command = Command::new(installed::anvil_binary()?);
        command
            .args(["--host", "127.0.0.1", "--port", "0", "--chain-id"])
            .arg(chain_id.to_string())
            .args(options);
        let service = Service::start("anvil", command).await?;
        let rpc = Rpc::new(service.url());
        Ok(Self { service, rpc })
    }

    /// What the node has printed, its log of calls and transactions among it.
    #[must_use]
    pub fn output(&self) -> String {
        self.service.process.output()
    }

    /// Puts `code` at `address`.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_code(&self, address: Address, code: &[u8]) -> Result<()> {
        self.control("anvil_setCode", json!([address, hex_text(code)]))
            .await
    }

    /// Gives an account this many wei.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_wei(&self, address: Address, wei: u128) -> Result<()> {
        self.control("anvil_setBalance", json!([address, format!("{wei:#x}")]))
            .await
    }

    /// Mines `blocks` blocks now.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn mine(&self, blocks: u64) -> Result<()> {
        self.control("anvil_mine", json!([format!("{blocks:#x}")]))
            .await
    }

    /// Mines a block every `seconds` from now on, as a chain does, instead of each transaction as it comes.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_block_time(&self, seconds: u64) -> Result<()> {
        self.control("evm_setIntervalMining", json!([seconds]))
            .await
    }

    /// Turns mining of each transaction as it comes on or off.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_automine(&self, on: bool) -> Result<()> {
        self.control("evm_setAutomine", json!([on])).await
    }

    /// Forgets a transaction that waits for a block.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn drop_transaction(&self, hash: B256) -> Result<()> {
        self.control("anvil_dropTransaction", json!([hash])).await
    }

    /// The next block's base fee, in wei: a fee spike.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn set_next_base_fee(&self, wei: u128) -> Result<()> {
        let params = json!([format!("{wei:#x}")]);
        self.control("anvil_setNextBlockBaseFeePerGas", params)
            .await
    }

    /// Replaces the last `depth` blocks by empty ones: a reorganisation that loses their transactions.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn reorganise(&self, depth: u64) -> Result<()> {
        self.control("anvil_reorg", json!([depth, []])).await
    }

    /// Marks the chain's present state.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn snapshot(&self) -> Result<Value> {
        self.request("evm_snapshot", json!([])).await
    }

    /// Returns to a state that [`Anvil::snapshot`] marked.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn revert(&self, snapshot: Value) -> Result<()> {
        self.control("evm_revert", json!([snapshot])).await
    }

    /// The hashes of the transactions that wait for a block, from any sender.
    ///
    /// # Errors
    /// When the node refuses.
    pub async fn pending(&self) -> Result<Vec<B256>> {
        let content = self.request("txpool_content", json!([])).await?;
        let senders = content["pending"].as_object().into_iter().flatten();
        senders
            .flat_map(|(_, nonces)| nonces.as_object().into_iter().flatten())
            .filter_map(|(_, transaction)| transaction["hash"].as_str())
            .map(|hash| Ok(hash.parse()?))
            .collect()
    }

    async fn control(&self, method: &str, params: Value) -> Result<()> {
        self.request(method, params).await.map(drop)
    }
}

impl Deref for Anvil {
    type Target = Rpc;

    fn deref(&self) -> &Rpc {
        &self.rpc
    }
}
