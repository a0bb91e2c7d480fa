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

use core::ops::Range;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{BigInt, PrimeField, Zero};
use rayon::prelude::*;

use super::GRAIN;
use super::integers::Integer;
use super::simd::Tier;
use crate::shape::{self, Result};
use digits::{Digits, FieldDigits, IntegerDigits};
use point::Point;
use reduce::Weighted;
use sort::Sorted;
use tree::Lists;

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
    Ok(by_windows(bases, &FieldDigits::new(bases.tier, scalars, used)))
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
    Ok(by_windows(bases, &IntegerDigits::new(integers, used, magnitude)))
}

/// A point's index shares a 32-bit word with its sign.
const MOST: usize = adder::MOST - 1;

fn count<T: Sync>(values: &[T], wanted: impl Fn(&T) -> bool + Sync + Send) -> usize {
    values.par_iter().with_min_len(GRAIN).filter(|value| wanted(value)).count()
}

/// Entries of neighbouring windows that one task sorts and sums together.
const TOGETHER: usize = 1 << 16;

fn by_windows(bases: &Bases, digits: &impl Digits) -> G1Projective {
    let count = digits.windows().count();
    let threads = rayon::current_num_threads();
    let together = (TOGETHER / digits.len().max(1)).clamp(1, count.div_ceil(threads));
    let tasks = count.div_ceil(together).next_multiple_of(threads);
    // As many to each thread; what is left over is shared out inside.
    let (tasks, alone) =
        if tasks <= count { (tasks, count) } else { (count / threads * threads, count / threads * threads) };
    let ranges = (0..tasks).map(|task| task * alone / tasks..(task + 1) * alone / tasks);
    let ranges: Vec<Range<usize>> = ranges.collect();
    let own = |windows: &Range<usize>| {
        let sorted = Sorted::new(digits, windows.clone(), 0..digits.len());
        lines(bases, digits, windows.clone(), &sums(bases, &sorted))
    };
    let mut weighted: Vec<Weighted> = ranges.par_iter().with_max_len(1).flat_map_iter(own).collect();
    for window in alone..count {
        weighted.extend(lines(bases, digits, window..window + 1, &shared(bases, digits, window, threads)));
    }
    reduce::total(bases.tier, &weighted)
}

fn lines(bases: &Bases, digits: &impl Digits, windows: Range<usize>, buckets: &[Point]) -> Vec<Weighted> {
    let cut = digits.windows();
    let windows: Vec<(usize, u32)> =
        windows.map(|window| (cut.buckets(window), cut.offset(window))).collect();
    reduce::lines(bases.tier, buckets, &windows)
}

fn sums(bases: &Bases, sorted: &Sorted) -> Vec<Point> {
    let Sorted { entries, starts } = sorted;
    tree::sums(bases.tier, &bases.points, bases.identities, Lists { entries, starts })
}

/// The buckets of a window, by all threads.
fn shared(bases: &Bases, digits: &impl Digits, window: usize, threads: usize) -> Vec<Point> {
    let parts = Sorted::in_parts(digits, window, threads);
    let mut sums: Vec<Vec<Point>> = parts.iter().map(|part| sums(bases, part)).collect();
    if sums.len() == 1 {
        return sums.pop().unwrap_or_default();
    }
    let buckets = sums.first().map_or(0, Vec::len);
    let mut entries = Vec::with_capacity(buckets * sums.len());
    let mut starts = vec![0];
    for bucket in 0..buckets {
        let filled = (0..sums.len()).filter(|&part| !sums[part][bucket].is_identity());
        entries.extend(filled.map(|part| adder::given(part * buckets + bucket, false)));
        starts.push(entries.len() as u32);
    }
    tree::sums(bases.tier, &sums.concat(), false, Lists { entries: &entries, starts: &starts })
}
