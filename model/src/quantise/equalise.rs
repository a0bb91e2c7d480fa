//! Cross-layer equalisation: channels between two convolutions share one scale, so that a channel much smaller than the
//! others has few of its integers. Where the function between the convolutions is homogeneous, as ReLU is, the first can
//! divide each channel by a factor and the second multiply by it, which changes nothing in real numbers.
//!
//! With `r` the largest magnitude of a channel and `v` that of the weights that read it, the factor `sqrt(r / v)` balances the
//! rounding of activations, which wants channels alike, with that of weights, which wants columns alike. A depthwise
//! convolution has its own weight scale for each channel: there the factor is `r`. The factors are used if the noise that
//! both kinds of rounding are predicted to make in the second convolution falls by at least [`GAIN`].

use super::calibration::Statistics;
use super::weights::WEIGHT_LIMIT;
use crate::convolution::Convolution;
use crate::float_graph::{FloatGraph, FloatMatrix, FloatOp, ValueId};
use crate::function::Function;

/// Part of the predicted noise that must go.
const GAIN: f64 = 0.1;
/// Factors are at most so far from one another.
const SPREAD: f64 = 256.0;

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

/// Whether `f(s x) = s f(x)` for positive `s`.
fn homogeneous(function: &Function) -> bool {
    match function {
        Function::Clamp { min, max: None } => min.is_none_or(|min| min == 0.0),
        Function::LeakyRelu { .. } | Function::Abs => true,
        _ => false,
    }
}

/// A factor for each channel that the second convolution reads, if they help.
fn factors(graph: &FloatGraph, between: &Statistics, second: usize, bits: u32) -> Option<Vec<f64>> {
    let FloatOp::Convolution { geometry, weights, .. } = &graph.nodes[second].op else { return None };
    let channels = between.maxima.len();
    let mut largest = vec![0.0f64; channels];
    each_weight(geometry, weights, channels, |_, channel, weight| {
        largest[channel] = largest[channel].max(weight.abs());
    });
    let depthwise = geometry.groups == channels;
    let wanted = between.maxima.iter().zip(&largest).map(|(&magnitude, &weight)| {
        if depthwise { f64::from(magnitude) } else { (f64::from(magnitude) / weight).sqrt() }
    });
    let wanted: Vec<f64> = wanted.collect();
    let usable = |factor: &f64| factor.is_finite() && *factor > 0.0;
    let greatest = wanted.iter().copied().filter(usable).reduce(f64::max)?;
    // Dead channels and channels that nothing reads stay as small as is allowed.
    let factors = wanted
        .into_iter()
        .map(|factor| if usable(&factor) { (factor / greatest).max(1.0 / SPREAD) } else { 1.0 });
    // Powers of two leave the float network's rounding as it was.
    let factors: Vec<f64> = factors.map(|factor| factor.log2().round().exp2()).collect();
    let noise = |factors: &[f64]| noise((geometry, weights), between, factors, bits);
    (noise(&factors) < (1.0 - GAIN) * noise(&vec![1.0; channels])).then_some(factors)
}

/// Calls `visit(row, channel, weight)` for every weight.
fn each_weight(
    geometry: &Convolution,
    weights: &FloatMatrix,
    channels: usize,
    mut visit: impl FnMut(usize, usize, f64),
) {
    let (per_group, rows) = (channels / geometry.groups, weights.rows / geometry.groups);
    let kernel: usize = geometry.windows.iter().map(|window| window.kernel).product();
    for row in 0..weights.rows {
        for (column, &weight) in weights.row(row).iter().enumerate() {
            visit(row, row / rows * per_group + column / kernel, f64::from(weight));
        }
    }
}

/// The second convolution's noise, as the sum of its rows' variances, once channels are divided by the factors.
fn noise(
    (geometry, weights): (&Convolution, &FloatMatrix),
    between: &Statistics,
    factors: &[f64],
    bits: u32,
) -> f64 {
    let magnitudes =
        between.maxima.iter().zip(factors).map(|(&magnitude, factor)| f64::from(magnitude) / factor);
    let step = magnitudes.fold(0.0, f64::max) / f64::from(1u32 << bits);
    // For each row: the largest weight, the sums of squares of weights and of what they meet.
    let mut rows = vec![(0.0f64, 0.0, 0.0); weights.rows];
    each_weight(geometry, weights, factors.len(), |row, channel, weight| {
        let (weight, (largest, squares, met)) = (weight * factors[channel], &mut rows[row]);
        *largest = largest.max(weight.abs());
        *squares += weight * weight;
        *met += between.squares[channel] / (factors[channel] * factors[channel]);
    });
    let row = |(largest, squares, met): (f64, f64, f64)| {
        let weight_step = largest / WEIGHT_LIMIT;
        (step * step * squares + weight_step * weight_step * met) / 12.0
    };
    rows.into_iter().map(row).sum()
}

/// Divides the first convolution's rows and multiplies the second's columns.
fn apply(graph: &mut FloatGraph, (first, second): (usize, usize), factors: &[f64]) {
    if let FloatOp::Convolution { weights, bias, .. } = &mut graph.nodes[first].op {
        let rows = weights.values.chunks_mut(weights.columns.max(1));
        for ((row, bias), &factor) in rows.zip(bias).zip(factors) {
            row.iter_mut().for_each(|weight| *weight /= factor as f32);
            *bias /= factor as f32;
        }
    }
    if let FloatOp::Convolution { geometry, weights, .. } = &mut graph.nodes[second].op {
        let mut scaled = Vec::with_capacity(weights.values.len());
        each_weight(geometry, weights, factors.len(), |_, channel, weight| {
            scaled.push((weight * factors[channel]) as f32);
        });
        weights.values = scaled;
    }
}
