//! Cross-layer equalisation: channels between two convolutions share one scale, so that a channel much smaller than the
//! others has few of its integers. Where the function between the convolutions is homogeneous, as ReLU is, the first can
//! divide each channel by a factor and the second multiply by it, which changes nothing in real numbers. The factors are those
//! of [`crate::teleport::channels`]; [`crate::teleport`] finds such channels through whole networks.

use super::calibration::Statistics;
use crate::float_graph::{FloatGraph, FloatOp, ValueId};
use crate::teleport::channels::{Reader, balance};
use crate::teleport::groups::homogeneous;
use crate::teleport::scale::{scale_columns, scale_rows};

/// The network with equalised channels, if that helps any of its layers.
pub(super) fn equalise(graph: &FloatGraph, statistics: &[Statistics], bits: u32) -> Option<FloatGraph> {
    let mut equalised: Option<FloatGraph> = None;
    for (first, value, second) in pairs(graph) {
        let current = equalised.as_ref().unwrap_or(graph);
        if let Some(factors) = factors(current, &statistics[value.0], second, bits) {
            apply(equalised.get_or_insert_with(|| graph.clone()), (first, second), &factors);
        }
    }
    equalised
}

/// Pairs of convolutions, by their nodes' indices, with the value between them that the second reads.
fn pairs(graph: &FloatGraph) -> Vec<(usize, ValueId, usize)> {
    let mut uses = vec![0usize; graph.values.len()];
    let mut producers = vec![None; graph.values.len()];
    uses[graph.output.0] += 1;
    for (index, node) in graph.nodes.iter().enumerate() {
        node.op.inputs().iter().for_each(|input| uses[input.0] += 1);
        producers[node.output.0] = Some(index);
    }
    let mut pairs = Vec::new();
    for (second, node) in graph.nodes.iter().enumerate() {
        let FloatOp::Convolution { input, .. } = &node.op else { continue };
        let mut at = *input;
        if let Some(FloatOp::Pointwise { input, function }) = producer(graph, &producers, at)
            && homogeneous(function)
            && uses[at.0] == 1
        {
            at = *input;
        }
        if let (Some(first), 1) = (producers[at.0], uses[at.0])
            && uses[input.0] == 1
            && matches!(graph.nodes[first].op, FloatOp::Convolution { .. })
        {
            pairs.push((first, *input, second));
        }
    }
    pairs
}

fn producer<'a>(graph: &'a FloatGraph, producers: &[Option<usize>], value: ValueId) -> Option<&'a FloatOp> {
    producers[value.0].map(|index: usize| &graph.nodes[index].op)
}

/// A factor for each channel that the second convolution reads, if they help.
fn factors(graph: &FloatGraph, between: &Statistics, second: usize, bits: u32) -> Option<Vec<f64>> {
    let FloatOp::Convolution { geometry, weights, .. } = &graph.nodes[second].op else { return None };
    let channels = between.maxima.len();
    let classes = (0..channels).map(Some).collect();
    let (maxima, squares) = (between.maxima.as_slice(), between.squares.as_slice());
    balance(&[Reader { geometry: Some(geometry), weights, maxima, squares, classes }], channels, bits)
}

/// Divides the first convolution's rows and multiplies the second's columns.
fn apply(graph: &mut FloatGraph, (first, second): (usize, usize), factors: &[f64]) {
    if let FloatOp::Convolution { weights, bias, .. } = &mut graph.nodes[first].op {
        scale_rows(weights, bias, |row| 1.0 / factors[row]);
    }
    if let FloatOp::Convolution { geometry, weights, .. } = &mut graph.nodes[second].op {
        scale_columns(weights, Some((geometry, factors.len())), |channel| factors[channel]);
    }
}
