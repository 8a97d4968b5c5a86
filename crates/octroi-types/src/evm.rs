//! EVM words: addresses, 32-byte values and Keccak-256.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha3::{Digest, Keccak256};

/// Why a text is not the EVM value that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 0x followed by {hex_digits} hex digits")]
pub struct EvmParseError {
    hex_digits: usize,
}

/// Why a text that a person wrote is not taken for an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrittenAddressError {
    /// It is not an address.
    #[error(transparent)]
    Syntax(EvmParseError),
    /// Its letters are in both cases, and not as its checksum has them: a digit may be wrong.
    #[error("the address does not have the checksum that its upper and lower case spell (EIP-55)")]
    Checksum,
}

/// Keccak-256, the hash of the EVM.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> B256 {
    B256(Keccak256::digest(bytes).into())
}

/// A 20-byte account address. Displays with the EIP-55 checksum; parses any case, because the
/// checksum is advisory and clients differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// The zero address.
    pub const ZERO: Self = Self([0; 20]);

    /// Reads an address that a person wrote down, where a wrong digit sends money to nobody: letters in
    /// both cases must spell its checksum (EIP-55). Letters in one case have none.
    ///
    /// # Errors
    /// [`WrittenAddressError`].
    pub fn parse_written(text: &str) -> Result<Self, WrittenAddressError> {
        let address: Self = text.parse().map_err(WrittenAddressError::Syntax)?;
        let digits = text.trim_start_matches("0x");
        let has = |is: fn(&u8) -> bool| digits.as_bytes().iter().any(is);
        let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        if is_mixed && address.to_string() != text {
            return Err(WrittenAddressError::Checksum);
        }
        Ok(address)
    }

    /// The address left-padded to one ABI word.
    #[must_use]
    pub fn to_word(self) -> [u8; 32] {
        let mut word = [0; 32];
        word[12..].copy_from_slice(&self.0);
        word
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0_u8; 40];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        let hash = keccak256(&digits);
        for (index, digit) in digits.iter_mut().enumerate() {
            let nibble = hash.0[index / 2] >> (4 * (1 - index % 2)) & 0xf;
            if nibble >= 8 {
                digit.make_ascii_uppercase();
            }
        }
        f.write_str("0x")?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

/// A 32-byte value: hash, nonce, storage word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct B256(pub [u8; 32]);

impl B256 {
    /// All zero bytes.
    pub const ZERO: Self = Self([0; 32]);
}

impl fmt::Display for B256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0_u8; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str("0x")?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

macro_rules! hex_bytes {
    ($name:ident, $len:literal) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = EvmParseError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let error = EvmParseError {
                    hex_digits: $len * 2,
                };
                // The decoder would take a second prefix.
                let digits = match text.strip_prefix("0x") {
                    Some(digits) if digits.len() == $len * 2 => digits,
                    Some(_) | None => return Err(error),
                };
                let mut bytes = [0; $len];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| error)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_bytes!(Address, 20);
hex_bytes!(B256, 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_show_the_eip55_checksum() {
        // The examples of EIP-55 itself.
        for text in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        ] {
            assert_eq!(
                text.to_lowercase().parse::<Address>().unwrap().to_string(),
                text
            );
        }
    }

    #[test]
    fn wrong_lengths_and_alphabets_are_refused() {
        for text in [
            "",
            "0x",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5a",
            "0xzz",
            "0x0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a4",
            "0x0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
            assert!(text.parse::<B256>().is_err(), "{text}");
        }
    }

    #[test]
    fn keccak_of_nothing_is_the_well_known_value() {
        assert_eq!(
            keccak256(b"").to_string(),
            "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
    }

    #[test]
    fn a_written_address_has_its_checksum_or_none() {
        let right = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
        let read = Address::parse_written(right).unwrap();
        for other in [
            right.to_lowercase(),
            format!("0x{}", right[2..].to_uppercase()),
        ] {
            assert_eq!(Address::parse_written(&other), Ok(read));
        }
        // One digit, and one letter's case.
        for wrong in [right.replace("6afc0", "6afd0"), right.replace("Bc6", "bc6")] {
            assert_ne!(wrong, right);
            let refused = Address::parse_written(&wrong);
            assert_eq!(refused, Err(WrittenAddressError::Checksum), "{wrong}");
        }
        assert!(matches!(
            Address::parse_written(&right[..41]),
            Err(WrittenAddressError::Syntax(_))
        ));
    }
}
