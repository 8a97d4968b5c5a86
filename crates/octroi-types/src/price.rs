//! What a route costs, in dollars, before it is expressed in an asset.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Amount, AmountError};

const NANO_PER_USD: u64 = 1_000_000_000;
const NANO_DECIMALS: u8 = 9;

/// Why a text is not a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// Not a decimal number of dollars.
    #[error("a price is a decimal number of US dollars, like 0.01 or $0.01")]
    Syntax,
    /// Zero: a free route has no price.
    #[error("a price is more than zero; leave it out for a free route")]
    Zero,
    /// More digits than the unit of account or the asset has.
    #[error("the price has more than {decimals} decimals, which cannot be charged exactly")]
    TooFine {
        /// How many decimals there are.
        decimals: u8,
    },
    /// More than can be booked.
    #[error("the price is larger than can be booked")]
    TooLarge,
}

/// A price in nano-dollars, always more than zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Price(u64);

impl Price {
    /// A price of so many nano-dollars.
    ///
    /// # Errors
    /// [`PriceError::Zero`], or [`PriceError::TooLarge`] beyond what can be booked.
    pub const fn from_nano_usd(nano_usd: u64) -> Result<Self, PriceError> {
        match Amount::new(nano_usd) {
            Ok(amount) if amount.is_zero() => Err(PriceError::Zero),
            Ok(_) => Ok(Self(nano_usd)),
            Err(_) => Err(PriceError::TooLarge),
        }
    }

    /// The price in nano-dollars.
    #[must_use]
    pub const fn nano_usd(self) -> u64 {
        self.0
    }

    /// The price in the smallest unit of a dollar-pegged asset with so many decimals. Never
    /// rounds: a price that an asset cannot express is refused when the price is set.
    ///
    /// # Errors
    /// [`PriceError::TooFine`] or [`PriceError::TooLarge`].
    pub fn in_asset(self, decimals: u8) -> Result<Amount, PriceError> {
        let too_large = |_: AmountError| PriceError::TooLarge;
        if decimals >= NANO_DECIMALS {
            let factor = 10_u64
                .checked_pow(u32::from(decimals - NANO_DECIMALS))
                .ok_or(PriceError::TooLarge)?;
            let units = self.0.checked_mul(factor).ok_or(PriceError::TooLarge)?;
            return Amount::new(units).map_err(too_large);
        }
        let divisor = 10_u64.pow(u32::from(NANO_DECIMALS - decimals));
        if !self.0.is_multiple_of(divisor) {
            return Err(PriceError::TooFine { decimals });
        }
        Amount::new(self.0 / divisor).map_err(too_large)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:09}", self.0 % NANO_PER_USD);
        let kept = fraction.trim_end_matches('0').len().max(2);
        let (kept, _) = fraction.split_at(kept);
        write!(f, "{}.{kept}", self.0 / NANO_PER_USD)
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix('$').unwrap_or(text);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(PriceError::Syntax);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > usize::from(NANO_DECIMALS) {
            return Err(PriceError::TooFine {
                decimals: NANO_DECIMALS,
            });
        }
        let whole: u64 = whole.parse().map_err(|_| PriceError::TooLarge)?;
        let fraction: u64 = format!("{fraction:0<9}")
            .parse()
            .map_err(|_| PriceError::Syntax)?;
        let nano = whole
            .checked_mul(NANO_PER_USD)
            .and_then(|nano| nano.checked_add(fraction));
        Self::from_nano_usd(nano.ok_or(PriceError::TooLarge)?)
    }
}

impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_become_smallest_units_exactly() {
        let price: Price = "$0.01".parse().unwrap();
        assert_eq!(price.in_asset(6).unwrap().units(), 10_000);
        assert_eq!(price.in_asset(18).unwrap().units(), 10_000_000_000_000_000);
        assert_eq!(price.in_asset(1), Err(PriceError::TooFine { decimals: 1 }));
        assert_eq!(
            "1000000".parse::<Price>().unwrap().in_asset(18),
            Err(PriceError::TooLarge)
        );
    }

    #[test]
    fn only_positive_decimals_are_prices() {
        for text in [
            "", "$", ".5", "5.", "-1", "1e-3", "0,01", "1.2.3", "NaN", "$$1", "0x1",
        ] {
            assert_eq!(text.parse::<Price>(), Err(PriceError::Syntax), "{text}");
        }
        assert_eq!("0.000".parse::<Price>(), Err(PriceError::Zero));
        assert_eq!(
            "0.0000000001".parse::<Price>(),
            Err(PriceError::TooFine {
                decimals: NANO_DECIMALS
            })
        );
        assert_eq!(
            "99999999999999999999".parse::<Price>(),
            Err(PriceError::TooLarge)
        );
    }

    #[test]
    fn text_round_trips() {
        for text in ["0.01", "1.00", "0.000001", "12.345678901", "0.10"] {
            let price: Price = text.parse().unwrap();
            assert_eq!(price.to_string(), text);
        }
    }
}
