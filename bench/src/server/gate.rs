//! The gate as a process.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use octroi_interop::{GATE_WALLET, PAYEE, Process};
use tempfile::TempDir;

use super::{free_address, ready};
use crate::machine::tool_version;
use crate::process::ProcessId;
use crate::request::Target;

/// The host of the site behind the gate.
pub const SITE_HOST: &str = "shop.test";

/// What the gate is to stand in front of.
#[derive(Clone, Copy, Debug)]
pub struct GateOptions<'a> {
    /// The origin, such as `http://127.0.0.1:9000`.
    pub origin_url: &'a str,
    /// The chain's JSON-RPC endpoint; its id is Base Sepolia's.
    pub rpc_url: &'a str,
}

/// A running `octroi serve` with a site whose `/free…` is free and whose `/paid…` and
/// `/download…` cost a tenth of a cent.
#[derive(Debug)]
pub struct Gate {
    process: Process,
    url: String,
    // Dropped after the process has ended.
    _folder: TempDir,
}

impl Gate {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When there is no binary or it does not get ready; the error carries its output.
    pub async fn start(options: &GateOptions<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let config = folder.path().join("octroi.toml");
        fs::write(&config, config_text(&address, options))?;
        fs::write(folder.path().join("wallet.key"), GATE_WALLET.private_key)?;
        let mut command = Command::new(binary()?);
        command
            .current_dir(folder.path())
            .arg("serve")
            .arg("--config")
            .arg(&config);
        let process = Process::start("octroi", command)?;
        let url = format!("http://{address}");
        ready(&process, &format!("{url}/readyz")).await?;
        Ok(Self {
            process,
            url,
            _folder: folder,
        })
    }

    /// A path of the site.
    ///
    /// # Errors
    /// When the path is not one.
    pub fn site(&self, path: &str) -> Result<Target> {
        Ok(Target::parse(&format!("{}{path}", self.url))?.with_host(SITE_HOST))
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        ProcessId(self.process.id())
    }

    /// Its version.
    ///
    /// # Errors
    /// When there is no binary.
    pub fn version() -> Result<String> {
        tool_version(binary()?, &["--version"])
    }
}

/// The one in `OCTROI_BIN`, or the one that Cargo built beside this program.
pub(super) fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("OCTROI_BIN") {
        return Ok(PathBuf::from(path));
    }
    let path = std::env::current_exe()?.with_file_name("octroi");
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build --release -p octroi` or set OCTROI_BIN",
        path.display()
    );
    Ok(path)
}

fn config_text(address: &str, options: &GateOptions<'_>) -> String {
    let GateOptions {
        origin_url,
        rpc_url,
    } = options;
    let payee = PAYEE.address;
    format!(
        r#"[server]
listen = ["{address}"]

[store]
path = "octroi.db"

[log]
level = "warn"

[tenant]
pay_to = "{payee}"

[network.base-sepolia]
rpc_urls = ["{rpc_url}"]
wallet_key_files = ["wallet.key"]

[[site]]
hosts = ["{SITE_HOST}"]
origin = "{origin_url}"

[[site.route]]
pattern = "/free/*"
free = true

[[site.route]]
pattern = "/paid/*"
price = "$0.001"

[[site.route]]
pattern = "/download"
price = "$0.001"
"#
    )
}

#[cfg(test)]
mod tests {
    use octroi_config::{Config, Source};

    use super::*;

    #[test]
    fn the_configuration_is_one_that_the_gate_takes() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("wallet.key"), GATE_WALLET.private_key).unwrap();
        let options = GateOptions {
            origin_url: "http://127.0.0.1:9000",
            rpc_url: "http://127.0.0.1:8545",
        };
        let checked = Config::check(Source {
            file: "octroi.toml",
            text: &config_text("127.0.0.1:8402", &options),
            directory: folder.path(),
            environment: &[],
        });
        assert!(checked.is_ok(), "{}", checked.err().unwrap());
    }
}
