//! `cargo xtask fetch`: what the interop tests drive and is not ours.
//!
//! npm packages (the EVM node, Circle's token, the x402 SDKs) and a Python environment, both pinned by
//! lock files in the tree and installed outside it. Two links in the tree lead there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::cache;
use crate::run::{output, root, run, say};

/// The oldest releases that the pinned packages run on.
const NODE_MAJOR_MIN: u32 = 20;
const PYTHON_MINOR_MIN: u32 = 10;

/// Installs both, or finds them installed.
///
/// # Errors
/// When a tool is missing or an installation fails.
pub(crate) fn fetch() -> Result<()> {
    let cache = cache::folder()?;
    let interop = root().join("interop");
    let js = node_modules(&cache, &interop.join("js"))?;
    cache::link(&interop.join("js/node_modules"), &js)?;
    let py = python_environment(&cache, &interop.join("py"))?;
    cache::link(&interop.join("py/.venv"), &py)
}

fn node_modules(cache: &Path, source: &Path) -> Result<PathBuf> {
    let version = tool_version("node", "install Node.js 20 or newer")?;
    let major = version.trim_start_matches('v').split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).unwrap_or(0);
    ensure!(
        major >= NODE_MAJOR_MIN,
        "Node.js {version} is too old: {NODE_MAJOR_MIN} or newer is needed"
    );
    tool_version("npm", "install npm, which comes with most Node.js packages")?;

    let manifest = read(&source.join("package.json"))?;
    let lock = read(&source.join("package-lock.json"))?;
    let name = cache::key("js", &[&manifest, &lock]);
    let entry = install(cache, &name, "npm packages", "200 MB", |folder| {
        fs::write(folder.join("package.json"), &manifest)?;
        fs::write(folder.join("package-lock.json"), &lock)?;
        // `install` rather than `ci`, which insists on other platforms' builds of the EVM node. What the
        // lock file pins is pinned either way. No package's own script runs: nothing here needs one.
        run(Command::new("npm")
            .args([
                "install",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--loglevel=error",
            ])
            .current_dir(folder))
    })?;
    Ok(entry.join("node_modules"))
}

fn python_environment(cache: &Path, source: &Path) -> Result<PathBuf> {
    let version = tool_version("python3", "install Python 3.10 or newer")?;
    let minor = version
        .strip_prefix("Python 3.")
        .and_then(|rest| rest.split('.').next());
    let minor: u32 = minor.and_then(|minor| minor.parse().ok()).unwrap_or(0);
    ensure!(
        minor >= PYTHON_MINOR_MIN,
        "{version} is too old: Python 3.{PYTHON_MINOR_MIN} or newer is needed"
    );

    let requirements = read(&source.join("requirements.txt"))?;
    let name = cache::key("py", &[&requirements, version.as_bytes()]);
    install(cache, &name, "Python packages", "130 MB", |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder))
            .context("Python cannot make environments; on Debian install python3-venv")?;
        run(Command::new(folder.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            // Compiled wheels only, and bytecode when it is first wanted: both save minutes.
            .args(["--only-binary=:all:", "--no-compile", "-r"])
            .arg(source.join("requirements.txt")))
    })
}

/// The cache's entry `name`, with a word about what is going on.
fn install(
    cache: &Path,
    name: &str,
    what: &str,
    size: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let started = Instant::now();
    let mut installed = false;
    let entry = cache::entry(cache, name, |folder| {
        say(&format!(
            "fetch: installing {what} (about {size}) into {}",
            folder.display()
        ));
        installed = true;
        fill(folder)
    })
    .with_context(|| format!("cannot install the {what}"))?;
    if installed {
        say(&format!(
            "fetch: {what} installed in {:.0} s",
            started.elapsed().as_secs_f64()
        ));
    } else {
        say(&format!("fetch: {what} are there ({})", entry.display()));
    }
    Ok(entry)
}

/// What `tool --version` prints, or an error that says what to do.
fn tool_version(tool: &str, advice: &str) -> Result<String> {
    let version = output(Command::new(tool).arg("--version"))
        .with_context(|| format!("the interop tests need {tool}: {advice}"))?;
    Ok(version.trim().to_owned())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
