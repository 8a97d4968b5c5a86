//! Why a server could not be made.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::acme::{AcmeError, ChallengeKind};

/// Why [`crate::Server::bind`] refused.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A socket that was handed over cannot be used.
    #[error("cannot use the socket that was handed over")]
    Inherited(#[source] io::Error),
    /// Plain HTTP would leave the machine, so keys and payments could be read on the way.
    #[error(
        "{address} would serve plain HTTP beyond this machine: use TLS, a loopback address, \
         or name the proxies in front of it in trusted_proxies"
    )]
    PlainBeyondLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// A listener speaks TLS and there is nothing to speak it with.
    #[error("{address} serves TLS, but neither certificate files nor ACME are configured")]
    NoCertificates {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The certificates cannot be used.
    #[error("the certificates cannot be used")]
    Certificates(#[source] CertificateError),
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The kind of challenge that is configured reaches none of the listeners.
    #[error("no listener can answer {challenge:?} challenges")]
    ChallengeUnanswered {
        /// The kind: HTTP-01 needs a plain or redirecting listener, TLS-ALPN-01 one with TLS.
        challenge: ChallengeKind,
    },
    /// ACME cannot be set up.
    #[error("ACME cannot be set up")]
    Acme(#[source] AcmeError),
}

/// Why a certificate file was not taken into use. The ones in use stay in use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The file holds no certificate chain or private key in PEM.
    #[error("{} holds no certificate or key in PEM", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate is not one that names hosts.
    #[error("{} does not start with a certificate for DNS names", path.display())]
    Names {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate do not belong together, or are of a kind that is not supported.
    #[error("{} and its key cannot be used together", path.display())]
    Pair {
        /// The certificate file.
        path: PathBuf,
        /// What is wrong with them.
        #[source]
        source: rustls::Error,
    },
}
