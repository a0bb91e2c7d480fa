//! Points sorted by digit, for one window or several.

use core::ops::Range;

use rayon::prelude::*;

use super::adder::{Handle, given};
use super::digits::Digits;
use crate::cpu::huge;

/// Points that are sorted by one task at least.
const SORTED: usize = 1 << 12;

/// Digits that are read together.
const READ: usize = 512;

/// The entries of some windows, bucket by bucket: those of each window from digit 1 on. There may be several lists for a bucket.
pub(super) struct Sorted {
    pub(super) entries: Vec<Handle>,
    /// First entry of each bucket, and the end.
    pub(super) starts: Vec<u32>,
}

impl Sorted {
    /// Sorts the digits of windows. Digits zero are left out.
    pub(super) fn new(digits: &impl Digits, windows: Range<usize>, points: Range<usize>) -> Self {
        let buckets: Vec<usize> = windows.clone().map(|window| digits.windows().buckets(window)).collect();
        let all: usize = buckets.iter().sum();
        let mut entries: Vec<Handle> = huge::vector(points.len() * windows.len() + 1);
        let mut starts: Vec<u32> = Vec::with_capacity(all + 1);
        for (window, buckets) in windows.zip(buckets) {
            sort(digits, window, points.clone(), buckets, &mut entries, &mut starts);
        }
        starts.push(entries.len() as u32);
        Self { entries, starts }
    }

    /// A window's digits sorted in several parts, for as many threads; each part has its own entries.
    pub(super) fn in_parts(digits: &impl Digits, window: usize, parts: usize) -> Vec<Self> {
        // Every part costs a list of bucket starts.
        let parts = parts.min(digits.len().div_ceil(SORTED)).max(1);
        let length = digits.len().div_ceil(parts).max(1);
        let ranges = (0..parts).map(|part| part * length..digits.len().min((part + 1) * length));
        let ranges: Vec<Range<usize>> = ranges.collect();
        ranges.into_par_iter().map(|points| Self::new(digits, window..window + 1, points)).collect()
    }
}

/// Appends a window's entries, and the first one of each bucket.
fn sort(
    digits: &impl Digits,
    window: usize,
    points: Range<usize>,
    buckets: usize,
    entries: &mut Vec<Handle>,
    starts: &mut Vec<u32>,
) {
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
    let mut total = entries.len() as u32;
    for place in &mut places[1..] {
        total += core::mem::replace(place, total);
    }
    // Zeros all go to one place, behind the end.
    places[0] = total;
    starts.extend_from_slice(&places[1..]);
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
}
