//! Programs that come as Debian's packages. They are used from where they are installed, or else from a
//! package that is unpacked into the cache: installing one may start a server, and needs an administrator.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result};

use crate::cache;
use crate::run::{run, say};

/// Where the package's programs are, unpacked; `folder` is Debian's own, such as `usr/bin`.
///
/// # Errors
/// When the package cannot be had, with what to do about it.
pub(crate) fn programs(package: &str, folder: &str, names: &[&str]) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&path)
        // Some are on the path of administrators only.
        .chain([Path::new("/").join(folder)])
        .find(|folder| names.iter().all(|name| folder.join(name).is_file()));
    if let Some(folder) = installed {
        return Ok(folder);
    }
    let entry = cache::entry(&cache::folder()?, package, |entry| {
        say(&format!(
            "{package} is not installed, unpacking Debian's package"
        ));
        run(Command::new("apt-get")
            .args(["download", "--quiet", package])
            .current_dir(entry))?;
        let archive = fs::read_dir(entry)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get downloaded nothing")?;
        run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(entry))
    })
    .with_context(|| format!("install {package}, on Debian with `apt-get install {package}`"))?;
    Ok(entry.join(folder))
}
