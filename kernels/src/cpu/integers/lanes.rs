//! Row combinations in lanes: a lane for each column, the weights cut into limbs so short that a limb times an entry has at
//! most 52 bits. Each product then needs one multiply-add, and 4096 of them fit into a word before anything is carried. Entries
//! are made unsigned by adding half their range, which the sum of the weights takes back.
//!
//! Neighbours in a row that are all zero are skipped together, and so is their part of that sum: pruned channels and rows cost
//! a read.

use core::arch::x86_64::{
    __m512i, _mm_loadl_epi64, _mm_loadu_si128, _mm256_loadu_si256, _mm512_add_epi64, _mm512_cvtepi8_epi64,
    _mm512_cvtepi16_epi64, _mm512_cvtepi32_epi64, _mm512_madd52lo_epu64, _mm512_or_si512, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_storeu_si512, _mm512_test_epi64_mask,
};

use ark_bn254::Fr;

use super::super::simd::{LANES, ifma_kernel};
use super::WideSum;

/// Rows whose products are summed up before words are carried.
pub(super) const ROWS: usize = 1 << 12;

/// Entries of a matrix that are short enough.
trait Entry: Copy {
    const BITS: u32;

    /// Eight entries, each in a word.
    unsafe fn eight(from: *const Self) -> __m512i;
}

impl Entry for i8 {
    const BITS: u32 = 8;

    #[inline(always)]
    unsafe fn eight(from: *const Self) -> __m512i {
        // SAFETY: the caller has eight entries there, and the instructions.
        unsafe { _mm512_cvtepi8_epi64(_mm_loadl_epi64(from.cast())) }
    }
}

impl Entry for i16 {
    const BITS: u32 = 16;

    #[inline(always)]
    unsafe fn eight(from: *const Self) -> __m512i {
        // SAFETY: the caller has eight entries there, and the instructions.
        unsafe { _mm512_cvtepi16_epi64(_mm_loadu_si128(from.cast())) }
    }
}

impl Entry for i32 {
    const BITS: u32 = 32;

    #[inline(always)]
    unsafe fn eight(from: *const Self) -> __m512i {
        // SAFETY: the caller has eight entries there, and the instructions.
        unsafe { _mm512_cvtepi32_epi64(_mm256_loadu_si256(from.cast())) }
    }
}

/// A row-major matrix of rows that are `width` entries apart, from some column on.
#[derive(Clone, Copy)]
struct Columns<'a, T> {
    matrix: &'a [T],
    width: usize,
    first: usize,
}

macro_rules! row_block {
    ($name:ident, $entry:ty, $limbs:literal, $vectors:literal) => {
        ifma_kernel! {
            /// For each column, `sum_i weights[i] * matrix[i][column]`, of at most [`ROWS`] rows. A number of columns beyond the
            /// last multiple of eight is left out.
            pub(super) fn $name(weights: &[Fr], matrix: &[$entry], width: usize, columns: core::ops::Range<usize>) -> Vec<Fr> {
                // SAFETY: this function has the instructions.
                unsafe { row_block::<$entry, $limbs, $vectors>(weights, matrix, width, columns) }
            }
        }
    };
}

row_block!(row_block_8, i8, 6, 4);
row_block!(row_block_16, i16, 8, 2);
row_block!(row_block_32, i32, 13, 1);

#[inline(always)]
unsafe fn row_block<T: Entry, const LIMBS: usize, const VECTORS: usize>(
    weights: &[Fr],
    matrix: &[T],
    width: usize,
    columns: core::ops::Range<usize>,
) -> Vec<Fr> {
    let limbs: Vec<[u64; LIMBS]> = weights.iter().map(|weight| cut(&weight.0.0, 52 - T::BITS)).collect();
    let total = weights.iter().sum::<Fr>();
    let mut sums = Vec::with_capacity(columns.len());
    let mut first = columns.start;
    while first + LANES <= columns.end {
        let part = Columns { matrix, width, first };
        // SAFETY: the caller has the instructions.
        unsafe {
            if first + VECTORS * LANES <= columns.end {
                column_sums::<T, LIMBS, VECTORS>(&limbs, part, total, &mut sums);
                first += VECTORS * LANES;
            } else {
                column_sums::<T, LIMBS, 1>(&limbs, part, total, &mut sums);
                first += LANES;
            }
        }
    }
    sums
}

/// The sums of some vectors of columns, appended; `total` is the sum of the weights.
#[inline(always)]
unsafe fn column_sums<T: Entry, const LIMBS: usize, const VECTORS: usize>(
    weights: &[[u64; LIMBS]],
    columns: Columns<'_, T>,
    total: Fr,
    sums: &mut Vec<Fr>,
) {
    // SAFETY: every row has the columns' entries, and the caller the instructions.
    unsafe {
        let mut words = [[_mm512_setzero_si512(); LIMBS]; VECTORS];
        let mut skipped = [0u64; LIMBS];
        let half = _mm512_set1_epi64(1 << (T::BITS - 1));
        for (weight, row) in weights.iter().zip(columns.matrix.chunks_exact(columns.width)) {
            let row = &row[columns.first..columns.first + VECTORS * LANES];
            let mut entries = [half; VECTORS];
            let mut any = _mm512_setzero_si512();
            for (vector, entry) in entries.iter_mut().enumerate() {
                let eight = T::eight(row.as_ptr().add(vector * LANES));
                any = _mm512_or_si512(any, eight);
                *entry = _mm512_add_epi64(eight, half);
            }
            if _mm512_test_epi64_mask(any, any) == 0 {
                for (sum, limb) in skipped.iter_mut().zip(weight) {
                    *sum += limb;
                }
                continue;
            }
            for limb in 0..LIMBS {
                let factor = _mm512_set1_epi64(weight[limb] as i64);
                for vector in 0..VECTORS {
                    words[vector][limb] = _mm512_madd52lo_epu64(words[vector][limb], entries[vector], factor);
                }
            }
        }
        let bias = (total - joined(&skipped, 52 - T::BITS).reduce()) * Fr::from(1u64 << (T::BITS - 1));
        for vector in words {
            let mut lanes = [[0u64; LANES]; LIMBS];
            for (lane, word) in lanes.iter_mut().zip(vector) {
                _mm512_storeu_si512(lane.as_mut_ptr().cast(), word);
            }
            for lane in 0..LANES {
                sums.push(joined(&lanes.map(|words| words[lane]), 52 - T::BITS).reduce() - bias);
            }
        }
    }
}

/// A number of four words in limbs of so many bits.
fn cut<const LIMBS: usize>(words: &[u64; 4], bits: u32) -> [u64; LIMBS] {
    core::array::from_fn(|limb| {
        let from = limb as u32 * bits;
        let word = |index: u32| u128::from(words.get(index as usize).copied().unwrap_or(0));
        let pair = word(from / 64) | word(from / 64 + 1) << 64;
        (pair >> (from % 64)) as u64 & ((1 << bits) - 1)
    })
}

/// The number whose limbs, so many bits apart, are words.
fn joined<const LIMBS: usize>(limbs: &[u64; LIMBS], bits: u32) -> WideSum {
    let mut words = [0u64; 6];
    for (index, &limb) in limbs.iter().enumerate() {
        let at = index as u32 * bits;
        let (first, shift) = ((at / 64) as usize, at % 64);
        let shifted = u128::from(limb) << shift;
        let mut carry = 0u128;
        let parts = [shifted as u64, (shifted >> 64) as u64];
        for (place, word) in words.iter_mut().skip(first).enumerate() {
            carry += u128::from(*word) + u128::from(parts.get(place).copied().unwrap_or(0));
            *word = carry as u64;
            carry >>= 64;
        }
    }
    WideSum(words)
}
