//! Money is integers (money rule 1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a number is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a plain string of decimal digits.
    #[error("an amount is a string of decimal digits")]
    NotDigits,
    /// Larger than what can be booked.
    #[error("the amount is larger than can be booked")]
    TooLarge,
}

/// A count of an asset's smallest unit. It never travels without its [`crate::Asset`].
///
/// At most `i64::MAX`, because that is what a column of either database holds: an amount that
/// exists can always be booked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Amount(u64);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that can be booked.
    pub const MAX: Self = Self(i64::MAX as u64);

    /// Wraps a count of smallest units.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] above [`Amount::MAX`].
    pub const fn new(units: u64) -> Result<Self, AmountError> {
        if units > Self::MAX.0 {
            Err(AmountError::TooLarge)
        } else {
            Ok(Self(units))
        }
    }

    /// The count of smallest units.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0
    }

    /// The count as the signed integer that columns hold.
    #[must_use]
    #[expect(
        clippy::cast_possible_wrap,
        reason = "the constructor keeps it within i64"
    )]
    pub const fn as_i64(self) -> i64 {
        self.0 as i64
    }

    /// Reads a column; a negative value is not an amount.
    #[must_use]
    pub fn from_i64(value: i64) -> Option<Self> {
        u64::try_from(value).ok().map(Self)
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, unless it cannot be booked.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) if sum <= Self::MAX.0 => Some(Self(sum)),
            _ => None,
        }
    }

    /// The difference, unless it is negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The amount as an ABI word.
    #[must_use]
    pub fn to_word(self) -> [u8; 32] {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&self.0.to_be_bytes());
        word
    }

    /// The amount in whole units of an asset with so many decimals, without trailing zeros:
    /// 10000 with 6 decimals is `0.01`.
    #[must_use]
    pub fn to_decimal(self, decimals: u8) -> String {
        let digits = format!("{:0>width$}", self.0, width = usize::from(decimals) + 1);
        let (whole, fraction) = digits.split_at(digits.len() - usize::from(decimals));
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{fraction}")
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::NotDigits);
        }
        text.parse()
            .map_err(|_| AmountError::TooLarge)
            .and_then(Self::new)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_parse() {
        assert_eq!("10000".parse::<Amount>().unwrap().units(), 10000);
        for text in ["", "-1", "+1", "1.0", "0x10", " 1", "1e3", "٣"] {
            assert_eq!(
                text.parse::<Amount>(),
                Err(AmountError::NotDigits),
                "{text}"
            );
        }
        assert_eq!("9223372036854775807".parse::<Amount>(), Ok(Amount::MAX));
        assert_eq!(
            "9223372036854775808".parse::<Amount>(),
            Err(AmountError::TooLarge)
        );
        assert_eq!("9".repeat(80).parse::<Amount>(), Err(AmountError::TooLarge));
    }

    #[test]
    fn decimal_text_has_no_trailing_zeros() {
        let amount = |units| Amount::new(units).unwrap();
        assert_eq!(amount(10_000).to_decimal(6), "0.01");
        assert_eq!(amount(0).to_decimal(6), "0");
        assert_eq!(amount(1_000_000).to_decimal(6), "1");
        assert_eq!(amount(1_234_567).to_decimal(6), "1.234567");
        assert_eq!(amount(12).to_decimal(0), "12");
    }

    #[test]
    fn sums_stay_bookable() {
        assert_eq!(Amount::MAX.checked_add(Amount::new(1).unwrap()), None);
        assert_eq!(Amount::ZERO.checked_sub(Amount::new(1).unwrap()), None);
    }
}
