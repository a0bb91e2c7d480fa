//! The inverse transform over the group: Lagrange points from powers of tau.

#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod points;
mod portable;

use ark_bn254::G1Affine;

use super::simd::Tier;
use crate::shape::{self, Result};

/// `1/n sum_j w^(-ij) points[j]` for every i, with w the generator of order n (see [`super::ntt::generator`]), n a power of
/// two: the Lagrange points of n rows where the points are powers of tau.
///
/// # Errors
/// If the number of points is no power of two up to 2^28.
pub fn inverse_transform(tier: Tier, points: &[G1Affine]) -> Result<Vec<G1Affine>> {
    let log_size = shape::transform("inverse_transform", points.len())?;
    Ok(match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Ifma(proof) if log_size >= lanes::SMALLEST_LOG => lanes::inverse(proof, points, log_size),
        _ => portable::inverse(points, log_size),
    })
}
