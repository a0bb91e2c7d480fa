//! Slices of field elements, read and written eight at a time.

use ark_bn254::{Fr, FrConfig};
use ark_ff::Zero;

use super::simd::{F8, LANES, Lanes};

/// Eight scalars.
pub(super) type Lane = F8<FrConfig>;

/// Up to eight elements as they are, below p and 16 times too small; zeros past the end.
#[inline(always)]
pub(super) unsafe fn load_words(elements: &[Fr]) -> Lane {
    let mut padded = [Fr::zero(); LANES];
    // SAFETY: the slice or its copy has eight elements of four words; the caller has the instructions.
    unsafe { Lane::load_words(padded_to_eight(elements, &mut padded).as_ptr().cast()) }
}

/// Up to eight elements, below 16p; zeros past the end.
#[inline(always)]
pub(super) unsafe fn load(elements: &[Fr]) -> Lane {
    let mut padded = [Fr::zero(); LANES];
    // SAFETY: the slice or its copy has eight elements; the caller has the instructions.
    unsafe { Lane::load(padded_to_eight(elements, &mut padded).as_ptr()) }
}

#[inline(always)]
fn padded_to_eight<'a>(elements: &'a [Fr], padded: &'a mut [Fr; LANES]) -> &'a [Fr] {
    if elements.len() >= LANES {
        return elements;
    }
    padded[..elements.len()].copy_from_slice(elements);
    padded
}

/// A carried value that is 16 times too small, made canonical; to up to eight elements.
#[inline(always)]
pub(super) unsafe fn store_words(lane: Lane, to: &mut [Fr]) {
    // SAFETY: the slice or the array has room for eight elements of four words; the caller has the instructions.
    unsafe {
        let canonical = lane.canonical();
        if to.len() >= LANES {
            return canonical.store_words(to.as_mut_ptr().cast());
        }
        let mut eight = [Fr::zero(); LANES];
        canonical.store_words(eight.as_mut_ptr().cast());
        to.copy_from_slice(&eight[..to.len()]);
    }
}

/// A value below 16p, to up to eight elements.
#[inline(always)]
pub(super) unsafe fn store(lane: Lane, to: &mut [Fr]) {
    // SAFETY: the slice has room for eight elements; the caller has the instructions.
    unsafe {
        if to.len() >= LANES {
            return lane.store(to.as_mut_ptr());
        }
        to.copy_from_slice(&lane.elements()[..to.len()]);
    }
}

/// The element in all lanes, below 1.7p.
#[inline(always)]
pub(super) unsafe fn reduced(element: &Fr) -> Lane {
    // SAFETY: the caller has the instructions.
    unsafe { Lane::broadcast(element).reduce() }
}
