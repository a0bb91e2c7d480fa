//! Signed integers: as field elements, and row combinations of integer matrices.

#[cfg(target_arch = "x86_64")]
mod lanes;

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField, Zero};
use rayon::prelude::*;

use super::simd::Tier;
use super::{GRAIN, huge};
use crate::shape::{self, Result};

/// Columns that one task works on: their accumulators are 6 KiB.
const COLUMNS: usize = 128;

/// Rows that one task works on at most.
#[cfg(target_arch = "x86_64")]
const MOST_ROWS: usize = lanes::ROWS;
#[cfg(not(target_arch = "x86_64"))]
const MOST_ROWS: usize = 1 << 12;

/// A machine integer of at most 64 bits.
pub trait Integer: Copy + Send + Sync + Into<i64> + 'static {}

impl<T: Copy + Send + Sync + Into<i64> + 'static> Integer for T {}

/// Largest magnitude of the entries.
pub fn magnitude<T: Integer>(values: &[T]) -> u64 {
    values.par_iter().with_min_len(GRAIN).map(|&value| value.into().unsigned_abs()).max().unwrap_or(0)
}

/// Integers as field elements.
pub fn widen<T: Integer>(values: &[T]) -> Vec<Fr> {
    let mut elements = Vec::new();
    widen_into(values, &mut elements);
    elements
}

/// The same into a vector, whose room is used again where there is enough.
pub fn widen_into<T: Integer>(values: &[T], elements: &mut Vec<Fr>) {
    huge::reuse(elements, values.len());
    let table: Vec<Fr> = match size_of::<T>() {
        1 => (i64::from(i8::MIN)..=u8::MAX.into()).map(element).collect(),
        _ => Vec::new(),
    };
    elements.par_chunks_mut(GRAIN).zip(values.par_chunks(GRAIN)).for_each(|(elements, values)| {
        for (place, &value) in elements.iter_mut().zip(values) {
            let value = value.into();
            let known = usize::try_from(value.wrapping_sub(i64::from(i8::MIN)))
                .ok()
                .and_then(|index| table.get(index));
            *place = known.copied().unwrap_or_else(|| element(value));
        }
    });
}

/// One multiplication, by the square of Montgomery's factor.
fn element(value: i64) -> Fr {
    let magnitude = Fr::new_unchecked(BigInt::from(value.unsigned_abs())) * Fr::new_unchecked(Fr::R2);
    if value < 0 { -magnitude } else { magnitude }
}

/// `target[offset + k] += sum_i weights[i] * matrix[i * width + k]` for a row-major matrix of `weights.len()` rows.
///
/// Products are gathered without reduction, each a multiplication of four words by one.
///
/// # Errors
/// If the matrix does not have `weights.len() * width` entries or a row does not end within the target.
pub fn combine_rows<T: Integer>(
    tier: Tier,
    target: &mut [Fr],
    offset: usize,
    matrix: &[T],
    (width, weights): (usize, &[Fr]),
) -> Result<()> {
    shape::matrix("combine_rows", target.len(), offset, matrix.len(), [weights.len(), width])?;
    if matrix.is_empty() {
        return Ok(());
    }
    let target = &mut target[offset..offset + width];
    let column_blocks = width.div_ceil(COLUMNS);
    // Cut by columns; by rows too if that leaves threads without work.
    let row_blocks = (4 * rayon::current_num_threads()).div_ceil(column_blocks);
    let rows = weights.len().div_ceil(row_blocks).max(GRAIN.div_ceil(width.min(COLUMNS))).min(MOST_ROWS);
    target.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, part)| {
        let columns = block * COLUMNS..block * COLUMNS + part.len();
        let sums: Vec<Vec<Fr>> = weights
            .par_chunks(rows)
            .zip(matrix.par_chunks(rows * width))
            .map(|(weights, matrix)| {
                let mut sums = in_lanes(tier, weights, matrix, width, columns.clone());
                sums.extend(row_block(weights, matrix, width, columns.start + sums.len()..columns.end));
                sums
            })
            .collect();
        for sum in &sums {
            part.iter_mut().zip(sum).for_each(|(total, value)| *total += value);
        }
    });
    Ok(())
}

/// Sums for the first columns, as many as can be done in lanes.
#[cfg(target_arch = "x86_64")]
fn in_lanes<T: Integer>(
    tier: Tier,
    weights: &[Fr],
    matrix: &[T],
    width: usize,
    columns: core::ops::Range<usize>,
) -> Vec<Fr> {
    let Tier::Ifma(proof) = tier else { return Vec::new() };
    if let Some(matrix) = same::<T, i8>(matrix) {
        lanes::row_block_8(proof, weights, matrix, width, columns)
    } else if let Some(matrix) = same::<T, i16>(matrix) {
        lanes::row_block_16(proof, weights, matrix, width, columns)
    } else if let Some(matrix) = same::<T, i32>(matrix) {
        lanes::row_block_32(proof, weights, matrix, width, columns)
    } else {
        Vec::new()
    }
}

/// The slice itself, if its type is the other one.
#[cfg(target_arch = "x86_64")]
fn same<T: 'static, U: 'static>(slice: &[T]) -> Option<&[U]> {
    let equal = core::any::TypeId::of::<T>() == core::any::TypeId::of::<U>();
    // SAFETY: the types are the same.
    equal.then(|| unsafe { core::slice::from_raw_parts(slice.as_ptr().cast(), slice.len()) })
}

#[cfg(not(target_arch = "x86_64"))]
fn in_lanes<T: Integer>(_: Tier, _: &[Fr], _: &[T], _: usize, _: core::ops::Range<usize>) -> Vec<Fr> {
    Vec::new()
}

fn row_block<T: Integer>(
    weights: &[Fr],
    matrix: &[T],
    width: usize,
    columns: core::ops::Range<usize>,
) -> Vec<Fr> {
    let mut sums = vec![WideSum::default(); columns.len()];
    for (weight, row) in weights.iter().zip(matrix.chunks_exact(width)) {
        for (sum, &entry) in sums.iter_mut().zip(&row[columns.clone()]) {
            let entry: i64 = entry.into();
            if entry != 0 {
                sum.add_product(weight, entry);
            }
        }
    }
    sums.into_iter().map(WideSum::reduce).collect()
}

/// A signed sum of products of field elements (their four words as stored) and 64-bit integers, in two's complement. A
/// product is below 2^318, so that there is room for 2^65 of them.
#[derive(Clone, Copy, Default)]
struct WideSum([u64; 6]);

impl WideSum {
    fn add_product(&mut self, element: &Fr, integer: i64) {
        let magnitude = integer.unsigned_abs();
        let negative = integer < 0;
        // A negative product is added as its complement plus one; no branch, since signs are as good as random.
        let flip = if negative { u64::MAX } else { 0 };
        let mut carry_sum = u128::from(negative);
        let mut carry_product = 0u128;
        for (word, limb) in self.0.iter_mut().zip(element.0.0) {
            let product = u128::from(limb) * u128::from(magnitude) + carry_product;
            carry_product = product >> 64;
            carry_sum += u128::from(*word) + u128::from(product as u64 ^ flip);
            *word = carry_sum as u64;
            carry_sum >>= 64;
        }
        for (word, high) in self.0[4..].iter_mut().zip([carry_product as u64, 0]) {
            carry_sum += u128::from(*word) + u128::from(high ^ flip);
            *word = carry_sum as u64;
            carry_sum >>= 64;
        }
    }

    /// The sum as a field element. Words are those of Montgomery's form, in which the part from 2^256 on, an integer `h`,
    /// stands for the field element `h`.
    fn reduce(self) -> Fr {
        let negative = (self.0[5] >> 63) != 0;
        let mut words = self.0;
        if negative {
            let mut carry = true;
            for word in &mut words {
                (*word, carry) = (!*word).overflowing_add(u64::from(carry));
            }
        }
        let [w0, w1, w2, w3, high, top] = words;
        let mut low = BigInt::new([w0, w1, w2, w3]);
        while low >= Fr::MODULUS {
            low.sub_with_borrow(&Fr::MODULUS);
        }
        let high = u128::from(high) | (u128::from(top) << 64);
        let mut value = Fr::new_unchecked(low);
        if high != 0 {
            value += Fr::from(high);
        }
        if negative && !value.is_zero() { -value } else { value }
    }
}
