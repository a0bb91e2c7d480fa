//! Linear combinations, evaluation, division.

#[cfg(target_arch = "x86_64")]
pub(super) mod lanes;

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

use super::scan::{self, Start, Step};
use super::simd::Tier;
use super::{GRAIN, huge, piece_length};
use crate::shape::{self, Result};

/// `sum_k factor_k * vector_k`, as long as the longest, shorter ones padded with zeros.
pub fn combine(tier: Tier, terms: &[(Fr, &[Fr])]) -> Vec<Fr> {
    let mut sum = Vec::new();
    combine_into(tier, terms, &mut sum);
    sum
}

/// The same into a vector, whose room is used again where there is enough.
pub fn combine_into(tier: Tier, terms: &[(Fr, &[Fr])], sum: &mut Vec<Fr>) {
    let len = terms.iter().map(|(_, vector)| vector.len()).max().unwrap_or(0);
    huge::reuse(sum, len);
    sum.par_chunks_mut(GRAIN).enumerate().for_each(|(index, chunk)| match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Ifma(proof) => lanes::combine(proof, terms, index * GRAIN, chunk),
        _ => {
            chunk.fill(Fr::zero());
            for &(factor, vector) in terms {
                if let Some(rest) = vector.get(index * GRAIN..) {
                    add_product(chunk, factor, rest);
                }
            }
        }
    });
}

/// Adds `factor * source` to the target's beginning; the longer one's end is left out.
fn add_product(target: &mut [Fr], factor: Fr, source: &[Fr]) {
    let pairs = target.iter_mut().zip(source);
    if factor.is_one() {
        pairs.for_each(|(total, value)| *total += value);
    } else if !factor.is_zero() {
        pairs.for_each(|(total, value)| *total += factor * value);
    }
}

/// `target[offset + i] += factor * source[i]`.
///
/// # Errors
/// If the source does not end within the target.
pub fn add_scaled(tier: Tier, target: &mut [Fr], offset: usize, factor: Fr, source: &[Fr]) -> Result<()> {
    shape::range("add_scaled", offset, source.len(), target.len())?;
    let part = &mut target[offset..offset + source.len()];
    part.par_chunks_mut(GRAIN).zip(source.par_chunks(GRAIN)).for_each(|(target, source)| match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Ifma(proof) => lanes::add_product(proof, target, &factor, source),
        _ => add_product(target, factor, source),
    });
    Ok(())
}

/// Multiplies entry `i` by `step^i`.
pub fn scale_by_powers(tier: Tier, values: &mut [Fr], step: Fr) {
    let piece = piece_length(values.len(), 2, GRAIN);
    values.par_chunks_mut(piece).enumerate().for_each(|(index, chunk)| {
        let mut factor = step.pow([(index * piece) as u64]);
        match tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(proof) => lanes::scale_by_powers(proof, chunk, factor, step),
            _ => {
                for value in chunk {
                    *value *= factor;
                    factor *= step;
                }
            }
        }
    });
}

/// Values at `point` of the polynomials with these coefficients; the empty polynomial is zero.
pub fn evaluate(tier: Tier, polynomials: &[&[Fr]], point: Fr) -> Vec<Fr> {
    let longest = polynomials.iter().map(|coefficients| coefficients.len()).max().unwrap_or(0);
    let piece = piece_length(longest.saturating_mul(polynomials.len()), 2, 4 * GRAIN);
    let step = point.pow([piece as u64]);
    let values = polynomials.par_iter().map(|coefficients| {
        let pieces = coefficients.par_chunks(piece).map(|part| match tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(proof) => lanes::evaluate(proof, part, point),
            _ => horner(part, point),
        });
        horner(&pieces.collect::<Vec<Fr>>(), step)
    });
    values.collect()
}

fn horner(coefficients: &[Fr], point: Fr) -> Fr {
    coefficients.iter().rev().fold(Fr::zero(), |value, coefficient| value * point + coefficient)
}

/// Quotient by `X - root`, one entry shorter; the remainder is dropped. The quotient of a constant is empty.
pub fn divide_by_linear(tier: Tier, polynomial: &[Fr], root: Fr) -> Vec<Fr> {
    let mut quotient = Vec::new();
    divide_by_linear_into(tier, polynomial, root, &mut quotient);
    quotient
}

/// The same into a vector, whose room is used again where there is enough.
pub fn divide_by_linear_into(tier: Tier, polynomial: &[Fr], root: Fr, quotient: &mut Vec<Fr>) {
    let entries = polynomial.get(1..).unwrap_or_default();
    huge::reuse(quotient, entries.len());
    scan::fill(tier, (Fr::zero(), Step::Affine(root)), (entries, Start::Back), quotient);
}
