//! TLS towards origins: rustls on ring, public roots plus what the operator adds.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// The certificate authorities that origins may be signed by.
#[derive(Clone, Debug)]
pub struct TrustRoots {
    store: RootCertStore,
}

/// Roots that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of extra roots cannot be read.
    #[error("file of extra certificate authorities cannot be read")]
    Read(#[source] io::Error),
    /// It is not PEM.
    #[error("extra certificate authorities are not pem")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// It holds no certificate.
    #[error("no certificate among the extra certificate authorities")]
    Empty,
    /// rustls refuses a root or the provider.
    #[error("tls configuration is refused")]
    Rustls(#[source] rustls::Error),
}

/// What a connection offers in ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// HTTP/2 first, HTTP/1.1 else.
    Any,
    Http1,
    Http2,
}

/// One rustls configuration for each ALPN offer, with a common session cache.
pub(crate) struct TlsConfigs {
    any: Arc<ClientConfig>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl TrustRoots {
    /// Mozilla's public roots, as compiled in.
    #[must_use]
    pub fn public() -> Self {
        Self {
            store: RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
    }

    /// Also trusts every certificate in a PEM text.
    pub fn with_pem(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(TlsError::Pem)?;
            self.store.add(certificate).map_err(TlsError::Rustls)?;
            count += 1;
        }
        if count == 0 {
            return Err(TlsError::Empty);
        }
        Ok(self)
    }

    /// Also trusts every certificate in a PEM file. Reads it once, blocking; for start-up.
    pub fn with_pem_file(self, path: &Path) -> Result<Self, TlsError> {
        self.with_pem(&fs::read(path).map_err(TlsError::Read)?)
    }
}

impl Default for TrustRoots {
    fn default() -> Self {
        Self::public()
    }
}

impl TlsConfigs {
    pub(crate) fn new(roots: TrustRoots) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let base = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Rustls)?
            .with_root_certificates(roots.store)
            .with_no_client_auth();
        let offering = |protocols: &[&[u8]]| {
            let mut config = base.clone();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self {
            any: offering(&[H2, HTTP_1_1]),
            http1: offering(&[HTTP_1_1]),
            http2: offering(&[H2]),
        })
    }

    pub(crate) fn offering(&self, alpn: Alpn) -> Arc<ClientConfig> {
        match alpn {
            Alpn::Any => self.any.clone(),
            Alpn::Http1 => self.http1.clone(),
            Alpn::Http2 => self.http2.clone(),
        }
    }
}

/// Whether the peer chose HTTP/2.
pub(crate) fn is_h2(negotiated: Option<&[u8]>) -> bool {
    negotiated == Some(H2)
}
