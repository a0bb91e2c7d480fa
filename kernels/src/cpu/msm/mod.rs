//! Multi-scalar multiplication over BN254's first group.
//!
//! Scalars are cut into signed digits of a window's width (`digits`). For each window the points are sorted by digit
//! (`sort`); the points of a digit, its bucket, are summed pairwise in affine coordinates, many additions at a time with one
//! inversion between them (`tree`, `adder`); and the buckets are summed with their digits as factors (`reduce`). Field
//! elements and small integers differ in the number of windows only. A handful of points takes a simpler way (`few`).

mod adder;
mod digits;
mod few;
mod point;
mod reduce;
mod sort;
mod tree;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{AdditiveGroup, BigInt, PrimeField, Zero};
use rayon::prelude::*;

use super::GRAIN;
use super::integers::Integer;
use super::simd::Tier;
use crate::shape::{self, Result};
use digits::{Digits, FieldDigits, IntegerDigits};
use point::Point;

/// Below this many scalars that are not zero, points are treated one by one.
const FEW: usize = 24;

/// Points prepared for multi-scalar multiplications, 64 bytes each, in the form of the tier that will do them.
#[derive(Clone, Debug)]
pub struct Bases {
    tier: Tier,
    points: Vec<Point>,
    /// Whether the identity is among the points.
    identities: bool,
}

impl Bases {
    /// Prepares points of the curve for the tier in use; the identity is allowed among them.
    pub fn new(points: &[G1Affine]) -> Self {
        Self::for_tier(Tier::current(), points)
    }

    /// Prepares points of the curve for a certain tier.
    pub fn for_tier(tier: Tier, points: &[G1Affine]) -> Self {
        let points = point::pack(tier, points);
        let identities = points.par_iter().with_min_len(GRAIN).any(Point::is_identity);
        Self { tier, points, identities }
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The kernels that sums over these points use.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Cost of a complete addition of two points, as it takes place in a window's last sums, times the four that a row's or
    /// column's point takes part in; in units of a batched addition.
    fn running(&self) -> f64 {
        match self.tier {
            Tier::Portable => 13.0,
            Tier::Ifma(_) => 36.0,
        }
    }
}

/// `sum_i scalars[i] * bases[i]`. If all are near zero, on either side, the cost follows the bits that
/// they have.
///
/// # Errors
/// If there are more scalars than bases, or 2^30 of them.
pub fn msm(bases: &Bases, scalars: &[Fr]) -> Result<G1Projective> {
    shape::at_most("msm", scalars.len(), bases.len().min(MOST))?;
    let used = count(scalars, |scalar| !scalar.is_zero());
    if used < FEW {
        let terms = scalars.iter().zip(&bases.points).filter(|(scalar, _)| !scalar.is_zero());
        let (scalars, points): (Vec<_>, Vec<_>) =
            terms.map(|(scalar, point)| (scalar.into_bigint(), *point)).unzip();
        return Ok(few::sum(scalars.into_iter().zip(point::unpack(bases.tier, &points))));
    }
    Ok(by_windows(bases, &FieldDigits::new(scalars, used, bases.running())))
}

/// `sum_i integers[i] * bases[i]`; `magnitude` is the largest absolute value, or a bound on it.
///
/// # Errors
/// If there are more integers than bases, or 2^30 of them, or an integer is larger than the bound.
pub fn msm_integers<T: Integer>(bases: &Bases, integers: &[T], magnitude: u64) -> Result<G1Projective> {
    shape::at_most("msm_integers", integers.len(), bases.len().min(MOST))?;
    let used = count(integers, |&integer| integer.into() != 0);
    if count(integers, |&integer| integer.into().unsigned_abs() > magnitude) > 0 {
        let reason = format!("an integer is larger than the given bound {magnitude}");
        return Err(shape::ShapeError::Argument { operation: "msm_integers", reason });
    }
    if used < FEW {
        let terms = integers.iter().map(|&integer| integer.into()).zip(&bases.points);
        let terms = terms.filter(|(integer, _): &(i64, _)| *integer != 0);
        let (scalars, points): (Vec<BigInt<4>>, Vec<Point>) = terms
            .map(|(integer, point)| {
                (
                    BigInt::<4>::from(integer.unsigned_abs()),
                    if integer < 0 { point.negated() } else { *point },
                )
            })
            .unzip();
        return Ok(few::sum(scalars.into_iter().zip(point::unpack(bases.tier, &points))));
    }
    Ok(by_windows(bases, &IntegerDigits::new(integers, used, magnitude, bases.running())))
}

/// A point's index shares a 32-bit word with two flags.
const MOST: usize = adder::MOST - 1;

fn count<T: Sync>(values: &[T], wanted: impl Fn(&T) -> bool + Sync + Send) -> usize {
    values.par_iter().with_min_len(GRAIN).filter(|value| wanted(value)).count()
}

fn by_windows(bases: &Bases, digits: &impl Digits) -> G1Projective {
    let windows = digits.windows();
    let sum = |window: usize, parts: usize| {
        let sorted = sort::Buckets::new(digits, window, parts);
        let buckets = sorted.sums(bases.tier, &bases.points, bases.identities);
        reduce::weighted_sum(bases.tier, &buckets)
    };
    let threads = rayon::current_num_threads();
    // A window to each thread, as long as there are enough; what is left over is shared out inside.
    let alone = windows.count() - windows.count() % threads;
    let mut sums: Vec<G1Projective> = (0..alone).into_par_iter().map(|window| sum(window, 1)).collect();
    sums.extend((alone..windows.count()).map(|window| sum(window, threads)));
    let join = |total: G1Projective, sum: &G1Projective| {
        (0..windows.width()).fold(total, |total, _| total.double()) + sum
    };
    sums.iter().rev().fold(G1Projective::ZERO, join)
}
