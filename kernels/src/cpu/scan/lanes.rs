//! The same in lanes of eight, each with a block of its own.

use ark_bn254::Fr;
use ark_ff::One;

use super::super::eights::{Lane, load, reduced, store};
use super::super::simd::{LANES, Lanes, Words, ifma_kernel};
use super::{Start, Step};

/// The eight blocks' next entries, position by position.
struct Cursor {
    places: [usize; LANES],
    start: Start,
}

impl Cursor {
    /// Before the first position of eight blocks of `len` entries.
    #[inline(always)]
    fn new(start: Start, len: usize) -> Self {
        let places = core::array::from_fn(|block| match start {
            Start::Front => block * len,
            Start::Back => (LANES - block) * len - 1,
        });
        Self { places, start }
    }

    #[inline(always)]
    fn advance(&mut self) {
        self.places = self.places.map(|place| match self.start {
            Start::Front => place.wrapping_add(1),
            Start::Back => place.wrapping_sub(1),
        });
    }
}

/// How lanes go on: values are 16 times too small, ratios and factors are true.
struct Stepper {
    step: Step,
    ratio: Lane,
}

impl Stepper {
    #[inline(always)]
    unsafe fn new(step: Step) -> Self {
        let ratio = if let Step::Affine(ratio) = step { ratio } else { Fr::one() };
        // SAFETY: the caller has the instructions.
        unsafe { Self { step, ratio: reduced(&ratio) } }
    }

    /// The next value, below 4p, from one below 4p and an entry for each lane.
    #[inline(always)]
    unsafe fn next(&self, value: Lane, entries: [*const Fr; LANES]) -> Lane {
        // SAFETY: the caller has an element of four words at each place, and the instructions.
        unsafe {
            match self.step {
                Step::Sum => value.add(Lane::gather_words(entries.map(<*const Fr>::cast))).reduce(),
                Step::Affine(_) => {
                    value.multiply(self.ratio).add(Lane::gather_words(entries.map(<*const Fr>::cast)))
                }
                Step::Product => value.multiply(Lane::gather(entries)),
            }
        }
    }
}

ifma_kernel! {
    /// The own values of eight blocks, which the entries are.
    pub(super) fn fold(by: (Step, Start), entries: &[Fr]) -> [Fr; LANES] {
        let len = entries.len() / LANES;
        let mut own = [by.0.neutral(); LANES];
        // SAFETY: this function has the instructions; the cursor stays among the entries; an element is four words.
        unsafe {
            let stepper = Stepper::new(by.0);
            let mut cursor = Cursor::new(by.1, len);
            let mut value = Lane::load_words(own.as_ptr().cast());
            for _ in 0..len {
                value = stepper.next(value, cursor.places.map(|place| entries.as_ptr().wrapping_add(place)));
                cursor.advance();
            }
            value.canonical().store_words(own.as_mut_ptr().cast());
        }
        own
    }
}

ifma_kernel! {
    /// Scans eight blocks, which the entries are, from the values that enter them.
    pub(super) fn scan(
        by: (Step, Start), enters: &[Fr; LANES], entries: &[Fr], values: &mut [Fr],
    ) {
        let len = entries.len().min(values.len()) / LANES;
        let first = values.as_mut_ptr();
        // SAFETY: this function has the instructions; the cursor stays among the entries and values; an element is four
        // words.
        unsafe {
            let stepper = Stepper::new(by.0);
            let mut cursor = Cursor::new(by.1, len);
            let mut value = Lane::load_words(enters.as_ptr().cast());
            for _ in 0..len {
                value = stepper.next(value, cursor.places.map(|place| entries.as_ptr().wrapping_add(place)));
                let places = cursor.places.map(|place| first.wrapping_add(place).cast::<Words>());
                value.canonical().scatter_words(places);
                cursor.advance();
            }
        }
    }
}

ifma_kernel! {
    /// Inverts every entry with one inversion; zero stays zero.
    pub(super) fn batch_invert(values: &mut [Fr]) {
        // SAFETY: this function has the instructions; the arrays have eight entries.
        unsafe {
            let mut before = Vec::with_capacity(values.len().div_ceil(LANES));
            let mut product = Lane::one();
            for eight in values.chunks(LANES) {
                before.push(product);
                let factor = load(eight);
                product = product.multiply(factor.select(factor.empty_lanes(), Lane::one()));
            }
            let mut inverses = product.elements();
            ark_ff::batch_inversion(&mut inverses);
            let mut inverse = Lane::load(inverses.as_ptr()).reduce();
            for (eight, before) in values.chunks_mut(LANES).zip(before).rev() {
                let factor = load(eight);
                let zeros = factor.empty_lanes();
                store(inverse.multiply(before).select(zeros, Lane::zero()), eight);
                inverse = inverse.multiply(factor.select(zeros, Lane::one()));
            }
        }
    }
}
