//! The same in lanes of eight. Data stay 16 times too small, as their words lie in memory; factors are true.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};

use super::super::eights::{Lane, load_words, reduced, store_words};
use super::super::simd::{LANES, Lanes, ifma_kernel};

/// Vectors that are summed up side by side: 5 KiB.
const WIDTH: usize = 16;

/// Products that are added before their sum is reduced, each below 2.1p.
const UNREDUCED: usize = 32;

ifma_kernel! {
    /// Sets the target to the combination of the vectors' entries from `start` on.
    pub(super) fn combine(terms: &[(Fr, &[Fr])], start: usize, target: &mut [Fr]) {
        for (index, part) in target.chunks_mut(WIDTH * LANES).enumerate() {
            // SAFETY: this function has the instructions.
            unsafe { combine_part(terms, start + index * WIDTH * LANES, part) };
        }
    }
}

#[inline(always)]
unsafe fn combine_part(terms: &[(Fr, &[Fr])], start: usize, target: &mut [Fr]) {
    // SAFETY: the caller has the instructions.
    unsafe {
        let mut sums = [Lane::zero(); WIDTH];
        for (index, (factor, vector)) in terms.iter().enumerate() {
            let part = vector.get(start..).unwrap_or_default();
            let eights = part[..part.len().min(target.len())].chunks(LANES);
            if factor.is_one() {
                for (sum, eight) in sums.iter_mut().zip(eights) {
                    *sum = sum.plus(load_words(eight));
                }
            } else if !factor.is_zero() {
                let factor = reduced(factor);
                for (sum, eight) in sums.iter_mut().zip(eights) {
                    *sum = sum.plus(load_words(eight).multiply(factor));
                }
            }
            if index % UNREDUCED == UNREDUCED - 1 {
                for sum in &mut sums {
                    *sum = sum.carry().reduce();
                }
            }
        }
        for (eight, sum) in target.chunks_mut(LANES).zip(sums) {
            store_words(sum.carry(), eight);
        }
    }
}

ifma_kernel! {
    /// Adds `factor * source` to a target of the same length.
    pub(super) fn add_product(target: &mut [Fr], factor: &Fr, source: &[Fr]) {
        // SAFETY: this function has the instructions.
        unsafe {
            let one = factor.is_one();
            let factor = reduced(factor);
            for (eight, source) in target.chunks_mut(LANES).zip(source.chunks(LANES)) {
                let source = load_words(source);
                let product = if one { source } else { source.multiply(factor) };
                store_words(load_words(eight).add(product), eight);
            }
        }
    }
}

ifma_kernel! {
    /// Multiplies entry `i` by `first * step^i`.
    pub(super) fn scale_by_powers(values: &mut [Fr], first: Fr, step: Fr) {
        let mut powers = [first; LANES];
        for lane in 1..LANES {
            powers[lane] = powers[lane - 1] * step;
        }
        // SAFETY: this function has the instructions; the array has eight entries.
        unsafe {
            let mut factors = Lane::load(powers.as_ptr()).reduce();
            let step = reduced(&step.pow([LANES as u64]));
            for eight in values.chunks_mut(LANES) {
                store_words(load_words(eight).multiply(factors), eight);
                factors = factors.multiply(step);
            }
        }
    }
}

ifma_kernel! {
    /// The value at `point` of the polynomial with these coefficients.
    pub(in crate::cpu) fn evaluate(coefficients: &[Fr], point: Fr) -> Fr {
        let mut powers = [Fr::one(); 2 * LANES];
        for exponent in 1..2 * LANES {
            powers[exponent] = powers[exponent - 1] * point;
        }
        // SAFETY: this function has the instructions; the array has twice eight entries.
        unsafe {
            // Two chains, so that one's latency is the other's time.
            let step = reduced(&(powers[LANES].square()));
            let whole = coefficients.len() - coefficients.len() % (2 * LANES);
            let (pairs, rest) = coefficients.split_at(whole);
            let (first, second) = rest.split_at(rest.len().min(LANES));
            let (mut low, mut high) = (load_words(first), load_words(second));
            for pair in pairs.rchunks_exact(2 * LANES) {
                low = low.multiply(step).add(load_words(&pair[..LANES]));
                high = high.multiply(step).add(load_words(&pair[LANES..]));
            }
            let weighted = low.multiply(Lane::load(powers.as_ptr()).reduce());
            let weighted = weighted.plus(high.multiply(Lane::load(powers[LANES..].as_ptr()).reduce()));
            let mut lanes = [Fr::zero(); LANES];
            store_words(weighted.carry(), &mut lanes);
            lanes.into_iter().sum()
        }
    }
}
