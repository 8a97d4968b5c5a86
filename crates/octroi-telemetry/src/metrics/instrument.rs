//! Counters, gauges and histograms as plain atomics in fixed places.
//!
//! Every series that can exist has its cell from the start: recording is an index computation and
//! one or two relaxed atomic additions, allocates nothing, takes no lock and cannot grow. A
//! histogram counts into fixed buckets, so nothing piles up while nobody reads the metrics.

use std::fmt::Write;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::label::Labels;
use super::{MetricKind, MetricSpec};

/// What a series holds.
pub(crate) trait Cell {
    /// The kind that Prometheus is told.
    const KIND: MetricKind;
    /// A series on which nothing was recorded yet.
    const NEW: Self;

    /// Writes the series' samples; `labels` is its label list without braces, possibly empty.
    fn render(&self, name: &str, labels: &str, out: &mut String);
}

/// A number that only grows.
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }
}

impl Cell for Counter {
    const KIND: MetricKind = MetricKind::Counter;
    const NEW: Self = Self(AtomicU64::new(0));

    fn render(&self, name: &str, labels: &str, out: &mut String) {
        sample(out, name, labels, self.0.load(Relaxed));
    }
}

/// A number that goes up and down.
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn add(&self, change: i64) {
        self.0.fetch_add(change, Relaxed);
    }

    /// Saturates at `i64::MAX`, which no real value reaches.
    pub(crate) fn set(&self, value: u64) {
        self.0
            .store(i64::try_from(value).unwrap_or(i64::MAX), Relaxed);
    }
}

impl Cell for Gauge {
    const KIND: MetricKind = MetricKind::Gauge;
    const NEW: Self = Self(AtomicI64::new(0));

    fn render(&self, name: &str, labels: &str, out: &mut String) {
        sample(out, name, labels, self.0.load(Relaxed));
    }
}

/// The unit and buckets of a histogram.
pub(crate) trait Scale {
    /// Upper bounds, ascending, in the unit that is recorded; at most [`BOUNDS_MAX`].
    const BOUNDS: &'static [u64];

    /// Writes a recorded value in the unit that Prometheus is told.
    fn write(value: u64, out: &mut String);
}

/// Recorded in microseconds, shown in seconds.
pub(crate) struct Micros;

impl Scale for Micros {
    const BOUNDS: &'static [u64] = &[
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
    ];

    fn write(value: u64, out: &mut String) {
        let _ = write!(out, "{}.{:06}", value / 1_000_000, value % 1_000_000);
    }
}

/// A count of things in a batch.
pub(crate) struct Things;

impl Scale for Things {
    const BOUNDS: &'static [u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024];

    fn write(value: u64, out: &mut String) {
        let _ = write!(out, "{value}");
    }
}

/// The most bounds a [`Scale`] may have.
const BOUNDS_MAX: usize = 18;

/// Counts values into buckets.
pub(crate) struct Histogram<S> {
    /// One for each bound and, last used, one for everything above.
    buckets: [AtomicU64; BOUNDS_MAX + 1],
    sum: AtomicU64,
    scale: PhantomData<S>,
}

/// How long things take.
pub(crate) type Durations = Histogram<Micros>;
/// How large batches are.
pub(crate) type Sizes = Histogram<Things>;

impl<S: Scale> Histogram<S> {
    fn record(&self, value: u64) {
        let bucket = S::BOUNDS.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
            self.sum.fetch_add(value, Relaxed);
        }
    }
}

impl Durations {
    pub(crate) fn observe(&self, duration: Duration) {
        self.record(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Sizes {
    pub(crate) fn observe(&self, size: usize) {
        self.record(u64::try_from(size).unwrap_or(u64::MAX));
    }
}

impl<S: Scale> Cell for Histogram<S> {
    const KIND: MetricKind = MetricKind::Histogram;
    const NEW: Self = {
        assert!(S::BOUNDS.len() <= BOUNDS_MAX, "more bounds than buckets");
        Self {
            buckets: [const { AtomicU64::new(0) }; BOUNDS_MAX + 1],
            sum: AtomicU64::new(0),
            scale: PhantomData,
        }
    };

    fn render(&self, name: &str, labels: &str, out: &mut String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut count = 0;
        for (bucket, bound) in self.buckets.iter().zip(S::BOUNDS) {
            count += bucket.load(Relaxed);
            let _ = write!(out, "{name}_bucket{{{labels}{comma}le=\"");
            S::write(*bound, out);
            let _ = writeln!(out, "\"}} {count}");
        }
        count += self
            .buckets
            .get(S::BOUNDS.len())
            .map_or(0, |above| above.load(Relaxed));
        let _ = writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}");
        let braced = braced(labels);
        let _ = write!(out, "{name}_sum{braced} ");
        S::write(self.sum.load(Relaxed), out);
        let _ = writeln!(out, "\n{name}_count{braced} {count}");
    }
}

/// All series of one metric: a cell for every combination of its labels' values.
pub(crate) struct Family<C, L, const N: usize> {
    cells: [C; N],
    labels: PhantomData<L>,
}

impl<C: Cell, L: Labels, const N: usize> Family<C, L, N> {
    pub(crate) const fn new() -> Self {
        const { assert!(N == L::COUNT, "one cell for each combination of labels") };
        Self {
            cells: [C::NEW; N],
            labels: PhantomData,
        }
    }

    /// The series with these labels.
    pub(crate) fn at(&self, labels: L) -> &C {
        // Labels::index stays below COUNT, which is N.
        &self.cells[labels.index()]
    }

    /// Writes every series; `scope` is the part of the label list that the set as a whole has.
    pub(crate) fn render(&self, name: &str, scope: &str, out: &mut String) {
        for (index, cell) in self.cells.iter().enumerate() {
            let mut labels = scope.to_owned();
            L::write(index, &mut labels);
            cell.render(name, &labels, out);
        }
    }
}

/// Writes the two lines that come before a metric's samples.
pub(crate) fn header(spec: &MetricSpec, out: &mut String) {
    let MetricSpec {
        name, help, kind, ..
    } = spec;
    let kind = kind.as_str();
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let braced = braced(labels);
    let _ = writeln!(out, "{name}{braced} {value}");
}

fn braced(labels: &str) -> String {
    if labels.is_empty() {
        String::new()
    } else {
        format!("{{{labels}}}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_counted_in_every_bucket_that_holds_it(
            values in prop::collection::vec(0_u64..120_000_000, 0..50)
        ) {
            let histogram = Durations::NEW;
            for value in &values {
                histogram.observe(Duration::from_micros(*value));
            }
            let mut text = String::new();
            histogram.render("t", "", &mut text);
            for bound in Micros::BOUNDS {
                let mut le = String::new();
                Micros::write(*bound, &mut le);
                let expected = values.iter().filter(|value| *value <= bound).count();
                let line = format!("t_bucket{{le=\"{le}\"}} {expected}\n");
                prop_assert!(text.contains(&line), "{line} not in {text}");
            }
            let sum: u64 = values.iter().sum();
            let mut shown = String::new();
            Micros::write(sum, &mut shown);
            let (sum_line, count) = (format!("t_sum {shown}\n"), values.len());
            prop_assert!(text.contains(&sum_line));
            let inf_line = format!("t_bucket{{le=\"+Inf\"}} {count}\n");
            prop_assert!(text.contains(&inf_line));
            let count_line = format!("t_count {count}\n");
            prop_assert!(text.ends_with(&count_line));
        }
    }
}
