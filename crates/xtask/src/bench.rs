//! `cargo xtask bench`: how fast the gate is, beside its peers.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::run::{cargo, run, say};
use crate::{debian, fetch};

/// What `octroi-bench run` takes.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Only this measurement; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also write everything to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Few and short rounds: to see that it works
    #[arg(long)]
    quick: bool,
}

/// Builds the gate as it is released, fetches its peers, and measures.
///
/// # Errors
/// When something does not build, or a measurement could not be made.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<()> {
    fetch::fetch()?;
    // Alone, so that it has the features of a released binary and no others.
    run(&mut cargo(["build", "--release", "--package", "octroi"]))?;
    let mut command = cargo(["run", "--quiet", "--release", "--package", "octroi-bench"]);
    command.args(["--", "run"]);
    for name in &arguments.only {
        command.args(["--only", name]);
    }
    if let Some(file) = &arguments.json {
        // The command runs in the checkout's root.
        command.arg("--json").arg(std::path::absolute(file)?);
    }
    if arguments.quick {
        command.arg("--quick");
    }
    match debian::programs("nginx", "usr/sbin", &["nginx"]) {
        Ok(folder) => drop(command.env("OCTROI_BENCH_NGINX", folder.join("nginx"))),
        Err(error) => say(&format!("bench: without nginx: {error:#}")),
    }
    run(&mut command)
}
