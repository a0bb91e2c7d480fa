//! Linear layers: bias and products, each product by the arithmetic that its values allow.

use rayon::prelude::*;

use super::matrix::{exact_columns, multiply};
use super::{SAFE, magnitude};
use crate::convolution::Convolution;
use crate::integer_graph::{Contraction, Product};

/// 16-bit elements of a tile of patches: half of a second-level cache.
const TILE: usize = 1 << 16;
/// Rows that share a tile on one thread.
const ROWS: usize = 64;

/// The accumulators, unless a partial sum could leave 64 bits; the output has `elements` elements.
pub(super) fn linear<'a>(
    products: &[Product],
    bias: &[i64],
    (shapes, values): (impl Iterator<Item = &'a [usize]>, &[Vec<i64>]),
    elements: usize,
) -> Option<Vec<i64>> {
    let magnitudes: Vec<u64> = products.iter().map(|product| magnitude(&values[product.input.0])).collect();
    let fits = |(row, bias): (usize, &i64)| bound(products, &magnitudes, row, *bias) < SAFE;
    bias.par_iter().enumerate().all(fits).then_some(())?;
    let dense = products.first()?.contraction == Contraction::Dense;
    let positions = elements.checked_div(bias.len())?;
    let mut accumulators = Vec::with_capacity(elements);
    if dense {
        (0..positions).for_each(|_| accumulators.extend_from_slice(bias));
    } else {
        bias.iter().for_each(|&bias| accumulators.extend(std::iter::repeat_n(bias, positions)));
    }
    for ((product, shape), &largest) in products.iter().zip(shapes).zip(&magnitudes) {
        add(product, (shape, &values[product.input.0], largest), &mut accumulators);
    }
    Some(accumulators)
}

/// Bound of the magnitude of every partial sum of an output channel.
fn bound(products: &[Product], magnitudes: &[u64], row: usize, bias: i64) -> u128 {
    let of_product = |(product, &largest): (&Product, &u64)| {
        let weights: u64 =
            product.weights.row(row).iter().map(|weight| u64::from(weight.unsigned_abs())).sum();
        let multiplier = product.multipliers[row].unsigned_abs();
        (u128::from(weights) * u128::from(multiplier)).saturating_mul(u128::from(largest))
    };
    let products = products.iter().zip(magnitudes).map(of_product);
    products.fold(u128::from(bias.unsigned_abs()), u128::saturating_add)
}

/// Adds one product, whose input's largest magnitude is `largest`, to the accumulators.
fn add(product: &Product, (shape, input, largest): (&[usize], &[i64], u64), accumulators: &mut [i64]) {
    let Product { contraction, weights, multipliers, .. } = product;
    // Nothing to add; and no patch has zero columns below.
    if weights.columns == 0 || accumulators.is_empty() {
        return;
    }
    let groups = contraction.groups();
    let narrow = i16::try_from(largest).ok().and(exact_columns(128, largest));
    let worthwhile = weights.columns >= 8 && weights.rows / groups >= 4;
    match (contraction, narrow) {
        (Contraction::Dense, Some(exact)) => {
            let (rows, input) = (widened(&weights.values), narrowed(input));
            let dots = dots(&rows, &input, (weights.columns, exact));
            for (row, dots) in dots.chunks_exact(input.len() / weights.columns).enumerate() {
                for (position, dot) in dots.iter().enumerate() {
                    accumulators[position * weights.rows + row] += multipliers[row] * dot;
                }
            }
        }
        (Contraction::Dense, None) => wide_dense(product, input, accumulators),
        (Contraction::Convolution(convolution), Some(exact)) if worthwhile => {
            convolve(product, convolution, (shape, &narrowed(input), exact), accumulators);
        }
        (Contraction::Convolution(convolution), _) => {
            taps(product, convolution, (shape, input), accumulators)
        }
    }
}

fn widened(weights: &[i8]) -> Vec<i16> {
    weights.iter().map(|&weight| i16::from(weight)).collect()
}

/// The values as 16-bit integers; they must fit.
fn narrowed(values: &[i64]) -> Vec<i16> {
    values.iter().map(|&value| value as i16).collect()
}

/// All dot products of rows and patches, `[row][patch]`, row blocks in parallel.
fn dots(rows: &[i16], patches: &[i16], (columns, exact): (usize, usize)) -> Vec<i64> {
    let count = patches.len() / columns;
    let mut results = vec![0; rows.len() / columns * count];
    let blocks = results.par_chunks_mut(ROWS * count.max(1)).zip(rows.par_chunks(ROWS * columns));
    blocks.for_each(|(results, rows)| multiply(rows, patches, (columns, exact), results));
    results
}

fn wide_dense(product: &Product, input: &[i64], accumulators: &mut [i64]) {
    let Product { weights, multipliers, .. } = product;
    let positions = input.chunks_exact(weights.columns);
    for (position, accumulators) in positions.zip(accumulators.chunks_exact_mut(weights.rows)) {
        accumulators.par_iter_mut().enumerate().for_each(|(row, accumulator)| {
            let products = weights.row(row).iter().zip(position).map(|(&weight, &x)| i64::from(weight) * x);
            *accumulator += multipliers[row] * products.sum::<i64>();
        });
    }
}

/// A convolution as matrix products with tiles of patches.
fn convolve(
    product: &Product,
    convolution: &Convolution,
    (shape, input, exact): (&[usize], &[i16], usize),
    accumulators: &mut [i64],
) {
    let Product { weights, multipliers, .. } = product;
    let (columns, groups) = (weights.columns, convolution.groups);
    let (positions, rows_of_group) = (accumulators.len() / weights.rows, weights.rows / groups);
    let rows = widened(&weights.values);
    let meets = meeting(convolution, &shape[1..], positions);
    let kernel = meets.len() / positions;
    let plane: usize = shape[1..].iter().product();
    let channels = shape[0] / groups;
    let spread = positions.div_ceil(2 * rayon::current_num_threads()).max(8);
    let tile = (TILE / columns).clamp(8, 256).min(spread);
    let tiles: Vec<(usize, usize)> =
        (0..groups).flat_map(|group| (0..positions).step_by(tile).map(move |start| (group, start))).collect();
    let compute = |&(group, start): &(usize, usize)| {
        let end = positions.min(start + tile);
        let mut patches = Vec::with_capacity((end - start) * columns);
        for meets in meets[start * kernel..end * kernel].chunks_exact(kernel) {
            for channel in group * channels..(group + 1) * channels {
                let input = &input[channel * plane..(channel + 1) * plane];
                patches.extend(meets.iter().map(|&from| input.get(from).copied().unwrap_or(0)));
            }
        }
        dots(&rows[group * rows_of_group * columns..][..rows_of_group * columns], &patches, (columns, exact))
    };
    let computed: Vec<Vec<i64>> = tiles.par_iter().map(compute).collect();
    for ((group, start), dots) in tiles.into_iter().zip(computed) {
        let count = dots.len() / rows_of_group;
        for (row, dots) in dots.chunks_exact(count).enumerate() {
            let row = group * rows_of_group + row;
            let accumulators = &mut accumulators[row * positions + start..][..count];
            accumulators.iter_mut().zip(dots).for_each(|(sum, dot)| *sum += multipliers[row] * dot);
        }
    }
}

/// For each position and kernel offset, `[position][offset]`, the input element of a channel that they meet; past the end in
/// the padding.
fn meeting(convolution: &Convolution, spatial: &[usize], positions: usize) -> Vec<usize> {
    let kernel: usize = convolution.windows.iter().map(|window| window.kernel).product();
    let mut meets = vec![usize::MAX; kernel * positions];
    for offset in 0..kernel {
        convolution.tap(offset, spatial).for_each(|to, from| meets[to * kernel + offset] = from);
    }
    meets
}

/// A convolution weight by weight, for few rows in a group and for wide values.
fn taps(
    product: &Product,
    convolution: &Convolution,
    (shape, input): (&[usize], &[i64]),
    accumulators: &mut [i64],
) {
    let Product { weights, multipliers, .. } = product;
    let spatial = &shape[1..];
    let plane: usize = spatial.iter().product();
    let kernel: usize = convolution.windows.iter().map(|window| window.kernel).product();
    let taps: Vec<_> = (0..kernel).map(|offset| convolution.tap(offset, spatial).simplified()).collect();
    let (channels, rows) = (shape[0] / convolution.groups, weights.rows / convolution.groups);
    let positions = accumulators.len() / weights.rows;
    accumulators.par_chunks_mut(positions).enumerate().for_each(|(row, sums)| {
        for (column, &weight) in weights.row(row).iter().enumerate().filter(|(_, weight)| **weight != 0) {
            let channel = row / rows * channels + column / kernel;
            let input = &input[channel * plane..(channel + 1) * plane];
            let factor = multipliers[row] * i64::from(weight);
            taps[column % kernel].for_each(|to, from| sums[to] += factor * input[from]);
        }
    });
}
