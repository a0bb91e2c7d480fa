//! Lagrange points from powers of tau: an inverse transform over the group.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{Field, One};
use rayon::prelude::*;
use zkloom_plonkish::field::root_of_unity;

/// `[L_i(tau)]_1 = 1/N sum_j w^(-ij) [tau^j]_1`. There must be at least `2^log_rows` powers; the first so many are used.
pub fn from_powers(powers: &[G1Affine], log_rows: u32) -> Vec<G1Affine> {
    let rows = 1_usize << log_rows;
    let mut values: Vec<G1Projective> = powers.iter().take(rows).map(|point| (*point).into()).collect();
    let inverse = root_of_unity(log_rows).and_then(|root| root.inverse()).unwrap_or_else(Fr::one);
    bit_reverse(&mut values, log_rows);
    for level in 0..log_rows {
        let half = 1_usize << level;
        let step = inverse.pow([(rows / (2 * half)) as u64]);
        let twiddles: Vec<Fr> =
            core::iter::successors(Some(Fr::one()), |w| Some(*w * step)).take(half).collect();
        butterflies(&mut values, half, &twiddles);
    }
    let scale = Fr::from(rows as u64).inverse().unwrap_or_else(Fr::one);
    let scaled: Vec<G1Projective> = values.par_iter().map(|value| *value * scale).collect();
    scaled.par_chunks(1 << 10).flat_map_iter(G1Projective::normalize_batch).collect()
}

fn bit_reverse(values: &mut [G1Projective], bits: u32) {
    for index in 0..values.len() {
        let reversed = index.reverse_bits().checked_shr(usize::BITS - bits).unwrap_or(0);
        if index < reversed {
            values.swap(index, reversed);
        }
    }
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
