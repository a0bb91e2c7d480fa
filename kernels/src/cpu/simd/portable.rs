//! Eight elements one after the other, by `ark-ff`.

use ark_ff::{AdditiveGroup, BigInt, Field, Zero};

use super::{Element, LANES, Lanes, Mask, Modulus, Words};

/// Eight canonical elements.
pub(crate) struct Portable<M: Modulus>([Element<M>; LANES]);

impl<M: Modulus> Clone for Portable<M> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<M: Modulus> Copy for Portable<M> {}

impl<M: Modulus> Portable<M> {
    #[inline(always)]
    fn map(self, other: Self, operation: impl Fn(Element<M>, Element<M>) -> Element<M>) -> Self {
        Self(core::array::from_fn(|lane| operation(self.0[lane], other.0[lane])))
    }

    #[inline(always)]
    fn mask(self, condition: impl Fn(&Element<M>) -> bool) -> Mask {
        self.0.iter().rev().fold(0, |mask, element| mask << 1 | Mask::from(condition(element)))
    }
}

#[inline(always)]
fn in_mask(mask: Mask, lane: usize) -> bool {
    mask >> lane & 1 == 1
}

impl<M: Modulus> Lanes for Portable<M> {
    type Modulus = M;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([Element::<M>::ZERO; LANES])
    }

    #[inline(always)]
    unsafe fn one() -> Self {
        Self([Element::<M>::ONE; LANES])
    }

    #[inline(always)]
    unsafe fn broadcast(element: &Element<M>) -> Self {
        Self([*element; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const Element<M>) -> Self {
        // SAFETY: the caller has eight elements there.
        Self(core::array::from_fn(|lane| unsafe { from.add(lane).read() }))
    }

    #[inline(always)]
    unsafe fn gather(from: [*const Element<M>; LANES]) -> Self {
        // SAFETY: the caller has an element at each place.
        Self(from.map(|place| unsafe { place.read() }))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut Element<M>) {
        for (lane, element) in self.0.into_iter().enumerate() {
            // SAFETY: the caller has room for eight elements there.
            unsafe { to.add(lane).write(element) };
        }
    }

    #[inline(always)]
    unsafe fn load_words(from: *const Words) -> Self {
        Self(core::array::from_fn(|lane| {
            // SAFETY: the caller has eight entries there.
            let words = unsafe { from.add(lane).read() };
            Element::<M>::new_unchecked(BigInt(words))
        }))
    }

    #[inline(always)]
    unsafe fn gather_words(from: [*const Words; LANES]) -> Self {
        // SAFETY: the caller has an entry at each place.
        Self(from.map(|place| Element::<M>::new_unchecked(BigInt(unsafe { place.read() }))))
    }

    #[inline(always)]
    unsafe fn store_words(self, to: *mut Words) {
        for (lane, element) in self.0.into_iter().enumerate() {
            // SAFETY: the caller has room for eight entries there.
            unsafe { to.add(lane).write(element.0.0) };
        }
    }

    #[inline(always)]
    unsafe fn scatter_words(self, to: [*mut Words; LANES]) {
        for (place, element) in to.into_iter().zip(self.0) {
            // SAFETY: the caller has room for an entry at each place.
            unsafe { place.write(element.0.0) };
        }
    }

    #[inline(always)]
    unsafe fn multiply(self, other: Self) -> Self {
        self.map(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn square(self) -> Self {
        Self(self.0.map(|element| element.square()))
    }

    #[inline(always)]
    unsafe fn multiply_loose(self, other: Self) -> Self {
        self.map(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn square_loose(self) -> Self {
        Self(self.0.map(|element| element.square()))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.map(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn subtract<const K: u64>(self, other: Self) -> Self {
        self.map(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        self.map(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn minus<const K: u64>(self, other: Self) -> Self {
        self.map(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn negate_where<const K: u64>(self, mask: Mask) -> Self {
        let negated = |lane: usize| if in_mask(mask, lane) { -self.0[lane] } else { self.0[lane] };
        Self(core::array::from_fn(negated))
    }

    #[inline(always)]
    unsafe fn carry(self) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn settle(self) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn reduce(self) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn canonical(self) -> Self {
        self
    }

    #[inline(always)]
    unsafe fn zero_lanes(self) -> Mask {
        self.mask(Zero::is_zero)
    }

    #[inline(always)]
    unsafe fn empty_lanes(self) -> Mask {
        self.mask(Zero::is_zero)
    }

    #[inline(always)]
    unsafe fn odd_lanes(numbers: &[u32; LANES]) -> Mask {
        numbers.iter().rev().fold(0, |mask, number| mask << 1 | Mask::from(number & 1 == 1))
    }

    #[inline(always)]
    unsafe fn select(self, mask: Mask, other: Self) -> Self {
        Self(core::array::from_fn(|lane| if in_mask(mask, lane) { other.0[lane] } else { self.0[lane] }))
    }

    #[inline(always)]
    unsafe fn swapped<const DISTANCE: usize>(self) -> Self {
        Self(core::array::from_fn(|lane| self.0[lane ^ DISTANCE]))
    }

    #[inline(always)]
    unsafe fn transpose(vectors: &mut [Self; LANES]) {
        let rows = vectors.map(|vector| vector.0);
        *vectors = core::array::from_fn(|lane| Self(rows.map(|row| row[lane])));
    }
}
