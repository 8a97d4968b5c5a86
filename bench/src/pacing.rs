//! When requests are due.

use std::num::NonZeroU64;
use std::time::Duration;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// A steady rate. Every request is due at a time of its own, counted from the start and not from
/// the request before it, so neither rounding nor a slow answer ever shifts the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    per_second: NonZeroU64,
}

impl Schedule {
    /// So many requests a second, the first at once.
    #[must_use]
    pub const fn new(per_second: NonZeroU64) -> Self {
        Self { per_second }
    }

    /// How long after the start the request with this index, counted from 0, is due.
    #[must_use]
    pub fn due(self, index: u64) -> Duration {
        // Rounded up: a request is never due before its time.
        let ns = (u128::from(index) * NANOS_PER_SECOND).div_ceil(self.per_second.get().into());
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(per_second: u64) -> Schedule {
        Schedule::new(NonZeroU64::new(per_second).unwrap())
    }

    #[test]
    fn a_rate_that_divides_no_second_does_not_drift() {
        let schedule = schedule(7_001);
        assert_eq!(schedule.due(0), Duration::ZERO);
        for seconds in [1, 60, 3_600] {
            assert_eq!(schedule.due(7_001 * seconds), Duration::from_secs(seconds));
        }
    }

    proptest! {
        #[test]
        fn a_request_is_due_within_a_nanosecond_of_its_exact_time(
            per_second in 1_u64..=1_000_000_000,
            index in 0_u64..=1_000_000_000,
        ) {
            let schedule = schedule(per_second);
            let due = schedule.due(index);
            // The exact time is index / per_second; multiplied out, it needs no fractions.
            let exact = u128::from(index) * NANOS_PER_SECOND;
            let scaled = due.as_nanos() * u128::from(per_second);
            prop_assert!(scaled >= exact && scaled - exact < u128::from(per_second));
            prop_assert!(schedule.due(index + 1) > due);
        }
    }
}
