//! Signed digits of scalars.
//!
//! Scalars with a sign have some number of bits `b`; `m` windows share these out as evenly as whole numbers can, window `w`
//! from bit `o_w = floor(w b / m)` on. The constant `sum_(0 < w < m) 2^(o_w - 1)` is added to a scalar, a signed integer; then
//! window `w` of the sum, less half of its range, is a digit between `-2^(c - 1)` and `2^(c - 1) - 1`, with `c` the window's width,
//! and the top window is a digit as it stands. So every window can be read by itself, without carries.

use ark_bn254::Fr;
#[cfg(target_arch = "x86_64")]
use ark_bn254::FrConfig;
use ark_ff::{BigInt, BigInteger, PrimeField};
use rayon::prelude::*;

use crate::cpu::GRAIN;
use crate::cpu::huge;
use crate::cpu::integers::Integer;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::{F8, LANES, Lanes};
use crate::cpu::simd::{Tier, ifma_kernel};

/// Widest window: two million buckets.
const WIDEST: u32 = 22;

type Magnitude = <Fr as PrimeField>::BigInt;

/// How scalars are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    /// Bits of a scalar, its sign included.
    bits: u32,
    count: usize,
    /// Largest digit of the top window.
    top: usize,
}

impl Windows {
    pub(super) fn count(self) -> usize {
        self.count
    }

    /// A window's lowest bit; for the number of windows, the number of bits.
    pub(super) fn offset(self, window: usize) -> u32 {
        (window * self.bits as usize / self.count) as u32
    }

    fn width(self, window: usize) -> u32 {
        self.offset(window + 1) - self.offset(window)
    }

    /// Largest magnitude of a window's digits.
    pub(super) fn buckets(self, window: usize) -> usize {
        if window + 1 == self.count { self.top } else { 1 << (self.width(window) - 1) }
    }

    /// The cheapest way for this many scalars up to a magnitude.
    pub(super) fn for_scalars(entries: usize, magnitude: Magnitude) -> Self {
        let bits = magnitude.num_bits() + 1;
        // Each window has two bits or more.
        let counts = bits.div_ceil(WIDEST)..=(bits / 2).max(1);
        let costs = counts.map(|count| Self::new(bits, count as usize, magnitude));
        let costs = costs.map(|windows| (windows.cost(entries), windows));
        let best = costs.min_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map_or(Self::new(bits, bits as usize, magnitude), |(_, windows)| windows)
    }

    fn new(bits: u32, count: usize, magnitude: Magnitude) -> Self {
        let mut windows = Self { bits, count, top: 0 };
        let mut above = magnitude;
        above >>= windows.offset(count - 1);
        // The constant is below the top window, so adding it carries at most one into that.
        windows.top = above.0[0] as usize + usize::from(count > 1);
        windows
    }

    /// Work in units of an affine addition with what belongs to it, roughly: each entry of a window is sorted and added once;
    /// what each bucket adds to that was measured.
    fn cost(self, entries: usize) -> f64 {
        let window = |window: usize| 1.0 * entries as f64 + 2.5 * self.buckets(window) as f64 + 20.0;
        (0..self.count).map(window).sum()
    }

    fn constant(self) -> impl Iterator<Item = u32> {
        (1..self.count).map(move |window| self.offset(window) - 1)
    }
}

/// Scalars, as digits.
pub(super) trait Digits: Sync {
    fn windows(&self) -> Windows;

    fn len(&self) -> usize;

    /// Digits of consecutive scalars from an index on, at most `windows().buckets(window)` in magnitude.
    fn read(&self, window: usize, start: usize, digits: &mut [i32]);
}

/// Field elements between `-(p - 1) / 2` and `(p - 1) / 2`, with the constant added, in two's complement of 256 bits.
pub(super) struct FieldDigits {
    windows: Windows,
    /// The sums' words, lowest first: a vector for each, so that a window's bits lie close together.
    words: [Vec<u64>; 4],
}

impl FieldDigits {
    /// `used` of the scalars are not zero.
    pub(super) fn new(tier: Tier, scalars: &[Fr], used: usize) -> Self {
        let mut words = [(); 4].map(|()| {
            let mut words = huge::vector(scalars.len());
            words.resize(scalars.len(), 0u64);
            words
        });
        let largest =
            Rows::of(&mut words).into_par_iter().zip(scalars.par_chunks(GRAIN)).map(|(rows, scalars)| {
                match tier {
                    #[cfg(target_arch = "x86_64")]
                    Tier::Ifma(proof) => ifma_signed(proof, scalars, rows),
                    _ => signed(scalars, rows),
                }
            });
        let largest = largest.reduce(Magnitude::zero, |a, b| a | b);
        let windows = Windows::for_scalars(used, largest);
        let mut constant = Magnitude::zero();
        for bit in windows.constant() {
            constant.0[bit as usize / 64] |= 1 << (bit % 64);
        }
        Rows::of(&mut words).into_par_iter().for_each(|rows| match tier {
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(proof) => ifma_add(proof, rows, &constant),
            _ => add(rows, &constant),
        });
        Self { windows, words }
    }
}

/// Some of the scalars' words.
struct Rows<'a>([&'a mut [u64]; 4]);

impl<'a> Rows<'a> {
    /// All of them in pieces.
    fn of(words: &'a mut [Vec<u64>; 4]) -> Vec<Self> {
        let [w0, w1, w2, w3] = words.each_mut().map(|words| words.chunks_mut(GRAIN));
        let rows = w0.zip(w1).zip(w2.zip(w3));
        rows.map(|((w0, w1), (w2, w3))| Self([w0, w1, w2, w3])).collect()
    }
}

/// Writes the values next to zero in two's complement; gives the union of their magnitudes' bits.
fn signed(scalars: &[Fr], rows: Rows<'_>) -> Magnitude {
    let Rows([w0, w1, w2, w3]) = rows;
    let mut all = Magnitude::zero();
    for (index, scalar) in scalars.iter().enumerate() {
        let mut value = scalar.into_bigint();
        let mut magnitude = value;
        if value > Fr::MODULUS_MINUS_ONE_DIV_TWO {
            magnitude = Fr::MODULUS;
            magnitude.sub_with_borrow(&value);
            value = Magnitude::zero();
            value.sub_with_borrow(&magnitude);
        }
        all |= magnitude;
        [w0[index], w1[index], w2[index], w3[index]] = value.0;
    }
    all
}

/// Adds a number to each, modulo 2^256.
#[inline(always)]
fn add(rows: Rows<'_>, constant: &Magnitude) {
    let Rows([w0, w1, w2, w3]) = rows;
    let [c0, c1, c2, c3] = constant.0;
    for (((w0, w1), w2), w3) in w0.iter_mut().zip(w1).zip(w2).zip(w3) {
        // Carries by comparison: so the loop becomes one over vectors.
        *w0 = w0.wrapping_add(c0);
        let carry = u64::from(*w0 < c0);
        let sum = w1.wrapping_add(c1);
        *w1 = sum.wrapping_add(carry);
        let carry = u64::from(sum < c1) | u64::from(*w1 < carry);
        let sum = w2.wrapping_add(c2);
        *w2 = sum.wrapping_add(carry);
        let carry = u64::from(sum < c2) | u64::from(*w2 < carry);
        *w3 = w3.wrapping_add(c3).wrapping_add(carry);
    }
}

ifma_kernel! {
    fn ifma_signed(scalars: &[Fr], rows: Rows<'_>) -> Magnitude {
        // SAFETY: the kernel has the instructions.
        unsafe { signed_lanes(scalars, rows) }
    }
}

ifma_kernel! {
    fn ifma_add(rows: Rows<'_>, constant: &Magnitude) {
        add(rows, constant);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn signed_lanes(scalars: &[Fr], rows: Rows<'_>) -> Magnitude {
    let Rows([w0, w1, w2, w3]) = rows;
    let whole = scalars.len() / LANES * LANES;
    // The words of a scalar times 16, over 2^260, are the number itself. The value of this element as lanes is 16.
    let unit = Fr::new_unchecked(BigInt([1, 0, 0, 0]));
    let mut magnitudes = [[0; LANES]; 4];
    // SAFETY: the caller has the instructions; scalars and rows have eight entries more.
    unsafe {
        let sixteen = F8::<FrConfig>::broadcast(&unit);
        for start in (0..whole).step_by(LANES) {
            let words = F8::<FrConfig>::load_words(scalars.as_ptr().add(start).cast());
            let (r0, r1) = (w0.as_mut_ptr().add(start), w1.as_mut_ptr().add(start));
            let (r2, r3) = (w2.as_mut_ptr().add(start), w3.as_mut_ptr().add(start));
            words.multiply(sixteen).canonical().store_signed([r0, r1, r2, r3], &mut magnitudes);
        }
    }
    let union = magnitudes.map(|words| words.into_iter().fold(0, core::ops::BitOr::bitor));
    let rest = [w0, w1, w2, w3].map(|row| &mut row[whole..]);
    BigInt(union) | signed(&scalars[whole..], Rows(rest))
}

impl Digits for FieldDigits {
    fn windows(&self) -> Windows {
        self.windows
    }

    fn len(&self) -> usize {
        self.words[0].len()
    }

    fn read(&self, window: usize, start: usize, digits: &mut [i32]) {
        let width = self.windows.width(window);
        let bit = self.windows.offset(window) as usize;
        let (word, shift) = (bit / 64, bit % 64);
        let top = window + 1 == self.windows.count;
        let (mask, half) = if top { (u64::MAX, 0) } else { ((1 << width) - 1, 1i32 << (width - 1)) };
        let low = &self.words[word][start..][..digits.len()];
        if shift + width as usize <= 64 && !top {
            for (digit, low) in digits.iter_mut().zip(low) {
                *digit = (low >> shift & mask) as i32 - half;
            }
        } else if let Some(high) = self.words.get(word + 1) {
            for (digit, (low, high)) in digits.iter_mut().zip(low.iter().zip(&high[start..])) {
                // In two steps, since a shift by 64 is none.
                *digit = ((low >> shift | high << 1 << (63 - shift)) & mask) as i32 - half;
            }
        } else {
            for (digit, low) in digits.iter_mut().zip(low) {
                *digit = (*low as i64 >> shift & mask as i64) as i32 - half;
            }
        }
    }
}

/// Integers; their digits are computed when they are asked for.
pub(super) struct IntegerDigits<'a, T> {
    windows: Windows,
    constant: i128,
    integers: &'a [T],
}

impl<'a, T: Integer> IntegerDigits<'a, T> {
    /// `used` of the integers are not zero, and none is larger than `magnitude`.
    pub(super) fn new(integers: &'a [T], used: usize, magnitude: u64) -> Self {
        let windows = Windows::for_scalars(used, magnitude.into());
        let constant = windows.constant().map(|bit| 1i128 << bit).sum();
        Self { windows, constant, integers }
    }
}

impl<T: Integer> Digits for IntegerDigits<'_, T> {
    fn windows(&self) -> Windows {
        self.windows
    }

    fn len(&self) -> usize {
        self.integers.len()
    }

    fn read(&self, window: usize, start: usize, digits: &mut [i32]) {
        let width = self.windows.width(window);
        let integers = &self.integers[start..][..digits.len()];
        let shift = self.windows.offset(window);
        if self.windows.count == 1 {
            for (digit, &integer) in digits.iter_mut().zip(integers) {
                let integer: i64 = integer.into();
                *digit = integer as i32;
            }
            return;
        }
        let top = window + 1 == self.windows.count;
        for (digit, &integer) in digits.iter_mut().zip(integers) {
            let integer: i64 = integer.into();
            let raw = (i128::from(integer) + self.constant) >> shift;
            *digit = if top { raw as i32 } else { (raw as i32 & ((1 << width) - 1)) - (1 << (width - 1)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::{Field, One, Zero};

    fn elements() -> Vec<Fr> {
        let half = Fr::from_bigint(Fr::MODULUS_MINUS_ONE_DIV_TWO).unwrap_or_default();
        let powers = (0..254u64).flat_map(|bit| {
            let power = Fr::from(2u64).pow([bit]);
            [power, -power, power - Fr::one()]
        });
        [Fr::zero(), Fr::one(), -Fr::one(), half, half + Fr::one()].into_iter().chain(powers).collect()
    }

    fn recomposed(digits: &impl Digits, index: usize) -> Fr {
        let windows = digits.windows();
        (0..windows.count()).rev().fold(Fr::zero(), |value, window| {
            let mut digit = [0];
            digits.read(window, index, &mut digit);
            let [digit] = digit;
            assert!(digit.unsigned_abs() as usize <= windows.buckets(window), "{windows:?} {digit}");
            value * Fr::from(1u64 << windows.width(window)) + Fr::from(digit)
        })
    }

    #[test]
    fn digits_of_field_elements_recompose() {
        for entries in [1, 30, 1000, 1 << 14, 1 << 20, 1 << 26] {
            let elements = elements();
            for tier in Tier::available() {
                let digits = FieldDigits::new(tier, &elements, entries);
                for (index, element) in elements.iter().enumerate() {
                    assert_eq!(recomposed(&digits, index), *element, "{entries} entries, element {index}");
                }
            }
        }
    }

    #[test]
    fn digits_of_integers_recompose() {
        for magnitude in (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) + 1, (1 << bit) - 1]) {
            let magnitude = magnitude.min(1 << 63);
            let high = i64::try_from(magnitude).unwrap_or(i64::MAX);
            let integers = [0, high, (magnitude as i64).wrapping_neg(), high / 2, -high / 3];
            for entries in [1, 1000, 1 << 16, 1 << 22] {
                let digits = IntegerDigits::new(&integers, entries, magnitude);
                for (index, integer) in integers.iter().enumerate() {
                    assert_eq!(recomposed(&digits, index), Fr::from(*integer), "bound {magnitude}");
                }
            }
        }
    }
}
