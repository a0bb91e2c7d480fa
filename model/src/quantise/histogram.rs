//! Histograms that grow with what they see, and do not depend on the order in which they see it.

/// Bins on either side of zero.
const HALF: usize = 1024;
/// Bins are at least `2^-80` wide.
const FINEST: i32 = -80;

/// Counts of values in bins `[i, i + 1) * 2^exponent`, with the least exponent for which all values fit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Histogram {
    exponent: i32,
    counts: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { exponent: FINEST, counts: vec![0; 2 * HALF] }
    }
}

impl Histogram {
    /// Counts finite values.
    pub(super) fn add(&mut self, values: &[f32]) {
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let mut exponent = self.exponent;
        while f64::from(largest) >= width(exponent) * (HALF - 1) as f64 {
            exponent += 1;
        }
        self.coarsen(exponent);
        let scale = width(-self.exponent);
        for &value in values {
            let bin = (f64::from(value) * scale).floor() as i64 + HALF as i64;
            if let Some(count) = usize::try_from(bin).ok().and_then(|bin| self.counts.get_mut(bin)) {
                *count += 1;
            }
        }
    }

    /// Adds another histogram's counts.
    pub(super) fn merge(&mut self, mut other: Self) {
        let exponent = self.exponent.max(other.exponent);
        self.coarsen(exponent);
        other.coarsen(exponent);
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
    }

    fn coarsen(&mut self, exponent: i32) {
        let steps = u32::try_from(exponent - self.exponent).unwrap_or(0).min(40);
        if steps > 0 {
            let old = std::mem::replace(&mut self.counts, vec![0; 2 * HALF]);
            for (bin, count) in old.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                let signed = (bin as i64 - HALF as i64) >> steps;
                self.counts[(signed + HALF as i64) as usize] += count;
            }
            self.exponent = exponent;
        }
    }

    /// Middle and count of every bin that holds something, in ascending order.
    pub(super) fn bins(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let width = width(self.exponent);
        let middle = move |bin: usize| (bin as f64 - HALF as f64 + 0.5) * width;
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(move |(bin, &count)| (middle(bin), count))
    }

    /// The value below which a fraction of all values lies, to the nearest bin; 0 if there are none.
    pub(super) fn quantile(&self, fraction: f64) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let rank = fraction * total as f64;
        let mut below = 0u64;
        for (middle, count) in self.bins() {
            below += count;
            if below as f64 >= rank {
                return middle;
            }
        }
        0.0
    }
}

fn width(exponent: i32) -> f64 {
    2.0f64.powi(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_values_does_not_matter() {
        let parts: [&[f32]; 4] = [&[0.0, -0.001, 0.25], &[100.0, -3.0], &[0.0; 5], &[1e-9, -7.5]];
        let collect = |order: [usize; 4]| {
            let mut all = Histogram::default();
            for part in order {
                let mut one = Histogram::default();
                one.add(parts[part]);
                all.merge(one);
            }
            all
        };
        let forward = collect([0, 1, 2, 3]);
        assert_eq!(forward, collect([3, 1, 0, 2]));
        let mut at_once = Histogram::default();
        parts.iter().for_each(|part| at_once.add(part));
        assert_eq!(forward, at_once);
        assert_eq!(forward.bins().map(|(_, count)| count).sum::<u64>(), 12);
    }

    #[test]
    fn quantiles_are_exact_to_a_bin() {
        let mut histogram = Histogram::default();
        histogram.add(&(0..10_000).map(|index| index as f32 / 100.0 - 20.0).collect::<Vec<_>>());
        for fraction in [0.01, 0.2, 0.5, 0.999] {
            let expected = fraction * 100.0 - 20.0;
            assert!((histogram.quantile(fraction) - expected).abs() < 0.2, "{fraction}");
        }
        assert_eq!(Histogram::default().quantile(0.5), 0.0);
    }
}
