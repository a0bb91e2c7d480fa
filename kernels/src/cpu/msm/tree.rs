//! Sums of many short lists of points, by pairwise affine additions level by level.

use super::point::{Adder, Pair, Point};

/// Additions that share an inversion, at most.
const BATCH: usize = 2048;

/// An index into the points, with the sign in the lowest bit.
pub(super) fn entry(index: usize, negative: bool) -> u32 {
    (index as u32) << 1 | u32::from(negative)
}

fn signed(points: &[Point], entry: u32) -> Point {
    let point = points[(entry >> 1) as usize];
    if entry & 1 == 0 { point } else { -point }
}

/// A list that is being summed.
#[derive(Clone, Copy)]
struct Segment {
    result: usize,
    len: usize,
}

/// Sums lists; keeps its scratch space.
#[derive(Default)]
pub(super) struct Summer {
    adder: Adder,
    current: Vec<Point>,
    following: Vec<Point>,
    pairs: Vec<Pair>,
}

impl Summer {
    /// The sum of two points.
    pub(super) fn pair(&mut self, a: Point, b: Point) -> Point {
        let mut sum = [Point::IDENTITY];
        self.adder.add(&[Pair { from: 0, to: 0 }], &[a, b], &mut sum);
        sum[0]
    }

    /// Sums of consecutive lists of entries of these lengths; the identity for an empty list.
    pub(super) fn sums(&mut self, points: &[Point], entries: &[u32], lengths: &[usize]) -> Vec<Point> {
        let mut results = vec![Point::IDENTITY; lengths.len()];
        self.current.clear();
        self.current.extend(entries.iter().map(|&entry| signed(points, entry)));
        let mut segments: Vec<Segment> = Vec::with_capacity(lengths.len());
        segments.extend(lengths.iter().enumerate().map(|(result, &len)| Segment { result, len }));
        while !segments.is_empty() {
            self.halve(&mut segments, &mut results);
        }
        results
    }

    /// One level: halves every list, and moves those that are done to their results.
    fn halve(&mut self, segments: &mut Vec<Segment>, results: &mut [Point]) {
        let (mut from, mut to) = (0, 0);
        self.pairs.clear();
        self.following.resize(self.current.len() / 2 + segments.len(), Point::IDENTITY);
        segments.retain_mut(|segment| {
            let first = from;
            from += segment.len;
            if segment.len <= 1 {
                if segment.len == 1 {
                    results[segment.result] = self.current[first];
                }
                return false;
            }
            let half = segment.len / 2;
            let pair = |index: usize| Pair { from: (first + 2 * index) as u32, to: (to + index) as u32 };
            self.pairs.extend((0..half).map(pair));
            if segment.len % 2 == 1 {
                self.following[to + half] = self.current[from - 1];
            }
            segment.len -= half;
            to += segment.len;
            true
        });
        let batches = self.pairs.len().div_ceil(BATCH).max(1);
        let batch = self.pairs.len().div_ceil(batches).max(1);
        for pairs in self.pairs.chunks(batch) {
            self.adder.add(pairs, &self.current, &mut self.following);
        }
        self.following.truncate(to);
        core::mem::swap(&mut self.current, &mut self.following);
    }
}
