//! Multi-scalar multiplication over BN254's first group.
//!
//! Scalars are cut into signed digits of a window's width (`digits`). For each window the points are sorted by digit
//! (`sort`); the points of a digit, its bucket, are summed pairwise in affine coordinates, many additions at a time with one
//! inversion between them (`tree`); and the buckets are summed with their digits as factors (`reduce`). Field elements
//! and small integers differ in the number of windows only. A handful of points takes a simpler way (`few`).

mod digits;
mod few;
mod point;
mod reduce;
mod sort;
mod tree;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{AdditiveGroup, PrimeField, Zero};
use rayon::prelude::*;

use super::GRAIN;
use super::integers::Integer;
use crate::shape::{self, Result};
use digits::{Digits, FieldDigits, IntegerDigits};
use point::Point;

/// Below this many scalars that are not zero, points are treated one by one.
const FEW: usize = 24;

/// Sorted indices of one group of windows take about this many bytes at most.
const GROUP_BYTES: usize = 1 << 28;

/// Points prepared for multi-scalar multiplications.
#[derive(Clone, Debug)]
pub struct Bases {
    points: Vec<Point>,
}

impl Bases {
    /// Prepares points of the curve; the identity is allowed among them.
    pub fn new(points: &[G1Affine]) -> Self {
        Self { points: points.par_iter().with_min_len(GRAIN).map(Point::from).collect() }
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

/// `sum_i scalars[i] * bases[i]`. If all are near zero, on either side, the cost follows the bits that
/// they have.
///
/// # Errors
/// If there are more scalars than bases, or 2^31 of them.
pub fn msm(bases: &Bases, scalars: &[Fr]) -> Result<G1Projective> {
    shape::at_most("msm", scalars.len(), bases.len().min(MOST))?;
    let used = count(scalars, |scalar| !scalar.is_zero());
    if used < FEW {
        let terms = scalars.iter().zip(&bases.points).filter(|(scalar, _)| !scalar.is_zero());
        return Ok(few::sum(terms.map(|(scalar, point)| (scalar.into_bigint(), *point))));
    }
    Ok(by_windows(&bases.points, &FieldDigits::new(scalars, used)))
}

/// `sum_i integers[i] * bases[i]`; `magnitude` is the largest absolute value, or a bound on it.
///
/// # Errors
/// If there are more integers than bases, or 2^31 of them, or an integer is larger than the bound.
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
        return Ok(few::sum(terms.map(|(integer, point)| {
            (integer.unsigned_abs().into(), if integer < 0 { -*point } else { *point })
        })));
    }
    Ok(by_windows(&bases.points, &IntegerDigits::new(integers, used, magnitude)))
}

/// A point's index and sign share a 32-bit word.
const MOST: usize = (1 << 31) - 1;

fn count<T: Sync>(values: &[T], wanted: impl Fn(&T) -> bool + Sync + Send) -> usize {
    values.par_iter().with_min_len(GRAIN).filter(|value| wanted(value)).count()
}

fn by_windows(points: &[Point], digits: &impl Digits) -> G1Projective {
    let windows = digits.windows();
    let together = (GROUP_BYTES / (4 * digits.len()).max(1)).clamp(1, windows.count());
    let mut sums: Vec<G1Projective> = Vec::with_capacity(windows.count());
    for first in (0..windows.count()).step_by(together) {
        let group = first..windows.count().min(first + together);
        let sorted = sort::Buckets::new(digits, group.clone());
        let buckets = sorted.sums(points);
        let sizes: Vec<usize> = group.map(|window| windows.buckets(window)).collect();
        sums.extend(reduce::weighted_sums(&buckets, &sizes));
    }
    let join = |total: G1Projective, sum: &G1Projective| {
        (0..windows.width()).fold(total, |total, _| total.double()) + sum
    };
    sums.iter().rev().fold(G1Projective::ZERO, join)
}
