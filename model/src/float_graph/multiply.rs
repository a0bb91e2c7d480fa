//! Products of weights and values in blocks that a compiler can vectorise.

use rayon::prelude::*;

use super::FloatMatrix;
use crate::convolution::Convolution;

/// Outputs that one inner loop computes side by side.
const LANES: usize = 8;
/// Rows of weights that one inner loop computes side by side.
const ROWS: usize = 4;
/// Products that are added up in 32-bit floats before they join the total.
const BLOCK: usize = 256;
/// Floats of unrolled input that are in work at a time: what fits a second-level cache.
const TILE: usize = 1 << 17;

/// `y[o] = sum_k weights[o][k] x[k] + bias[o]` for each of the input's positions.
pub(super) fn linear(input: &[f32], weights: &FloatMatrix, bias: &[f32]) -> Vec<f32> {
    let positions = input.len() / weights.columns;
    let rows = (0..weights.rows).into_par_iter().map(|row| {
        let values = weights.row(row);
        let dot = |position: &[f32]| (dot(values, position) + f64::from(bias[row])) as f32;
        input.chunks_exact(weights.columns).map(dot).collect::<Vec<f32>>()
    });
    let rows: Vec<Vec<f32>> = rows.collect();
    (0..positions).flat_map(|position| rows.iter().map(move |row| row[position])).collect()
}

fn dot(left: &[f32], right: &[f32]) -> f64 {
    let mut total = 0.0;
    for (left, right) in left.chunks(BLOCK * LANES).zip(right.chunks(BLOCK * LANES)) {
        let mut lanes = [0.0f32; LANES];
        let (left, left_rest) = left.as_chunks::<LANES>();
        let (right, right_rest) = right.as_chunks::<LANES>();
        for (left, right) in left.iter().zip(right) {
            for lane in 0..LANES {
                lanes[lane] += left[lane] * right[lane];
            }
        }
        let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest);
    }
    total
}

/// A convolution of a value of that shape.
pub(super) fn convolve(
    shape: &[usize],
    input: &[f32],
    geometry: &Convolution,
    (weights, bias): (&FloatMatrix, &[f32]),
) -> Vec<f32> {
    let spatial = &shape[1..];
    let sizes = geometry.windows.iter().zip(spatial).map(|(window, &size)| window.outputs(size).unwrap_or(0));
    let sizes: Vec<usize> = sizes.collect();
    let outputs: usize = sizes.iter().product();
    let per_group = weights.rows / geometry.groups;
    if per_group < ROWS {
        return directly(shape, input, geometry, (weights, bias), outputs);
    }
    let channels = shape[0] / geometry.groups;
    let plane: usize = spatial.iter().product();
    let tile = (TILE / weights.columns.max(1) / LANES * LANES)
        .clamp(LANES, outputs.next_multiple_of(LANES).max(LANES));
    let mut result = vec![0.0; weights.rows * outputs];
    for group in 0..geometry.groups {
        let input = &input[group * channels * plane..][..channels * plane];
        let tiles = (0..outputs).into_par_iter().step_by(tile).map(|start| {
            let count = tile.min(outputs - start);
            let unrolled = unroll((input, plane), geometry, (spatial, &sizes), (start, count));
            let rows: Vec<usize> = (group * per_group..(group + 1) * per_group).step_by(ROWS).collect();
            let end = (group + 1) * per_group;
            let block = |&row: &usize| product((weights, bias), (row, ROWS.min(end - row)), &unrolled, count);
            (start, count, rows.par_iter().flat_map_iter(block).collect::<Vec<f32>>())
        });
        let tiles: Vec<(usize, usize, Vec<f32>)> = tiles.collect();
        for (start, count, values) in tiles {
            for (row, values) in values.chunks_exact(count).enumerate() {
                let at = (group * per_group + row) * outputs + start;
                result[at..at + count].copy_from_slice(values);
            }
        }
    }
    result
}

/// Few rows read each input: every weight is added along its tap.
fn directly(
    shape: &[usize],
    input: &[f32],
    geometry: &Convolution,
    (weights, bias): (&FloatMatrix, &[f32]),
    outputs: usize,
) -> Vec<f32> {
    let spatial = &shape[1..];
    let plane: usize = spatial.iter().product();
    let (rows, channels) = (weights.rows / geometry.groups, shape[0] / geometry.groups);
    let kernel: usize = geometry.windows.iter().map(|window| window.kernel).product();
    let taps: Vec<_> = (0..kernel).map(|offset| geometry.tap(offset, spatial)).collect();
    let row = |(row, sums): (usize, &mut [f32])| {
        sums.fill(bias[row]);
        for (column, &weight) in weights.row(row).iter().enumerate() {
            let input = &input[(row / rows * channels + column / kernel) * plane..][..plane];
            taps[column % kernel].for_each(|to, from| sums[to] += weight * input[from]);
        }
    };
    let mut result = vec![0.0; weights.rows * outputs];
    result.par_chunks_mut(outputs.max(1)).enumerate().for_each(row);
    result
}

/// What the weights' columns meet for `count` outputs from `start` on: panels of as many columns as there are lanes, each
/// with one line for each of the weights' columns, zero in the padding.
fn unroll(
    (input, plane): (&[f32], usize),
    geometry: &Convolution,
    (spatial, sizes): (&[usize], &[usize]),
    (start, count): (usize, usize),
) -> Vec<[f32; LANES]> {
    let kernel: usize = geometry.windows.iter().map(|window| window.kernel).product();
    let columns = input.len() / plane * kernel;
    let mut panels = vec![[0.0; LANES]; count.div_ceil(LANES) * columns];
    for offset in 0..kernel {
        let places: Vec<Option<usize>> =
            (start..start + count).map(|output| place(geometry, (spatial, sizes), offset, output)).collect();
        for (channel, input) in input.chunks_exact(plane).enumerate() {
            let column = channel * kernel + offset;
            for (panel, places) in places.chunks(LANES).enumerate() {
                let line = &mut panels[panel * columns + column];
                for (value, place) in line.iter_mut().zip(places) {
                    *value = place.map_or(0.0, |place| input[place]);
                }
            }
        }
    }
    panels
}

/// The element of the channel that an output meets through a kernel offset; nothing in the padding.
fn place(
    geometry: &Convolution,
    (spatial, sizes): (&[usize], &[usize]),
    mut offset: usize,
    mut output: usize,
) -> Option<usize> {
    let (mut place, mut stride) = (0, 1);
    for ((window, &size), &outputs) in geometry.windows.iter().zip(spatial).zip(sizes).rev() {
        let at = output % outputs * window.stride + offset % window.kernel * window.dilation;
        place += at.checked_sub(window.pad_begin).filter(|&at| at < size)? * stride;
        (offset, output, stride) = (offset / window.kernel, output / outputs, stride * size);
    }
    Some(place)
}

/// `count` outputs of a few rows, one row after the other.
fn product(
    (weights, bias): (&FloatMatrix, &[f32]),
    (first, rows): (usize, usize),
    unrolled: &[[f32; LANES]],
    count: usize,
) -> Vec<f32> {
    // Rows that are missing at the end repeat the last one, and are dropped.
    let row = |index: usize| weights.row(first + index.min(rows - 1));
    let lines: [&[f32]; ROWS] = std::array::from_fn(row);
    let mut result = vec![0.0; rows * count];
    for (panel, columns) in unrolled.chunks_exact(weights.columns).enumerate() {
        let sums = panel_product(&lines, columns);
        let start = panel * LANES;
        let width = LANES.min(count - start);
        for (row, sums) in sums.iter().take(rows).enumerate() {
            let target = &mut result[row * count + start..][..width];
            target.iter_mut().zip(sums).for_each(|(target, sum)| *target = sum + bias[first + row]);
        }
    }
    result
}

fn panel_product(lines: &[&[f32]; ROWS], columns: &[[f32; LANES]]) -> [[f32; LANES]; ROWS] {
    let mut total = [[0.0f32; LANES]; ROWS];
    for start in (0..columns.len()).step_by(BLOCK) {
        let end = columns.len().min(start + BLOCK);
        let [a, b, c, d] = lines.map(|line| &line[start..end]);
        let mut sums = [[0.0f32; LANES]; ROWS];
        for ((((column, a), b), c), d) in columns[start..end].iter().zip(a).zip(b).zip(c).zip(d) {
            for lane in 0..LANES {
                sums[0][lane] += a * column[lane];
                sums[1][lane] += b * column[lane];
                sums[2][lane] += c * column[lane];
                sums[3][lane] += d * column[lane];
            }
        }
        for (total, sums) in total.iter_mut().zip(&sums) {
            total.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
    }
    total
}
