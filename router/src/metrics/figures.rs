//! How are a count, a level and a spread of times kept, a few bytes each?
//!
//! The exporter's handles take some hundred bytes per series and a search at their creation; a shop of a thousand registers
//! has a hundred thousand series. Nothing here orders anything else, therefore `Relaxed`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::table::{Kind, Metric};

/// What only grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn increment(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What comes and goes. Kept as the bits of a float.
#[derive(Debug, Default)]
pub(super) struct Level(AtomicU64);

impl Level {
    pub(super) fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    pub(super) fn add(&self, more: f64) {
        let sum = |bits| Some((f64::from_bits(bits) + more).to_bits());
        // The closure never gives up, so neither does the update.
        let _ = self.0.fetch_update(Relaxed, Relaxed, sum);
    }

    pub(super) fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

/// How long something took, sorted into the buckets of its metric.
#[derive(Debug)]
pub(super) struct Times {
    ends: &'static [f64],
    /// One more than there are ends, for what took longer than the last of them.
    counts: Box<[Count]>,
    sum: Level,
}

impl Times {
    /// Nothing yet, for a metric of the table that is a histogram.
    pub(super) fn of(metric: &Metric) -> Times {
        let ends = match metric.kind {
            Kind::Histogram(ends) => ends,
            Kind::Counter | Kind::Gauge => &[],
        };
        let counts = (0..=ends.len()).map(|_| Count::default()).collect();
        Times { ends, counts, sum: Level::default() }
    }

    /// What took exactly as long as a bucket's end belongs to that bucket.
    pub(super) fn record(&self, seconds: f64) {
        self.counts[self.ends.partition_point(|end| *end < seconds)].increment();
        self.sum.add(seconds);
    }

    /// Each end of a bucket, with how much took no longer.
    pub(super) fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let ends = self.ends.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().scan(0, |so_far, count| {
            *so_far += count.value();
            Some(*so_far)
        });
        ends.zip(counts)
    }

    /// Seconds altogether.
    pub(super) fn sum(&self) -> f64 {
        self.sum.value()
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::PAYMENT_DURATION;
    use super::*;

    #[test]
    fn a_time_counts_in_its_bucket_and_in_every_longer_one() {
        let times = Times::of(&PAYMENT_DURATION);
        [0.0, 0.5, 0.75, 300.0, 300.25].into_iter().for_each(|seconds| times.record(seconds));
        let buckets: Vec<(f64, u64)> = times.buckets().collect();
        assert_eq!(buckets[..2], [(0.5, 2), (1.0, 3)]);
        assert_eq!(buckets[buckets.len() - 2..], [(300.0, 4), (f64::INFINITY, 5)]);
        assert_eq!(times.sum(), 601.5);
    }

    #[test]
    fn a_level_comes_and_goes() {
        let level = Level::default();
        level.set(2.5);
        level.add(1.0);
        level.add(-2.0);
        assert_eq!(level.value(), 1.5);
    }
}
