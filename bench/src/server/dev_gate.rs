//! `octroi dev` as a process: gate, origin and test network in one.

use std::process::Command;

use anyhow::{Context as _, Result};
use octroi_interop::{Process, Rpc};
use octroi_types::{Address, keccak256};
use serde_json::json;
use tempfile::TempDir;

use super::{free_address, gate, ready};
use crate::payments::Buyers;
use crate::process::ProcessId;
use crate::request::Target;

/// The demo's cheapest answer to a GET.
const PAID_PATH: &str = "/api/x402/pay/demo/today";
/// The storage slot of the test token's balances (`TestUsd.sol`).
const BALANCES_SLOT: u8 = 4;
/// A million dollars.
const FUNDS: u64 = 1_000_000_000_000;

/// A running `octroi dev` with a folder of its own.
#[derive(Debug)]
pub struct DevGate {
    process: Process,
    url: String,
    rpc: Rpc,
    // Dropped after the process has ended.
    _folder: TempDir,
}

impl DevGate {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When there is no binary or it does not get ready; the error carries its output.
    pub async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let mut command = Command::new(gate::binary()?);
        command
            .args(["dev", "--listen", &address, "--data"])
            .arg(folder.path());
        let process = Process::start("octroi dev", command)?;
        let url = format!("http://{address}");
        ready(&process, &format!("{url}/readyz")).await?;
        let rpc = Rpc::new(&process.line(node_url).await?);
        Ok(Self {
            process,
            url,
            rpc,
            _folder: folder,
        })
    }

    /// What it sells.
    ///
    /// # Errors
    /// None to be expected.
    pub fn paid(&self) -> Result<Target> {
        Target::parse(&format!("{}{PAID_PATH}", self.url))
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        ProcessId(self.process.id())
    }

    /// Gives buyers money to spend in the test token.
    ///
    /// # Errors
    /// When the test network refuses.
    pub async fn fund(&self, token: Address, buyers: &Buyers) -> Result<()> {
        for buyer in buyers.addresses() {
            // A mapping's entry lies at the hash of its key and the mapping's own slot.
            let mut preimage = [0; 64];
            preimage[..32].copy_from_slice(&buyer.to_word());
            preimage[63] = BALANCES_SLOT;
            let params = json!([token, keccak256(&preimage), format!("{FUNDS:#066x}")]);
            self.rpc
                .request("anvil_setStorageAt", params)
                .await
                .context("cannot fund a buyer")?;
        }
        Ok(())
    }
}

/// The address in the line `node   http://127.0.0.1:4021/rpc (chain id …)`.
fn node_url(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("node ")?;
    let url = rest.split_whitespace().next()?;
    url.ends_with("/rpc").then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::node_url;

    #[test]
    fn the_node_is_found_in_the_welcome() {
        let line = "  node          http://127.0.0.1:4021/rpc (chain id 84028402)";
        assert_eq!(node_url(line).unwrap(), "http://127.0.0.1:4021/rpc");
        assert_eq!(node_url("  gate          http://127.0.0.1:8402"), None);
    }
}
