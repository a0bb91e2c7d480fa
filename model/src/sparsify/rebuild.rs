//! A network without some of its elements: shorter values, smaller weights, the same correspondences.

use crate::access::{Access, AccessAxis};
use crate::float_graph::{Candidate, FloatGraph, FloatMatrix, FloatOp, FloatTerm};

/// Which elements stay: for each value of the graph, one mark for each element.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// For each value the new place of each element, or [`GONE`].
    places: Vec<Vec<u32>>,
}

const GONE: u32 = u32::MAX;

impl Places {
    /// From marks of what is gone.
    pub(super) fn new(gone: &[Vec<bool>]) -> Self {
        let place = |marks: &Vec<bool>| {
            let mut next = 0;
            let place = |&gone: &bool| {
                let own = if gone { GONE } else { next };
                next += u32::from(!gone);
                own
            };
            marks.iter().map(place).collect()
        };
        Self { places: gone.iter().map(place).collect() }
    }

    /// New place of an element of a value; nothing if it is gone.
    pub(super) fn of(&self, value: usize, element: usize) -> Option<usize> {
        self.places[value].get(element).filter(|&&place| place != GONE).map(|&place| place as usize)
    }

    fn all_stay(&self, value: usize) -> bool {
        self.places[value].iter().all(|&place| place != GONE)
    }
}

/// The graph without the elements that are gone. Along one axis of each value (`axes`) whole indices are gone; rows and columns
/// of layers, and groups, go with their elements.
pub(super) fn rebuild(graph: &FloatGraph, places: &Places, axes: &[usize]) -> FloatGraph {
    let mut rebuilt = graph.clone();
    for (id, value) in rebuilt.values.iter_mut().enumerate() {
        if !places.all_stay(id) {
            let stay = (0..graph.values[id].elements()).filter(|&at| places.of(id, at).is_some()).count();
            let size = value.shape[axes[id]];
            value.shape[axes[id]] = stay * size / graph.values[id].elements();
        }
    }
    for (node, old) in rebuilt.nodes.iter_mut().zip(&graph.nodes) {
        let output = old.output.0;
        let elements = |value: usize| graph.values[value].elements();
        match &mut node.op {
            FloatOp::Linear { input, weights, bias } => {
                let rows = kept(weights.rows, |row| places.of(output, row));
                let columns = kept(weights.columns, |column| places.of(input.0, column));
                let all = vec![columns; rows.len()];
                cut(weights, bias, &rows, &all);
            }
            FloatOp::Convolution { input, geometry, weights, bias } => {
                let channels = graph.values[input.0].shape[0];
                let (in_plane, out_plane) = (elements(input.0) / channels, elements(output) / weights.rows);
                let rows = kept(weights.rows, |row| places.of(output, row * out_plane));
                let (per_group, kernel) =
                    (channels / geometry.groups, weights.columns / (channels / geometry.groups));
                let group_rows = weights.rows / geometry.groups;
                let columns = |row: &usize| {
                    let first = row / group_rows * per_group;
                    kept(weights.columns, |column| places.of(input.0, (first + column / kernel) * in_plane))
                };
                let columns: Vec<Vec<usize>> = rows.iter().map(columns).collect();
                let stays = |group: &usize| rows.iter().any(|row| row / group_rows == *group);
                geometry.groups = (0..geometry.groups).filter(stays).count();
                cut(weights, bias, &rows, &columns);
            }
            FloatOp::Sum { terms, bias } => {
                *terms = terms
                    .iter()
                    .flat_map(|term| {
                        let accesses = moved(&term.access, places, (term.input.0, output));
                        accesses.into_iter().map(|access| FloatTerm { access, ..term.clone() })
                    })
                    .collect();
                let stay = bias.iter().enumerate().filter(|(at, _)| places.of(output, *at).is_some());
                *bias = stay.map(|(_, &bias)| bias).collect();
            }
            FloatOp::Maximum { candidates } => {
                candidates.iter_mut().for_each(|candidate| shrink(candidate, places, output));
            }
            FloatOp::Pointwise { .. }
            | FloatOp::Multiply { .. }
            | FloatOp::ArgMax { .. }
            | FloatOp::Reshape { .. } => {}
        }
    }
    rebuilt
}

fn shrink(candidate: &mut Candidate, places: &Places, output: usize) {
    let pieces = candidate.pieces.iter().flat_map(|(input, access)| {
        let accesses = moved(access, places, (input.0, output));
        accesses.into_iter().map(|access| (*input, access))
    });
    candidate.pieces = pieces.collect();
}

fn kept(count: usize, place: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    (0..count).filter(|&at| place(at).is_some()).collect()
}

/// The rows that stay, and of each its columns that do.
fn cut(weights: &mut FloatMatrix, bias: &mut Vec<f32>, rows: &[usize], columns: &[Vec<usize>]) {
    let row = |(&row, columns): (&usize, &Vec<usize>)| {
        let values = weights.row(row);
        columns.iter().map(|&column| values[column]).collect::<Vec<f32>>()
    };
    let values: Vec<f32> = rows.iter().zip(columns).flat_map(row).collect();
    *weights = FloatMatrix { rows: rows.len(), columns: columns.first().map_or(0, Vec::len), values };
    *bias = rows.iter().map(|&row| bias[row]).collect();
}

/// The access between the elements that stay; several where one notation does not hold it.
fn moved(access: &Access, places: &Places, (input, output): (usize, usize)) -> Vec<Access> {
    if places.all_stay(input) && places.all_stay(output) {
        return vec![access.clone()];
    }
    let mut pairs = Vec::new();
    access.for_each(|to, from| {
        if let (Some(to), Some(from)) = (places.of(output, to), places.of(input, from)) {
            pairs.push((to, from));
        }
    });
    compressed(&pairs)
}

/// Accesses that go through the pairs in their order, with as few as equal steps allow.
pub(super) fn compressed(pairs: &[(usize, usize)]) -> Vec<Access> {
    let single = |&(output_start, input_start): &(usize, usize)| Access {
        output_start,
        input_start,
        axes: Vec::new(),
    };
    let mut accesses: Vec<Access> = pairs.iter().map(single).collect();
    loop {
        let merged = merged(&accesses);
        if merged.len() == accesses.len() {
            return merged.iter().map(Access::simplified).collect();
        }
        accesses = merged;
    }
}

/// One level of loops more: neighbours with the same loops at equal distances become one.
fn merged(accesses: &[Access]) -> Vec<Access> {
    let mut result = Vec::new();
    let mut at = 0;
    while at < accesses.len() {
        let first = &accesses[at];
        let step = |left: &Access, right: &Access| {
            let output = right.output_start.checked_sub(left.output_start)?;
            Some((output, right.input_start.checked_sub(left.input_start)?))
        };
        let alike = |access: &&Access| access.axes == first.axes;
        let distance = accesses.get(at + 1).filter(alike).and_then(|next| step(first, next));
        let mut count = 1;
        while distance.is_some()
            && let Some(next) = accesses.get(at + count).filter(alike)
            && step(&accesses[at + count - 1], next) == distance
        {
            count += 1;
        }
        let mut access = first.clone();
        if let Some((output_stride, input_stride)) = distance.filter(|_| count > 1) {
            access.axes.insert(0, AccessAxis { count, output_stride, input_stride });
        }
        result.push(access);
        at += count;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_the_loops_that_made_them() {
        let axis = |count, output_stride, input_stride| AccessAxis { count, output_stride, input_stride };
        let cases = [
            vec![axis(3, 8, 4), axis(4, 1, 1)],
            vec![axis(5, 1, 7), axis(3, 5, 0)],
            vec![axis(4, 0, 2), axis(2, 9, 1), axis(3, 3, 30)],
        ];
        for axes in cases {
            let access = Access { output_start: 2, input_start: 1, axes };
            let mut pairs = Vec::new();
            access.for_each(|to, from| pairs.push((to, from)));
            assert_eq!(compressed(&pairs), [access.simplified()]);
        }
        let irregular = [(0, 5), (1, 3), (2, 9), (3, 1)];
        let mut found = Vec::new();
        compressed(&irregular).iter().for_each(|access| access.for_each(|to, from| found.push((to, from))));
        assert_eq!(found, irregular);
    }
}
