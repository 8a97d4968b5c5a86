//! The local test network of a development gate.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use octroi::local_node::LocalNode;
use octroi_chain::Transport;
use octroi_devnet::{DevNet, DevNetOptions, GenesisAccount};
use octroi_types::Amount;
use tracing::warn;

use super::keys::DevKeys;
use super::{CHAIN, Node};

/// A million dollars of play money.
const BUYER_TOKENS: u64 = 1_000_000_000_000;
/// A million units of play gas.
const WALLET_WEI: u128 = 1_000_000_000_000_000_000_000_000;
const TICK: Duration = Duration::from_millis(250);

pub(crate) struct DevNetwork {
    node: Node,
}

impl DevNetwork {
    pub(crate) fn open(folder: &Path, keys: &DevKeys) -> anyhow::Result<Self> {
        let tokens = Amount::new(BUYER_TOKENS).context("the buyer's money")?;
        let buyer = GenesisAccount {
            address: keys.buyer_address(),
            tokens,
            wei: 0,
        };
        let wallets = keys.wallet_addresses().map(|address| GenesisAccount {
            address,
            tokens: Amount::ZERO,
            wei: WALLET_WEI,
        });
        let options = DevNetOptions {
            persist_path: Some(folder.join("network")),
            accounts: std::iter::once(buyer).chain(wallets).collect(),
            ..DevNetOptions::new(CHAIN)
        };
        let node = DevNet::open(options).context("cannot open the local test network")?;
        Ok(Self {
            node: Arc::new(node),
        })
    }

    pub(crate) fn node(&self) -> Node {
        Arc::clone(&self.node)
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(LocalNode::new(Arc::clone(&self.node)))
    }

    /// Lets time pass on the network, so that payments become final although nobody pays.
    pub(crate) fn run(&self) {
        let node = Arc::clone(&self.node);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            loop {
                ticks.tick().await;
                if let Err(error) = node.tick() {
                    warn!(error = %error, "the local test network cannot go on");
                }
            }
        });
    }

    pub(crate) fn close(&self) -> anyhow::Result<()> {
        self.node
            .close()
            .context("cannot close the local test network")
    }
}
