//! Signed digits of scalars.
//!
//! With `c` the window's width and `m` the number of windows, the constant `sum_(w < m - 1) 2^(c w + c - 1)` is added to a
//! scalar's magnitude; then window `w` of the sum, less `2^(c - 1)`, is a digit between `-2^(c - 1)` and `2^(c - 1) - 1`,
//! and the top window is a digit as it stands. So every window can be read by itself, without carries. The scalar's sign
//! goes to all digits.

use ark_bn254::Fr;
use ark_ff::{BigInteger, PrimeField};
use rayon::prelude::*;

use crate::cpu::GRAIN;
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

    /// The cheapest way for this many scalars up to a magnitude.
    pub(super) fn for_scalars(entries: usize, magnitude: Magnitude) -> Self {
        let costs = (2..=WIDEST).map(|width| Self::with_width(width, magnitude));
        let costs = costs.map(|windows| (windows.cost(entries), windows));
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
    fn cost(self, entries: usize) -> f64 {
        let window = |window: usize| {
            let buckets = self.buckets(window) as f64;
            1.1 * entries as f64 + 2.2 * buckets + 13.0 * buckets.sqrt()
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

    /// A digit, at most `windows().buckets(window)` in magnitude.
    fn digit(&self, index: usize, window: usize) -> i32;
}

/// Field elements, each as the sum of magnitude and constant, with the sign in the highest bit.
pub(super) struct FieldDigits {
    windows: Windows,
    sums: Vec<[u64; 4]>,
}

const SIGN: u64 = 1 << 63;

impl FieldDigits {
    /// `used` of the scalars are not zero.
    pub(super) fn new(scalars: &[Fr], used: usize) -> Self {
        let signed = |scalar: &Fr| {
            let magnitude = scalar.into_bigint();
            if magnitude <= Fr::MODULUS_MINUS_ONE_DIV_TWO {
                return (magnitude, 0);
            }
            let mut complement = Fr::MODULUS;
            complement.sub_with_borrow(&magnitude);
            (complement, SIGN)
        };
        let scalars = scalars.par_iter().with_min_len(GRAIN).map(signed);
        let mut signed: Vec<(Magnitude, u64)> = scalars.collect();
        let largest = signed.par_iter().with_min_len(GRAIN).map(|(magnitude, _)| *magnitude).max();
        let windows = Windows::for_scalars(used, largest.unwrap_or_default());
        let mut constant = Magnitude::zero();
        for bit in windows.constant() {
            constant.0[bit as usize / 64] |= 1 << (bit % 64);
        }
        // The constant is at most twice the largest magnitude, which is below 2^253: the sum leaves the highest bit free for the sign.
        let sums = signed.par_iter_mut().with_min_len(GRAIN).map(|(sum, sign)| {
            sum.add_with_carry(&constant);
            sum.0[3] |= *sign;
            sum.0
        });
        Self { windows, sums: sums.collect() }
    }
}

impl Digits for FieldDigits {
    fn windows(&self) -> Windows {
        self.windows
    }

    fn len(&self) -> usize {
        self.sums.len()
    }

    #[inline]
    fn digit(&self, index: usize, window: usize) -> i32 {
        let Windows { width, count, .. } = self.windows;
        let [w0, w1, w2, w3] = self.sums[index];
        let words = [w0, w1, w2, w3 & !SIGN, 0];
        let bit = width as usize * window;
        let (word, shift) = (bit / 64, bit % 64);
        let pair = u128::from(words[word]) | (u128::from(words[word + 1]) << 64);
        let raw = ((pair >> shift) as u64 & ((1 << width) - 1)) as i32;
        let digit = if window + 1 == count { raw } else { raw - (1 << (width - 1)) };
        if w3 & SIGN == 0 { digit } else { -digit }
    }
}

/// Integers; their digits are computed when they are asked for.
pub(super) struct IntegerDigits<'a, T> {
    windows: Windows,
    constant: u128,
    integers: &'a [T],
}

impl<'a, T: Integer> IntegerDigits<'a, T> {
    /// `used` of the integers are not zero, and none is larger than `magnitude`.
    pub(super) fn new(integers: &'a [T], used: usize, magnitude: u64) -> Self {
        let windows = Windows::for_scalars(used, magnitude.into());
        let constant = windows.constant().map(|bit| 1u128 << bit).sum();
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

    #[inline]
    fn digit(&self, index: usize, window: usize) -> i32 {
        let Windows { width, count, .. } = self.windows;
        let integer: i64 = self.integers[index].into();
        let sum = u128::from(integer.unsigned_abs()) + self.constant;
        let raw = (sum >> (width as usize * window)) as u64;
        let digit = if window + 1 == count {
            raw as i32
        } else {
            (raw & ((1 << width) - 1)) as i32 - (1 << (width - 1))
        };
        if integer < 0 { -digit } else { digit }
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
            let digit = digits.digit(index, window);
            assert!(digit.unsigned_abs() as usize <= windows.buckets(window), "{windows:?} {digit}");
            value * Fr::from(1u64 << windows.width()) + Fr::from(digit)
        })
    }

    #[test]
    fn digits_of_field_elements_recompose() {
        for entries in [1, 30, 1000, 1 << 14, 1 << 20, 1 << 26] {
            let elements = elements();
            let digits = FieldDigits::new(&elements, entries);
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
                let digits = IntegerDigits::new(&integers, entries, magnitude);
                for (index, integer) in integers.iter().enumerate() {
                    assert_eq!(recomposed(&digits, index), Fr::from(*integer), "bound {magnitude}");
                }
            }
        }
    }
}
