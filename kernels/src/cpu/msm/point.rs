//! Affine points in the form in which a tier's kernels read them.

use ark_bn254::{Fq, FqConfig, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Zero};
use rayon::prelude::*;

use crate::cpu::huge;
#[cfg(target_arch = "x86_64")]
use crate::cpu::simd::F8;
use crate::cpu::simd::{LANES, Lanes, Portable, Tier, Words, ifma_kernel, multiple_words};

/// An affine point, one cache line: coordinates in the tier's own form, below 2.3p. The curve has no point with y zero:
/// words that are all zero stand for the identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Point {
    pub(super) x: Words,
    pub(super) y: Words,
}

impl Point {
    pub(super) const IDENTITY: Self = Self { x: [0; 4], y: [0; 4] };

    pub(super) fn is_identity(&self) -> bool {
        self.y == [0; 4]
    }

    /// The opposite point, in the form of either tier.
    pub(super) fn negated(&self) -> Self {
        if self.is_identity() {
            return *self;
        }
        // The least multiple of p that is not below y, which is below 2.3p; in the portable form it is p itself.
        let not_below = |factor: &u64| !minus(multiple_words::<FqConfig>(*factor), self.y).1;
        let factor = (1..=2).find(not_below).unwrap_or(3);
        Self { x: self.x, y: minus(multiple_words::<FqConfig>(factor), self.y).0 }
    }
}

/// Difference of four-word numbers, and whether it is negative.
fn minus(from: Words, subtrahend: Words) -> (Words, bool) {
    let mut borrow = false;
    let words = core::array::from_fn(|index| {
        let (first, a) = from[index].overflowing_sub(subtrahend[index]);
        let (word, b) = first.overflowing_sub(u64::from(borrow));
        borrow = a | b;
        word
    });
    (words, borrow)
}

/// Points as a tier's kernels read them.
pub(super) fn pack(tier: Tier, points: &[G1Affine]) -> Vec<Point> {
    let mut packed = huge::vector(points.len());
    packed.resize(points.len(), Point::IDENTITY);
    packed.par_chunks_mut(1024).zip(points.par_chunks(1024)).for_each(|(to, from)| {
        for (to, from) in to.chunks_mut(LANES).zip(from.chunks(LANES)) {
            let coordinates: [_; LANES] = core::array::from_fn(|lane| from.get(lane).and_then(G1Affine::xy));
            let of = |second: bool| {
                coordinates.map(|point| point.map_or(Fq::ZERO, |(x, y)| if second { y } else { x }))
            };
            let [x, y] = match tier {
                Tier::Portable => pack_portable(&of(false), &of(true)),
                #[cfg(target_arch = "x86_64")]
                Tier::Ifma(proof) => pack_ifma(proof, &of(false), &of(true)),
                #[cfg(not(target_arch = "x86_64"))]
                Tier::Ifma(_) => pack_portable(&of(false), &of(true)),
            };
            for (lane, point) in to.iter_mut().enumerate() {
                *point = Point { x: x[lane], y: y[lane] };
            }
        }
    });
    packed
}

/// The points, as `ark-ec` keeps them.
pub(super) fn unpack(tier: Tier, points: &[Point]) -> Vec<G1Affine> {
    let mut affine = Vec::with_capacity(points.len());
    for points in points.chunks(LANES) {
        let of = |second: bool| {
            core::array::from_fn(|lane| {
                points.get(lane).map_or([0; 4], |point| if second { point.y } else { point.x })
            })
        };
        let [x, y] = match tier {
            Tier::Portable => unpack_portable(&of(false), &of(true)),
            #[cfg(target_arch = "x86_64")]
            Tier::Ifma(proof) => unpack_ifma(proof, &of(false), &of(true)),
            #[cfg(not(target_arch = "x86_64"))]
            Tier::Ifma(_) => unpack_portable(&of(false), &of(true)),
        };
        affine.extend((0..points.len()).map(|lane| {
            if y[lane].is_zero() { G1Affine::zero() } else { G1Affine::new_unchecked(x[lane], y[lane]) }
        }));
    }
    affine
}

fn pack_portable(x: &[Fq; LANES], y: &[Fq; LANES]) -> [[Words; LANES]; 2] {
    // SAFETY: no instructions beyond the usual.
    unsafe { packed_lanes::<Portable<FqConfig>>(x, y) }
}

fn unpack_portable(x: &[Words; LANES], y: &[Words; LANES]) -> [[Fq; LANES]; 2] {
    // SAFETY: no instructions beyond the usual.
    unsafe { unpacked_lanes::<Portable<FqConfig>>(x, y) }
}

ifma_kernel! {
    fn pack_ifma(x: &[Fq; LANES], y: &[Fq; LANES]) -> [[Words; LANES]; 2] {
        // SAFETY: the kernel has the instructions.
        unsafe { packed_lanes::<F8<FqConfig>>(x, y) }
    }
}

ifma_kernel! {
    fn unpack_ifma(x: &[Words; LANES], y: &[Words; LANES]) -> [[Fq; LANES]; 2] {
        // SAFETY: the kernel has the instructions.
        unsafe { unpacked_lanes::<F8<FqConfig>>(x, y) }
    }
}

#[inline(always)]
unsafe fn packed_lanes<L: Lanes<Modulus = FqConfig>>(
    x: &[Fq; LANES],
    y: &[Fq; LANES],
) -> [[Words; LANES]; 2] {
    let mut words = [[[0; 4]; LANES]; 2];
    for (coordinate, words) in [x, y].into_iter().zip(&mut words) {
        // SAFETY: both arrays have eight entries; the caller has the instructions.
        unsafe { L::load(coordinate.as_ptr()).canonical().store_words(words.as_mut_ptr()) };
    }
    words
}

#[inline(always)]
unsafe fn unpacked_lanes<L: Lanes<Modulus = FqConfig>>(
    x: &[Words; LANES],
    y: &[Words; LANES],
) -> [[Fq; LANES]; 2] {
    // SAFETY: the arrays have eight entries; the caller has the instructions.
    [x, y].map(|words| unsafe { L::load_words(words.as_ptr()).elements() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::Fr;
    use ark_ec::CurveGroup;

    #[test]
    fn points_survive_every_form_and_negation() {
        for tier in Tier::available() {
            for len in [0, 1, 7, 8, 9, 30] {
                let mut points: Vec<G1Affine> =
                    (0..len).map(|i| (G1Affine::generator() * Fr::from(i * i + 3)).into_affine()).collect();
                points.extend([G1Affine::zero(), G1Affine::generator()]);
                let packed = pack(tier, &points);
                assert_eq!(unpack(tier, &packed), points, "{tier}");
                let negated: Vec<Point> = packed.iter().map(Point::negated).collect();
                let expected: Vec<G1Affine> = points.iter().map(|point| -*point).collect();
                assert_eq!(unpack(tier, &negated), expected, "{tier}");
            }
        }
    }
}
