//! The account key and the certificates on disk, readable by their owner only.
//!
//! Each authority has a folder of its own, so that trying one out does not touch another's account.
//! A certificate and its key are one file, replaced in one step: a crash leaves the old pair or the
//! new one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use http::Uri;
use instant_acme::AccountCredentials;

use super::AcmeError;
use crate::tls::Certificate;

const ACCOUNT_FILE: &str = "account.json";

/// The folder of one authority.
#[derive(Clone)]
pub(crate) struct Storage {
    folder: PathBuf,
}

impl Storage {
    /// Opens the authority's folder, making it where it is missing.
    pub(crate) fn open(folder: &Path, directory_url: &str) -> Result<Self, AcmeError> {
        let authority = directory_url
            .parse::<Uri>()
            .ok()
            .and_then(|url| url.authority().map(|authority| authority.to_string()))
            .ok_or(AcmeError::DirectoryUrl)?;
        let storage = Self {
            folder: folder.join(authority.replace(':', "_")),
        };
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&storage.folder)
            .and_then(|()| fs::set_permissions(&storage.folder, PermissionsExt::from_mode(0o700)));
        made.map_err(|source| storage.error(&storage.folder, source))?;
        Ok(storage)
    }

    pub(crate) fn account(&self) -> Result<Option<AccountCredentials>, AcmeError> {
        let path = self.folder.join(ACCOUNT_FILE);
        let Some(text) = self.read(&path)? else {
            return Ok(None);
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| AcmeError::Account { path, source })
    }

    pub(crate) fn save_account(&self, account: &AccountCredentials) -> Result<(), AcmeError> {
        let path = self.folder.join(ACCOUNT_FILE);
        match serde_json::to_vec(account) {
            Ok(text) => self.write(&path, &text),
            Err(source) => Err(AcmeError::Account { path, source }),
        }
    }

    /// The certificate of a host, if there is one that can be used.
    pub(crate) fn certificate(&self, host: &str) -> Result<Option<Certificate>, AcmeError> {
        let path = self.certificate_path(host);
        let Some(pem) = self.read(&path)? else {
            return Ok(None);
        };
        Certificate::from_pem(&path, &pem, &pem)
            .map(Some)
            .map_err(AcmeError::Certificate)
    }

    /// Keeps a certificate chain with its key.
    pub(crate) fn save_certificate(&self, host: &str, pem: &[u8]) -> Result<(), AcmeError> {
        self.write(&self.certificate_path(host), pem)
    }

    /// Where a host's certificate is kept. Hosts are checked DNS names and cannot leave the folder.
    pub(crate) fn certificate_path(&self, host: &str) -> PathBuf {
        self.folder.join(format!("{host}.pem"))
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, AcmeError> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.error(path, source)),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), AcmeError> {
        let temporary = path.with_added_extension("new");
        let written = || -> io::Result<()> {
            // A file left by a crash may have been made with other rights.
            fs::remove_file(&temporary).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            let mut file = options.open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            File::open(&self.folder)?.sync_all()
        };
        written().map_err(|source| self.error(path, source))
    }

    fn error(&self, path: &Path, source: io::Error) -> AcmeError {
        AcmeError::Storage {
            path: path.to_owned(),
            source,
        }
    }
}

/// Checks that a host can be ordered: a DNS name in lower case, no wildcard, no address.
pub(crate) fn check_host(host: &str) -> Result<(), AcmeError> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let numeric = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if host.len() <= 253 && host.split('.').all(label) && !numeric {
        return Ok(());
    }
    Err(AcmeError::Host {
        host: host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_their_owners_only_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path(), "https://ca.test:14000/dir").unwrap();
        storage.save_certificate("a.example", b"one").unwrap();
        let path = folder.path().join("ca.test_14000").join("a.example.pem");
        // What a crash between writing and renaming would leave.
        let left_over = path.with_added_extension("new");
        fs::write(&left_over, "half").unwrap();
        fs::set_permissions(&left_over, PermissionsExt::from_mode(0o644)).unwrap();
        storage.save_certificate("a.example", b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(!left_over.exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_damaged_certificate_is_an_error_and_a_missing_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path(), "https://ca.test/dir").unwrap();
        assert!(storage.certificate("a.example").unwrap().is_none());
        assert!(storage.account().unwrap().is_none());
        storage.save_certificate("a.example", b"junk").unwrap();
        assert!(storage.certificate("a.example").is_err());
    }

    #[test]
    fn hosts_are_plain_dns_names() {
        for good in ["a.example", "x-1.a.example", "localhost", "1a.2b.3c"] {
            check_host(good).unwrap();
        }
        for bad in [
            "",
            "*.a.example",
            "A.example",
            "a..b",
            "a.example.",
            "-a.b",
            "a_b.c",
            "../x",
            "a/b",
            "127.0.0.1",
            "a b",
            "a.example:443",
        ] {
            assert!(check_host(bad).is_err(), "{bad}");
        }
        assert!(check_host(&"a.".repeat(130)).is_err());
    }
}
