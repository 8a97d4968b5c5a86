//! Bearer tokens of the facilitator's clients.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use octroi_types::Redacted;
use sha2::{Digest, Sha256};

/// The tokens that are accepted, kept as hashes.
#[derive(Debug, Clone, Default)]
pub struct BearerTokens(Redacted<Vec<[u8; 32]>>);

impl BearerTokens {
    /// Accepts the tokens with these SHA-256 hashes.
    #[must_use]
    pub const fn from_hashes(hashes: Vec<[u8; 32]>) -> Self {
        Self(Redacted::new(hashes))
    }

    /// Whether a request carries one. Hashes are compared, so the time tells nothing of a token.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(token) = bearer(headers) else {
            return false;
        };
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.0.expose().contains(&hash)
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_listed_tokens_are_admitted() {
        let hashes = ["one-long-token", "another"].map(|token| Sha256::digest(token).into());
        let tokens = BearerTokens::from_hashes(hashes.to_vec());
        let admit = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            tokens.admit(&headers)
        };
        assert!(admit("Bearer one-long-token") && admit("bearer another"));
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer one",
            "Basic another",
            "another",
        ] {
            assert!(!admit(value), "{value}");
        }
        assert!(!tokens.admit(&HeaderMap::new()));
        assert!(!BearerTokens::default().admit(&HeaderMap::new()));
        assert!(!format!("{tokens:?}").contains("another"));
    }
}
