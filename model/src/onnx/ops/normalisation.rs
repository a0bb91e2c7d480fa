//! Normalisations that look at the activations: LayerNormalization, InstanceNormalization, GroupNormalization,
//! MeanVarianceNormalization, LRN. All but the last centre what they see and divide it by its deviation.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::{Affine, affine, product, sum};
use super::axis;
use super::convolution::{channel_values, image};
use super::layout::{expand, strides};
use super::reduce::summed;
use super::softmax::applied;
use crate::access::{Access, AccessAxis};
use crate::float_graph::{FloatOp, FloatTerm};
use crate::function::Function;

/// From this operator set on GroupNormalization has a scale for each channel; before, for each group.
const SCALES_OF_CHANNELS: i64 = 21;

pub(super) fn layer_normalization(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let first = axis(node, node.integer("axis", -1), flow.shape.len())?;
    let axes: Vec<usize> = (first..flow.shape.len()).collect();
    let Standardised { result, mean, inverse } =
        standardised(lowering, node, &flow, &axes, node.float("epsilon", 1e-5)?)?;
    for (output, value) in [(1, mean), (2, inverse)] {
        if node.outputs().get(output).is_some_and(|name| !name.is_empty()) {
            lowering.bind_output(node, output, Binding::Flow(value))?;
        }
    }
    let scale = lowering.required(node, 1)?;
    let bias = lowering.constant(node, 2)?;
    let factor = fitting(node, &scale, &flow.shape)?;
    let shift = bias.map_or(Ok(Vec::new()), |bias| fitting(node, &bias, &flow.shape))?;
    let shape = flow.shape;
    let result = affine(lowering, node, &result, Affine { factor, shift, shape });
    lowering.bind(node, Binding::Flow(result))
}

/// The constant repeated to `shape`, which it must broadcast to.
fn fitting(node: &Node, constant: &Constant, shape: &[usize]) -> Result<Vec<f32>, ImportError> {
    let own = &constant.shape;
    let fits = own.len() <= shape.len()
        && own.iter().rev().zip(shape.iter().rev()).all(|(&own, &size)| own == size || own == 1);
    if fits {
        return expand(constant, shape);
    }
    Err(node.shape_error(format!("`{}` of shape {own:?} does not broadcast to {shape:?}", constant.name)))
}

pub(super) fn instance_normalization(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 1)?;
    let axes: Vec<usize> = (2..flow.shape.len()).collect();
    let result = standardised(lowering, node, &flow, &axes, node.float("epsilon", 1e-5)?)?.result;
    let channels = flow.shape[1];
    let scale = channel_values(node, &*lowering.required(node, 1)?, channels)?;
    let bias = channel_values(node, &*lowering.required(node, 2)?, channels)?;
    let result = by_channel(lowering, node, &result, &scale, &bias);
    lowering.bind(node, Binding::Flow(result))
}

pub(super) fn group_normalization(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 0)?;
    let channels = flow.shape[1];
    let groups = usize::try_from(node.integer("num_groups", 0)).unwrap_or(0);
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(node.shape_error(format!("{channels} channels do not fall into {groups} groups")));
    }
    let elements: usize = flow.shape.iter().product();
    let grouped = lowering.viewed(node, &flow, vec![1, groups, elements / groups]);
    let result = standardised(lowering, node, &grouped, &[2], node.float("epsilon", 1e-5)?)?.result;
    let result = lowering.viewed(node, &result, flow.shape.clone());
    let values = |index| {
        let constant = lowering.required(node, index)?;
        if lowering.operator_set() >= SCALES_OF_CHANNELS {
            return channel_values(node, &constant, channels);
        }
        let of_groups = channel_values(node, &constant, groups)?;
        Ok(of_groups.iter().flat_map(|&value| std::iter::repeat_n(value, channels / groups)).collect())
    };
    let (scale, bias) = (values(1)?, values(2)?);
    let result = by_channel(lowering, node, &result, &scale, &bias);
    lowering.bind(node, Binding::Flow(result))
}

pub(super) fn mean_variance_normalization(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let rank = flow.shape.len();
    let axes = node.integers("axes").unwrap_or(&[0, 2, 3]);
    let axes = axes.iter().map(|&at| axis(node, at, rank)).collect::<Result<Vec<_>, _>>()?;
    // What the operator's definition adds to the deviation.
    let result = standardised(lowering, node, &flow, &axes, 1e-9)?.result;
    lowering.bind(node, Binding::Flow(result))
}

/// What was centred and divided, and by what.
struct Standardised {
    result: Flow,
    mean: Flow,
    /// `1 / sqrt(variance + epsilon)`.
    inverse: Flow,
}

/// `(x - mean) / sqrt(variance + epsilon)`, both over the axes.
fn standardised(
    lowering: &mut Lowering,
    node: &Node,
    flow: &Flow,
    axes: &[usize],
    epsilon: f32,
) -> Result<Standardised, ImportError> {
    let mean = summed(lowering, node, flow, axes, true);
    let centred = sum(lowering, node, &[(flow.clone(), 1.0), (mean.clone(), -1.0)])?;
    let squares = applied(lowering, node, &centred, Function::Square);
    let variance = summed(lowering, node, &squares, axes, true);
    let inverse = Function::Chain(vec![
        Function::Affine { factor: 1.0, shift: epsilon },
        Function::Power { exponent: -0.5 },
    ]);
    let inverse = applied(lowering, node, &variance, inverse);
    let result = product(lowering, node, &centred, &inverse)?;
    Ok(Standardised { result, mean, inverse })
}

/// A scale and a shift for each channel of `[1, channels, ..]`.
fn by_channel(lowering: &mut Lowering, node: &Node, flow: &Flow, scale: &[f32], bias: &[f32]) -> Flow {
    let inner: usize = flow.shape[2..].iter().product();
    let each = |values: &[f32]| values.iter().flat_map(|&value| std::iter::repeat_n(value, inner)).collect();
    let (factor, shift, shape) = (each(scale), each(bias), flow.shape.clone());
    affine(lowering, node, flow, Affine { factor, shift, shape })
}

/// `x / (bias + alpha / size * sum of the neighbouring channels' squares)^beta`.
pub(super) fn lrn(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 0)?;
    let channels = flow.shape[1];
    let size = usize::try_from(node.integer("size", 0)).ok().filter(|&size| size > 0);
    let size = size.ok_or_else(|| node.shape_error("its attribute size must be at least 1"))?;
    let (alpha, beta) = (node.float("alpha", 1e-4)?, node.float("beta", 0.75)?);
    let shift = node.float("bias", 1.0)?;
    let squares = applied(lowering, node, &flow, Function::Square);
    let inner = strides(&flow.shape)[1];
    let (before, after) = ((size - 1) / 2, size / 2);
    let term = |output_start: usize, input_start: usize| {
        let count = channels.saturating_sub(output_start.max(input_start)) * inner;
        let axes = vec![AccessAxis { count, output_stride: 1, input_stride: 1 }];
        let access = Access { output_start: output_start * inner, input_start: input_start * inner, axes };
        FloatTerm { input: squares.id, coefficient: 1.0, access }
    };
    let behind = (1..=before.min(channels - 1)).map(|offset| term(offset, 0));
    let ahead = (0..=after.min(channels - 1)).map(|offset| term(0, offset));
    let terms = behind.chain(ahead).collect();
    let total = lowering.push(node, FloatOp::Sum { terms, bias: Vec::new() }, flow.shape.clone());
    let inverse = Function::Chain(vec![
        Function::Affine { factor: alpha / size as f32, shift },
        Function::Power { exponent: -beta },
    ]);
    let inverse = applied(lowering, node, &total, inverse);
    let result = product(lowering, node, &flow, &inverse)?;
    lowering.bind(node, Binding::Flow(result))
}
