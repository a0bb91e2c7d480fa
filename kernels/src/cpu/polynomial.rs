//! Linear combinations, evaluation, division.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

use super::scan::{Start, recur};
use super::{GRAIN, piece_length};
use crate::shape::{self, Result};

/// `sum_k factor_k * vector_k`, as long as the longest, shorter ones padded with zeros.
pub fn combine(terms: &[(Fr, &[Fr])]) -> Vec<Fr> {
    let len = terms.iter().map(|(_, vector)| vector.len()).max().unwrap_or(0);
    let mut sum = vec![Fr::zero(); len];
    sum.par_chunks_mut(GRAIN).enumerate().for_each(|(index, chunk)| {
        for &(factor, vector) in terms {
            if let Some(rest) = vector.get(index * GRAIN..) {
                add_product(chunk, factor, rest);
            }
        }
    });
    sum
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
pub fn add_scaled(target: &mut [Fr], offset: usize, factor: Fr, source: &[Fr]) -> Result<()> {
    shape::range("add_scaled", offset, source.len(), target.len())?;
    let part = &mut target[offset..offset + source.len()];
    part.par_chunks_mut(GRAIN)
        .zip(source.par_chunks(GRAIN))
        .for_each(|(target, source)| add_product(target, factor, source));
    Ok(())
}

/// Values at `point` of the polynomials with these coefficients; the empty polynomial is zero.
pub fn evaluate(polynomials: &[&[Fr]], point: Fr) -> Vec<Fr> {
    let longest = polynomials.iter().map(|coefficients| coefficients.len()).max().unwrap_or(0);
    let piece = piece_length(longest, 2, GRAIN);
    let step = point.pow([piece as u64]);
    let values = polynomials.par_iter().map(|coefficients| {
        let pieces: Vec<Fr> = coefficients.par_chunks(piece).map(|part| horner(part, point)).collect();
        horner(&pieces, step)
    });
    values.collect()
}

fn horner(coefficients: &[Fr], point: Fr) -> Fr {
    coefficients.iter().rev().fold(Fr::zero(), |value, coefficient| value * point + coefficient)
}

/// Quotient by `X - root`, one entry shorter; the remainder is dropped. The quotient of a constant is empty.
pub fn divide_by_linear(polynomial: &[Fr], root: Fr) -> Vec<Fr> {
    let mut quotient = polynomial.get(1..).unwrap_or_default().to_vec();
    recur(&mut quotient, root, Start::Back);
    quotient
}
