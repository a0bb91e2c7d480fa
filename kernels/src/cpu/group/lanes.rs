//! The same in lanes of eight.
//!
//! With `M` an eighth of the size, lane `r` first transforms every eighth point from point `r` on, `M` of them: all lanes then have the same
//! twiddles. Three layers over lanes end it, for which eight neighbouring vectors are transposed.
//!
//! The factor 1/n costs next to nothing: it belongs to the point number 0, and to the twiddles of those butterflies alone whose
//! upper part is descended from points whose number is a multiple of a higher power of two than the lower part's: these are the first
//! block of every layer.

use ark_bn254::{Fr, G1Affine};
use ark_ff::{Field, One};
use rayon::prelude::*;

use super::super::ntt::{generator, inverse_of_size};
use super::super::simd::{Ifma, LANES};
use super::points::{BATCH, Points, Scalar, affine, load, multiples, sums_and_differences, transpose};

/// Smallest transform that is done in lanes, as log2.
pub(super) const SMALLEST_LOG: u32 = 6;

/// Place of the last layers' vector number `j`: an eighth of the result.
const REVERSED: [usize; LANES] = [0, 4, 2, 6, 1, 5, 3, 7];

/// Powers of the inverse generator, the first half of them.
struct Twiddles {
    plain: Vec<Scalar>,
    /// Times 1/n.
    scaled: Vec<Scalar>,
}

impl Twiddles {
    fn new(log_size: u32) -> Self {
        let half = 1_usize << (log_size - 1);
        let step = generator(log_size).inverse().unwrap_or_else(Fr::one);
        let scale = inverse_of_size(log_size);
        let powers: Vec<Fr> =
            core::iter::successors(Some(Fr::one()), |w| Some(*w * step)).take(half).collect();
        Self {
            plain: powers.par_iter().map(|power| Scalar::new(*power)).collect(),
            scaled: powers.par_iter().map(|power| Scalar::new(*power * scale)).collect(),
        }
    }

    fn get(&self, index: usize, scaled: bool) -> &Scalar {
        let powers = if scaled { &self.scaled } else { &self.plain };
        &powers[index]
    }
}

pub(super) fn inverse(proof: Ifma, points: &[G1Affine], log_size: u32) -> Vec<G1Affine> {
    let twiddles = Twiddles::new(log_size);
    let length = points.len() / LANES;
    let mut vectors: Vec<Points> = (0..length)
        .into_par_iter()
        .map(|index| {
            let from = index.reverse_bits() >> (usize::BITS - (log_size - 3));
            load(proof, &points[from * LANES..(from + 1) * LANES])
        })
        .collect();
    let first = core::array::from_fn(|lane| twiddles.get(0, lane == 0));
    let scaled = multiples(proof, &vectors[..1], &[first]);
    vectors[..1].copy_from_slice(&scaled);
    let mut half = 1;
    while half < length {
        layer(proof, &mut vectors, half, &twiddles);
        half *= 2;
    }
    let unit = 4 * LANES;
    let parts: Vec<Vec<G1Affine>> = vectors
        .par_chunks_mut(unit)
        .enumerate()
        .map(|(index, part)| {
            last_layers(proof, part, (index * unit, length), &twiddles);
            affine(proof, part)
        })
        .collect();
    let mut result = vec![G1Affine::identity(); points.len()];
    for (part, values) in parts.iter().enumerate() {
        for (number, values) in values.chunks_exact(LANES).enumerate() {
            let from = part * unit + number / LANES * LANES;
            let at = REVERSED[number % LANES] * length + from;
            result[at..at + LANES].copy_from_slice(values);
        }
    }
    result
}

/// A layer over vectors: blocks of `2 * half` of them, all lanes alike but for the first block's lane 0.
fn layer(proof: Ifma, vectors: &mut [Points], half: usize, twiddles: &Twiddles) {
    let stride = twiddles.plain.len() / half;
    let scalars = |block: usize, at: usize| {
        let scalar = twiddles.get(at * stride, false);
        let all = [scalar; LANES];
        match (block, at) {
            (0, _) => Some(core::array::from_fn(|lane| twiddles.get(at * stride, lane == 0))),
            (_, 0) => None,
            _ => Some(all),
        }
    };
    if half < BATCH {
        vectors.par_chunks_mut(2 * BATCH).enumerate().for_each(|(index, part)| {
            let pairs = 2 * BATCH / (2 * half) * index;
            let (mut low, mut high): (Vec<Points>, Vec<Points>) = (Vec::new(), Vec::new());
            for block in part.chunks(2 * half) {
                low.extend_from_slice(&block[..half]);
                high.extend_from_slice(&block[half..]);
            }
            butterflies(proof, &mut low, &mut high, |at| scalars(pairs + at / half, at % half));
            for ((block, low), high) in part.chunks_mut(2 * half).zip(low.chunks(half)).zip(high.chunks(half))
            {
                block[..half].copy_from_slice(low);
                block[half..].copy_from_slice(high);
            }
        });
        return;
    }
    vectors.par_chunks_mut(2 * half).enumerate().for_each(|(block, part)| {
        let (low, high) = part.split_at_mut(half);
        let parts = low.par_chunks_mut(BATCH).zip(high.par_chunks_mut(BATCH)).enumerate();
        parts.for_each(|(index, (low, high))| {
            butterflies(proof, low, high, |at| scalars(block, index * BATCH + at));
        });
    });
}

/// The sum and difference of each first point and its second, times its scalars; where there are none, times one.
fn butterflies<'t>(
    proof: Ifma,
    first: &mut [Points],
    second: &mut [Points],
    scalars: impl Fn(usize) -> Option<[&'t Scalar; LANES]>,
) {
    let mut products = second.to_vec();
    let (mut places, mut factors, mut turned) = (Vec::new(), Vec::new(), Vec::new());
    for (at, point) in second.iter().enumerate() {
        if let Some(scalars) = scalars(at) {
            places.push(at);
            factors.push(scalars);
            turned.push(*point);
        }
    }
    for (at, product) in places.into_iter().zip(multiples(proof, &turned, &factors)) {
        products[at] = product;
    }
    sums_and_differences(proof, first, second, &products);
}

/// The layers over lanes, of the vectors from number `start` on: afterwards vector `8 i + j` holds the results from
/// `start + 8 i` on of eighth [`REVERSED`]`[j]`.
fn last_layers(proof: Ifma, part: &mut [Points], (start, length): (usize, usize), twiddles: &Twiddles) {
    for eight in part.chunks_exact_mut(LANES) {
        if let Ok(eight) = <&mut [Points; LANES]>::try_from(eight) {
            transpose(proof, eight);
        }
    }
    // The pairs of a layer, the eighths of the result from which their twiddles' exponents count, and which of them have the factor 1/n.
    const LAYERS: [[(usize, usize, usize, bool); 4]; 3] = [
        [(0, 4, 0, true), (1, 5, 0, false), (2, 6, 0, false), (3, 7, 0, false)],
        [(0, 2, 0, true), (1, 3, 0, false), (4, 6, 1, true), (5, 7, 1, false)],
        [(0, 1, 0, true), (2, 3, 2, true), (4, 5, 1, true), (6, 7, 3, true)],
    ];
    for (layer, pairs) in LAYERS.into_iter().enumerate() {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for eight in part.chunks_exact(LANES) {
            first.extend(pairs.iter().map(|pair| eight[pair.0]));
            second.extend(pairs.iter().map(|pair| eight[pair.1]));
        }
        butterflies(proof, &mut first, &mut second, |at| {
            let (_, _, eighth, scaled) = pairs[at % 4];
            let from = start + at / 4 * LANES + eighth * length;
            Some(core::array::from_fn(|lane| twiddles.get((from + lane) << (2 - layer), scaled)))
        });
        let results = first.chunks(4).zip(second.chunks(4));
        for (eight, (first, second)) in part.chunks_exact_mut(LANES).zip(results) {
            for (pair, (first, second)) in pairs.iter().zip(first.iter().zip(second)) {
                (eight[pair.0], eight[pair.1]) = (*first, *second);
            }
        }
    }
}
