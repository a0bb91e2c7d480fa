//! Signed digits of scalars.
//!
//! With `c` the window's width and `m` the number of windows, the constant `sum_(w < m - 1) 2^(c w + c - 1)` is added to a
//! scalar, a signed integer; then window `w` of the sum, less `2^(c - 1)`, is a digit between `-2^(c - 1)` and
//! `2^(c - 1) - 1`, and the top window is a digit as it stands. So every window can be read by itself, without carries.

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, PrimeField};
use rayon::prelude::*;

use crate::cpu::GRAIN;
use crate::cpu::huge;
use crate::cpu::integers::Integer;

/// Widest window: two million buckets.
const WIDEST: u32 = 22;

type Magnitude = <Fr as PrimeField>::BigInt;

/// How scalars are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    width: u32,
    count: usize,
    /// Largest digit of the top window.
    top: usize,
}

impl Windows {
    pub(super) fn width(self) -> u32 {
        self.width
    }

    pub(super) fn count(self) -> usize {
        self.count
    }

    /// Largest magnitude of a window's digits.
    pub(super) fn buckets(self, window: usize) -> usize {
        if window + 1 == self.count { self.top } else { 1 << (self.width - 1) }
    }

    /// The cheapest way for this many scalars up to a magnitude; `running` is the cost of the last sums' additions.
    pub(super) fn for_scalars(entries: usize, magnitude: Magnitude, running: f64) -> Self {
        let costs = (2..=WIDEST).map(|width| Self::with_width(width, magnitude));
        let costs = costs.map(|windows| (windows.cost(entries, running), windows));
        let best = costs.min_by(|(a, _), (b, _)| a.total_cmp(b));
        best.map_or(Self::with_width(WIDEST, magnitude), |(_, windows)| windows)
    }

    fn with_width(width: u32, magnitude: Magnitude) -> Self {
        let largest = 1u64 << (width - 1);
        if magnitude <= Magnitude::from(largest) {
            return Self { width, count: 1, top: magnitude.0[0] as usize };
        }
        // The constant is below the top window, so adding it carries at most one into that.
        let (mut count, mut above) = (1, magnitude);
        while above >= Magnitude::from(largest) {
            above >>= width;
            count += 1;
        }
        Self { width, count, top: above.0[0] as usize + 1 }
    }

    /// Work in units of an affine addition, roughly: each entry of a window is sorted and added once, each bucket twice,
    /// and the short sums at the end are made with dearer additions.
    fn cost(self, entries: usize, running: f64) -> f64 {
        let window = |window: usize| {
            let buckets = self.buckets(window) as f64;
            1.2 * entries as f64 + 2.4 * buckets + running * buckets.sqrt()
        };
        (0..self.count).map(window).sum()
    }

    fn constant(self) -> impl Iterator<Item = u32> {
        (0..self.count as u32 - 1).map(move |window| self.width * window + self.width - 1)
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

/// Magnitude and sign.
fn signed(scalar: &Fr) -> (Magnitude, bool) {
    let magnitude = scalar.into_bigint();
    if magnitude <= Fr::MODULUS_MINUS_ONE_DIV_TWO {
        return (magnitude, false);
    }
    let mut complement = Fr::MODULUS;
    complement.sub_with_borrow(&magnitude);
    (complement, true)
}

impl FieldDigits {
    /// `used` of the scalars are not zero; `running` as in [`Windows::for_scalars`].
    pub(super) fn new(scalars: &[Fr], used: usize, running: f64) -> Self {
        let mut words = [(); 4].map(|()| {
            let mut words = huge::vector(scalars.len());
            words.resize(scalars.len(), 0u64);
            words
        });
        let [w0, w1, w2, w3] = &mut words;
        let chunks = scalars.par_chunks(GRAIN).zip(w0.par_chunks_mut(GRAIN)).zip(w1.par_chunks_mut(GRAIN));
        let chunks = chunks.zip(w2.par_chunks_mut(GRAIN)).zip(w3.par_chunks_mut(GRAIN));
        let largest = chunks.map(|((((scalars, w0), w1), w2), w3)| {
            let mut largest = Magnitude::zero();
            for (index, scalar) in scalars.iter().enumerate() {
                let (magnitude, negative) = signed(scalar);
                largest = largest.max(magnitude);
                let mut value = magnitude;
                if negative {
                    value = Magnitude::zero();
                    value.sub_with_borrow(&magnitude);
                }
                [w0[index], w1[index], w2[index], w3[index]] = value.0;
            }
            largest
        });
        let windows = Windows::for_scalars(used, largest.max().unwrap_or_default(), running);
        let mut digits = Self { windows, words };
        digits.add_constant();
        digits
    }

    fn add_constant(&mut self) {
        let mut constant = Magnitude::zero();
        for bit in self.windows.constant() {
            constant.0[bit as usize / 64] |= 1 << (bit % 64);
        }
        let [w0, w1, w2, w3] = &mut self.words;
        let chunks = w0.par_chunks_mut(GRAIN).zip(w1.par_chunks_mut(GRAIN));
        chunks.zip(w2.par_chunks_mut(GRAIN)).zip(w3.par_chunks_mut(GRAIN)).for_each(
            |(((w0, w1), w2), w3)| {
                for (((w0, w1), w2), w3) in w0.iter_mut().zip(w1).zip(w2).zip(w3) {
                    let mut value = BigInt([*w0, *w1, *w2, *w3]);
                    value.add_with_carry(&constant);
                    [*w0, *w1, *w2, *w3] = value.0;
                }
            },
        );
    }
}

impl Digits for FieldDigits {
    fn windows(&self) -> Windows {
        self.windows
    }

    fn len(&self) -> usize {
        self.words[0].len()
    }

    fn read(&self, window: usize, start: usize, digits: &mut [i32]) {
        let Windows { width, count, .. } = self.windows;
        let bit = width as usize * window;
        let (word, shift) = (bit / 64, bit % 64);
        let top = window + 1 == count;
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
    /// `used` of the integers are not zero, and none is larger than `magnitude`; `running` as in [`Windows::for_scalars`].
    pub(super) fn new(integers: &'a [T], used: usize, magnitude: u64, running: f64) -> Self {
        let windows = Windows::for_scalars(used, magnitude.into(), running);
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
        let Windows { width, count, .. } = self.windows;
        let integers = &self.integers[start..][..digits.len()];
        let shift = width as usize * window;
        if count == 1 {
            for (digit, &integer) in digits.iter_mut().zip(integers) {
                let integer: i64 = integer.into();
                *digit = integer as i32;
            }
            return;
        }
        let top = window + 1 == count;
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
            value * Fr::from(1u64 << windows.width()) + Fr::from(digit)
        })
    }

    #[test]
    fn digits_of_field_elements_recompose() {
        for entries in [1, 30, 1000, 1 << 14, 1 << 20, 1 << 26] {
            let elements = elements();
            let digits = FieldDigits::new(&elements, entries, 13.0);
            for (index, element) in elements.iter().enumerate() {
                assert_eq!(recomposed(&digits, index), *element, "{entries} entries, element {index}");
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
                let digits = IntegerDigits::new(&integers, entries, magnitude, 13.0);
                for (index, integer) in integers.iter().enumerate() {
                    assert_eq!(recomposed(&digits, index), Fr::from(*integer), "bound {magnitude}");
                }
            }
        }
    }
}
