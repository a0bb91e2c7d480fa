//! The transform over lanes of eight.
//!
//! With `M` an eighth of the size, the first three layers turn `f` into eight polynomials `f mod (X^M - c_q)`. Lane `r` keeps
//! the one whose number `q` is `r` with its three bits reversed, so that from there on a vector holds one coefficient of each. Block
//! `b` of layer `l` then has the twiddle `T[b] V_l`: `T` is the table that all sizes share, and `V_l`, which holds what differs
//! between lanes and the coset's shift, is one vector for a layer. A twiddle is the square of the next layer's, so that two
//! layers at once need a product, a square and a product by the fourth root of unity for each block. The last layers end in the
//! cache, with eight neighbours of the result in a vector.
//!
//! An inverse transform is a forward one with indices negated: its lanes hold the neighbours in the opposite order.
//!
//! Bounds, in units of p. The transform is linear, so words are loaded and stored as they are, below 1. A layer adds a
//! product, or four minus a product, so that a value is below `1 + 4 l` at layer `l`. A product has to stay below 4, which it
//! does for values below 71 and twiddles below 2.4, or values below 84 and twiddles below 1.7. Transforms of up to 18 layers need
//! no reduction; larger ones reduce once, before blocks are finished.

use core::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use ark_bn254::{Fr, FrConfig};
use ark_ff::{Field, One, Zero};
use rayon::prelude::*;

use super::Twiddles;
use super::generator;
use super::portable::inverse_of_size;
use crate::cpu::huge;
use crate::cpu::simd::{F8, Ifma, LANES, Lanes, Words, ifma_kernel};

/// Smallest transform that is done in lanes, as log2.
pub(super) const SMALLEST_LOG: u32 = 6;

/// Blocks of up to this many vectors (160 KiB) are finished in the cache, by one thread.
const CACHED: usize = 512;

/// Layers whose vectors `V_l` one block that is being finished can need.
const FINISHED_LAYERS: usize = 12;

/// Largest transform that needs no reduction, as log2.
const UNREDUCED_LOG: u32 = 18;

/// Scratch space of transforms up to this size (40 MiB) is kept for the next one, as log2.
const KEPT_LOG: u32 = 20;

/// Lane `r` holds sub-transform `REVERSED[r]`.
const REVERSED: [usize; LANES] = [0, 4, 2, 6, 1, 5, 3, 7];

type Lane = F8<FrConfig>;

/// Scratch vectors of earlier transforms.
#[derive(Default)]
pub(super) struct Arena(Mutex<Vec<Vec<MaybeUninit<Lane>>>>);

impl core::fmt::Debug for Arena {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Arena")
    }
}

impl Arena {
    fn take(&self, len: usize) -> Vec<MaybeUninit<Lane>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|vector| vector.len() >= len);
        let mut vector = known.map_or_else(Vec::new, |index| kept.swap_remove(index));
        drop(kept);
        if vector.len() < len {
            vector.reserve_exact(len);
            huge::prefer(&vector);
            // SAFETY: there is room for as many entries, which need no initialisation.
            unsafe { vector.set_len(len) };
        }
        vector
    }

    fn give_back(&self, vector: Vec<MaybeUninit<Lane>>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if vector.len() <= (1 << KEPT_LOG) / LANES && kept.len() < rayon::current_num_threads() {
            kept.push(vector);
        }
    }
}

/// What is transformed: coefficients, of which positions past the end are zero and those past the size are folded back.
struct Source<'a> {
    coefficients: &'a [Fr],
    /// The first positions, where something is folded onto them; a multiple of eight.
    folded: Vec<Fr>,
}

impl<'a> Source<'a> {
    fn new(coefficients: &'a [Fr], size: usize, shift: Fr) -> Self {
        let mut parts = coefficients.chunks(size);
        let first = parts.next().unwrap_or_default();
        let longest = coefficients.len().saturating_sub(size).min(size).next_multiple_of(LANES);
        let mut folded = first.get(..longest).unwrap_or(first).to_vec();
        let wrap = shift.pow([size as u64]);
        let mut factor = Fr::one();
        for part in parts {
            factor *= wrap;
            folded.par_iter_mut().zip(part).for_each(|(sum, value)| *sum += factor * value);
        }
        Self { coefficients: first, folded }
    }

    /// Eight positions, below p.
    #[inline(always)]
    unsafe fn load(&self, at: usize) -> Lane {
        let whole = self.folded.get(at..at + LANES).or_else(|| self.coefficients.get(at..at + LANES));
        let mut padded = [Fr::zero(); LANES];
        let eight = whole.unwrap_or_else(|| {
            let rest = self.coefficients.get(at..).unwrap_or_default();
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        });
        // SAFETY: the slice has eight elements of four words each; the caller has the instructions.
        unsafe { Lane::load_words(eight.as_ptr().cast()) }
    }
}

/// Where results are written, by several threads at different places.
#[derive(Clone, Copy)]
struct Target {
    first: *mut Fr,
    len: usize,
}

// SAFETY: every block writes places of its own.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

/// A transform of one size, direction and coset.
pub(super) struct Transform<'a> {
    proof: Ifma,
    twiddles: &'a Twiddles,
    /// Twiddles of the first three layers.
    first: [Fr; 7],
    /// Whether it is over the subgroup itself, where the first twiddle of a layer is one.
    plain: bool,
    /// `V_l` for each layer.
    lanes: Vec<[Fr; LANES]>,
    fourth_root: Fr,
    eighth_root: Fr,
    /// Factor of the result, in the inverse direction.
    inverse: Option<Fr>,
    log_size: u32,
}

impl<'a> Transform<'a> {
    pub(super) fn new(
        proof: Ifma,
        twiddles: &'a Twiddles,
        log_size: u32,
        shift: Option<Fr>,
        inverse: bool,
    ) -> Self {
        let depth = log_size - 3;
        let (fourth_root, eighth_root) = (generator(2), generator(3));
        let plain = shift.is_none();
        let shift = shift.unwrap_or_else(Fr::one);
        let powers: Vec<Fr> = core::iter::successors(Some(shift), |power| Some(power.square()))
            .take(log_size as usize)
            .collect();
        let [half, quarter, eighth] = [1, 2, 3].map(|up| powers[(log_size - up) as usize]);
        let turned = eighth * eighth_root;
        let first = [
            half,
            quarter,
            quarter * fourth_root,
            eighth,
            eighth * fourth_root,
            turned,
            turned * fourth_root,
        ];
        let lanes = (0..depth).map(|layer| {
            let root = generator(layer + 4);
            let mut vector = [powers[(depth - layer - 1) as usize]; LANES];
            for lane in 1..LANES {
                vector[lane] = vector[lane - 1] * root;
            }
            if inverse {
                vector.reverse();
            }
            vector
        });
        let lanes = lanes.collect();
        let inverse = inverse.then(|| inverse_of_size(log_size));
        Self { proof, twiddles, first, plain, lanes, fourth_root, eighth_root, inverse, log_size }
    }

    /// In place, for a vector of the transform's size.
    pub(super) fn in_place(&self, values: &mut [Fr]) {
        let target = Target { first: values.as_mut_ptr(), len: values.len() };
        // SAFETY: the source is read before the target is first written: all layers but the first three work on scratch space.
        let values = unsafe { core::slice::from_raw_parts(target.first.cast_const(), target.len) };
        self.run(&Source { coefficients: values, folded: Vec::new() }, target);
    }

    /// The transform, on the coset with this shift, of any number of coefficients, into a vector of its size.
    pub(super) fn values(&self, coefficients: &[Fr], shift: Fr, values: &mut [Fr]) {
        debug_assert_eq!(values.len(), 1 << self.log_size);
        let target = Target { first: values.as_mut_ptr(), len: values.len() };
        self.run(&Source::new(coefficients, values.len(), shift), target);
    }

    /// Transforms into the target, which has the transform's size.
    fn run(&self, source: &Source<'_>, target: Target) {
        let len = (1usize << self.log_size) / LANES;
        let threads = rayon::current_num_threads();
        let mut scratch = self.twiddles.arena.take(len);
        let vectors = &mut scratch[..len];
        let piece = (len / (4 * threads)).clamp(LANES, CACHED).next_multiple_of(LANES);
        vectors.par_chunks_mut(piece).enumerate().for_each(|(index, part)| {
            first_layers(self.proof, self, source, index * piece, part);
        });
        // SAFETY: the first layers have written every vector.
        let vectors = unsafe { core::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast::<Lane>(), len) };
        let cached = if threads == 1 { CACHED } else { CACHED.min(len / (2 * threads)).max(16) };
        self.block(vectors, (0, 0), target, cached);
        self.twiddles.arena.give_back(scratch);
    }

    /// All layers from `layer` on, of block number `block`.
    fn block(&self, vectors: &mut [Lane], (layer, block): (usize, usize), target: Target, cached: usize) {
        if vectors.len() <= cached {
            return finish(self.proof, self, vectors, (layer, block), target);
        }
        let quarter = vectors.len() / 4;
        let piece = (quarter / (2 * rayon::current_num_threads())).clamp(32, 1024);
        let [q0, q1, q2, q3] = quarters(vectors).map(|quarter| quarter.par_chunks_mut(piece));
        q0.zip(q1).zip(q2.zip(q3)).for_each(|((q0, q1), (q2, q3))| {
            two_layers(self.proof, self, [q0, q1, q2, q3], (layer, block));
        });
        vectors.par_chunks_mut(quarter).enumerate().for_each(|(index, part)| {
            self.block(part, (layer + 2, 4 * block + index), target, cached);
        });
    }
}

impl Target {
    /// Stores the vector of neighbours number `at`.
    #[inline(always)]
    unsafe fn store(self, vector: Lane, at: usize, inverse: Option<Lane>) {
        // SAFETY: `at` is below an eighth of the target's length, which has room for that many vectors; elements are four
        // words; the caller has the instructions.
        unsafe {
            let Some(factor) = inverse else {
                return vector.carry().canonical().store_words(self.first.add(LANES * at).cast());
            };
            let vector = vector.carry().multiply(factor).canonical();
            if at > 0 {
                return vector.store_words(self.first.add(self.len - LANES * at - 7).cast());
            }
            // The last lane's index is zero, the others' are the highest.
            let mut words = [[0; 4]; LANES];
            vector.store_words(words.as_mut_ptr());
            let [.., zeroth] = words;
            self.first.cast::<Words>().write(zeroth);
            core::ptr::copy_nonoverlapping(words.as_ptr(), self.first.add(self.len - 7).cast(), 7);
        }
    }
}

fn quarters<T>(vectors: &mut [T]) -> [&mut [T]; 4] {
    let quarter = vectors.len() / 4;
    let (low, high) = vectors.split_at_mut(2 * quarter);
    let (q0, q1) = low.split_at_mut(quarter);
    let (q2, q3) = high.split_at_mut(quarter);
    [q0, q1, q2, q3]
}

ifma_kernel! {
    /// Layers 0 to 2, at the positions from `start` on of every eighth of the source.
    fn first_layers(
        transform: &Transform<'_>, source: &Source<'_>, start: usize, vectors: &mut [MaybeUninit<Lane>],
    ) {
        // SAFETY: this function has the instructions.
        unsafe { transform.first_layers(source, start, vectors) }
    }
}

ifma_kernel! {
    /// Two layers of a block, or of a part of it, given by its quarters.
    fn two_layers(transform: &Transform<'_>, quarters: [&mut [Lane]; 4], at: (usize, usize)) {
        // SAFETY: this function has the instructions.
        unsafe {
            let inner = transform.lane_factors(at.0 + 1);
            let [outer, left, right] = transform.block_twiddles(inner, at.1, reduced(&transform.fourth_root));
            butterflies(quarters, &[outer.reduce(), left.reduce(), right.reduce()]);
        }
    }
}

ifma_kernel! {
    /// All remaining layers of a block, and its part of the result.
    fn finish(transform: &Transform<'_>, vectors: &mut [Lane], at: (usize, usize), target: Target) {
        // SAFETY: this function has the instructions.
        unsafe { transform.finish(vectors, at, target) }
    }
}

/// The element in all lanes, below 1.7p.
#[inline(always)]
unsafe fn reduced(element: &Fr) -> Lane {
    // SAFETY: the caller has the instructions.
    unsafe { Lane::broadcast(element).reduce() }
}

/// `a + w b` and `a - w b`, loose.
#[inline(always)]
unsafe fn butterfly(a: &mut Lane, b: &mut Lane, twiddle: Lane) {
    // SAFETY: the caller has the instructions.
    unsafe {
        let scaled = b.carry().multiply(twiddle);
        (*a, *b) = (a.plus(scaled), a.minus::<4>(scaled));
    }
}

/// `a + b` and `a - b`, loose, for b below K p.
#[inline(always)]
unsafe fn butterfly_of_one<const K: u64>(a: &mut Lane, b: &mut Lane) {
    // SAFETY: the caller has the instructions.
    unsafe { (*a, *b) = (a.plus(*b), a.minus::<K>(*b)) }
}

/// Two layers over four quarters; twiddles of the first and of the second's two blocks.
#[inline(always)]
unsafe fn butterflies([q0, q1, q2, q3]: [&mut [Lane]; 4], [outer, left, right]: &[Lane; 3]) {
    for ((a, b), (c, d)) in q0.iter_mut().zip(q1).zip(q2.iter_mut().zip(q3)) {
        // SAFETY: the caller has the instructions.
        unsafe {
            butterfly(a, c, *outer);
            butterfly(b, d, *outer);
            butterfly(a, b, *left);
            butterfly(c, d, *right);
        }
    }
}

impl Transform<'_> {
    /// `V_l`, below 1.7p; zero past the last layer.
    #[inline(always)]
    unsafe fn lane_factors(&self, layer: usize) -> Lane {
        let vector = self.lanes.get(layer).copied().unwrap_or_default();
        // SAFETY: the vector has eight elements; the caller has the instructions.
        unsafe { Lane::load(vector.as_ptr()).reduce() }
    }

    /// Twiddles of a block for two layers, the outer one and those of the inner one's two blocks; below 2.4p.
    #[inline(always)]
    unsafe fn block_twiddles(&self, inner: Lane, block: usize, fourth_root: Lane) -> [Lane; 3] {
        // SAFETY: the caller has the instructions.
        unsafe {
            let left = Lane::broadcast(&self.twiddles.get(2 * block)).multiply(inner);
            [left.square(), left, left.multiply(fourth_root)]
        }
    }

    #[inline(always)]
    unsafe fn first_layers(&self, source: &Source<'_>, start: usize, vectors: &mut [MaybeUninit<Lane>]) {
        // SAFETY: the caller has the instructions.
        unsafe {
            let eighth = (1usize << self.log_size) / LANES;
            let mut w = [Lane::zero(); 7];
            for (lane, twiddle) in w.iter_mut().zip(&self.first) {
                *lane = reduced(twiddle);
            }
            let [w0, w1, w2, w3, w4, w5, w6] = w;
            for (index, eight) in vectors.chunks_exact_mut(LANES).enumerate() {
                let at = start + LANES * index;
                let mut x = [Lane::zero(); LANES];
                for (q, value) in x.iter_mut().enumerate() {
                    *value = source.load(q * eighth + at);
                }
                let [x0, x1, x2, x3, x4, x5, x6, x7] = &mut x;
                if self.plain {
                    butterfly_of_one::<1>(x0, x4);
                    butterfly_of_one::<1>(x1, x5);
                    butterfly_of_one::<1>(x2, x6);
                    butterfly_of_one::<1>(x3, x7);
                    butterfly_of_one::<2>(x0, x2);
                    butterfly_of_one::<2>(x1, x3);
                } else {
                    butterfly(x0, x4, w0);
                    butterfly(x1, x5, w0);
                    butterfly(x2, x6, w0);
                    butterfly(x3, x7, w0);
                    butterfly(x0, x2, w1);
                    butterfly(x1, x3, w1);
                }
                butterfly(x4, x6, w2);
                butterfly(x5, x7, w2);
                if self.plain {
                    butterfly_of_one::<4>(x0, x1)
                } else {
                    butterfly(x0, x1, w3)
                }
                butterfly(x2, x3, w4);
                butterfly(x4, x5, w5);
                butterfly(x6, x7, w6);
                let mut turned = [x[0], x[4], x[2], x[6], x[1], x[5], x[3], x[7]];
                if self.inverse.is_some() {
                    turned.reverse();
                }
                Lane::transpose(&mut turned);
                for (place, vector) in eight.iter_mut().zip(turned) {
                    place.write(vector);
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn finish(&self, vectors: &mut [Lane], (layer, block): (usize, usize), target: Target) {
        // SAFETY: the caller has the instructions.
        unsafe {
            let mut lanes = [Lane::zero(); FINISHED_LAYERS];
            for (index, factors) in lanes.iter_mut().enumerate() {
                *factors = self.lane_factors(layer + index);
            }
            let fourth_root = reduced(&self.fourth_root);
            if self.log_size > UNREDUCED_LOG {
                for vector in vectors.iter_mut() {
                    *vector = vector.carry().reduce();
                }
            }
            let last = if vectors.len().ilog2() % 2 == 1 { 8 } else { 4 };
            let (mut len, mut depth, mut first) = (vectors.len(), 0, block);
            while len > last {
                for (index, part) in vectors.chunks_exact_mut(len).enumerate() {
                    let twiddles = self.block_twiddles(lanes[depth + 1], first + index, fourth_root);
                    butterflies(quarters(part), &twiddles);
                }
                (len, depth, first) = (len / 4, depth + 2, 4 * first);
            }
            let mut inverse = None;
            if let Some(factor) = &self.inverse {
                inverse = Some(reduced(factor));
            }
            let eighth_root = reduced(&self.eighth_root);
            for (index, part) in vectors.chunks_exact_mut(len).enumerate() {
                let block = first + index;
                let depth_bits = self.log_size - 3;
                let from = (len * block).reverse_bits() >> (usize::BITS - depth_bits);
                let step = 1usize << (depth_bits - len.ilog2());
                if let [x0, x1, x2, x3] = part {
                    let twiddles = self.block_twiddles(lanes[depth + 1], block, fourth_root);
                    butterflies([x0, x1, x2, x3].map(core::slice::from_mut), &twiddles);
                    for (vector, index) in part.iter().zip([0, 2, 1, 3]) {
                        target.store(*vector, from + index * step, inverse);
                    }
                } else if let Ok(part) = <&mut [Lane; LANES]>::try_from(part) {
                    let twiddle = Lane::broadcast(&self.twiddles.get(4 * block)).multiply(lanes[depth + 2]);
                    last_three_layers(part, twiddle, fourth_root, eighth_root);
                    for (vector, index) in part.iter().zip(REVERSED) {
                        target.store(*vector, from + index * step, inverse);
                    }
                }
            }
        }
    }
}

/// Three layers of a block of eight vectors, from the last layer's first twiddle.
#[inline(always)]
unsafe fn last_three_layers(part: &mut [Lane; LANES], twiddle: Lane, fourth_root: Lane, eighth_root: Lane) {
    // SAFETY: the caller has the instructions.
    unsafe {
        let inner = twiddle.square();
        let outer = inner.square();
        let mut x = *part;
        let [x0, x1, x2, x3, x4, x5, x6, x7] = &mut x;
        butterfly(x0, x4, outer);
        butterfly(x1, x5, outer);
        butterfly(x2, x6, outer);
        butterfly(x3, x7, outer);
        butterfly(x0, x2, inner);
        butterfly(x1, x3, inner);
        let turned = inner.multiply(fourth_root);
        butterfly(x4, x6, turned);
        butterfly(x5, x7, turned);
        butterfly(x0, x1, twiddle);
        butterfly(x2, x3, twiddle.multiply(fourth_root));
        let turned = twiddle.multiply(eighth_root);
        butterfly(x4, x5, turned);
        butterfly(x6, x7, turned.multiply(fourth_root));
        *part = x;
    }
}
