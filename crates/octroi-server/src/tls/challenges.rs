//! What certificate authorities get to see while they check that a host is ours.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// The answers to challenges that are being checked.
#[derive(Default)]
pub(crate) struct Challenges {
    /// HTTP-01: key authorizations by token.
    http: Mutex<HashMap<String, String>>,
    /// TLS-ALPN-01: certificates by host.
    alpn: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

/// An answer that is on offer until this is dropped.
pub(crate) struct Offer {
    challenges: Arc<Challenges>,
    key: Key,
}

enum Key {
    Token(String),
    Host(String),
}

impl Challenges {
    pub(crate) fn offer_http(self: &Arc<Self>, token: &str, answer: &str) -> Offer {
        self.http.lock().insert(token.to_owned(), answer.to_owned());
        Offer {
            challenges: Arc::clone(self),
            key: Key::Token(token.to_owned()),
        }
    }

    pub(crate) fn offer_alpn(self: &Arc<Self>, host: &str, certificate: CertifiedKey) -> Offer {
        self.alpn
            .lock()
            .insert(host.to_owned(), Arc::new(certificate));
        Offer {
            challenges: Arc::clone(self),
            key: Key::Host(host.to_owned()),
        }
    }

    /// The answer for a token that is being checked.
    pub(crate) fn http_answer(&self, token: &str) -> Option<String> {
        self.http.lock().get(token).cloned()
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        match &self.key {
            Key::Token(token) => drop(self.challenges.http.lock().remove(token)),
            Key::Host(host) => drop(self.challenges.alpn.lock().remove(host)),
        }
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?.to_ascii_lowercase();
        self.alpn.lock().get(&host).cloned()
    }
}

impl fmt::Debug for Challenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenges")
    }
}
