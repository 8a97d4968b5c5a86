//! Certificates from an ACME authority (RFC 8555), kept fresh while the gate runs.
//!
//! `schedule` decides what is due, `order` obtains one certificate,
//! `storage` keeps them, `renewals` drives the three. Challenges are answered by the
//! server itself: HTTP-01 on its plain listeners, TLS-ALPN-01 in its handshakes.

mod http;
mod order;
mod renewals;
mod schedule;
mod storage;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::error::CertificateError;

pub use http::{AcmeHttp, AcmeHttpFuture};
pub(crate) use renewals::Renewals;

/// How certificates are obtained.
pub struct AcmeOptions {
    /// Where the authority's directory is.
    pub directory_url: String,
    /// Addresses that the authority may write to, such as `mailto:ops@example.com`.
    pub contacts: Vec<String>,
    /// The hosts to obtain certificates for, one each. DNS names without wildcards.
    pub hosts: Vec<String>,
    /// How the authority checks that the hosts are ours.
    pub challenge: ChallengeKind,
    /// The folder for the account key and the certificates; made if it is missing, and readable
    /// by its owner only.
    pub folder: PathBuf,
    /// Orders that may be open at the same time.
    pub orders_max: usize,
    /// The client that speaks to the authority.
    pub http: Arc<dyn AcmeHttp>,
}

impl fmt::Debug for AcmeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcmeOptions")
            .field("directory_url", &self.directory_url)
            .field("hosts", &self.hosts)
            .field("challenge", &self.challenge)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// How an authority checks that a host is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeKind {
    /// It asks for a file over plain HTTP on port 80 (RFC 8555, 8.3).
    Http01,
    /// It shakes hands over TLS on port 443 (RFC 8737).
    TlsAlpn01,
}

/// Why a certificate was not obtained.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// The name is no DNS name that can be ordered.
    #[error("{host:?} is not a lower-case DNS name without wildcards")]
    Host {
        /// The name.
        host: String,
    },
    /// The directory URL names no authority.
    #[error("the directory URL names no host")]
    DirectoryUrl,
    /// The folder cannot be used.
    #[error("cannot use {}", path.display())]
    Storage {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The account's file is damaged.
    #[error("{} is not an account", path.display())]
    Account {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The authority could not be asked, or refused.
    #[error("the authority did not do its part")]
    Authority(#[source] instant_acme::Error),
    /// The authority does not offer the kind of challenge that is configured.
    #[error("the authority offers no {challenge:?} challenge for this host")]
    NoChallenge {
        /// The kind that was wanted.
        challenge: ChallengeKind,
    },
    /// The authority checked the challenge and was not satisfied.
    #[error("the authority could not verify the host: {reason}")]
    Unverified {
        /// What the authority said.
        reason: String,
    },
    /// The order took too long.
    #[error("the order was not finished within {} seconds", limit.as_secs())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// A key or a signing request could not be made.
    #[error("cannot make a key or a signing request")]
    Key(#[source] rcgen::Error),
    /// The certificate that came cannot be used.
    #[error("the certificate cannot be used")]
    Certificate(#[source] CertificateError),
    /// The certificate for a challenge cannot be used.
    #[error("the challenge's certificate cannot be used")]
    ChallengeCertificate(#[source] rustls::Error),
    /// The task that worked on the order ended without a result.
    #[error("the order was given up")]
    GivenUp,
}
