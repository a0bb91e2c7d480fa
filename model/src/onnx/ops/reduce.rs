//! ReduceSum, ReduceMean, ReduceMax, ReduceMin, ArgMax, ArgMin.

use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::negated;
use super::layout::strides;
use super::{axis, fold};
use crate::access::{Access, AccessAxis};
use crate::float_graph::{Candidate, FloatOp, FloatTerm};
use crate::onnx::constant::{Constant, Elements};

pub(super) fn reduce_sum(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    added(lowering, node, false)
}

pub(super) fn reduce_mean(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    added(lowering, node, true)
}

fn added(lowering: &mut Lowering, node: &Node, mean: bool) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let axes = axes(lowering, node, flow.shape.len())?;
    let result = summed(lowering, node, &flow, &axes, mean);
    bind(lowering, node, result, &axes)
}

pub(super) fn reduce_max(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let axes = axes(lowering, node, flow.shape.len())?;
    let result = greatest(lowering, node, flow, &axes);
    bind(lowering, node, result, &axes)
}

pub(super) fn reduce_min(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let axes = axes(lowering, node, flow.shape.len())?;
    let turned = negated(lowering, node, &flow);
    let result = greatest(lowering, node, turned, &axes);
    let result = negated(lowering, node, &result);
    bind(lowering, node, result, &axes)
}

/// Reductions of constants appear in shape arithmetic: the product of sizes.
pub(super) fn reduce_prod(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let constant = lowering.required(node, 0)?;
    let axes = axes(lowering, node, constant.shape.len())?;
    if axes.len() != constant.shape.len() {
        return Err(node.unsupported("only the product of all of a constant's elements is supported"));
    }
    let product = constant.integers()?.iter().try_fold(1i64, |product, &size| product.checked_mul(size));
    let product = product.ok_or_else(|| node.shape_error("its result does not fit 64 bits"))?;
    let kept = if node.integer("keepdims", 1) != 0 { vec![1; constant.shape.len()] } else { Vec::new() };
    let Constant { shape, elements, .. } =
        Constant { name: node.name(), shape: kept, elements: Elements::Integers(vec![product]) };
    fold::bind(lowering, node, shape, elements)
}

/// Axes are an attribute in earlier operator sets and an input in later ones; without any, all are meant.
pub(super) fn axes(lowering: &Lowering, node: &Node, rank: usize) -> Result<Vec<usize>, ImportError> {
    let axes = match (node.integers("axes"), lowering.constant(node, 1)?) {
        (Some(axes), _) => axes.to_vec(),
        (None, Some(constant)) => constant.integers()?.to_vec(),
        (None, None) => Vec::new(),
    };
    if axes.is_empty() {
        let none = node.integer("noop_with_empty_axes", 0) != 0;
        return Ok(if none { Vec::new() } else { (0..rank).collect() });
    }
    let mut axes = axes.iter().map(|&at| axis(node, at, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

/// Binds a result whose reduced axes are 1, without them if they are not to be kept.
pub(super) fn bind(
    lowering: &mut Lowering,
    node: &Node,
    result: Flow,
    axes: &[usize],
) -> Result<(), ImportError> {
    if node.integer("keepdims", 1) != 0 {
        return lowering.bind(node, Binding::Flow(result));
    }
    let kept = (0..result.shape.len()).filter(|at| !axes.contains(at)).map(|at| result.shape[at]);
    let kept = kept.collect();
    let viewed = lowering.viewed(node, &result, kept);
    lowering.bind(node, Binding::Flow(viewed))
}

/// The sum, or the mean, over the axes, which become 1.
pub(super) fn summed(lowering: &mut Lowering, node: &Node, flow: &Flow, axes: &[usize], mean: bool) -> Flow {
    let mut shape = flow.shape.clone();
    axes.iter().for_each(|&at| shape[at] = 1);
    let (to, from) = (strides(&shape), strides(&flow.shape));
    let loops = (0..shape.len()).map(|at| {
        let output_stride = if axes.contains(&at) { 0 } else { to[at] };
        AccessAxis { count: flow.shape[at], output_stride, input_stride: from[at] }
    });
    let access = Access { output_start: 0, input_start: 0, axes: loops.collect() }.simplified();
    let count: usize = axes.iter().map(|&at| flow.shape[at]).product();
    let coefficient = if mean { 1.0 / count as f32 } else { 1.0 };
    let term = FloatTerm { input: flow.id, coefficient, access };
    lowering.push(node, FloatOp::Sum { terms: vec![term], bias: Vec::new() }, shape)
}

/// The greatest element over the axes, which become 1; one axis after the other, the longest first.
pub(super) fn greatest(lowering: &mut Lowering, node: &Node, flow: Flow, axes: &[usize]) -> Flow {
    let mut order = axes.to_vec();
    order.sort_by_key(|&at| std::cmp::Reverse(flow.shape[at]));
    order.into_iter().fold(flow, |flow, at| {
        let length = flow.shape[at];
        if length == 1 {
            return flow;
        }
        let mut shape = flow.shape.clone();
        shape[at] = 1;
        let inner: usize = shape[at + 1..].iter().product();
        let outer: usize = shape[..at].iter().product();
        let candidate = |index: usize| {
            let axes = vec![
                AccessAxis { count: outer, output_stride: inner, input_stride: length * inner },
                AccessAxis { count: inner, output_stride: 1, input_stride: 1 },
            ];
            let access = Access { output_start: 0, input_start: index * inner, axes }.simplified();
            Candidate { pieces: vec![(flow.id, access)] }
        };
        lowering.push(node, FloatOp::Maximum { candidates: (0..length).map(candidate).collect() }, shape)
    })
}

pub(super) fn arg_max(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    index(lowering, node, flow)
}

pub(super) fn arg_min(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let turned = negated(lowering, node, &flow);
    index(lowering, node, turned)
}

fn index(lowering: &mut Lowering, node: &Node, flow: Flow) -> Result<(), ImportError> {
    let at = axis(node, node.integer("axis", 0), flow.shape.len())?;
    let (length, inner) = (flow.shape[at], flow.shape[at + 1..].iter().product());
    let last = node.integer("select_last_index", 0) != 0;
    let mut shape = flow.shape;
    shape[at] = 1;
    let op = FloatOp::ArgMax { input: flow.id, length, inner, last };
    let result = lowering.push(node, op, shape);
    bind(lowering, node, result, &[at])
}
