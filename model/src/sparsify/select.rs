//! Which weights go, by scores: the smallest, and of equal ones those that are zero already, then the earlier ones.

use super::{Method, Pattern};
use crate::float_graph::FloatMatrix;

/// Zeros that block `index` of `count` equal parts has, so that all have `total` together.
pub(super) fn share(total: usize, index: usize, count: usize) -> usize {
    (index + 1) * total / count - index * total / count
}

/// Zeros that a layer of so many weights is to have.
pub(super) fn target(sparsity: f64, weights: usize) -> usize {
    ((sparsity * weights as f64).round() as usize).min(weights)
}

/// Zeros of a block of `length` columns, `zeros` in each `of`.
pub(super) fn block_zeros((zeros, of): (usize, usize), length: usize) -> usize {
    zeros * length / of
}

/// The positions of the `count` smallest weights by score; zeros count and come first.
pub(super) fn smallest(weights: &[f32], score: impl Fn(usize) -> f64, count: usize) -> Vec<usize> {
    let key = |at: usize| (weights[at] != 0.0, score(at), weights[at].abs());
    let mut order: Vec<((bool, f64, f32), usize)> = (0..weights.len()).map(|at| (key(at), at)).collect();
    let compare = |left: &((bool, f64, f32), usize), right: &((bool, f64, f32), usize)| {
        let ((a, b, c), at) = left;
        let ((d, e, f), other) = right;
        a.cmp(d).then(b.total_cmp(e)).then(c.total_cmp(f)).then(at.cmp(other))
    };
    if count < order.len() {
        order.select_nth_unstable_by(count, compare);
        order.truncate(count);
    }
    order.into_iter().map(|(_, at)| at).collect()
}

/// Sets the weights to zero that go; the others stay as they are. `energy` is that of each column, for each group.
pub(super) fn prune(
    weights: &mut FloatMatrix,
    (groups, energy): (usize, &[f64]),
    (method, pattern): (Method, Pattern),
    sparsity: f64,
) {
    let (rows, columns) = (weights.rows, weights.columns);
    let target = target(sparsity, weights.values.len());
    if let (Pattern::Unstructured, Method::Magnitude) = (pattern, method) {
        let magnitude = |at: usize| f64::from(weights.values[at].abs());
        let gone = smallest(&weights.values, magnitude, target);
        gone.into_iter().for_each(|at| weights.values[at] = 0.0);
        return;
    }
    for (row, values) in weights.values.chunks_mut(columns).enumerate() {
        let group = row / (rows / groups);
        let norm = |column: usize| match method {
            Method::Magnitude => 1.0,
            _ => energy[group * columns + column].sqrt(),
        };
        let (length, zeros): (usize, Box<dyn Fn(usize) -> usize>) = match pattern {
            Pattern::Blocks { zeros, of } => (of, Box::new(move |length| block_zeros((zeros, of), length))),
            _ => (columns, Box::new(move |_| share(target, row, rows))),
        };
        for (index, block) in values.chunks_mut(length).enumerate() {
            let score = |at: usize| f64::from(block[at].abs()) * norm(index * length + at);
            let gone = smallest(block, score, zeros(block.len()));
            gone.into_iter().for_each(|at| block[at] = 0.0);
        }
    }
}
