//! Latencies, counted.

/// Buckets for each power of two: values are known to 1.6 %.
const STEPS: usize = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// A histogram whose size does not depend on how much it counted.
pub(super) struct Histogram {
    buckets: Box<[u64]>,
    count: u64,
    max: u64,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self {
            buckets: vec![0; STEPS * (u64::BITS - STEP_BITS + 1) as usize].into(),
            count: 0,
            max: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    pub(super) fn add(&mut self, value: u64) {
        self.buckets[index(value)] += 1;
        self.count += 1;
        self.max = self.max.max(value);
    }

    /// The value that this share of all values does not pass.
    pub(super) fn quantile(&self, share: f64) -> u64 {
        let rank = (self.count as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest(index).min(self.max);
            }
        }
        self.max
    }

    pub(super) fn max(&self) -> u64 {
        self.max
    }
}

fn index(value: u64) -> usize {
    if value < STEPS as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    STEPS * (shift as usize + 1) + ((value >> shift) as usize & (STEPS - 1))
}

/// The highest value of a bucket.
fn highest(index: usize) -> u64 {
    let (power, step) = (index / STEPS, (index % STEPS) as u64);
    match power.checked_sub(1) {
        None => step,
        Some(shift) => ((STEPS as u64 + step) << shift) | ((1 << shift) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_hole() {
        for value in (0..200_000).chain([u64::MAX / 3, u64::MAX]) {
            let high = highest(index(value));
            assert!(
                high >= value && high - value <= value / 60,
                "{value}: {high}"
            );
            assert!(high == u64::MAX || index(high + 1) == index(value) + 1);
        }
    }

    #[test]
    fn quantiles_are_those_of_the_values() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), 0);
        (1..=1000).for_each(|value| histogram.add(value));
        assert!(histogram.quantile(0.5).abs_diff(500) < 10);
        assert!(histogram.quantile(0.99).abs_diff(990) < 18);
        assert_eq!(histogram.quantile(1.0), 1000);
        assert_eq!(histogram.max(), 1000);
    }
}
