//! `cargo xtask bench`: how fast the gate is, beside its peers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::run::{cargo, run, say};
use crate::{cache, fetch};

/// Where Debian puts it, which is on the path of administrators only.
const DEBIAN_NGINX: &str = "usr/sbin/nginx";

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
    match nginx() {
        Ok(binary) => drop(command.env("OCTROI_BENCH_NGINX", binary)),
        Err(error) => say(&format!("bench: without nginx: {error:#}")),
    }
    run(&mut command)
}

/// The nginx of this machine, or else one from Debian's package, unpacked beside the other things
/// that are fetched: installing it would start a web server.
fn nginx() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&path)
        .map(|folder| folder.join("nginx"))
        .chain([Path::new("/").join(DEBIAN_NGINX)])
        .find(|binary| binary.is_file());
    if let Some(binary) = installed {
        return Ok(binary);
    }
    say("bench: nginx is not installed, unpacking Debian's package");
    let entry = cache::entry(&cache::folder()?, "nginx", |folder| {
        run(Command::new("apt-get")
            .args(["download", "--quiet", "nginx"])
            .current_dir(folder))?;
        let package = fs::read_dir(folder)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get downloaded nothing")?;
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))
    })
    .context("install it, on Debian with `apt-get install nginx`")?;
    Ok(entry.join(DEBIAN_NGINX))
}
