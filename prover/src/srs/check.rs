//! Probabilistic checks of an SRS's points: each is one random combination, wrong with probability about 2^-230 or less.
//!
//! Key generation must not trust points from a file or a cache. A wrong Lagrange point leaves its row out of every commitment
//! to fixed columns, so that a selector there counts as zero for whoever knows of it, under a genuine pin.

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective};
use ark_ec::pairing::Pairing;
use ark_ec::{CurveGroup, VariableBaseMSM};
use ark_ff::One;
use rayon::prelude::*;
use zkloom_backends::{Backend, Direction};
use zkloom_verifier::SrsPin;
use zkloom_verifier::linear::powers as powers_of;

use super::SrsError;
use crate::key::KeyError;
use crate::randomness::Blinding;

fn random() -> Result<Fr, SrsError> {
    let mut random =
        Blinding::for_key(b"SRS check").map_err(|error| SrsError::Randomness(error.to_string()))?;
    Ok(random.scalar())
}

/// Whether the points are successive powers of the pin's tau.
pub(crate) fn are_powers(pin: &SrsPin, points: &[G1Affine]) -> Result<bool, SrsError> {
    let Some(((first, upper), (_, lower))) = points.split_first().zip(points.split_last()) else {
        return Ok(false);
    };
    let weights = powers_of(random()?, lower.len());
    let combine = |points: &[G1Affine]| -> G1Projective {
        let chunks = points.par_chunks(1 << 12).zip(weights.par_chunks(1 << 12));
        chunks.map(|(points, weights)| G1Projective::msm_unchecked(points, weights)).sum()
    };
    let (lower, upper) = (combine(lower).into_affine(), combine(upper).into_affine());
    let ratio = Bn254::multi_pairing([upper, -lower], [pin.one_g2, pin.tau_g2]);
    Ok(*first == pin.one_g1 && ratio.0.is_one())
}

/// Whether Lagrange points belong to powers: a polynomial with random values on the rows has one commitment.
pub(crate) fn are_lagrange<B: Backend>(
    backend: &B,
    powers: &B::Bases,
    lagrange: &B::Bases,
    rows: usize,
) -> Result<bool, KeyError> {
    let values = backend.upload(&powers_of(random()?, rows))?;
    let mut coefficients = backend.slice(&values, 0, rows)?;
    backend.ntt(&mut coefficients, Direction::Inverse)?;
    let (by_rows, by_powers) = (backend.msm(lagrange, &[&values])?, backend.msm(powers, &[&coefficients])?);
    Ok(by_rows == by_powers)
}
