//! Parts of an amount.

use octroi_types::Amount;

/// More than the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rate is at most 10000 basis points, which is 100 %")]
pub struct BasisPointsError;

/// A part in ten-thousandths, at most the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    const WHOLE: u16 = 10_000;

    /// A part of so many ten-thousandths.
    ///
    /// # Errors
    /// [`BasisPointsError`] above 10000.
    pub const fn new(parts: u16) -> Result<Self, BasisPointsError> {
        if parts > Self::WHOLE {
            return Err(BasisPointsError);
        }
        Ok(Self(parts))
    }

    /// The ten-thousandths.
    #[must_use]
    pub const fn parts(self) -> u16 {
        self.0
    }

    /// This part of an amount, rounded down: whoever takes it never takes more.
    #[must_use]
    pub fn of(self, amount: Amount) -> Amount {
        let part = u128::from(amount.units())
            .saturating_mul(u128::from(self.0))
            .checked_div(u128::from(Self::WHOLE));
        // At most the whole, so it is an amount again.
        part.and_then(|part| u64::try_from(part).ok())
            .and_then(|units| Amount::new(units).ok())
            .unwrap_or(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_exact_and_rounded_down() {
        let amount = |units| Amount::new(units).unwrap();
        let rate = |parts| BasisPoints::new(parts).unwrap();
        assert_eq!(rate(0).of(Amount::MAX), Amount::ZERO);
        assert_eq!(rate(10_000).of(Amount::MAX), Amount::MAX);
        assert_eq!(rate(250).of(amount(10_000_000)), amount(250_000));
        assert_eq!(rate(1).of(amount(9_999)), Amount::ZERO);
        assert_eq!(rate(1).of(amount(10_000)), amount(1));
        assert_eq!(rate(3_333).of(amount(100)), amount(33));
        assert_eq!(BasisPoints::new(10_001), Err(BasisPointsError));
    }
}
