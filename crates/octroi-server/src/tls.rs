//! TLS: which certificate a client is shown, and where certificates come from.

mod certificates;
mod challenges;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use octroi_telemetry::{chain, fields};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::Acceptor;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::acme::{AcmeOptions, Renewals};
use crate::error::{CertificateError, ServerError};
use crate::handler::{Alpn, TlsInfo};

pub(crate) use certificates::Certificate;
pub use certificates::Certificates;
pub(crate) use challenges::{Challenges, Offer};

const ALPN_H2: &[u8] = b"h2";
const ALPN_HTTP11: &[u8] = b"http/1.1";
/// What a certificate authority asks for when it checks a TLS-ALPN-01 challenge (RFC 8737, 6.2).
const ALPN_ACME: &[u8] = b"acme-tls/1";

/// Where certificates come from.
pub struct TlsOptions {
    /// Certificates from files. Each serves the DNS names that it carries.
    pub files: Vec<CertificateFiles>,
    /// What a client sees that names no host, or one that has no certificate.
    pub unknown_name: UnknownName,
    /// Certificates from an ACME authority; files win where both have a host.
    pub acme: Option<AcmeOptions>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("files", &self.files)
            .field("unknown_name", &self.unknown_name)
            .field("acme", &self.acme)
            .finish()
    }
}

/// A certificate chain and its private key, both PEM. They may be one file.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// What a client sees that names no host, or one that has no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownName {
    /// The handshake is refused.
    #[default]
    Refuse,
    /// The first certificate file is shown. Clients that connect to an address send no name.
    FirstFile,
}

/// The TLS side of a server.
pub struct Tls {
    config: Arc<ServerConfig>,
    challenge_config: Arc<ServerConfig>,
    certificates: Arc<Certificates>,
    challenges: Arc<Challenges>,
    renewals: Option<Renewals>,
}

impl Tls {
    pub(crate) fn load(options: TlsOptions) -> Result<Self, ServerError> {
        let certificates = Certificates::load(options.files, options.unknown_name)
            .map_err(ServerError::Certificates)?;
        let certificates = Arc::new(certificates);
        let challenges = Arc::new(Challenges::default());
        let renewals = options
            .acme
            .map(|acme| Renewals::open(acme, Arc::clone(&certificates), Arc::clone(&challenges)))
            .transpose()
            .map_err(ServerError::Acme)?;
        let mut config = server_config(Arc::clone(&certificates) as _)?;
        config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP11.to_vec()];
        config.ticketer = ring::Ticketer::new().map_err(ServerError::Tls)?;
        let mut challenge_config = server_config(Arc::clone(&challenges) as _)?;
        challenge_config.alpn_protocols = vec![ALPN_ACME.to_vec()];
        Ok(Self {
            config: Arc::new(config),
            challenge_config: Arc::new(challenge_config),
            certificates,
            challenges,
            renewals,
        })
    }

    /// Reads every certificate file again. On an error the certificates in use stay in use.
    ///
    /// # Errors
    /// [`CertificateError`] for the first file that cannot be used.
    pub fn reload(&self) -> Result<(), CertificateError> {
        self.certificates.reload()
    }

    /// The certificates in use.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Replaces the hosts that ACME keeps certificates for. Certificates of hosts that are gone
    /// stay in use until the process ends, and are not renewed. Without ACME nothing happens.
    pub fn set_acme_hosts(&self, hosts: Vec<String>) {
        if let Some(renewals) = &self.renewals {
            renewals.set_hosts(hosts);
        }
    }

    pub(crate) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    /// Shakes hands; `None` if it was a certificate authority checking a challenge.
    pub(crate) async fn accept(
        &self,
        stream: TcpStream,
    ) -> io::Result<Option<(TlsStream<TcpStream>, TlsInfo)>> {
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let only_acme = hello
            .client_hello()
            .alpn()
            .is_some_and(|offered| offered.eq([ALPN_ACME]));
        if only_acme {
            let config = Arc::clone(&self.challenge_config);
            hello.into_stream(config).await?.shutdown().await?;
            return Ok(None);
        }
        let stream = hello.into_stream(Arc::clone(&self.config)).await?;
        let (_, session) = stream.get_ref();
        let alpn = match session.alpn_protocol() {
            Some(protocol) if protocol == ALPN_H2 => Some(Alpn::H2),
            Some(_) => Some(Alpn::Http11),
            None => None,
        };
        let sni = session.server_name().map(str::to_owned);
        Ok(Some((stream, TlsInfo { sni, alpn })))
    }

    /// Keeps certificates fresh: looks for changed files, and orders from ACME what is due.
    pub(crate) async fn keep(self: Arc<Self>, interval: Duration, stop: CancellationToken) {
        let files = async {
            while stop
                .run_until_cancelled(tokio::time::sleep(interval))
                .await
                .is_some()
            {
                match self.certificates.reload_if_changed() {
                    Ok(false) => {}
                    Ok(true) => info!("certificate files were read again"),
                    Err(error) => {
                        warn!({ fields::ERROR } = %chain(&error), "certificates were not changed");
                    }
                }
            }
        };
        match &self.renewals {
            Some(renewals) => {
                tokio::join!(files, renewals.run(&stop));
            }
            None => files.await,
        }
    }
}

/// The one place that names the cryptography in use.
pub(crate) fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn server_config(
    resolver: Arc<dyn rustls::server::ResolvesServerCert>,
) -> Result<ServerConfig, ServerError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .map_err(ServerError::Tls)?;
    Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
}
