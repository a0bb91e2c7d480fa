//! Sums of buckets, weighted with their digits.
//!
//! With digits written as `high * L + low`, the sum of `digit * bucket` is `L` times the sum of `high * row(high)` plus the
//! sum of `low * column(low)`, where a row is the sum of the buckets with the same high part and a column that of those
//! with the same low part. Rows and columns are plain sums, made like the buckets themselves. Their factors are taken apart
//! once more: for each power of two, whatever has it in its weight is summed, over all windows together; what is left are the
//! doublings.

use ark_bn254::G1Projective;
use ark_ff::AdditiveGroup;

use super::adder::{Handle, given};
use super::point::{Point, unpack};
use super::tree::{self, Lists};
use crate::cpu::simd::Tier;

/// A point with its weight, `factor * 2^position`.
pub(super) struct Weighted {
    pub(super) point: Point,
    pub(super) factor: u32,
    pub(super) position: u32,
}

/// Lists while they are written.
struct Writer {
    entries: Vec<Handle>,
    starts: Vec<u32>,
}

impl Writer {
    fn new() -> Self {
        Self { entries: Vec::new(), starts: vec![0] }
    }

    fn add(&mut self, list: impl Iterator<Item = usize>) {
        self.entries.extend(list.map(|index| given(index, false)));
        self.starts.push(self.entries.len() as u32);
    }

    fn sums(&self, tier: Tier, points: &[Point]) -> Vec<Point> {
        tree::sums(tier, points, false, Lists { entries: &self.entries, starts: &self.starts })
    }
}

/// Few points with weights, whose sum is that of all windows' buckets, weighted with their digits. A window is given by the
/// number of its buckets, from digit 1 on, and the power of two that its digits count; the buckets lie window by window.
pub(super) fn lines(tier: Tier, buckets: &[Point], windows: &[(usize, u32)]) -> Vec<Weighted> {
    let mut lists = Writer::new();
    let mut weights = Vec::new();
    let mut first = 0;
    for &(size, position) in windows {
        let side = side(size);
        let mut add = |factor: usize, position: u32, digits: &mut dyn Iterator<Item = usize>| {
            lists.add(digits.map(|digit| first + digit - 1).filter(|&bucket| !buckets[bucket].is_identity()));
            weights.push((factor as u32, position));
        };
        for high in 1..=size / side {
            add(high, position + side.ilog2(), &mut (high * side..size.min(high * side + side - 1) + 1));
        }
        for low in 1..side.min(size + 1) {
            add(low, position, &mut (low..=size).step_by(side));
        }
        first += size;
    }
    let sums = lists.sums(tier, buckets);
    let weighted = |(point, (factor, position))| Weighted { point, factor, position };
    sums.into_iter().zip(weights).map(weighted).collect()
}

/// The length of a row: a power of two near the root of the number of digits, zero included.
fn side(size: usize) -> usize {
    1 << (size + 1).ilog2().div_ceil(2)
}

/// The sum of points with their weights.
pub(super) fn total(tier: Tier, weighted: &[Weighted]) -> G1Projective {
    let bits = |one: &Weighted| one.position + u32::BITS - one.factor.leading_zeros();
    let length = weighted.iter().map(bits).max().unwrap_or(0);
    let points: Vec<Point> = weighted.iter().map(|one| one.point).collect();
    let mut of_bit = vec![Vec::new(); length as usize];
    for (index, one) in weighted.iter().enumerate().filter(|(_, one)| !one.point.is_identity()) {
        for bit in (0..u32::BITS).filter(|bit| one.factor >> bit & 1 == 1) {
            of_bit[(one.position + bit) as usize].push(index);
        }
    }
    let mut lists = Writer::new();
    for list in of_bit {
        lists.add(list.into_iter());
    }
    let sums = unpack(tier, &lists.sums(tier, &points));
    sums.iter().rev().fold(G1Projective::ZERO, |total, sum| total.double() + sum)
}
