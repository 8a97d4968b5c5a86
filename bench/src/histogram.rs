//! Latencies in a fixed amount of memory.

use std::time::Duration;

/// Each power of two is divided into half as many buckets: a value is known to within 1/128 of itself.
const SUB_BUCKET_BITS: u32 = 8;
const SUB_BUCKETS: u64 = 1 << SUB_BUCKET_BITS;
const HALF: u64 = SUB_BUCKETS / 2;
/// Enough for every `u64`.
const BUCKETS: usize = 56 * 128 + 256;

/// How often each latency was seen. Buckets are as wide as their values are large, so that
/// microseconds and seconds are known equally well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum_ns: u128,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            sum_ns: 0,
            max_ns: 0,
        }
    }
}

impl Histogram {
    /// Adds one latency; above 584 years it counts as that.
    pub fn record(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count += 1;
        }
        self.total += 1;
        self.sum_ns += u128::from(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds everything that another histogram has seen.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.sum_ns += other.sum_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many latencies were recorded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The largest latency.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max_ns)
    }

    /// The mean; zero when nothing was recorded.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let mean = self.sum_ns.checked_div(u128::from(self.total));
        Duration::from_nanos(u64::try_from(mean.unwrap_or(0)).unwrap_or(u64::MAX))
    }

    /// The latency that so many of a thousand requests did not exceed, up to 1/128 too high and
    /// never too low: 500 is the median, 990 the 99th percentile. Zero when nothing was recorded.
    #[must_use]
    pub fn per_mille(&self, per_mille: u64) -> Duration {
        let rank = (u128::from(self.total) * u128::from(per_mille.min(1000))).div_ceil(1000);
        let mut seen = 0;
        for (bucket, &count) in (0..).zip(&self.counts) {
            seen += u128::from(count);
            if count > 0 && seen >= rank {
                return Duration::from_nanos(upper_bound(bucket).min(self.max_ns));
            }
        }
        Duration::ZERO
    }
}

/// The bucket of a value. Values below [`SUB_BUCKETS`] have a bucket each; every later power of two
/// shares out [`HALF`] buckets by its leading bits.
fn bucket(ns: u64) -> usize {
    let octave = u64::from((ns | HALF).ilog2() + 1 - SUB_BUCKET_BITS);
    usize::try_from(octave * HALF + (ns >> octave)).unwrap_or(usize::MAX)
}

/// The largest value of a bucket.
fn upper_bound(bucket: u64) -> u64 {
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let octave = bucket / HALF - 1;
    let leading = bucket - octave * HALF;
    u64::try_from(((u128::from(leading) + 1) << octave) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(latencies_ns: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &ns in latencies_ns {
            histogram.record(Duration::from_nanos(ns));
        }
        histogram
    }

    /// Latencies of every size, so that each octave is met.
    fn latency() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0_u32..64).prop_map(|(value, shift)| value >> shift)
    }

    proptest! {
        #[test]
        fn percentiles_are_never_too_low_and_hardly_too_high(
            mut latencies in prop::collection::vec(latency(), 1..200),
            per_mille in 1_u64..=1000,
        ) {
            let measured = histogram(&latencies).per_mille(per_mille).as_nanos();
            latencies.sort_unstable();
            let rank = (u64::try_from(latencies.len()).unwrap() * per_mille).div_ceil(1000);
            let exact = u128::from(latencies[usize::try_from(rank).unwrap() - 1]);
            prop_assert!(measured >= exact, "{measured} for {exact}");
            prop_assert!(measured <= exact + exact / 128, "{measured} for {exact}");
        }

        #[test]
        fn merging_is_recording_all(
            first in prop::collection::vec(latency(), 0..50),
            second in prop::collection::vec(latency(), 0..50),
        ) {
            let mut merged = histogram(&first);
            merged.merge(&histogram(&second));
            prop_assert_eq!(merged, histogram(&[first, second].concat()));
        }

        #[test]
        fn buckets_touch_and_do_not_overlap(ns in latency()) {
            let here = bucket(ns);
            let upper = upper_bound(u64::try_from(here).unwrap());
            prop_assert!(ns <= upper);
            prop_assert_eq!(bucket(upper), here);
            if let Some(next) = upper.checked_add(1) {
                prop_assert_eq!(bucket(next), here + 1);
            }
        }
    }

    #[test]
    fn the_largest_value_has_the_last_bucket() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(histogram(&[u64::MAX]).max(), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn the_mean_is_exact() {
        assert_eq!(
            histogram(&[1_000, 2_000, 6_000]).mean(),
            Duration::from_micros(3)
        );
        assert_eq!(Histogram::default().mean(), Duration::ZERO);
        assert_eq!(Histogram::default().per_mille(500), Duration::ZERO);
    }
}
