//! Laws of transforms. Short ones are compared with direct evaluation entry by entry, long ones by a weighted sum of all
//! values, which the coefficients determine in another way.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use zkloom_kernels::cpu::ntt::generator;
use zkloom_kernels::shape::MAX_LOG_SIZE;

use super::sample::Sampler;
use super::{Ground, Outcome, done, refuses_argument, refuses_length, same};
use crate::backend::{Backend, Direction};

/// Largest number of values that are compared one by one.
const EVERY_POINT: usize = 64;

fn horner(coefficients: &[Fr], point: Fr) -> Fr {
    coefficients.iter().rev().fold(Fr::zero(), |value, coefficient| value * point + coefficient)
}

/// The values are those of the polynomial on the coset, in natural order.
fn values_of(values: &[Fr], coefficients: &[Fr], shift: Fr, input: &str) -> Outcome {
    let size = values.len();
    let root = generator(size.ilog2());
    if size > EVERY_POINT {
        return weighted_sum(values, coefficients, shift, input);
    }
    for (row, value) in values.iter().enumerate() {
        let expected = horner(coefficients, shift * root.pow([row as u64]));
        if *value != expected {
            return Err(format!("{input}: value {row} is {value} instead of {expected}"));
        }
    }
    Ok(())
}

/// With `w` of order `n`: `sum_i f(s w^i) r^i = sum_j c_j s^j (1 + w^j r + ... + (w^j r)^(n-1))`, each bracket being
/// `(r^n - 1) / (w^j r - 1)`. A random `r` makes every wrong value visible.
fn weighted_sum(values: &[Fr], coefficients: &[Fr], shift: Fr, input: &str) -> Outcome {
    let weight = Sampler::new(values.len() as u64).element();
    let root = generator(values.len().ilog2());
    let powers =
        |ratio: Fr, first: Fr| core::iter::successors(Some(first), move |power| Some(*power * ratio));
    let brackets = powers(root, weight).take(coefficients.len()).map(|power| power - Fr::one());
    let mut brackets: Vec<Fr> = brackets.collect();
    ark_ff::batch_inversion(&mut brackets);
    let factor = weight.pow([values.len() as u64]) - Fr::one();
    let terms = coefficients.iter().zip(powers(shift, factor)).zip(&brackets);
    let expected: Fr = terms.map(|((coefficient, power), bracket)| power * coefficient * bracket).sum();
    if horner(values, weight) == expected {
        return Ok(());
    }
    Err(format!("{input}: not all values are right (their sum weighted with powers of {weight} is not)"))
}

pub(super) fn ntt<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.transform_sizes() {
        for (name, coefficients) in sampler.vectors(size) {
            let input = format!("{size} entries, {name}");
            let mut vector = done(ground.backend.upload(&coefficients), &input)?;
            done(ground.backend.ntt(&mut vector, Direction::Forward), &input)?;
            let values = done(ground.backend.download(&vector), &input)?;
            same(&[values.len()], &[size], &input)?;
            values_of(&values, &coefficients, Fr::one(), &input)?;
            done(ground.backend.ntt(&mut vector, Direction::Inverse), &input)?;
            let back = done(ground.backend.download(&vector), &input)?;
            same(&back, &coefficients, format_args!("{input}, inverse"))?;
        }
    }
    for size in [0, 3, 6, 12, 100] {
        let values = sampler.elements(size);
        let mut vector = done(ground.backend.upload(&values), size)?;
        for direction in [Direction::Forward, Direction::Inverse] {
            refuses_length(ground.backend.ntt(&mut vector, direction), format_args!("{size} entries"))?;
        }
        same(
            &done(ground.backend.download(&vector), size)?,
            &values,
            format_args!("refused {size} entries"),
        )?;
    }
    Ok(())
}

pub(super) fn coset_ntt<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.transform_sizes() {
        let lengths = [0, 1, size / 4 + 1, size.saturating_sub(1), size, size + 3, 2 * size, 3 * size + 1];
        for shift in [Fr::one(), Fr::from(7), -Fr::one(), sampler.element()] {
            for len in lengths {
                let input = format!("{len} coefficients to {size} values, shift {shift}");
                let coefficients = sampler.elements(len);
                let vector = done(ground.backend.upload(&coefficients), &input)?;
                let values = done(ground.backend.coset_ntt(&vector, size.ilog2(), shift), &input)?;
                let values = done(ground.backend.download(&values), &input)?;
                same(&[values.len()], &[size], &input)?;
                values_of(&values, &coefficients, shift, &input)?;
            }
        }
    }
    let vector = done(ground.backend.upload(&sampler.elements(4)), "4 entries")?;
    for log_size in [MAX_LOG_SIZE + 1, 63, 64, u32::MAX] {
        let result = ground.backend.coset_ntt(&vector, log_size, Fr::from(7));
        refuses_argument(result, format_args!("log size {log_size}"))?;
    }
    refuses_argument(ground.backend.coset_ntt(&vector, 2, Fr::zero()), "shift zero")
}

pub(super) fn inverse_coset_ntt<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.transform_sizes() {
        for shift in [Fr::one(), Fr::from(7), sampler.element()] {
            let input = format!("{size} entries, shift {shift}");
            let values = sampler.elements(size);
            let mut vector = done(ground.backend.upload(&values), &input)?;
            done(ground.backend.inverse_coset_ntt(&mut vector, shift), &input)?;
            let coefficients = done(ground.backend.download(&vector), &input)?;
            same(&[coefficients.len()], &[size], &input)?;
            values_of(&values, &coefficients, shift, &input)?;
        }
    }
    for size in [0, 3, 6] {
        let mut vector = done(ground.backend.zeros(size), size)?;
        let result = ground.backend.inverse_coset_ntt(&mut vector, Fr::from(7));
        refuses_length(result, format_args!("{size} entries"))?;
    }
    let mut vector = done(ground.backend.zeros(4), "4 entries")?;
    refuses_argument(ground.backend.inverse_coset_ntt(&mut vector, Fr::zero()), "shift zero")
}
