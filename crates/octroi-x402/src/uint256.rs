//! `uint256`, which travels in JSON as a string of decimal digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits of the largest `uint256`.
const DIGITS_MAX: usize = 78;

/// Why a text is not a `uint256`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at most 256 bits in decimal digits")]
pub struct Uint256Error;

/// An unsigned integer of 256 bits, big-endian, so that the derived order is the numeric one.
///
/// Signed messages carry numbers of this width. They are kept whole until they have been hashed and
/// compared: a value beyond what can be booked is refused for its size and never wraps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uint256([u8; 32]);

impl Uint256 {
    /// The number as an ABI word.
    #[must_use]
    pub const fn to_word(self) -> [u8; 32] {
        self.0
    }

    /// The number, if 64 bits hold it.
    #[must_use]
    pub fn to_u64(self) -> Option<u64> {
        let (high, low) = self.0.split_last_chunk::<8>()?;
        // `split_last_chunk` yields the 24 high bytes first.
        high.iter()
            .all(|byte| *byte == 0)
            .then(|| u64::from_be_bytes(*low))
    }
}

impl From<u64> for Uint256 {
    fn from(number: u64) -> Self {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&number.to_be_bytes());
        Self(word)
    }
}

impl FromStr for Uint256 {
    type Err = Uint256Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty()
            || text.len() > DIGITS_MAX
            || !text.bytes().all(|byte| byte.is_ascii_digit())
        {
            return Err(Uint256Error);
        }
        if let Ok(number) = text.parse::<u64>() {
            return Ok(number.into());
        }
        let mut word = [0_u8; 32];
        for digit in text.bytes() {
            let mut carry = digit - b'0';
            for byte in word.iter_mut().rev() {
                let product = u16::from(*byte) * 10 + u16::from(carry);
                [carry, *byte] = product.to_be_bytes();
            }
            if carry != 0 {
                return Err(Uint256Error);
            }
        }
        Ok(Self(word))
    }
}

impl fmt::Display for Uint256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(number) = self.to_u64() {
            return number.fmt(f);
        }
        let mut word = self.0;
        let mut digits = Vec::with_capacity(DIGITS_MAX);
        while word.iter().any(|byte| *byte != 0) {
            let mut remainder = 0_u16;
            for byte in &mut word {
                let dividend = (remainder << 8) | u16::from(*byte);
                // The quotient fits one byte because the remainder is below 10.
                [_, *byte] = (dividend / 10).to_be_bytes();
                remainder = dividend % 10;
            }
            let [_, digit] = remainder.to_be_bytes();
            digits.push(char::from(b'0' + digit));
        }
        f.write_str(&digits.iter().rev().collect::<String>())
    }
}

impl fmt::Debug for Uint256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Uint256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uint256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: &str =
        "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn edges() {
        assert_eq!(MAX.parse(), Ok(Uint256([0xff; 32])));
        assert_eq!(Uint256([0xff; 32]).to_string(), MAX);
        assert_eq!(Uint256([0xff; 32]).to_u64(), None);
        let above = MAX.replace("639935", "639936");
        assert_eq!(above.parse::<Uint256>(), Err(Uint256Error));
        assert_eq!("0".parse::<Uint256>().unwrap().to_u64(), Some(0));
        let past_u64: Uint256 = "18446744073709551616".parse().unwrap();
        assert_eq!(past_u64.to_u64(), None);
        assert!(past_u64 > Uint256::from(u64::MAX));
    }

    #[test]
    fn only_decimal_digits_parse() {
        for text in [
            "",
            "-1",
            "+1",
            " 1",
            "1 ",
            "1.0",
            "0x1",
            "1e3",
            "١",
            &"9".repeat(79),
        ] {
            assert_eq!(text.parse::<Uint256>(), Err(Uint256Error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn decimal_text_round_trips(bytes in any::<[u8; 32]>(), zeros in 0_usize..32) {
            let mut bytes = bytes;
            bytes[..zeros].fill(0);
            let number = Uint256(bytes);
            prop_assert_eq!(number.to_string().parse(), Ok(number));
        }

        #[test]
        fn agrees_with_u128(a in any::<u128>(), b in any::<u128>()) {
            let (x, y): (Uint256, Uint256) =
                (a.to_string().parse().unwrap(), b.to_string().parse().unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x.to_u64(), u64::try_from(a).ok());
            prop_assert_eq!(&x.to_word()[16..], &a.to_be_bytes()[..]);
        }
    }
}
