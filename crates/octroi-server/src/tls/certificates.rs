//! The certificates in use, by host name.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use octroi_telemetry::metrics;
use parking_lot::Mutex;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;

use super::{CertificateFiles, UnknownName, provider};
use crate::error::CertificateError;

/// A certificate that can be shown, and what it says of itself.
#[derive(Clone)]
pub(crate) struct Certificate {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    /// From when it is valid.
    pub(crate) not_before: SystemTime,
    /// Until when it is valid.
    pub(crate) not_after: SystemTime,
}

/// The certificates in use. Handshakes read one immutable table behind an atomic pointer; whoever
/// changes certificates builds a new table.
pub struct Certificates {
    table: ArcSwap<Table>,
    sources: Mutex<Sources>,
    unknown_name: UnknownName,
}

struct Sources {
    files: Vec<(CertificateFiles, Stamp)>,
    from_files: Vec<Certificate>,
    issued: BTreeMap<String, Certificate>,
}

#[derive(Default)]
struct Table {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// By what stands behind `*.`.
    wildcard: HashMap<String, Arc<CertifiedKey>>,
    unknown: Option<Arc<CertifiedKey>>,
}

/// When the two files were changed, and their sizes.
type Stamp = [Option<(SystemTime, u64)>; 2];

impl Certificate {
    /// Takes a certificate chain and its key into use.
    pub(crate) fn from_pem(
        path: &Path,
        chain_pem: &[u8],
        key_pem: &[u8],
    ) -> Result<Self, CertificateError> {
        let no_pem = |source| CertificateError::Pem {
            path: path.to_owned(),
            source,
        };
        let chain = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(no_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(no_pem)?;
        let no_names = || CertificateError::Names {
            path: path.to_owned(),
        };
        let leaf = chain.first().ok_or_else(no_names)?;
        let (names, [not_before, not_after]) = read_leaf(leaf).ok_or_else(no_names)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|source| {
            CertificateError::Pair {
                path: path.to_owned(),
                source,
            }
        })?;
        Ok(Self {
            key: Arc::new(key),
            names,
            not_before,
            not_after,
        })
    }

    fn from_files(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let read = |path: &Path| {
            fs::read(path).map_err(|source| CertificateError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Self::from_pem(&files.chain, &read(&files.chain)?, &read(&files.key)?)
    }
}

/// The DNS names and the validity of a certificate; nothing if it has no name.
fn read_leaf(leaf: &CertificateDer<'_>) -> Option<(Vec<String>, [SystemTime; 2])> {
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let alternatives = leaf.subject_alternative_name().ok()??;
    let names: Vec<_> = alternatives
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let validity = leaf.validity();
    let times = [validity.not_before, validity.not_after].map(|time| {
        let seconds = u64::try_from(time.timestamp()).unwrap_or_default();
        UNIX_EPOCH + Duration::from_secs(seconds)
    });
    (!names.is_empty()).then_some((names, times))
}

impl Certificates {
    pub(crate) fn load(
        files: Vec<CertificateFiles>,
        unknown_name: UnknownName,
    ) -> Result<Self, CertificateError> {
        let certificates = Self {
            table: ArcSwap::default(),
            sources: Mutex::new(Sources {
                files: files.into_iter().map(|files| (files, [None; 2])).collect(),
                from_files: Vec::new(),
                issued: BTreeMap::new(),
            }),
            unknown_name,
        };
        certificates.reload()?;
        Ok(certificates)
    }

    /// Reads every file again; all of them change together or none does.
    pub(crate) fn reload(&self) -> Result<(), CertificateError> {
        let mut sources = self.sources.lock();
        // Stamped first: a file that changes while it is read is read once more next time.
        let stamps: Vec<_> = sources
            .files
            .iter()
            .map(|(files, _)| stamp(files))
            .collect();
        let loaded = sources.files.iter();
        sources.from_files = loaded
            .map(|(files, _)| Certificate::from_files(files))
            .collect::<Result<_, _>>()?;
        for ((_, stamp), now) in sources.files.iter_mut().zip(stamps) {
            *stamp = now;
        }
        self.publish(&sources);
        Ok(())
    }

    /// Reads the files again if one of them changed; tells whether it did.
    pub(crate) fn reload_if_changed(&self) -> Result<bool, CertificateError> {
        let sources = self.sources.lock();
        let changed = sources
            .files
            .iter()
            .any(|(files, then)| stamp(files) != *then);
        drop(sources);
        if changed {
            self.reload()?;
        }
        Ok(changed)
    }

    /// Takes a certificate into use that was issued for `host`.
    pub(crate) fn issue(&self, host: &str, certificate: Certificate) {
        let mut sources = self.sources.lock();
        sources.issued.insert(host.to_owned(), certificate);
        self.publish(&sources);
    }

    fn publish(&self, sources: &Sources) {
        let mut table = Table::default();
        for certificate in sources.issued.values().chain(&sources.from_files) {
            for name in &certificate.names {
                let key = Arc::clone(&certificate.key);
                match name.strip_prefix("*.") {
                    Some(parent) => table.wildcard.insert(parent.to_owned(), key),
                    None => table.exact.insert(name.clone(), key),
                };
            }
        }
        table.unknown = match self.unknown_name {
            UnknownName::Refuse => None,
            UnknownName::FirstFile => sources.from_files.first().map(|c| Arc::clone(&c.key)),
        };
        self.table.store(Arc::new(table));
        let all = sources.issued.values().chain(&sources.from_files);
        let first = all.map(|certificate| certificate.not_after).min();
        let expiry = first.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        metrics::certificate_expiry(expiry.map_or(0, |at| at.as_secs()));
    }

    /// Whether a certificate names this host.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.table.load().named(&host).is_some()
    }

    fn find(&self, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        let named = server_name.and_then(|name| table.named(&name.to_ascii_lowercase()));
        named.or(table.unknown.as_ref()).cloned()
    }
}

impl Table {
    /// The certificate for a host in lower case. A wildcard stands for exactly one label.
    fn named(&self, host: &str) -> Option<&Arc<CertifiedKey>> {
        self.exact.get(host).or_else(|| {
            let (label, parent) = host.split_once('.')?;
            self.wildcard.get(parent).filter(|_| !label.is_empty())
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("hosts", &self.table.load().exact.keys())
            .finish_non_exhaustive()
    }
}

fn stamp(files: &CertificateFiles) -> Stamp {
    [&files.chain, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn write(folder: &Path, file: &str, names: &[&str]) -> CertificateFiles {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let files = CertificateFiles {
            chain: folder.join(format!("{file}.crt")),
            key: folder.join(format!("{file}.key")),
        };
        fs::write(&files.chain, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn leaf(certificates: &Certificates, name: Option<&str>) -> Option<Vec<u8>> {
        certificates.find(name).map(|key| key.cert[0].to_vec())
    }

    #[test]
    fn the_name_chooses_the_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let one = write(folder.path(), "one", &["a.example", "*.shop.example"]);
        let two = write(folder.path(), "two", &["b.example"]);
        let both = vec![one, two];
        let certificates = Certificates::load(both.clone(), UnknownName::Refuse).unwrap();
        let first = leaf(&certificates, Some("a.example"));
        assert!(first.is_some());
        assert_eq!(leaf(&certificates, Some("A.Example")), first);
        assert_eq!(leaf(&certificates, Some("x.shop.example")), first);
        assert_ne!(leaf(&certificates, Some("b.example")), first);
        for unknown in [
            "c.example",
            "shop.example",
            "x.y.shop.example",
            ".shop.example",
        ] {
            assert_eq!(leaf(&certificates, Some(unknown)), None, "{unknown}");
            assert!(!certificates.names(unknown));
        }
        assert_eq!(leaf(&certificates, None), None);

        let certificates = Certificates::load(both, UnknownName::FirstFile).unwrap();
        assert_eq!(leaf(&certificates, None), first);
        assert_eq!(leaf(&certificates, Some("c.example")), first);
        assert!(!certificates.names("c.example"));
    }

    #[test]
    fn changed_files_are_taken_and_broken_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path(), "a", &["a.example"]);
        let certificates = Certificates::load(vec![files.clone()], UnknownName::Refuse).unwrap();
        let first = leaf(&certificates, Some("a.example"));
        assert!(!certificates.reload_if_changed().unwrap());

        fs::write(&files.key, "-----BEGIN NOTHING-----").unwrap();
        let error = certificates.reload_if_changed().unwrap_err();
        assert!(matches!(error, CertificateError::Pem { .. }), "{error:?}");
        assert_eq!(leaf(&certificates, Some("a.example")), first);

        write(folder.path(), "a", &["a.example", "b.example"]);
        assert!(certificates.reload_if_changed().unwrap());
        assert_ne!(leaf(&certificates, Some("a.example")), first);
        assert!(certificates.names("b.example"));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let one = write(folder.path(), "one", &["a.example"]);
        let two = write(folder.path(), "two", &["a.example"]);
        let mixed = CertificateFiles {
            chain: one.chain,
            key: two.key,
        };
        let error = Certificates::load(vec![mixed], UnknownName::Refuse).unwrap_err();
        assert!(matches!(error, CertificateError::Pair { .. }), "{error:?}");
    }
}
