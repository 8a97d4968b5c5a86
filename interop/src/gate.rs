//! The gate under test: the real `octroi` binary with a configuration and a data folder of its own.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::Service;

/// A running gate. Dropping it kills it and removes its folder.
#[derive(Debug)]
pub struct Gate {
    // Declared before the folder, and so ended before it goes.
    service: Option<Service>,
    folder: TempDir,
    binary: PathBuf,
}

impl Gate {
    /// Starts `octroi serve` with this configuration text and waits until it listens. `{data}` in the text
    /// stands for the gate's own folder, which survives [`Gate::restart`].
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
