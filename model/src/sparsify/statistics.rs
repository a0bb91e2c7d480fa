//! What layers read on the calibration set: the energy of each column's input, and their Hessians.

use rayon::prelude::*;

use super::layers::{Parts, parts};
use super::{SparsifyError, Task};
use crate::float_graph::FloatGraph;

/// The most positions of one sample that are looked at, evenly spread.
const MOST_POSITIONS: usize = 512;
/// Bytes of Hessians that are kept at a time.
const MOST_BYTES: usize = 1 << 28;
/// Partial sums of a dot product.
const LANES: usize = 8;

/// What one layer reads, over all samples.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    /// Sum of the squares of what each column meets, `groups * columns`.
    pub(super) energy: Vec<f64>,
    /// For each group the sum of the outer products of what its columns meet, with a last one that meets ones: the bias. Square
    /// with `columns + 1` rows, the lower triangle filled; empty unless asked for.
    pub(super) hessians: Vec<Vec<f64>>,
}

/// The layers in runs whose Hessians fit into memory together; a run has one layer at least.
pub(super) fn batches<'a>(graph: &FloatGraph, wanted: &'a [(usize, bool)]) -> Vec<&'a [(usize, bool)]> {
    let bytes = |&(node, hessian): &(usize, bool)| {
        parts(&graph.nodes[node]).filter(|_| hessian).map_or(0usize, |parts| {
            let width = parts.weights.columns.saturating_add(1);
            width.saturating_mul(width).saturating_mul(8).saturating_mul(parts.groups())
        })
    };
    let (mut batches, mut start, mut total) = (Vec::new(), 0, 0usize);
    for (at, layer) in wanted.iter().enumerate() {
        total = total.saturating_add(bytes(layer));
        if at > start && total > MOST_BYTES {
            batches.push(&wanted[start..at]);
            (start, total) = (at, bytes(layer));
        }
    }
    batches.push(&wanted[start..]);
    batches
}

/// The statistics of some layers, given by their nodes and by whether their Hessians are needed.
pub(super) fn statistics(
    graph: &FloatGraph,
    task: &Task,
    wanted: &[(usize, bool)],
) -> Result<Vec<Statistics>, SparsifyError> {
    let mut all: Vec<Statistics> = wanted
        .iter()
        .filter_map(|&(node, hessian)| parts(&graph.nodes[node]).map(|parts| (parts, hessian)))
        .map(|(parts, hessian)| {
            let (groups, columns) = (parts.groups(), parts.weights.columns);
            let square = (columns + 1) * (columns + 1);
            let hessians = if hessian { vec![vec![0.0; square]; groups] } else { Vec::new() };
            Statistics { energy: vec![0.0; groups * columns], hessians }
        })
        .collect();
    for sample in task.samples.iter() {
        graph.run_with(sample, |id, values| {
            for (&(node, _), statistics) in wanted.iter().zip(&mut all) {
                if let Some(parts) = parts(&graph.nodes[node]).filter(|parts| parts.input == id) {
                    statistics.add(&parts, (&graph.values[id.0].shape, values));
                }
            }
        })?;
    }
    for (&(node, _), statistics) in wanted.iter().zip(&all) {
        if statistics.energy.iter().any(|energy| !energy.is_finite()) {
            return Err(SparsifyError::NotFinite { layer: graph.nodes[node].name.clone() });
        }
    }
    Ok(all)
}

impl Statistics {
    fn add(&mut self, parts: &Parts, input: (&[usize], &[f32])) {
        let columns = parts.weights.columns;
        for group in 0..parts.groups() {
            let lines = lines(parts, input, group);
            let energy = &mut self.energy[group * columns..][..columns];
            energy.iter_mut().zip(&lines).for_each(|(energy, line)| *energy += dot(line, line));
            if let Some(hessian) = self.hessians.get_mut(group) {
                let ones = vec![1.0; lines.first().map_or(0, Vec::len)];
                let lines: Vec<&[f32]> = lines.iter().map(Vec::as_slice).chain([ones.as_slice()]).collect();
                hessian.par_chunks_mut(columns + 1).enumerate().for_each(|(row, sums)| {
                    let others = sums.iter_mut().zip(&lines).take(row + 1);
                    others.for_each(|(sum, line)| *sum += dot(lines[row], line));
                });
            }
        }
    }
}

fn dot(left: &[f32], right: &[f32]) -> f64 {
    let mut lanes = [0.0f32; LANES];
    let (left, left_rest) = left.as_chunks::<LANES>();
    let (right, right_rest) = right.as_chunks::<LANES>();
    for (left, right) in left.iter().zip(right) {
        for lane in 0..LANES {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>() + f64::from(rest)
}

/// What each column of a group meets at the positions looked at.
fn lines(parts: &Parts, (shape, values): (&[usize], &[f32]), group: usize) -> Vec<Vec<f32>> {
    let columns = parts.weights.columns;
    let Some(geometry) = parts.geometry else {
        let positions = values.len() / columns;
        let step = positions.div_ceil(MOST_POSITIONS).max(1);
        let line = |column| (0..positions).step_by(step).map(|at| values[at * columns + column]).collect();
        return (0..columns).map(line).collect();
    };
    let spatial = &shape[1..];
    let plane: usize = spatial.iter().product();
    let sizes = geometry.windows.iter().zip(spatial).map(|(window, &size)| window.outputs(size).unwrap_or(0));
    let positions: usize = sizes.product();
    let step = positions.div_ceil(MOST_POSITIONS).max(1);
    let kernel: usize = geometry.windows.iter().map(|window| window.kernel).product();
    let taps: Vec<_> = (0..kernel).map(|offset| geometry.tap(offset, spatial)).collect();
    let channels = shape[0] / geometry.groups;
    let line = |column: usize| {
        let channel = &values[(group * channels + column / kernel) * plane..][..plane];
        let mut line = vec![0.0; positions.div_ceil(step)];
        taps[column % kernel].for_each(|to, from| {
            if to % step == 0 {
                line[to / step] = channel[from];
            }
        });
        line
    };
    (0..columns).map(line).collect()
}
