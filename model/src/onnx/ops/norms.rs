//! ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum, ReduceLogSumExp, LpNormalization: sums of functions of elements.

use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::arithmetic::{product, sum};
use super::axis;
use super::reduce::{axes, bind, greatest, summed};
use super::softmax::applied;
use crate::function::Function;

pub(super) fn reduce_l1(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    reduced(lowering, node, Some(Function::Abs), None)
}

pub(super) fn reduce_l2(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    reduced(lowering, node, Some(Function::Square), Some(Function::Sqrt))
}

pub(super) fn reduce_sum_square(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    reduced(lowering, node, Some(Function::Square), None)
}

pub(super) fn reduce_log_sum(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    reduced(lowering, node, None, Some(Function::Log))
}

/// `after(sum before(x))`.
fn reduced(
    lowering: &mut Lowering,
    node: &Node,
    before: Option<Function>,
    after: Option<Function>,
) -> Result<(), ImportError> {
    let mut flow = lowering.flow(node, 0)?;
    let axes = axes(lowering, node, flow.shape.len())?;
    if let Some(before) = before {
        flow = applied(lowering, node, &flow, before);
    }
    let mut result = summed(lowering, node, &flow, &axes, false);
    if let Some(after) = after {
        result = applied(lowering, node, &result, after);
    }
    bind(lowering, node, result, &axes)
}

/// `m + log(sum(exp(x - m)))`, with the greatest element as m.
pub(super) fn reduce_log_sum_exp(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let axes = axes(lowering, node, flow.shape.len())?;
    let most = greatest(lowering, node, flow.clone(), &axes);
    let centred = sum(lowering, node, &[(flow, 1.0), (most.clone(), -1.0)])?;
    let exponentials = applied(lowering, node, &centred, Function::Exp);
    let total = summed(lowering, node, &exponentials, &axes, false);
    let logarithm = applied(lowering, node, &total, Function::Log);
    let result = sum(lowering, node, &[(most, 1.0), (logarithm, 1.0)])?;
    bind(lowering, node, result, &axes)
}

/// Each element over the norm of its axis.
pub(super) fn lp_normalization(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let at = axis(node, node.integer("axis", -1), flow.shape.len())?;
    let (before, inverse) = match node.integer("p", 2) {
        1 => (Function::Abs, Function::Reciprocal),
        2 => (Function::Square, Function::Power { exponent: -0.5 }),
        other => return Err(node.unsupported(format!("its attribute p is {other}; 1 or 2 is needed"))),
    };
    let measured = applied(lowering, node, &flow, before);
    let total = summed(lowering, node, &measured, &[at], false);
    let inverse = applied(lowering, node, &total, inverse);
    let result = product(lowering, node, &flow, &inverse)?;
    lowering.bind(node, Binding::Flow(result))
}
