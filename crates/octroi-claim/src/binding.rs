//! What a payment was first used for (money rule 8).

use octroi_types::B256;
use sha2::{Digest, Sha256};

/// The digest of the request that a payment bought: method, canonical path, query and body.
///
/// Another request that comes with the same payment has another binding and is refused, whatever
/// its price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding(pub B256);

impl Binding {
    /// Binds a request. `body_digest` is the SHA-256 of the body, or `None` where the route binds
    /// the head only. `scope` names the paywall, so that two paywalls on one path stay apart.
    #[must_use]
    pub fn new(
        scope: &[u8; 16],
        method: &str,
        canonical_path: &str,
        query: Option<&str>,
        body_digest: Option<&[u8; 32]>,
    ) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(b"octroi binding v1\0");
        hasher.update(scope);
        // Each part is preceded by its length: no two requests share one byte string.
        for part in [Some(method), Some(canonical_path), query] {
            match part {
                Some(part) => {
                    hasher.update((part.len() as u64).to_be_bytes());
                    hasher.update(part);
                }
                None => hasher.update(u64::MAX.to_be_bytes()),
            }
        }
        match body_digest {
            Some(digest) => {
                hasher.update([1]);
                hasher.update(digest);
            }
            None => hasher.update([0]),
        }
        Self(B256(hasher.finalize().into()))
    }
}

/// The hash of a secret (payment identifier or `Idempotency-Key` of at least 128 bits) that was
/// bound to a claim. Whoever repeats the secret is the payer and may be given the answer again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub B256);

impl SecretHash {
    /// Fewer characters cannot hold 128 bits in the identifier's alphabet of 64.
    const CHARS_MIN: usize = 22;

    /// Hashes a secret; `None` if it is too short to be one.
    #[must_use]
    pub fn of(secret: &str) -> Option<Self> {
        if secret.len() < Self::CHARS_MIN {
            return None;
        }
        let mut hasher = Sha256::new();
        hasher.update(b"octroi secret v1\0");
        hasher.update(secret);
        Some(Self(B256(hasher.finalize().into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_request_counts() {
        let base = Binding::new(&[1; 16], "GET", "/a", Some("b=c"), Some(&[0; 32]));
        for other in [
            Binding::new(&[2; 16], "GET", "/a", Some("b=c"), Some(&[0; 32])),
            Binding::new(&[1; 16], "POST", "/a", Some("b=c"), Some(&[0; 32])),
            Binding::new(&[1; 16], "GET", "/a/", Some("b=c"), Some(&[0; 32])),
            Binding::new(&[1; 16], "GET", "/a", Some("b=d"), Some(&[0; 32])),
            Binding::new(&[1; 16], "GET", "/a", None, Some(&[0; 32])),
            Binding::new(&[1; 16], "GET", "/a", Some(""), Some(&[0; 32])),
            Binding::new(&[1; 16], "GET", "/a", Some("b=c"), Some(&[1; 32])),
            Binding::new(&[1; 16], "GET", "/a", Some("b=c"), None),
            // The same bytes, cut elsewhere.
            Binding::new(&[1; 16], "GET/", "a", Some("b=c"), Some(&[0; 32])),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn short_secrets_are_none() {
        assert!(SecretHash::of("0123456789abcdef").is_none());
        assert!(SecretHash::of("0123456789abcdef012345").is_some());
    }
}
