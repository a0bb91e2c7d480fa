//! Points sorted by digit, and the sums of the buckets.

use core::ops::Range;

use rayon::prelude::*;

use super::digits::Digits;
use super::point::Point;
use super::tree;

/// Entries of a block, which one task sums, at most: a megabyte of points.
const LARGEST_BLOCK: usize = 1 << 14;

/// Entries of a block at least, so that its inversions are well shared.
const SMALLEST_BLOCK: usize = 1 << 11;

/// Points that are sorted by one task at least.
const SORTED: usize = 1 << 12;

/// The entries of a group of windows, by bucket. Buckets are numbered through: those of a window from digit 1 on, window
/// after window.
pub(super) struct Buckets {
    /// For each part of the points, its entries by bucket.
    parts: Vec<Part>,
    /// First entry of each bucket in the list of all parts' entries by bucket, and the end.
    starts: Vec<usize>,
}

struct Part {
    starts: Vec<u32>,
    entries: Vec<u32>,
}

impl Buckets {
    /// Sorts the digits of some windows. Digits zero are left out.
    pub(super) fn new(digits: &impl Digits, group: Range<usize>) -> Self {
        let threads = rayon::current_num_threads();
        // As many parts as keep the threads busy; every part costs a list of bucket starts.
        let parts = threads.min(digits.len().div_ceil(SORTED)).max(1);
        let length = digits.len().div_ceil(parts).max(1);
        let parts: Vec<Part> = (0..parts)
            .into_par_iter()
            .map(|part| {
                let points = part * length..digits.len().min((part + 1) * length);
                Part::new(digits, group.clone(), points)
            })
            .collect();
        let buckets = parts.first().map_or(0, |part| part.starts.len());
        let starts = (0..buckets).map(|bucket| parts.iter().map(|part| part.starts[bucket] as usize).sum());
        let starts = starts.collect();
        Self { parts, starts }
    }

    /// The sum of each bucket's points, the identity for an empty one.
    pub(super) fn sums(&self, points: &[Point]) -> Vec<Point> {
        let blocks: Vec<Block> = self.blocks();
        let sums: Vec<Vec<Point>> = blocks
            .par_iter()
            .map_init(tree::Summer::default, |summer, block| block.sums(self, points, summer))
            .collect();
        let mut buckets = vec![Point::IDENTITY; self.starts.len().saturating_sub(1)];
        let mut summer = tree::Summer::default();
        for (block, sums) in blocks.iter().zip(sums) {
            for (bucket, sum) in block.filled(self).zip(sums) {
                // A bucket larger than a block comes in several pieces.
                let known = buckets[bucket];
                buckets[bucket] = if known.is_identity() { sum } else { summer.pair(known, sum) };
            }
        }
        buckets
    }

    /// Cuts the entries into blocks, between buckets where possible.
    fn blocks(&self) -> Vec<Block> {
        let end = self.starts.last().copied().unwrap_or(0);
        let share = end.div_ceil(2 * rayon::current_num_threads());
        let length = share.clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
        let mut blocks = Vec::new();
        let (mut start, mut bucket) = (0, 0);
        while start < end {
            let limit = end.min(start + length);
            // The bucket that the limit falls into, or ends before.
            let last = self.starts.partition_point(|&first| first <= limit).saturating_sub(1);
            let stop = if self.starts[last] > start { self.starts[last] } else { limit };
            let after = if stop == self.starts[last] { last } else { last + 1 };
            blocks.push(Block { entries: start..stop, buckets: bucket..after });
            bucket = last;
            start = stop;
        }
        blocks
    }
}

impl Part {
    fn new(digits: &impl Digits, group: Range<usize>, points: Range<usize>) -> Self {
        let windows = digits.windows();
        let buckets: usize = group.clone().map(|window| windows.buckets(window)).sum();
        let mut starts = vec![0u32; buckets + 1];
        let mut base = 0;
        for window in group.clone() {
            for index in points.clone() {
                let digit = digits.digit(index, window).unsigned_abs() as usize;
                if digit != 0 {
                    starts[base + digit - 1] += 1;
                }
            }
            base += windows.buckets(window);
        }
        let mut total = 0;
        for start in &mut starts {
            total += core::mem::replace(start, total);
        }
        let mut entries = vec![0u32; total as usize];
        let mut next = starts.clone();
        base = 0;
        for window in group {
            for index in points.clone() {
                let digit = digits.digit(index, window);
                if digit != 0 {
                    let place = &mut next[base + digit.unsigned_abs() as usize - 1];
                    entries[*place as usize] = tree::entry(index, digit < 0);
                    *place += 1;
                }
            }
            base += windows.buckets(window);
        }
        Self { starts, entries }
    }
}

/// A range of the list of all entries by bucket, and the buckets that it touches.
struct Block {
    entries: Range<usize>,
    buckets: Range<usize>,
}

impl Block {
    /// The entries of a bucket that belong to the block.
    fn share(&self, buckets: &Buckets, bucket: usize) -> Range<usize> {
        let start = buckets.starts[bucket].max(self.entries.start);
        start..buckets.starts[bucket + 1].min(self.entries.end).max(start)
    }

    /// Buckets of which the block has entries.
    fn filled<'a>(&'a self, buckets: &'a Buckets) -> impl Iterator<Item = usize> + 'a {
        self.buckets.clone().filter(|&bucket| !self.share(buckets, bucket).is_empty())
    }

    fn sums(&self, buckets: &Buckets, points: &[Point], summer: &mut tree::Summer) -> Vec<Point> {
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut lengths = Vec::new();
        for bucket in self.filled(buckets) {
            let share = self.share(buckets, bucket);
            lengths.push(share.len());
            let mut skipped = share.start - buckets.starts[bucket];
            let mut wanted = share.len();
            for part in &buckets.parts {
                let list = &part.entries[part.starts[bucket] as usize..part.starts[bucket + 1] as usize];
                let list = &list[skipped.min(list.len())..];
                skipped = skipped.saturating_sub((part.starts[bucket + 1] - part.starts[bucket]) as usize);
                let list = &list[..wanted.min(list.len())];
                entries.extend_from_slice(list);
                wanted -= list.len();
            }
        }
        summer.sums(points, &entries, &lengths)
    }
}
