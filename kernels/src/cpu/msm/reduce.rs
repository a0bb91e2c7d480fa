//! Sums of buckets, weighted with their digits.
//!
//! With digits written as `high * L + low`, the sum of `digit * bucket` is `L` times the sum of `high * row(high)` plus the
//! sum of `low * column(low)`, where a row is the sum of the buckets with the same high part and a column that of those
//! with the same low part. Rows and columns are plain sums, made like the buckets themselves; what is left are two short
//! weighted sums.

use ark_bn254::{G1Affine, G1Projective};
use ark_ff::{AdditiveGroup, Zero};
use rayon::prelude::*;

use super::adder::{Handle, given};
use super::point::{Point, unpack};
use super::tree::Summer;
use crate::cpu::simd::Tier;

/// Entries of rows and columns that one task sums, about.
const BLOCK: usize = 1 << 13;

/// `sum_d d * bucket(d)`, with the buckets from digit 1 on.
pub(super) fn weighted_sum(tier: Tier, buckets: &[Point]) -> G1Projective {
    let mut lists = Lists::default();
    lists.add_all(buckets);
    let lines = unpack(tier, &lists.sums(tier, buckets));
    let side = side(buckets.len());
    let (rows, columns) = lines.split_at(buckets.len() / side);
    let mut sum = running(rows);
    for _ in 0..side.ilog2() {
        sum.double_in_place();
    }
    sum + running(columns)
}

/// The length of a row: a power of two near the root of the number of digits, zero included.
fn side(size: usize) -> usize {
    1 << (size + 1).ilog2().div_ceil(2)
}

/// `sum_i (i + 1) * points[i]`.
fn running(points: &[G1Affine]) -> G1Projective {
    let (mut sum, mut total) = (G1Projective::ZERO, G1Projective::ZERO);
    for point in points.iter().rev() {
        sum += point;
        if !sum.is_zero() {
            total += sum;
        }
    }
    total
}

/// Rows and columns as lists of buckets.
#[derive(Default)]
struct Lists {
    entries: Vec<Handle>,
    lengths: Vec<u32>,
}

impl Lists {
    /// The rows from high part 1 on, then the columns from low part 1 on.
    fn add_all(&mut self, buckets: &[Point]) {
        let size = buckets.len();
        let side = side(size);
        for high in 1..=size / side {
            self.add(buckets, (high * side..(high + 1) * side).take_while(|&digit| digit <= size));
        }
        for low in 1..side {
            self.add(buckets, (low..=size).step_by(side));
        }
    }

    fn add(&mut self, buckets: &[Point], digits: impl Iterator<Item = usize>) {
        let before = self.entries.len();
        let filled = digits.map(|digit| digit - 1).filter(|&bucket| !buckets[bucket].is_identity());
        self.entries.extend(filled.map(|bucket| given(bucket, false)));
        self.lengths.push((self.entries.len() - before) as u32);
    }

    fn sums(&self, tier: Tier, buckets: &[Point]) -> Vec<Point> {
        let mut tasks = Vec::new();
        let (mut first, mut lists, mut entries) = (0, 0, 0);
        for (index, length) in self.lengths.iter().enumerate() {
            entries += *length as usize;
            if entries - first >= BLOCK || index + 1 == self.lengths.len() {
                tasks.push((&self.entries[first..entries], &self.lengths[lists..=index]));
                (first, lists) = (entries, index + 1);
            }
        }
        let sums = tasks.into_par_iter().map(|(entries, lengths)| {
            Summer::with(tier, |summer| {
                summer.sums(buckets, false, lengths, |list| list.extend_from_slice(entries))
            })
        });
        sums.collect::<Vec<_>>().concat()
    }
}
