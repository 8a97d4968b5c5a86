//! What the rules about crates look at in each package of the workspace.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::run::{cargo, output};

/// One package of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// What the package itself is built with.
    pub(crate) dependencies: Vec<String>,
    /// What only its tests, examples and benches are built with.
    pub(crate) dev_dependencies: Vec<String>,
    /// Its `Cargo.toml`.
    pub(crate) manifest: String,
}

/// Every package of the workspace, as Cargo sees it.
///
/// # Errors
/// When Cargo cannot read the workspace.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let metadata = output(&mut cargo(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("the output of cargo metadata")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    packages.iter().map(package).collect()
}

fn package(metadata: &Value) -> Result<Package> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("not a text");
    let path = text(&metadata["manifest_path"])?;
    let mut package = Package {
        name: text(&metadata["name"])?,
        dependencies: Vec::new(),
        dev_dependencies: Vec::new(),
        manifest: fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?,
    };
    for dependency in metadata["dependencies"].as_array().into_iter().flatten() {
        let name = text(&dependency["name"])?;
        if dependency["kind"] == "dev" {
            package.dev_dependencies.push(name);
        } else {
            package.dependencies.push(name);
        }
    }
    Ok(package)
}

#[cfg(test)]
impl Package {
    /// A package that keeps every rule, with these dependencies.
    pub(crate) fn sample(name: &str, dependencies: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
            dev_dependencies: Vec::new(),
            manifest: "[lints]\nworkspace = true\n".to_owned(),
        }
    }
}
