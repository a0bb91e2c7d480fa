//! The same with `ark-ec`, one point at a time.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{Field, One};
use rayon::prelude::*;

use super::super::ntt::{generator, inverse_of_size};

pub(super) fn inverse(points: &[G1Affine], log_size: u32) -> Vec<G1Affine> {
    let size = points.len();
    let mut values: Vec<G1Projective> = points.iter().map(|point| (*point).into()).collect();
    let inverse = generator(log_size).inverse().unwrap_or_else(Fr::one);
    for index in 0..size {
        let reversed = index.reverse_bits().checked_shr(usize::BITS - log_size).unwrap_or(0);
        if index < reversed {
            values.swap(index, reversed);
        }
    }
    for level in 0..log_size {
        let half = 1_usize << level;
        let step = inverse.pow([(size / (2 * half)) as u64]);
        let twiddles: Vec<Fr> =
            core::iter::successors(Some(Fr::one()), |w| Some(*w * step)).take(half).collect();
        butterflies(&mut values, half, &twiddles);
    }
    let scale = inverse_of_size(log_size);
    let scaled: Vec<G1Projective> = values.par_iter().map(|value| *value * scale).collect();
    scaled.par_chunks(1 << 10).flat_map_iter(G1Projective::normalize_batch).collect()
}

/// One level: blocks of `2 * half` values, each half against the other.
fn butterflies(values: &mut [G1Projective], half: usize, twiddles: &[Fr]) {
    values.par_chunks_mut(2 * half).for_each(|block| {
        let (low, high) = block.split_at_mut(half);
        low.par_iter_mut().zip(high).zip(twiddles).for_each(|((a, b), w)| {
            let turned = if w.is_one() { *b } else { *b * w };
            *b = *a - turned;
            *a += turned;
        });
    });
}
