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

/// Sees to it that there is a PostgreSQL for the tests of its store, which start servers of their own with
/// its programs. Where it is missing it is installed, because as root the tests run it as another user, who
/// cannot look into the cache.
///
/// # Errors
/// When it is missing and cannot be installed, with what to do about it.
pub(crate) fn postgresql() -> Result<()> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<PathBuf> = versions
        .filter_map(Result::ok)
        .map(|version| version.path().join("bin"))
        .collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let names = ["initdb", "pg_ctl", "postgres", "psql"];
    if folders
        .iter()
        .any(|folder| names.iter().all(|name| folder.join(name).is_file()))
    {
        return Ok(());
    }
    say("PostgreSQL is not installed, installing Debian's package");
    run(Command::new("apt-get").args(["install", "--quiet", "--yes", "postgresql"]))
        .context("install PostgreSQL, on Debian with `apt-get install postgresql`")
}
