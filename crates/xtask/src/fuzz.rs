//! `cargo xtask fuzz`: every parser that reads the network, under a coverage-guided fuzzer.
//!
//! Works on the stable toolchain: the instrumentation is an LLVM pass, and the fuzzer comes as a
//! crate. What is lost against a nightly toolchain is the address sanitizer, which code without
//! `unsafe` can do without.
//!
//! What a target finds worth keeping is written to `fuzz/corpus`, which is not part of the tree. It starts from
//! `fuzz/seeds/<target>`, a few small inputs that are in order, and from the words in
//! `fuzz/dictionaries/<target>.dict` where there is one: from nothing, a short run hardly gets past the
//! first layer of a format.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::run::{cargo, output, root, run, say};

/// Coverage counters and a table of places, which libFuzzer reads.
const RUSTFLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1";

/// How long each target runs in `cargo xtask test`, in seconds.
const SHORT_SECONDS: u32 = 5;

/// Which targets, and for how long.
#[derive(Debug, Args)]
pub(crate) struct FuzzArguments {
    /// Only this target
    #[arg(value_name = "TARGET")]
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// The short run that belongs to every test run.
pub(crate) fn short() -> Result<()> {
    fuzz(&FuzzArguments {
        target: None,
        seconds: SHORT_SECONDS,
    })
}

/// Builds and runs the targets; what crashes one is left in `fuzz/artifacts`.
pub(crate) fn fuzz(arguments: &FuzzArguments) -> Result<()> {
    let targets = targets(arguments.target.as_deref())?;
    let target_dir = target_dir();
    // Named, so that Cargo leaves build scripts and macros uninstrumented.
    let host = host()?;
    let mut build = cargo(["build", "--release", "--target", &host]);
    build
        .args(["--manifest-path", "fuzz/Cargo.toml"])
        .env("CARGO_TARGET_DIR", &target_dir)
        .env("RUSTFLAGS", RUSTFLAGS);
    run(&mut build)?;
    for name in &targets {
        say(&format!("fuzz: {name} for {} s", arguments.seconds));
        let corpus = root().join("fuzz/corpus").join(name);
        let seeds = root().join("fuzz/seeds").join(name);
        let dictionary = root().join(format!("fuzz/dictionaries/{name}.dict"));
        let artifacts = root().join("fuzz/artifacts").join(name);
        ensure!(seeds.is_dir(), "fuzz target {name} has no seeds");
        fs::create_dir_all(&corpus)?;
        fs::create_dir_all(&artifacts)?;
        let binary = target_dir.join(&host).join("release").join(name);
        let mut fuzzer = Command::new(binary);
        // New inputs go to the first folder.
        fuzzer
            .args([&corpus, &seeds])
            .arg(format!("-max_total_time={}", arguments.seconds))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args([
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-max_len=16384",
                "-verbosity=0",
            ])
            .arg("-print_final_stats=1");
        if dictionary.is_file() {
            fuzzer.arg(format!("-dict={}", dictionary.display()));
        }
        run(&mut fuzzer).with_context(|| format!("fuzz target {name}"))?;
    }
    Ok(())
}

/// The names of the targets, which are the files in `fuzz/targets`.
fn targets(only: Option<&str>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("fuzz/targets")).context("fuzz/targets")? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    match only {
        None => Ok(names),
        Some(only) if names.iter().any(|name| name == only) => Ok(vec![only.to_owned()]),
        Some(only) => bail!("no fuzz target {only}; there are: {}", names.join(", ")),
    }
}

/// The platform that we run on, as the compiler names it.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = output(Command::new(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say for which platform it builds")?;
    Ok(host.to_owned())
}

fn target_dir() -> PathBuf {
    let base =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    base.join("fuzz")
}
