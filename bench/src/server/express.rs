//! The official x402 stack: Express middleware and facilitator in one Node process.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use octroi_interop::{FACILITATOR, PAYEE, Service};
use serde_json::Value;

use crate::process::ProcessId;

/// The path that it sells.
pub const PAID_PATH: &str = octroi_interop::PAID_PATH;

/// The running stack, with a nonce manager for its wallet.
#[derive(Debug)]
pub struct Express(Service);

impl Express {
    /// Starts it, settling over `rpc_url`.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub async fn start(rpc_url: &str) -> Result<Self> {
        let mut command = Command::new("node");
        command
            .arg(existing("bench-server.mjs")?)
            .env("NODE_ENV", "production")
            .env("PORT", "0")
            .env("EVM_PRIVATE_KEY", FACILITATOR.private_key)
            .env("EVM_PAYEE_ADDRESS", PAYEE.address.to_string())
            .env("EVM_RPC_URL", rpc_url);
        Ok(Self(Service::start("the Express stack", command).await?))
    }

    /// Its address, without a trailing slash.
    #[must_use]
    pub fn url(&self) -> &str {
        self.0.url()
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        ProcessId(self.0.process.id())
    }

    /// The version of one of its npm packages.
    ///
    /// # Errors
    /// When it is not installed.
    pub fn package_version(name: &str) -> Result<String> {
        let manifest = existing(&format!("node_modules/{name}/package.json"))?;
        let manifest: Value = serde_json::from_slice(&std::fs::read(manifest)?)?;
        Ok(manifest["version"].as_str().unwrap_or("unknown").to_owned())
    }
}

fn existing(name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/js")).join(name);
    ensure!(
        path.exists(),
        "{} is missing: run `cargo xtask fetch`",
        path.display()
    );
    Ok(path)
}
