//! The secret of a key, and what is kept of it.

use std::fmt;

use octroi_types::Mode;
use sha2::{Digest, Sha256};

const LIVE: &str = "ok_live_";
const TEST: &str = "ok_test_";
const SECRET_BYTES: usize = 32;

/// What a buyer shows: `ok_live_` or `ok_test_` and 64 hex digits. Whoever has it can spend.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret {
    mode: Mode,
    bytes: [u8; SECRET_BYTES],
}

/// What is kept of a secret. It has too much randomness to be guessed, so one hash is enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeySecret {
    /// A secret of these random bytes.
    #[must_use]
    pub const fn new(mode: Mode, random: [u8; SECRET_BYTES]) -> Self {
        Self {
            mode,
            bytes: random,
        }
    }

    /// Reads what a buyer shows; `None` if it is no key of this kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mode, digits) = match (text.strip_prefix(LIVE), text.strip_prefix(TEST)) {
            (Some(digits), _) => (Mode::Live, digits),
            (None, Some(digits)) => (Mode::Test, digits),
            (None, None) => return None,
        };
        let mut bytes = [0; SECRET_BYTES];
        // Upper case would be a second spelling of one key.
        let is_plain = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        (is_plain && hex::decode_to_slice(digits, &mut bytes).is_ok())
            .then_some(Self { mode, bytes })
    }

    /// Whether a text claims to be such a key, well-formed or not.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with(LIVE) || text.starts_with(TEST)
    }

    /// Play or real money.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The text, to be shown to its owner once.
    #[must_use]
    pub fn expose(&self) -> String {
        let prefix = match self.mode {
            Mode::Live => LIVE,
            Mode::Test => TEST,
        };
        format!("{prefix}{}", hex::encode(self.bytes))
    }

    /// What people tell keys apart by.
    #[must_use]
    pub fn hint(&self) -> String {
        let text = self.expose();
        let (start, end) = (LIVE.len(), text.len().saturating_sub(4));
        format!("{}…{}", &text[..start], &text[end..])
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        let mut hasher = Sha256::new();
        hasher.update(b"octroi key v1\0");
        hasher.update(self.expose());
        KeyHash(hasher.finalize().into())
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret([redacted])")
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_spelling() {
        let secret = KeySecret::new(Mode::Live, [0xab; 32]);
        let text = secret.expose();
        assert_eq!(KeySecret::parse(&text), Some(secret.clone()));
        assert_eq!(secret.hint(), "ok_live_…abab");
        let test = KeySecret::new(Mode::Test, [0xab; 32]);
        assert_ne!(secret.hash(), test.hash(), "the mode is part of the key");
        for other in [
            text.to_uppercase(),
            text.replace("ab", "AB"),
            format!("{text} "),
            format!("{text}00"),
            text[..text.len() - 1].to_owned(),
            text.replace("ok_live_", "ok_"),
            text.replace("ok_live_", "mpk_"),
            String::new(),
        ] {
            assert_eq!(KeySecret::parse(&other), None, "{other}");
        }
        assert!(!format!("{secret:?} {:?}", secret.hash()).contains("ab"));
    }
}
