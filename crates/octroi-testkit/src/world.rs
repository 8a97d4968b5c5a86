//! Everything around a gate: a chain, the way to it, an origin, and a folder with a configuration.

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::net::{Net, PAYEE};
use crate::node::Node;
use crate::origin::Origin;

/// What a gate lives in.
pub struct World {
    /// The chain.
    pub net: Arc<Net>,
    /// The gate's way to it.
    pub node: Arc<Node>,
    /// Where paid requests go.
    pub origin: Origin,
    /// Where the gate listens.
    pub listen: String,
    /// Where its buyers reach it.
    pub public_url: String,
    /// More keys of `[server]`.
    pub server: String,
    /// More keys of `[network.base-sepolia]`.
    pub network: String,
    /// More keys of the shop.
    pub shop: String,
    /// Who settles in place of the wallets.
    pub settler: Option<String>,
    /// More sections, at the end of the file.
    pub sections: String,
    folder: TempDir,
}

/// What is sold in every world, by the origin of that world. Each costs a cent.
const SHOP: &str = r#"
[[service.paywall]]
slug = "item"
price = "0.01"
path = "/item"

[[service.paywall]]
slug = "first"
price = "0.01"
path = "/item"
settle = "before_origin"

[[service.paywall]]
slug = "kind"
price = "0.01"
path = "/item"
break_charge = "credit"

[[service.paywall]]
slug = "again"
price = "0.01"
path = "/item"
idempotent = true

[[service.paywall]]
slug = "tree"
price = "0.01"
path = "/tree"
subpaths = true
methods = ["GET", "PUT", "DELETE"]
"#;

impl World {
    /// A world around this chain.
    pub async fn around(net: Net) -> Self {
        Self::around_shared(Arc::new(net)).await
    }

    /// Another world around the same chain.
    pub async fn around_shared(net: Arc<Net>) -> Self {
        Self {
            node: Node::new(net.devnet()),
            net,
            origin: Origin::start().await,
            listen: "127.0.0.1:0".to_owned(),
            public_url: "http://127.0.0.1:8402".to_owned(),
            server: String::new(),
            network: String::new(),
            shop: String::new(),
            settler: None,
            sections: String::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Where the gate keeps what it keeps.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The gate's configuration; its keys are in the folder.
    #[must_use]
    pub fn configuration(&self, rpc_url: &str) -> String {
        let mut key_files = Vec::new();
        for (index, wallet) in self.net.wallets().enumerate() {
            let name = format!("wallet-{index}.key");
            self.write(&name, &hex::encode(wallet.secret_key.expose()));
            key_files.push(format!("{name:?}"));
        }
        let wallets = format!("wallet_key_files = [{}]", key_files.join(", "));
        format!(
            r#"[server]
listen = ["{listen}"]
public_url = "{public_url}"
{server}

[store]
path = "octroi.db"

[tenant]
name = "seller"
pay_to = "{PAYEE}"

[network.base-sepolia]
rpc_urls = ["{rpc_url}"]
block_time_ms = 50
{network}
{settler}

[[service]]
name = "shop"
origin = "http://{origin}"
{shop}
timeout_ms = 30000
{SHOP}
{sections}
"#,
            settler = self.settler.clone().unwrap_or(wallets),
            listen = self.listen,
            public_url = self.public_url,
            server = self.server,
            network = self.network,
            shop = self.shop,
            origin = self.origin.address(),
            sections = self.sections,
        )
    }
}
