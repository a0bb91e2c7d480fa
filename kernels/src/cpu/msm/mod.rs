//! Multi-scalar multiplication over BN254's first group.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::VariableBaseMSM;
use ark_ff::{AdditiveGroup, PrimeField};
use rayon::prelude::*;

use super::integers::Integer;
use crate::shape::{self, Result};

/// Points prepared for multi-scalar multiplications.
#[derive(Clone, Debug)]
pub struct Bases {
    points: Vec<G1Affine>,
}

impl Bases {
    /// Prepares points; the identity is allowed among them.
    pub fn new(points: &[G1Affine]) -> Self {
        Self { points: points.to_vec() }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

/// `sum_i scalars[i] * bases[i]`.
///
/// # Errors
/// If there are more scalars than bases.
pub fn msm(bases: &Bases, scalars: &[Fr]) -> Result<G1Projective> {
    shape::at_most("msm", scalars.len(), bases.len())?;
    let piece = super::piece_length(scalars.len(), 1, 64);
    let parts = scalars.par_chunks(piece).zip(bases.points.par_chunks(piece));
    Ok(parts
        .map(|(scalars, points)| {
            let integers: Vec<_> = scalars.iter().map(|scalar| scalar.into_bigint()).collect();
            G1Projective::msm_bigint(&points[..integers.len()], &integers)
        })
        .reduce(|| G1Projective::ZERO, |a, b| a + b))
}

/// `sum_i integers[i] * bases[i]`; `magnitude` bounds the integers' absolute values.
///
/// # Errors
/// If there are more integers than bases.
pub fn msm_integers<T: Integer>(bases: &Bases, integers: &[T], _magnitude: u64) -> Result<G1Projective> {
    shape::at_most("msm_integers", integers.len(), bases.len())?;
    let scalars: Vec<Fr> = integers.iter().map(|&value| Fr::from(value.into())).collect();
    msm(bases, &scalars)
}
