//! The points of a window sorted by digit, and the sums of the buckets.

use core::ops::Range;

use rayon::prelude::*;

use super::adder::{Handle, given};
use super::digits::Digits;
use super::point::Point;
use super::tree::Summer;
use crate::cpu::huge;
use crate::cpu::simd::Tier;

/// Entries of a block, which one task sums, at most: its sums take half a megabyte.
const LARGEST_BLOCK: usize = 1 << 13;

/// Entries of a block at least, so that its inversions are well shared.
const SMALLEST_BLOCK: usize = 1 << 11;

/// Points that are sorted by one task at least.
const SORTED: usize = 1 << 12;

/// Digits that are read together.
const READ: usize = 512;

/// The entries of a window, by bucket; buckets are numbered from digit 1 on.
pub(super) struct Buckets {
    /// For each part of the points, its entries by bucket.
    parts: Vec<Part>,
    /// First entry of each bucket in the list of all parts' entries by bucket, and the end.
    starts: Vec<u32>,
}

struct Part {
    starts: Vec<u32>,
    entries: Vec<Handle>,
}

impl Buckets {
    /// Sorts the digits of a window, in this many parts at most. Digits zero are left out.
    pub(super) fn new(digits: &impl Digits, window: usize, parts: usize) -> Self {
        // Every part costs a list of bucket starts.
        let parts = parts.min(digits.len().div_ceil(SORTED)).max(1);
        let length = digits.len().div_ceil(parts).max(1);
        let ranges = (0..parts).map(|part| part * length..digits.len().min((part + 1) * length));
        let ranges: Vec<Range<usize>> = ranges.collect();
        let mut parts: Vec<Part> =
            ranges.into_par_iter().map(|points| Part::new(digits, window, points)).collect();
        let starts = match parts.as_mut_slice() {
            [only] => core::mem::take(&mut only.starts),
            several => {
                let buckets = several.first().map_or(0, |part| part.starts.len());
                (0..buckets).map(|bucket| several.iter().map(|part| part.starts[bucket]).sum()).collect()
            }
        };
        Self { parts, starts }
    }

    /// The sum of each bucket's points, the identity for an empty one; `careful` if the identity may be among the points.
    pub(super) fn sums(&self, tier: Tier, points: &[Point], careful: bool) -> Vec<Point> {
        let blocks: Vec<Block> = self.blocks();
        let sums: Vec<Vec<Point>> = blocks
            .par_iter()
            .map(|block| Summer::with(tier, |summer| block.sums(self, points, careful, summer)))
            .collect();
        let mut buckets = vec![Point::IDENTITY; self.starts.len().saturating_sub(1)];
        Summer::with(tier, |summer| {
            for (block, sums) in blocks.iter().zip(sums) {
                for (bucket, sum) in block.buckets.clone().zip(sums) {
                    // A bucket larger than a block comes in several pieces.
                    let known = buckets[bucket];
                    buckets[bucket] = if known.is_identity() { sum } else { summer.pair(known, sum) };
                }
            }
        });
        buckets
    }

    /// Cuts the entries into blocks, between buckets where possible.
    fn blocks(&self) -> Vec<Block> {
        let end = self.starts.last().copied().unwrap_or(0) as usize;
        let share = end.div_ceil(2 * rayon::current_num_threads());
        let length = share.clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
        let mut blocks = Vec::new();
        let (mut start, mut bucket) = (0, 0);
        while start < end {
            let limit = end.min(start + length);
            // The bucket that the limit falls into, or ends before.
            let last = self.starts.partition_point(|&first| first as usize <= limit).saturating_sub(1);
            let begin = self.starts[last] as usize;
            let stop = if begin > start { begin } else { limit };
            let after = if stop == begin { last } else { last + 1 };
            blocks.push(Block { entries: start..stop, buckets: bucket..after });
            bucket = last;
            start = stop;
        }
        blocks
    }
}

impl Part {
    fn new(digits: &impl Digits, window: usize, points: Range<usize>) -> Self {
        let buckets = digits.windows().buckets(window);
        // Digit zero's place is counted too, which is cheaper than a branch on it.
        let mut places = vec![0u32; buckets + 1];
        let mut read = [0i32; READ];
        let chunks = || points.clone().step_by(READ).map(|start| (start, READ.min(points.end - start)));
        for (start, len) in chunks() {
            let read = &mut read[..len];
            digits.read(window, start, read);
            for digit in read {
                places[digit.unsigned_abs() as usize] += 1;
            }
        }
        let mut total = 0;
        for place in &mut places[1..] {
            total += core::mem::replace(place, total);
        }
        // Zeros all go to one place, behind the end.
        places[0] = total;
        let mut starts = places[1..].to_vec();
        starts.push(total);
        let mut entries = huge::vector(total as usize + 1);
        entries.resize(total as usize + 1, 0);
        for (start, len) in chunks() {
            let read = &mut read[..len];
            digits.read(window, start, read);
            for (offset, &digit) in read.iter().enumerate() {
                let place = &mut places[digit.unsigned_abs() as usize];
                entries[*place as usize] = given(start + offset, digit < 0);
                *place += u32::from(digit != 0);
            }
        }
        entries.truncate(total as usize);
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
        let start = (buckets.starts[bucket] as usize).max(self.entries.start);
        start..(buckets.starts[bucket + 1] as usize).min(self.entries.end).max(start)
    }

    /// Sums for the buckets that the block touches.
    fn sums(&self, buckets: &Buckets, points: &[Point], careful: bool, summer: &mut Summer) -> Vec<Point> {
        let lengths: Vec<u32> =
            self.buckets.clone().map(|bucket| self.share(buckets, bucket).len() as u32).collect();
        if let [only] = buckets.parts.as_slice() {
            let entries = &only.entries[self.entries.clone()];
            return summer.sums(points, careful, &lengths, |list| list.extend_from_slice(entries));
        }
        summer.sums(points, careful, &lengths, |list| self.collect(buckets, list))
    }

    /// The block's entries from all parts, by bucket.
    fn collect(&self, buckets: &Buckets, list: &mut Vec<Handle>) {
        for bucket in self.buckets.clone() {
            let share = self.share(buckets, bucket);
            let mut skipped = share.start - buckets.starts[bucket] as usize;
            let mut wanted = share.len();
            for part in &buckets.parts {
                let all = &part.entries[part.starts[bucket] as usize..part.starts[bucket + 1] as usize];
                let after = &all[skipped.min(all.len())..];
                skipped = skipped.saturating_sub(all.len());
                let taken = &after[..wanted.min(after.len())];
                list.extend_from_slice(taken);
                wanted -= taken.len();
            }
        }
    }
}
