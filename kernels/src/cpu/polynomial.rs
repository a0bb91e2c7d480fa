//! Linear combinations, evaluation, division.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

use super::scan::{Start, recur};
use super::{GRAIN, piece_length};
use crate::shape::{self, Result};

/// Terms of a combination that share one Montgomery reduction; the modulus leaves room for six.
const TERMS: usize = 4;

/// `sum_k factor_k * vector_k`, as long as the longest, shorter ones padded with zeros.
pub fn combine(terms: &[(Fr, &[Fr])]) -> Vec<Fr> {
    let len = terms.iter().map(|(_, vector)| vector.len()).max().unwrap_or(0);
    let mut sum = vec![Fr::zero(); len];
    sum.par_chunks_mut(GRAIN).enumerate().for_each(|(index, chunk)| {
        let start = index * GRAIN;
        let pieces = terms.iter().filter(|(factor, vector)| vector.len() > start && !factor.is_zero());
        let pieces: Vec<(Fr, &[Fr])> = pieces
            .map(|&(factor, vector)| (factor, &vector[start..vector.len().min(start + chunk.len())]))
            .collect();
        combine_into(chunk, &pieces);
    });
    sum
}

/// Adds the terms, none of them longer than `sum`.
fn combine_into(sum: &mut [Fr], terms: &[(Fr, &[Fr])]) {
    let (units, scaled): (Vec<_>, Vec<_>) = terms.iter().copied().partition(|(factor, _)| factor.is_one());
    for (_, vector) in units {
        sum.iter_mut().zip(vector).for_each(|(total, value)| *total += value);
    }
    let groups = scaled.chunks_exact(TERMS);
    let mut single = groups.remainder().to_vec();
    for group in groups {
        let full = group.iter().map(|(_, vector)| vector.len()).min().unwrap_or(0);
        let factors: [Fr; TERMS] = core::array::from_fn(|k| group[k].0);
        let vectors: [&[Fr]; TERMS] = core::array::from_fn(|k| &group[k].1[..full]);
        for (row, total) in sum[..full].iter_mut().enumerate() {
            *total += Fr::sum_of_products(&factors, &core::array::from_fn(|k| vectors[k][row]));
        }
        for &(factor, vector) in group {
            add_product(&mut sum[full..], factor, &vector[full..]);
        }
    }
    single.drain(..).for_each(|(factor, vector)| add_product(sum, factor, vector));
}

fn add_product(target: &mut [Fr], factor: Fr, source: &[Fr]) {
    target.iter_mut().zip(source).for_each(|(total, value)| *total += factor * value);
}

/// `target[offset + i] += factor * source[i]`.
///
/// # Errors
/// If the source does not end within the target.
pub fn add_scaled(target: &mut [Fr], offset: usize, factor: Fr, source: &[Fr]) -> Result<()> {
    shape::range("add_scaled", offset, source.len(), target.len())?;
    if factor.is_zero() {
        return Ok(());
    }
    let part = &mut target[offset..offset + source.len()];
    part.par_chunks_mut(GRAIN).zip(source.par_chunks(GRAIN)).for_each(|(target, source)| {
        if factor.is_one() {
            target.iter_mut().zip(source).for_each(|(total, value)| *total += value);
        } else {
            add_product(target, factor, source);
        }
    });
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
