//! Latencies, counted in buckets that are one 64th of their value wide.
//!
//! ```text
//! value in ns   0 .. 63    64 .. 127       128 .. 255         256 .. 511       ..
//! bucket        exact      exact           2 ns wide          4 ns wide        ..
//! ```

use std::time::Duration;

/// Buckets to each power of two.
const STEPS: u64 = 64;
/// `STEPS` as a power of two.
const SHIFT: u32 = 6;
const BUCKETS: usize = ((64 - SHIFT + 1) as usize) * STEPS as usize;

/// How often each latency was seen.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            max: 0,
        }
    }
}

fn bucket(value: u64) -> usize {
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - SHIFT;
    let step = (value >> shift) - STEPS;
    (u64::from(shift + 1) * STEPS + step) as usize
}

/// The largest value of a bucket.
fn edge(bucket: usize) -> u64 {
    let (power, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    if power == 0 {
        return step;
    }
    let end = u128::from(STEPS + step + 1) << (power - 1);
    u64::try_from(end - 1).unwrap_or(u64::MAX)
}

impl Histogram {
    pub(super) fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The latency that this share of all, in thousandths, does not exceed.
    pub(super) fn at(&self, share: u64) -> Duration {
        let wanted = (self.total * share).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(edge(bucket).min(self.max));
            }
        }
        self.max()
    }
}

#[cfg(test)]
mod tests {
    //! Catches a percentile that is further from the true one than a bucket is wide.
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn percentiles_are_close(
            values in prop::collection::vec((0..63_u32, any::<u64>()), 1..200),
            share in 1..=1_000_u64,
        ) {
            let mut values: Vec<u64> = values.iter().map(|(bits, v)| v >> bits).collect();
            let mut histograms = [Histogram::default(), Histogram::default()];
            for (at, value) in values.iter().enumerate() {
                histograms[at % 2].add(Duration::from_nanos(*value));
            }
            let [mut all, other] = histograms;
            all.merge(&other);
            values.sort_unstable();
            let rank = (values.len() as u64 * share).div_ceil(1_000).max(1);
            let exact = values[rank as usize - 1];
            let found = all.at(share).as_nanos() as u64;
            prop_assert!(found >= exact && found - exact <= exact / 64, "{found} for {exact}");
            prop_assert_eq!(all.total(), values.len() as u64);
            prop_assert_eq!(all.max().as_nanos() as u64, values[values.len() - 1]);
        }
    }

    #[test]
    fn nothing_has_no_latency() {
        assert_eq!(Histogram::default().at(999), Duration::ZERO);
    }
}
