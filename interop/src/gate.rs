//! The gate under test: the real `octroi` binary with a configuration and a data folder of its own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, ensure};
use octroi_types::{Address, B256};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::{GATE_WALLET, Service};

/// The bearer token of the gate's own facilitator.
pub const FACILITATOR_TOKEN: &str = "interop-facilitator-token";

/// A running gate. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Gate {
    // Declared before the folder, and so ended before it goes.
    service: Option<Service>,
    folder: TempDir,
    binary: PathBuf,
}

/// What a test looks at in the record of a payment attempt.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// `Pending`, `Completed`, `Failed` or `Unknown`.
    pub state: String,
    /// What happened to the money: `claimed`, `broadcast`, `settled`, `unknown` and so on.
    pub payment: String,
    /// What happened to the work: `executing`, `answered`, `delivered`, `broken` and so on.
    pub work: String,
    /// `x402-v1`, `x402-v2` or `facilitator`.
    pub rail: String,
    /// Method of the request.
    pub method: String,
    /// Canonical path of the request.
    pub path: String,
    /// Who paid.
    pub payer: Address,
    /// How much, as digits in the token's smallest unit.
    pub amount: String,
    /// The chain transaction.
    pub tx_hash: Option<B256>,
    /// The credit that paid for it.
    pub covered_by: Option<String>,
    /// The credit it led to.
    pub refund_credit: Option<String>,
}

impl Gate {
    /// Starts `octroi serve` with this configuration text and waits until it listens. `{data}` in the text
    /// stands for the gate's own folder, which survives [`Gate::restart`]. The folder has the key of
    /// [`GATE_WALLET`] in `wallet.key` and [`FACILITATOR_TOKEN`] in `facilitator.token`.
    ///
    /// The binary is the one in `OCTROI_BIN`, or the one that Cargo built beside the tests.
    ///
    /// # Errors
    /// When there is no binary or it does not start; the error carries its output.
    pub async fn start(config: &str) -> Result<Self> {
        Self::start_binary(binary()?, config).await
    }

    /// The same with a binary of one's choice.
    ///
    /// # Errors
    /// When it does not start; the error carries its output.
    pub async fn start_binary(binary: PathBuf, config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().display().to_string();
        std::fs::write(config_path(&folder), config.replace("{data}", &data))?;
        std::fs::write(folder.path().join("wallet.key"), GATE_WALLET.private_key)?;
        std::fs::write(folder.path().join("facilitator.token"), FACILITATOR_TOKEN)?;
        let mut gate = Self {
            service: None,
            folder,
            binary,
        };
        gate.launch().await?;
        Ok(gate)
    }

    /// The address that the gate said first that it listens on.
    ///
    /// # Errors
    /// When the gate has been killed and not restarted.
    pub fn url(&self) -> Result<&str> {
        Ok(self.running()?.url())
    }

    /// What the gate has printed since it started last.
    ///
    /// # Errors
    /// When the gate has been killed and not restarted.
    pub fn output(&self) -> Result<String> {
        Ok(self.running()?.process.output())
    }

    /// The folder that `{data}` stands for.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the gate where it stands, as a crash or a power cut would.
    pub fn kill(&mut self) {
        self.service = None;
    }

    /// Kills the gate if it runs, and starts it again on the same folder.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill();
        self.launch().await
    }

    /// Asks the gate to drain and end, and returns its status and whole output.
    ///
    /// # Errors
    /// When it was not running or does not end.
    pub async fn terminate(mut self) -> Result<(ExitStatus, String)> {
        let service = self.service.take().context("the gate is not running")?;
        service.process.terminate().await
    }

    /// Every transaction in the gate's records, oldest first, as `octroi transactions export` writes them.
    /// The gate need not be running.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn transactions(&self) -> Result<Vec<Transaction>> {
        let listed = self
            .records(&["transactions", "export", "--format", "json"])
            .await?;
        let mut transactions: Vec<Transaction> = serde_json::from_value(listed)?;
        transactions.reverse();
        Ok(transactions)
    }

    /// The trial balance and the audit of every row, as `octroi books` shows them.
    ///
    /// # Errors
    /// When the books do not balance or do not pass the audit.
    pub async fn books(&self) -> Result<Value> {
        self.records(&["books", "--audit", "--json"]).await
    }

    /// The most memory that the gate has had resident since it started last, in bytes.
    ///
    /// # Errors
    /// When it is not running, or the system does not tell (only Linux does).
    pub fn peak_memory_bytes(&self) -> Result<u64> {
        self.running()?.process.peak_memory_bytes()
    }

    async fn records(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .arg("--config")
            .arg(config_path(&self.folder));
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(
            output.status.success(),
            "octroi {arguments:?}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    async fn launch(&mut self) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(self.folder.path())
            .arg("serve")
            .arg("--config")
            .arg(config_path(&self.folder));
        self.service = Some(Service::start("octroi", command).await?);
        Ok(())
    }

    fn running(&self) -> Result<&Service> {
        self.service.as_ref().context("the gate is not running")
    }
}

fn config_path(folder: &TempDir) -> PathBuf {
    folder.path().join("octroi.toml")
}

fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("OCTROI_BIN") {
        return Ok(PathBuf::from(path));
    }
    // Tests are built into `deps`, one level below the package's own binaries.
    let tests = env::current_exe()?;
    let profile = tests.ancestors().nth(2).context("no target folder")?;
    let path = profile.join(format!("octroi{}", env::consts::EXE_SUFFIX));
    ensure!(
        path.is_file(),
        "{} is missing: run `cargo build -p octroi` or set OCTROI_BIN",
        path.display()
    );
    Ok(path)
}
