//! Prefix scans and batch inversion.
//!
//! A scan cuts the vector into blocks of equal length, some for each thread and, in a vector tier, one for each lane. All blocks are
//! first folded to one value each, without writing anything; from these follows the value that enters each block, and then
//! every block is scanned for good.

#[cfg(target_arch = "x86_64")]
mod lanes;

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

use super::simd::{LANES, Tier};
use super::{GRAIN, huge, piece_length};

/// Entries that share one inversion; an inversion costs some 200 multiplications.
const INVERSION_BATCH: usize = 4096;

/// Which end of a vector a scan starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Front,
    Back,
}

/// How a scan goes on from a value and the next entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// `value + entry`
    Sum,
    /// `value * ratio + entry`
    Affine(Fr),
    /// `value * entry`
    Product,
}

/// Inverts every entry; zero stays zero.
pub fn batch_invert(tier: Tier, values: &mut [Fr]) {
    let piece = piece_length(values.len(), 1, 256).min(INVERSION_BATCH);
    values.par_chunks_mut(piece).for_each(|part| match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Ifma(proof) => lanes::batch_invert(proof, part),
        _ => ark_ff::batch_inversion(part),
    });
}

/// `h[0] = first`, `h[i + 1] = ratio * h[i] + addends[i]`, as long as `addends`, whose last entry is not used.
pub fn linear_recurrence(tier: Tier, first: Fr, ratio: Fr, addends: &[Fr]) -> Vec<Fr> {
    let mut values = Vec::new();
    linear_recurrence_into(tier, (first, ratio), addends, &mut values);
    values
}

/// The same into a vector, whose room is used again where there is enough.
pub fn linear_recurrence_into(tier: Tier, (first, ratio): (Fr, Fr), addends: &[Fr], values: &mut Vec<Fr>) {
    after_first(tier, (first, Step::Affine(ratio)), addends, values);
}

/// `p[0] = first`, `p[i + 1] = p[i] * factors[i]`, as long as `factors`, whose last entry is not used.
pub fn running_product(tier: Tier, first: Fr, factors: &[Fr]) -> Vec<Fr> {
    let mut values = Vec::new();
    running_product_into(tier, first, factors, &mut values);
    values
}

/// The same into a vector, whose room is used again where there is enough.
pub fn running_product_into(tier: Tier, first: Fr, factors: &[Fr], values: &mut Vec<Fr>) {
    after_first(tier, (first, Step::Product), factors, values);
}

/// `first`, and then a scan of all entries but the last.
fn after_first(tier: Tier, from: (Fr, Step), entries: &[Fr], values: &mut Vec<Fr>) {
    huge::reuse(values, entries.len());
    if let (Some((_, used)), Some((slot, rest))) = (entries.split_last(), values.split_first_mut()) {
        *slot = from.0;
        fill(tier, from, (used, Start::Front), rest);
    }
}

/// The values of a scan that begins with the entering one, one for each entry, at the entries' places; both slices are as long.
pub(crate) fn fill(
    tier: Tier,
    (entering, step): (Fr, Step),
    (entries, start): (&[Fr], Start),
    values: &mut [Fr],
) {
    let step = match step {
        Step::Affine(ratio) if ratio.is_one() => Step::Sum,
        other => other,
    };
    Scan { tier, step, entries, start }.run(entering, values);
}

/// A scan of these entries.
struct Scan<'a> {
    tier: Tier,
    step: Step,
    entries: &'a [Fr],
    start: Start,
}

impl Step {
    #[inline(always)]
    fn next(self, value: Fr, entry: Fr) -> Fr {
        match self {
            Step::Sum => value + entry,
            Step::Affine(ratio) => value * ratio + entry,
            Step::Product => value * entry,
        }
    }

    /// The value that leaves a block of `len` entries, from the value that enters it and the block's own.
    fn across(self, entering: Fr, own: Fr, len: usize) -> Fr {
        match self {
            Step::Sum => entering + own,
            Step::Affine(ratio) => entering * ratio.pow([len as u64]) + own,
            Step::Product => entering * own,
        }
    }

    /// From which a block's own value starts.
    fn neutral(self) -> Fr {
        match self {
            Step::Sum | Step::Affine(_) => Fr::zero(),
            Step::Product => Fr::one(),
        }
    }
}

impl Scan<'_> {
    /// Writes the scan's values, one for each entry.
    fn run(&self, entering: Fr, values: &mut [Fr]) {
        let tasks = self.entries.len().div_ceil(4 * GRAIN).min(rayon::current_num_threads());
        let lanes = if self.tier == Tier::Portable { 1 } else { LANES };
        let len = self.entries.len() / (tasks * lanes).max(1);
        if tasks * lanes <= 1 || len < 2 * LANES {
            self.one_by_one(entering, 0, values);
            return;
        }
        let owns: Vec<Fr> =
            (0..tasks).into_par_iter().flat_map_iter(|task| self.fold(task * lanes, len)).collect();
        let mut enters = Vec::with_capacity(owns.len());
        let mut last = entering;
        for own in owns {
            enters.push(last);
            last = self.step.across(last, own, len);
        }
        let covered = tasks * lanes * len;
        let (blocks, rest) = match self.start {
            Start::Front => values.split_at_mut(covered),
            Start::Back => {
                let (rest, blocks) = values.split_at_mut(self.entries.len() - covered);
                (blocks, rest)
            }
        };
        let scan = |(task, (part, enters)): (usize, (&mut [Fr], &[Fr]))| {
            self.scan(task * lanes, (enters, len), part);
        };
        let enters = enters.par_chunks(lanes);
        match self.start {
            Start::Front => blocks.par_chunks_mut(lanes * len).zip(enters).enumerate().for_each(scan),
            Start::Back => blocks.par_rchunks_mut(lanes * len).zip(enters).enumerate().for_each(scan),
        }
        self.one_by_one(last, covered, rest);
    }

    /// The part of a vector as long as the entries that scan order's positions `at .. at + len` take.
    fn places(&self, at: usize, len: usize) -> core::ops::Range<usize> {
        match self.start {
            Start::Front => at..at + len,
            Start::Back => self.entries.len() - at - len..self.entries.len() - at,
        }
    }

    /// Values from position `at` on; `values` are these places alone.
    fn one_by_one(&self, mut value: Fr, at: usize, values: &mut [Fr]) {
        let entries = &self.entries[self.places(at, values.len())];
        let mut put = |(place, entry): (&mut Fr, &Fr)| {
            value = self.step.next(value, *entry);
            *place = value;
        };
        match self.start {
            Start::Front => values.iter_mut().zip(entries).for_each(&mut put),
            Start::Back => values.iter_mut().zip(entries).rev().for_each(&mut put),
        }
    }

    /// The own values of a task's blocks, the first of which is block number `first`.
    fn fold(&self, first: usize, len: usize) -> Vec<Fr> {
        match self.tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(proof) => {
                let entries = &self.entries[self.places(first * len, LANES * len)];
                lanes::fold(proof, (self.step, self.start), entries).to_vec()
            }
            _ => {
                let entries = self.entries[self.places(first * len, len)].iter();
                let next = |value, entry: &Fr| self.step.next(value, *entry);
                let neutral = self.step.neutral();
                vec![match self.start {
                    Start::Front => entries.fold(neutral, next),
                    Start::Back => entries.rev().fold(neutral, next),
                }]
            }
        }
    }

    /// Scans a task's blocks, of which `values` are the places.
    fn scan(&self, first: usize, (enters, len): (&[Fr], usize), values: &mut [Fr]) {
        match (self.tier, enters) {
            #[cfg(target_arch = "x86_64")]
            (Tier::Ifma(proof), &[e0, e1, e2, e3, e4, e5, e6, e7]) => {
                let entries = &self.entries[self.places(first * len, LANES * len)];
                let enters = [e0, e1, e2, e3, e4, e5, e6, e7];
                lanes::scan(proof, (self.step, self.start), &enters, entries, values);
            }
            _ => {
                let entering = enters.first().copied().unwrap_or_default();
                self.one_by_one(entering, first * len, values);
            }
        }
    }
}
