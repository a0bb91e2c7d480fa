//! Max and Min of several operands.

use std::rc::Rc;

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::{Affine, affine, negated};
use super::fold::{self, Combine};
use super::layout::{broadcast, broadcast_shape, expand, spread};
use crate::float_graph::{Candidate, FloatOp};
use crate::function::Function;

pub(super) fn max(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    extreme(lowering, node, false)
}

pub(super) fn min(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    extreme(lowering, node, true)
}

fn extreme(lowering: &mut Lowering, node: &Node, least: bool) -> Result<(), ImportError> {
    let (mut flows, mut constants) = (Vec::new(), Vec::new());
    for index in 0..node.inputs() {
        match lowering.operand(node, index)? {
            Binding::Flow(flow) => flows.push(flow),
            Binding::Constant(constant) => constants.push(constant),
        }
    }
    if flows.is_empty() {
        return folded(lowering, node, &constants, least);
    }
    let mut result = of_flows(lowering, node, flows, least)?;
    for constant in constants {
        result = with_constant(lowering, node, &result, &constant, least)?;
    }
    lowering.bind(node, Binding::Flow(result))
}

fn folded(
    lowering: &mut Lowering,
    node: &Node,
    constants: &[Rc<Constant>],
    least: bool,
) -> Result<(), ImportError> {
    let combine = if least { Combine::Minimum } else { Combine::Maximum };
    match constants {
        [left, right] => fold::combined(lowering, node, (left, right), combine),
        [one] => lowering.bind(node, Binding::Constant(one.clone())),
        _ => Err(node.unsupported("all its operands are constants; fold constants before exporting")),
    }
}

/// A least is minus the greatest of the negated.
fn of_flows(
    lowering: &mut Lowering,
    node: &Node,
    mut flows: Vec<Flow>,
    least: bool,
) -> Result<Flow, ImportError> {
    let mut shape = Vec::new();
    for flow in &flows {
        shape = broadcast_shape(node, &shape, &flow.shape)?;
    }
    lowering.check_size(node, &shape)?;
    if let [flow] = flows.as_slice() {
        return Ok(flow.clone());
    }
    if least {
        flows = flows.iter().map(|flow| negated(lowering, node, flow)).collect();
    }
    let candidate = |flow: &Flow| Candidate { pieces: vec![(flow.id, broadcast(&flow.shape, &shape))] };
    let op = FloatOp::Maximum { candidates: flows.iter().map(candidate).collect() };
    let result = lowering.push(node, op, shape);
    Ok(if least { negated(lowering, node, &result) } else { result })
}

/// One bound for all is a clamp; otherwise `max(x, c) = c + relu(x - c)` and `min(x, c) = c - relu(c - x)`.
fn with_constant(
    lowering: &mut Lowering,
    node: &Node,
    flow: &Flow,
    constant: &Constant,
    least: bool,
) -> Result<Flow, ImportError> {
    let shape = broadcast_shape(node, &flow.shape, &constant.shape)?;
    lowering.check_size(node, &shape)?;
    let flow = spread(lowering, node, flow, &shape);
    let bounds = expand(constant, &shape)?;
    let first = bounds.first().copied().unwrap_or(0.0);
    if bounds.iter().all(|&bound| bound == first) {
        let (min, max) = if least { (None, Some(first)) } else { (Some(first), None) };
        let op = FloatOp::Pointwise { input: flow.id, function: Function::Clamp { min, max } };
        return Ok(lowering.push(node, op, shape));
    }
    let sign = if least { -1.0 } else { 1.0 };
    let shift = bounds.iter().map(|bound| -sign * bound).collect();
    let excess = affine(lowering, node, &flow, Affine { factor: vec![sign], shift, shape: shape.clone() });
    let excess = lowering.push(node, FloatOp::relu(excess.id), shape.clone());
    Ok(affine(lowering, node, &excess, Affine { factor: vec![sign], shift: bounds, shape }))
}
