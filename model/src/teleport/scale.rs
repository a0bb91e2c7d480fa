//! The change of scale itself: rows, columns and biases of the weights around each class of elements.

use super::groups::{Groups, channel_start, each_weight};
use crate::convolution::Convolution;
use crate::float_graph::{FloatGraph, FloatMatrix, FloatOp};

/// The network with every element multiplied by the factor of its class: rows of weights and biases by the factors of what they
/// make, columns divided by those of what they read. Nothing else changes, as all other nodes pass factors on.
pub(super) fn scaled(graph: &FloatGraph, groups: &Groups, factors: &[f64]) -> FloatGraph {
    let mut scaled = graph.clone();
    for node in &mut scaled.nodes {
        let output = node.output;
        let made = |element: usize| groups.factor(factors, output, element);
        match &mut node.op {
            FloatOp::Linear { input, weights, bias } => {
                scale_rows(weights, bias, made);
                scale_columns(weights, None, |column| 1.0 / groups.factor(factors, *input, column));
            }
            FloatOp::Convolution { input, geometry, weights, bias } => {
                scale_rows(weights, bias, |row| made(channel_start(graph, output, row)));
                let channels = graph.values[input.0].shape[0];
                let read = |channel| groups.factor(factors, *input, channel_start(graph, *input, channel));
                scale_columns(weights, Some((geometry, channels)), |channel| 1.0 / read(channel));
            }
            FloatOp::Sum { bias, .. } => {
                let elements = bias.iter_mut().enumerate();
                elements.for_each(|(element, bias)| *bias = times(*bias, made(element)));
            }
            _ => {}
        }
    }
    scaled
}

/// One rounding, and none where the factor is a power of two.
fn times(value: f32, factor: f64) -> f32 {
    (f64::from(value) * factor) as f32
}

/// Multiplies each row, and its bias, by its factor.
pub(crate) fn scale_rows(weights: &mut FloatMatrix, bias: &mut [f32], factor: impl Fn(usize) -> f64) {
    let rows = weights.values.chunks_mut(weights.columns.max(1));
    for (index, (row, bias)) in rows.zip(bias).enumerate() {
        let factor = factor(index);
        row.iter_mut().for_each(|weight| *weight = times(*weight, factor));
        *bias = times(*bias, factor);
    }
}

/// Multiplies each weight by the factor of the channel that it reads: of so many channels for a convolution, otherwise of its
/// column.
pub(crate) fn scale_columns(
    weights: &mut FloatMatrix,
    convolution: Option<(&Convolution, usize)>,
    factor: impl Fn(usize) -> f64,
) {
    if let Some((geometry, channels)) = convolution {
        let factors: Vec<f64> = (0..channels).map(factor).collect();
        let mut scaled = Vec::with_capacity(weights.values.len());
        each_weight(geometry, weights, channels, |_, channel, weight| {
            scaled.push((weight * factors[channel]) as f32);
        });
        weights.values = scaled;
    } else {
        let factors: Vec<f64> = (0..weights.columns).map(factor).collect();
        for row in weights.values.chunks_mut(weights.columns.max(1)) {
            row.iter_mut().zip(&factors).for_each(|(weight, &factor)| *weight = times(*weight, factor));
        }
    }
}
