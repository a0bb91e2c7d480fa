//! Sums of buckets, weighted with their digits.
//!
//! With digits written as `high * L + low`, the sum of `digit * bucket` is `L` times the sum of `high * row(high)` plus the
//! sum of `low * column(low)`, where a row is the sum of the buckets with the same high part and a column that of those
//! with the same low part. Rows and columns are plain sums, made like the buckets themselves; what is left are two short
//! weighted sums.

use ark_bn254::G1Projective;
use ark_ff::{AdditiveGroup, Zero};
use rayon::prelude::*;

use super::point::Point;
use super::tree::{self, Summer};

/// Entries of rows and columns that one task sums, about.
const BLOCK: usize = 1 << 13;

/// For each window, `sum_d d * bucket(d)`; `buckets` has the windows' buckets from digit 1 on, one window after the other.
pub(super) fn weighted_sums(buckets: &[Point], sizes: &[usize]) -> Vec<G1Projective> {
    let mut lists = Lists::default();
    let mut start = 0;
    let mut ends = Vec::with_capacity(sizes.len());
    for &size in sizes {
        lists.add_window(buckets, start, size);
        start += size;
        ends.push(lists.lengths.len());
    }
    let lines = lists.sums(buckets);
    let starts = [0].into_iter().chain(ends.iter().copied());
    let windows: Vec<_> = starts.zip(&ends).zip(sizes).collect();
    let total = |((start, &end), &size): ((usize, &usize), &usize)| {
        let side = side(size);
        let (rows, columns) = lines[start..end].split_at(size / side);
        let mut sum = running(rows);
        for _ in 0..side.ilog2() {
            sum.double_in_place();
        }
        sum + running(columns)
    };
    windows.into_par_iter().map(total).collect()
}

/// The length of a row: a power of two near the root of the number of digits, zero included.
fn side(size: usize) -> usize {
    1 << (size + 1).ilog2().div_ceil(2)
}

/// `sum_i (i + 1) * points[i]`.
fn running(points: &[Point]) -> G1Projective {
    let (mut sum, mut total) = (G1Projective::ZERO, G1Projective::ZERO);
    for point in points.iter().rev() {
        if !point.is_identity() {
            sum += point.affine();
        }
        if !sum.is_zero() {
            total += sum;
        }
    }
    total
}

/// Rows and columns as lists of buckets.
#[derive(Default)]
struct Lists {
    entries: Vec<u32>,
    lengths: Vec<usize>,
}

impl Lists {
    /// The rows from high part 1 on, then the columns from low part 1 on.
    fn add_window(&mut self, buckets: &[Point], start: usize, size: usize) {
        let side = side(size);
        for high in 1..=size / side {
            self.add(buckets, start, (high * side..(high + 1) * side).take_while(|&digit| digit <= size));
        }
        for low in 1..side {
            self.add(buckets, start, (low..=size).step_by(side));
        }
    }

    fn add(&mut self, buckets: &[Point], start: usize, digits: impl Iterator<Item = usize>) {
        let before = self.entries.len();
        let filled = digits.map(|digit| start + digit - 1).filter(|&bucket| !buckets[bucket].is_identity());
        self.entries.extend(filled.map(|bucket| tree::entry(bucket, false)));
        self.lengths.push(self.entries.len() - before);
    }

    fn sums(&self, buckets: &[Point]) -> Vec<Point> {
        let mut tasks = Vec::new();
        let (mut first, mut lists, mut entries) = (0, 0, 0);
        for (index, length) in self.lengths.iter().enumerate() {
            entries += length;
            if entries - first >= BLOCK || index + 1 == self.lengths.len() {
                tasks.push((&self.entries[first..entries], &self.lengths[lists..=index]));
                (first, lists) = (entries, index + 1);
            }
        }
        let sums = tasks
            .into_par_iter()
            .map_init(Summer::default, |summer, (entries, lengths)| summer.sums(buckets, entries, lengths));
        sums.collect::<Vec<_>>().concat()
    }
}
