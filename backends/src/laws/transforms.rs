//! Laws of transforms. Small ones are compared with direct evaluation everywhere, large ones at some points.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use zkloom_kernels::cpu::ntt::generator;
use zkloom_kernels::shape::MAX_LOG_SIZE;

use super::{Ground, Outcome, done, refuses_argument, refuses_length, same};
use crate::backend::{Backend, Direction};

/// Largest number of points that are all compared.
const EVERY_POINT: usize = 256;

fn horner(coefficients: &[Fr], point: Fr) -> Fr {
    coefficients.iter().rev().fold(Fr::zero(), |value, coefficient| value * point + coefficient)
}

/// The values are those of the polynomial on the coset, in natural order.
fn values_of(values: &[Fr], coefficients: &[Fr], shift: Fr, input: &str) -> Outcome {
    let size = values.len();
    let root = generator(size.ilog2());
    let stride = size.div_ceil(EVERY_POINT);
    // An odd stride visits even and odd rows.
    for row in (0..size).step_by(if stride == 1 { 1 } else { stride | 1 }) {
        let expected = horner(coefficients, shift * root.pow([row as u64]));
        if values[row] != expected {
            return Err(format!("{input}: value {row} is {} instead of {expected}", values[row]));
        }
    }
    Ok(())
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
