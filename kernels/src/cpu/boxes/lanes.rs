//! Runs in lanes of eight. The first powers of a segment's ratio are made once and serve all of its runs, so that a run of a
//! few entries is worth it too; entries that are no neighbours are read and written one by one.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};

use super::super::eights::{Lane, load_words, reduced, store_words};
use super::super::simd::{LANES, Lanes, Words, ifma_kernel};

/// Runs from this length on are done in lanes.
pub(super) const SHORTEST: usize = 4;

/// A ratio's powers 0 to 7, and power 8.
#[derive(Debug)]
pub(super) struct Powers {
    first: [Fr; LANES],
    step: Fr,
}

impl Powers {
    pub(super) fn new(ratio: Fr) -> Self {
        let mut first = [Fr::one(); LANES];
        for exponent in 1..LANES {
            first[exponent] = first[exponent - 1] * ratio;
        }
        Self { first, step: first[LANES / 2].square() }
    }
}

/// Time of a run, in nanoseconds or so, measured on neighbours and on entries apart.
pub(super) fn cost(count: usize, step: usize, sum: bool) -> usize {
    let vectors = count.div_ceil(LANES);
    match (sum, step) {
        _ if count < SHORTEST => 45_usize.saturating_mul(count).saturating_add(30),
        (true, 1) => 35_usize.saturating_mul(vectors).saturating_add(230),
        (true, _) => 70_usize.saturating_mul(vectors).saturating_add(230),
        (false, 1) => 90_usize.saturating_mul(vectors).saturating_add(60),
        (false, _) => 160_usize.saturating_mul(vectors).saturating_add(60),
    }
}

/// Every `step`-th entry from the first on.
#[derive(Clone, Copy)]
pub(super) struct Line<T> {
    pub(super) entries: T,
    pub(super) step: usize,
}

ifma_kernel! {
    /// Adds `factor * ratio^i` to the target's entry number `i < count`, times the source's entry where there is a source.
    pub(super) fn add_run(
        target: Line<&mut [Fr]>, count: usize, by: (&Fr, &Powers), source: Option<Line<&[Fr]>>,
    ) {
        // SAFETY: this function has the instructions; the array has eight entries.
        unsafe {
            // Products of two elements as they lie in memory lack a factor of 16; one factor is true.
            let powers = match source {
                Some(_) => Lane::load(by.1.first.as_ptr()).reduce(),
                None => Lane::load_words(by.1.first.as_ptr().cast()),
            };
            let mut factors = powers.multiply(reduced(by.0));
            let step = reduced(&by.1.step);
            let mut at = 0;
            while at < count {
                let len = (count - at).min(LANES);
                let term = match source {
                    Some(source) => read(source, at, len).multiply(factors),
                    None => factors,
                };
                let before = read(Line { entries: &*target.entries, step: target.step }, at, len);
                let sum = before.add(term);
                if target.step == 1 {
                    store_words(sum, &mut target.entries[at..at + len]);
                } else {
                    let mut eight = [Fr::zero(); LANES];
                    store_words(sum, &mut eight);
                    for (lane, value) in eight.iter().enumerate().take(len) {
                        target.entries[(at + lane) * target.step] = *value;
                    }
                }
                factors = factors.multiply(step);
                at += LANES;
            }
        }
    }
}

ifma_kernel! {
    /// `sum_i ratio^i source[i]` over `count` entries.
    pub(super) fn weighted_sum(source: Line<&[Fr]>, count: usize, powers: &Powers) -> Fr {
        // SAFETY: this function has the instructions; the array has eight entries.
        unsafe {
            let step = reduced(&powers.step);
            let whole = count / LANES;
            let mut sum = read(source, whole * LANES, count % LANES);
            for vector in (0..whole).rev() {
                sum = sum.multiply(step).add(read(source, vector * LANES, LANES));
            }
            let mut lanes = [Fr::zero(); LANES];
            store_words(sum.multiply(Lane::load(powers.first.as_ptr()).reduce()), &mut lanes);
            lanes.into_iter().sum()
        }
    }
}

/// Entries `at .. at + len` of a line, at most eight, as they lie in memory; zeros after them.
#[inline(always)]
unsafe fn read(line: Line<&[Fr]>, at: usize, len: usize) -> Lane {
    // SAFETY: every place holds an element of four words; the caller has the instructions.
    unsafe {
        if line.step == 1 {
            return load_words(&line.entries[at..at + len]);
        }
        let zero = Fr::zero();
        let mut places = [(&raw const zero).cast::<Words>(); LANES];
        for (lane, place) in places.iter_mut().enumerate().take(len) {
            *place = (&raw const line.entries[(at + lane) * line.step]).cast();
        }
        Lane::gather_words(places)
    }
}
