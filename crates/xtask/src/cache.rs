//! The folder outside the tree that holds what is fetched, one entry for each state of its lock files.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Present in an entry once it is whole.
const COMPLETE: &str = ".complete";

/// Where entries live: `OCTROI_CACHE`, else `octroi` below the user's cache folder.
///
/// # Errors
/// When the environment names no folder at all.
pub(crate) fn folder() -> Result<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("OCTROI_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("octroi")))
        .or_else(|| Some(set("HOME")?.join(".cache/octroi")))
        .context(
            "set OCTROI_CACHE to a folder for downloads: neither XDG_CACHE_HOME nor HOME is set",
        )
}

/// A name for what `inputs` describe: equal inputs, equal name.
pub(crate) fn key(prefix: &str, inputs: &[&[u8]]) -> String {
    let mut hasher = DefaultHasher::new();
    inputs.hash(&mut hasher);
    format!("{prefix}-{:016x}", hasher.finish())
}

/// The entry `name` of `cache`, which `fill` makes in an empty folder if it is not there whole.
/// Whoever comes at the same time waits and finds it; an entry that was left half made is made anew.
///
/// # Errors
/// When the folder cannot be written or `fill` fails.
pub(crate) fn entry(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock_path = cache.join(format!("{name}.lock"));
    let lock = File::create(&lock_path)
        .and_then(|lock| lock.lock().map(|()| lock))
        .with_context(|| format!("cannot lock {}", lock_path.display()))?;
    let entry = cache.join(name);
    if !entry.join(COMPLETE).exists() {
        if entry.exists() {
            fs::remove_dir_all(&entry)
                .with_context(|| format!("cannot empty {}", entry.display()))?;
        }
        fs::create_dir(&entry)?;
        fill(&entry)?;
        File::create(entry.join(COMPLETE))?;
    }
    drop(lock);
    Ok(entry)
}

/// Makes `link` point at `target`, in one step for those who use it meanwhile.
///
/// # Errors
/// When something that is not a link stands there.
pub(crate) fn link(link: &Path, target: &Path) -> Result<()> {
    if fs::read_link(link).is_ok_and(|present| present == target) {
        return Ok(());
    }
    let fresh = link.with_extension(format!("{}.new", std::process::id()));
    std::os::unix::fs::symlink(target, &fresh)?;
    fs::rename(&fresh, link)
        .inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        })
        .with_context(|| format!("{} is in the way of a link: remove it", link.display()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::thread;

    use anyhow::bail;

    use super::*;

    #[test]
    fn the_key_follows_every_input() {
        let key = |inputs: &[&[u8]]| super::key("js", inputs);
        assert_eq!(key(&[b"a", b"b"]), key(&[b"a", b"b"]));
        assert_ne!(key(&[b"a", b"b"]), key(&[b"a", b"c"]));
        assert_ne!(key(&[b"ab", b""]), key(&[b"a", b"b"]));
    }

    #[test]
    fn an_entry_is_filled_once_and_again_after_a_failure() {
        let cache = tempfile::tempdir().unwrap();
        let fills = Cell::new(0);
        let fill = |succeed: bool| {
            entry(cache.path(), "js-1", |folder| {
                fills.set(fills.get() + 1);
                assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "not empty");
                fs::write(folder.join("content"), "x")?;
                if succeed { Ok(()) } else { bail!("no network") }
            })
        };
        assert!(fill(false).is_err());
        assert!(fill(true).unwrap().join("content").exists());
        fill(true).unwrap();
        assert_eq!(fills.get(), 2);
    }

    #[test]
    fn those_who_come_together_fill_once() {
        let cache = tempfile::tempdir().unwrap();
        let fills = std::sync::atomic::AtomicUsize::new(0);
        thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| {
                    entry(cache.path(), "js-1", |_| {
                        fills.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(fills.into_inner(), 1);
    }

    #[test]
    fn a_link_is_moved_and_a_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node_modules");
        for target in ["/first", "/second", "/second"] {
            link(&path, Path::new(target)).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(target));
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("precious"), "x").unwrap();
        assert!(link(&path, Path::new("/first")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
