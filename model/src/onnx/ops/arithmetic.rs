//! Add, Sub, Mul, Div, Neg, Sum, Mean: sums and products of activations and constants, with broadcasting.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering, stored_shape};
use super::super::node::Node;
use super::fold::{self, Combine};
use super::layout::{broadcast, broadcast_shape, expand, spread};
use crate::convolution::{Convolution, Window};
use crate::float_graph::{FloatMatrix, FloatOp, FloatTerm};
use crate::function::Function;

/// A window that leaves its axis as it is.
const UNIT: Window = Window { kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };

/// `factor * flow + shift`: each constant one for all elements, or one for each; an empty shift is zero.
pub(super) struct Affine {
    pub(super) factor: Vec<f32>,
    pub(super) shift: Vec<f32>,
    /// Shape of the flow and of the result.
    pub(super) shape: Vec<usize>,
}

pub(super) fn add(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    linear(lowering, node, (1.0, 1.0))
}

pub(super) fn sub(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    linear(lowering, node, (1.0, -1.0))
}

/// `signs.0 * left + signs.1 * right`.
fn linear(lowering: &mut Lowering, node: &Node, signs: (f32, f32)) -> Result<(), ImportError> {
    let result = match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(left), Binding::Flow(right)) => {
            sum(lowering, node, &[(left, signs.0), (right, signs.1)])?
        }
        (Binding::Flow(flow), Binding::Constant(constant)) => {
            shifted(lowering, node, (&flow, signs.0), (&constant, signs.1))?
        }
        (Binding::Constant(constant), Binding::Flow(flow)) => {
            shifted(lowering, node, (&flow, signs.1), (&constant, signs.0))?
        }
        (Binding::Constant(left), Binding::Constant(right)) => {
            let combine = if signs.1 < 0.0 { Combine::Subtract } else { Combine::Add };
            return fold::combined(lowering, node, (&left, &right), combine);
        }
    };
    lowering.bind(node, Binding::Flow(result))
}

/// `factor * flow + sign * constant`.
pub(super) fn shifted(
    lowering: &mut Lowering,
    node: &Node,
    (flow, factor): (&Flow, f32),
    (constant, sign): (&Constant, f32),
) -> Result<Flow, ImportError> {
    let (flow, shape) = aligned(lowering, node, flow, constant)?;
    let mut shift = expand(constant, &shape)?;
    shift.iter_mut().for_each(|value| *value *= sign);
    Ok(affine(lowering, node, &flow, Affine { factor: vec![factor], shift, shape }))
}

/// The flow repeated to the shape that it and the constant broadcast to.
fn aligned(
    lowering: &mut Lowering,
    node: &Node,
    flow: &Flow,
    constant: &Constant,
) -> Result<(Flow, Vec<usize>), ImportError> {
    let shape = broadcast_shape(node, &flow.shape, &constant.shape)?;
    lowering.check_size(node, &shape)?;
    Ok((spread(lowering, node, flow, &shape), shape))
}

pub(super) fn mul(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let result = match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(left), Binding::Flow(right)) => product(lowering, node, &left, &right)?,
        (Binding::Flow(flow), Binding::Constant(constant))
        | (Binding::Constant(constant), Binding::Flow(flow)) => {
            scaled(lowering, node, &flow, &constant, |value| value)?
        }
        (Binding::Constant(left), Binding::Constant(right)) => {
            return fold::combined(lowering, node, (&left, &right), Combine::Multiply);
        }
    };
    lowering.bind(node, Binding::Flow(result))
}

fn scaled(
    lowering: &mut Lowering,
    node: &Node,
    flow: &Flow,
    constant: &Constant,
    factor: impl Fn(f32) -> f32,
) -> Result<Flow, ImportError> {
    let (flow, shape) = aligned(lowering, node, flow, constant)?;
    let mut factors = expand(constant, &shape)?;
    factors.iter_mut().for_each(|value| *value = factor(*value));
    if factors.iter().any(|value| !value.is_finite()) {
        return Err(node.unsupported(format!("`{}` has a divisor that is zero or nearly so", constant.name)));
    }
    Ok(affine(lowering, node, &flow, Affine { factor: factors, shift: Vec::new(), shape }))
}

/// The product of two flows that broadcast to one shape.
pub(super) fn product(
    lowering: &mut Lowering,
    node: &Node,
    left: &Flow,
    right: &Flow,
) -> Result<Flow, ImportError> {
    let shape = broadcast_shape(node, &left.shape, &right.shape)?;
    lowering.check_size(node, &shape)?;
    let left = spread(lowering, node, left, &shape).id;
    let right = spread(lowering, node, right, &shape).id;
    let op = match left == right {
        true => FloatOp::Pointwise { input: left, function: Function::Square },
        false => FloatOp::Multiply { left, right },
    };
    Ok(lowering.push(node, op, shape))
}

/// Division by an activation is a product with its reciprocal.
pub(super) fn div(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let result = match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(flow), Binding::Constant(constant)) => {
            scaled(lowering, node, &flow, &constant, |value| 1.0 / value)?
        }
        (left, Binding::Flow(flow)) => {
            let op = FloatOp::Pointwise { input: flow.id, function: Function::Reciprocal };
            let right = lowering.push(node, op, flow.shape);
            match left {
                Binding::Flow(left) => product(lowering, node, &left, &right)?,
                Binding::Constant(constant) => scaled(lowering, node, &right, &constant, |value| value)?,
            }
        }
        (Binding::Constant(left), Binding::Constant(right)) => {
            return fold::combined(lowering, node, (&left, &right), Combine::Divide);
        }
    };
    lowering.bind(node, Binding::Flow(result))
}

pub(super) fn neg(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    match lowering.operand(node, 0)? {
        Binding::Flow(flow) => {
            let result = negated(lowering, node, &flow);
            lowering.bind(node, Binding::Flow(result))
        }
        Binding::Constant(constant) => {
            fold::mapped(lowering, node, &constant, |value| -value, |value| value.wrapping_neg())
        }
    }
}

/// `-flow`.
pub(super) fn negated(lowering: &mut Lowering, node: &Node, flow: &Flow) -> Flow {
    let op = FloatOp::sum(flow.shape.iter().product(), vec![(flow.id, -1.0)], Vec::new());
    lowering.push(node, op, flow.shape.clone())
}

pub(super) fn sum_of_all(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    all(lowering, node, 1.0)
}

pub(super) fn mean_of_all(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    all(lowering, node, 1.0 / node.inputs().max(1) as f32)
}

fn all(lowering: &mut Lowering, node: &Node, factor: f32) -> Result<(), ImportError> {
    let (mut flows, mut constants) = (Vec::new(), Vec::new());
    for index in 0..node.inputs() {
        match lowering.operand(node, index)? {
            Binding::Flow(flow) => flows.push((flow, factor)),
            Binding::Constant(constant) => constants.push(constant),
        }
    }
    if flows.is_empty() {
        return Err(node.unsupported("all its operands are constants; fold constants before exporting"));
    }
    let mut result = sum(lowering, node, &flows)?;
    for constant in constants {
        result = shifted(lowering, node, (&result, 1.0), (&constant, factor))?;
    }
    lowering.bind(node, Binding::Flow(result))
}

/// The sum of flows, each with its factor, that broadcast to one shape.
pub(super) fn sum(lowering: &mut Lowering, node: &Node, flows: &[(Flow, f32)]) -> Result<Flow, ImportError> {
    let mut shape = Vec::new();
    for (flow, _) in flows {
        shape = broadcast_shape(node, &shape, &flow.shape)?;
    }
    lowering.check_size(node, &shape)?;
    let term = |(flow, coefficient): &(Flow, f32)| FloatTerm {
        input: flow.id,
        coefficient: *coefficient,
        access: broadcast(&flow.shape, &shape),
    };
    let op = FloatOp::Sum { terms: flows.iter().map(term).collect(), bias: Vec::new() };
    Ok(lowering.push(node, op, shape))
}

/// A flow scaled and shifted: a sum where the factor is one for all, a convolution with as many groups as channels where it
/// is one for each channel, and one with as many groups as elements otherwise.
pub(super) fn affine(lowering: &mut Lowering, node: &Node, flow: &Flow, affine: Affine) -> Flow {
    let Affine { factor, mut shift, shape } = affine;
    let flow = lowering.viewed(node, flow, shape.clone());
    let elements: usize = shape.iter().product();
    if shift.iter().all(|&value| value == 0.0) {
        shift.clear();
    }
    let first = factor.first().copied().unwrap_or(1.0);
    if factor.iter().all(|&value| value == first) {
        if first == 1.0 && shift.is_empty() {
            return flow;
        }
        return lowering.push(node, FloatOp::sum(elements, vec![(flow.id, first)], shift), shape);
    }
    let stored = stored_shape(&shape);
    let channels = stored[0];
    let by_channel = |values: &[f32]| {
        let channel = values.chunks_exact(elements / channels);
        let same = channel.clone().all(|channel| channel.iter().all(|value| *value == channel[0]));
        same.then(|| channel.map(|channel| channel[0]).collect::<Vec<f32>>())
    };
    match by_channel(&factor) {
        Some(factor) => {
            let (bias, rest) = match by_channel(&shift) {
                Some(bias) if !bias.is_empty() => (bias, Vec::new()),
                _ => (vec![0.0; channels], shift),
            };
            let op = depthwise(flow.id, factor, bias, stored.len() - 1);
            let result = lowering.push(node, op, shape.clone());
            match rest.is_empty() {
                true => result,
                false => lowering.push(node, FloatOp::sum(elements, vec![(result.id, 1.0)], rest), shape),
            }
        }
        None => {
            let flat = lowering.viewed(node, &flow, vec![1, elements]);
            let bias = if shift.is_empty() { vec![0.0; elements] } else { shift };
            let result = lowering.push(node, depthwise(flat.id, factor, bias, 0), vec![1, elements]);
            lowering.viewed(node, &result, shape)
        }
    }
}

/// Each channel times its factor plus its bias.
fn depthwise(input: crate::float_graph::ValueId, factor: Vec<f32>, bias: Vec<f32>, axes: usize) -> FloatOp {
    let geometry = Convolution { groups: factor.len(), windows: vec![UNIT; axes] };
    let weights = FloatMatrix { rows: factor.len(), columns: 1, values: factor };
    FloatOp::Convolution { input, geometry, weights, bias }
}
