//! Transforms by `ark-ff`, one element at a time.
//!
//! Two layers are fused while a block is larger than the cache, then each block is finished by itself. On a coset,
//! coefficient `i` wants the factor `shift^i`: its part `shift^(i mod m)`, `m` the cached blocks' length, is applied when the
//! coefficients are copied, from a short table; the layers above blocks of `m` do the rest with scaled twiddles. The result
//! comes in bit-reversed order, and one pass brings it into natural order; the inverse transform is the forward one with indices
//! negated and a factor, both folded into that pass.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

use super::Twiddles;
use crate::cpu::{GRAIN, huge};

/// Blocks up to this many entries (128 KiB) are finished in the cache, by one thread.
const CACHED: usize = 1 << 12;

/// Values at the subgroup's elements.
pub(super) fn forward(values: &mut Vec<Fr>, twiddles: &Twiddles) {
    let transform = Transform { twiddles, scales: None };
    transform.block(values, 0, 0);
    *values = reordered(values, |index| index);
}

/// Coefficients.
pub(super) fn inverse(values: &mut Vec<Fr>, twiddles: &Twiddles) {
    let transform = Transform { twiddles, scales: None };
    transform.block(values, 0, 0);
    let size = values.len();
    let factor = inverse_of_size(size.ilog2());
    let mut coefficients = reordered(values, |index| (size - index) % size);
    coefficients.par_iter_mut().with_min_len(GRAIN).for_each(|value| *value *= factor);
    *values = coefficients;
}

/// Values on a coset.
pub(super) fn coset_forward(coefficients: &[Fr], log_size: u32, shift: Fr, twiddles: &Twiddles) -> Vec<Fr> {
    let size = 1usize << log_size;
    // While the upper half of a block is zero, a layer only copies the lower half.
    let filled = coefficients.len().max(1).checked_next_power_of_two().map_or(size, |len| len.min(size));
    let copied = (size / filled).ilog2();
    let scales: Vec<Fr> = (0..log_size).map(|layer| shift.pow([(size >> (layer + 1)) as u64])).collect();
    let transform = Transform { twiddles, scales: Some(&scales) };
    let mut values = huge::vector(size);
    values.resize(filled, Fr::zero());
    fold(&mut values, coefficients, shift);
    if copied > 0 {
        values.resize(size, Fr::zero());
        let (first, others) = values.split_at_mut(filled);
        others.par_chunks_mut(filled).for_each(|copy| copy.copy_from_slice(first));
    }
    values
        .par_chunks_mut(filled)
        .enumerate()
        .for_each(|(index, block)| transform.block(block, copied, index));
    reordered(&values, |index| index)
}

/// Length of the blocks that are finished in the cache, when a block of this length is worked off.
fn finished_length(mut len: usize) -> usize {
    while len > CACHED {
        len /= 4;
    }
    len
}

/// Adds the coefficients, folded with `X^len = shift^len`, and each scaled with `shift^(i mod m)`, where `m` is the length
/// of the blocks that will be finished without scaled twiddles.
fn fold(block: &mut [Fr], coefficients: &[Fr], shift: Fr) {
    let len = block.len();
    let finished = finished_length(len);
    let powers: Vec<Fr> =
        core::iter::successors(Some(Fr::one()), |power| Some(*power * shift)).take(finished).collect();
    let wrap = shift.pow([len as u64]);
    let mut factor = Fr::one();
    for part in coefficients.chunks(len) {
        block.par_chunks_mut(finished).zip(part.par_chunks(finished)).for_each(|(block, part)| {
            for ((total, value), power) in block.iter_mut().zip(part).zip(&powers) {
                *total += if factor.is_one() { *value * power } else { *value * power * factor };
            }
        });
        factor *= wrap;
    }
}

/// `2^-log_size`
pub(in crate::cpu) fn inverse_of_size(log_size: u32) -> Fr {
    Fr::from(1u64 << log_size).inverse().unwrap_or_default()
}

/// Entry `i` of the result is the entry at the bit-reversed `source(i)`.
fn reordered(values: &[Fr], source: impl Fn(usize) -> usize + Sync) -> Vec<Fr> {
    let reversed = |index: usize| match values.len().ilog2() {
        0 => index,
        bits => index.reverse_bits() >> (usize::BITS - bits),
    };
    (0..values.len())
        .into_par_iter()
        .with_min_len(GRAIN)
        .map(|index| values[reversed(source(index))])
        .collect()
}

/// A forward transform that leaves its result in bit-reversed order.
struct Transform<'a> {
    twiddles: &'a Twiddles,
    /// On a coset, the factor of each layer's twiddles, for layers above cached blocks.
    scales: Option<&'a [Fr]>,
}

impl Transform<'_> {
    /// The twiddle of a block that is larger than the cached ones.
    fn scaled_twiddle(&self, layer: u32, block: usize) -> Fr {
        let twiddle = self.twiddles.get(block);
        self.scales.map_or(twiddle, |scales| twiddle * scales[layer as usize])
    }

    /// Works off all layers from `layer` on, whose block number `block` the values are.
    fn block(&self, values: &mut [Fr], layer: u32, block: usize) {
        if values.len() <= CACHED {
            return self.finish(values, block);
        }
        let quarter = values.len() / 4;
        self.two_layers(values, layer, block);
        values.par_chunks_mut(quarter).enumerate().for_each(|(index, part)| {
            self.block(part, layer + 2, 4 * block + index);
        });
    }

    /// Two layers at once over a large block.
    fn two_layers(&self, values: &mut [Fr], layer: u32, block: usize) {
        let quarter = values.len() / 4;
        let outer = self.scaled_twiddle(layer, block);
        let left = self.scaled_twiddle(layer + 1, 2 * block);
        let right = self.scaled_twiddle(layer + 1, 2 * block + 1);
        let (low, high) = values.split_at_mut(2 * quarter);
        let (q0, q1) = low.split_at_mut(quarter);
        let (q2, q3) = high.split_at_mut(quarter);
        let lower = q0.par_chunks_mut(GRAIN).zip(q1.par_chunks_mut(GRAIN));
        let upper = q2.par_chunks_mut(GRAIN).zip(q3.par_chunks_mut(GRAIN));
        lower.zip(upper).for_each(|((q0, q1), (q2, q3))| {
            for ((a, b), (c, d)) in q0.iter_mut().zip(q1).zip(q2.iter_mut().zip(q3)) {
                butterfly(a, c, outer);
                butterfly(b, d, outer);
                butterfly(a, b, left);
                butterfly(c, d, right);
            }
        });
    }

    /// All remaining layers of a block that fits the cache.
    fn finish(&self, values: &mut [Fr], block: usize) {
        let mut len = values.len();
        let mut first = block;
        while len > 1 {
            let half = len / 2;
            for (index, part) in values.chunks_exact_mut(len).enumerate() {
                let twiddle = self.twiddles.get(first + index);
                let (low, high) = part.split_at_mut(half);
                low.iter_mut().zip(high).for_each(|(a, b)| butterfly(a, b, twiddle));
            }
            len = half;
            first *= 2;
        }
    }
}

#[inline(always)]
fn butterfly(a: &mut Fr, b: &mut Fr, twiddle: Fr) {
    let scaled = *b * twiddle;
    *b = *a - scaled;
    *a += scaled;
}
