//! A file that is there when it is complete, and not before.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file under another name beside its target, for its owner alone. Removed when dropped, unless
/// it was published.
pub(crate) struct PartialFile {
    target: PathBuf,
    path: PathBuf,
    file: File,
}

impl PartialFile {
    /// Makes it, empty. Its name is one that nobody can have prepared.
    pub(crate) fn create(target: &Path) -> io::Result<Self> {
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::from(io::ErrorKind::IsADirectory))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::from)?;
        let mut partial = name.to_owned();
        partial.push(format!(".partial-{}", hex::encode(random)));
        let path = target.with_file_name(partial);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self {
            file: options.open(&path)?,
            target: target.to_owned(),
            path,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives it its name once the disk has all of it, and says how long it is.
    pub(crate) fn publish(self) -> io::Result<u64> {
        self.file.sync_all()?;
        let bytes = self.file.metadata()?.len();
        fs::rename(&self.path, &self.target)?;
        sync_folder(&self.target)?;
        Ok(bytes)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // Once it is published there is nothing under this name, nor under those that SQLite makes
        // of it.
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut path = OsString::from(&self.path);
            path.push(suffix);
            fs::remove_file(path).ok();
        }
    }
}

/// A name is durable when its folder is.
fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|path| !path.as_os_str().is_empty());
    if cfg!(unix) {
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_there_when_it_is_complete_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        fs::write(&target, "old").unwrap();
        for complete in [false, true] {
            let mut partial = PartialFile::create(&target).unwrap();
            partial.file().write_all(b"new").unwrap();
            assert_eq!(fs::read(&target).unwrap(), b"old");
            assert_eq!(names(folder.path()).len(), 2);
            if complete {
                assert_eq!(partial.publish().unwrap(), 3);
            } else {
                drop(partial);
            }
            assert_eq!(names(folder.path()), ["a"]);
        }
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert!(PartialFile::create(Path::new("..")).is_err());
    }
}
