//! `cargo xtask check`: the rules about crates, formatting, and lints, the quickest first.

use anyhow::{Result, bail};

use crate::packages::packages;
use crate::run::{cargo, run, say};
use crate::{fence, layer};

/// Runs every check and stops at the first that fails.
///
/// # Errors
/// When a check fails.
pub(crate) fn check() -> Result<()> {
    say("check: layers and fences");
    crates()?;
    say("check: formatting");
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    say("check: lints");
    let everything = ["--workspace", "--all-targets", "--all-features", "--quiet"];
    run(cargo(["clippy"])
        .args(everything)
        .args(["--", "--deny", "warnings"]))?;
    say("check: ok");
    Ok(())
}

fn crates() -> Result<()> {
    let packages = packages()?;
    let mut violations = layer::violations(&packages);
    violations.extend(fence::violations(&packages));
    if violations.is_empty() {
        return Ok(());
    }
    bail!(
        "crates used where they should not be:\n  {}",
        violations.join("\n  ")
    );
}
