//! Prefix scans and batch inversion.
//!
//! A scan over `t` threads cuts the vector into `t` pieces, scans each by itself, finds the value that enters each piece
//! from the pieces' last entries, and lets all threads together bring it into the pieces that still lack it.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

use super::{GRAIN, piece_length};

/// Entries that share one inversion; an inversion costs some 200 multiplications.
const INVERSION_BATCH: usize = 4096;

/// Which end of a vector a scan starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Front,
    Back,
}

/// Inverts every entry; zero stays zero.
pub fn batch_invert(values: &mut [Fr]) {
    let piece = piece_length(values.len(), 1, 256).min(INVERSION_BATCH);
    values.par_chunks_mut(piece).for_each(ark_ff::batch_inversion);
}

/// `h[0] = first`, `h[i + 1] = ratio * h[i] + addends[i]`, as long as `addends`, whose last entry is not used.
pub fn linear_recurrence(first: Fr, ratio: Fr, addends: &[Fr]) -> Vec<Fr> {
    let mut values = shifted(first, addends);
    recur(&mut values, ratio, Start::Front);
    values
}

/// `p[0] = first`, `p[i + 1] = p[i] * factors[i]`, as long as `factors`, whose last entry is not used.
pub fn running_product(first: Fr, factors: &[Fr]) -> Vec<Fr> {
    let mut values = shifted(first, factors);
    let piece = piece_length(values.len(), 1, GRAIN);
    values.par_chunks_mut(piece).for_each(|chunk| {
        let mut product = Fr::one();
        for value in chunk {
            product *= *value;
            *value = product;
        }
    });
    let mut entering = Fr::one();
    for chunk in values.chunks_mut(piece) {
        if !entering.is_one() {
            chunk.par_iter_mut().with_min_len(GRAIN).for_each(|value| *value *= entering);
        }
        entering = chunk.last().copied().unwrap_or(entering);
    }
    values
}

/// The vector with `first` put in front and its last entry dropped.
fn shifted(first: Fr, tail: &[Fr]) -> Vec<Fr> {
    let mut values = Vec::with_capacity(tail.len());
    if let Some((_, used)) = tail.split_last() {
        values.push(first);
        values.extend_from_slice(used);
    }
    values
}

/// In place, from the chosen end: each entry gains `ratio` times the (new) entry before it.
pub(crate) fn recur(values: &mut [Fr], ratio: Fr, start: Start) {
    let piece = piece_length(values.len(), 1, GRAIN);
    let parts: Vec<&mut [Fr]> = match start {
        Start::Front => values.chunks_mut(piece).collect(),
        Start::Back => {
            let mut parts: Vec<_> = values.rchunks_mut(piece).collect();
            parts.iter_mut().for_each(|part| part.reverse());
            parts
        }
    };
    scan_parts(parts, piece, ratio, start == Start::Back);
}

/// Scans parts that are in scan order, each of them from its front; `reverse` turns each around at the end.
fn scan_parts(mut parts: Vec<&mut [Fr]>, piece: usize, ratio: Fr, reverse: bool) {
    parts.par_iter_mut().for_each(|part| {
        let mut last = Fr::zero();
        for value in part.iter_mut() {
            last = if ratio.is_one() { last + *value } else { last * ratio + *value };
            *value = last;
        }
    });
    let fix_length = piece_length(piece, 1, GRAIN);
    let mut entering = Fr::zero();
    for part in &mut parts {
        if !entering.is_zero() {
            part.par_chunks_mut(fix_length).enumerate().for_each(|(index, chunk)| {
                let mut carried = entering * ratio.pow([(index * fix_length + 1) as u64]);
                for value in chunk {
                    *value += carried;
                    carried = if ratio.is_one() { carried } else { carried * ratio };
                }
            });
        }
        entering = part.last().copied().unwrap_or(entering);
    }
    if reverse {
        parts.par_iter_mut().for_each(|part| part.reverse());
    }
}
