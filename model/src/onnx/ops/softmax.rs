//! Softmax and LogSoftmax: an exponential of each element, a sum, and a product with its reciprocal.

use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::{product, sum};
use super::axis;
use super::reduce::{greatest, summed};
use crate::float_graph::FloatOp;
use crate::function::Function;

/// From this operator set on one axis is meant; before, the axis and all behind it.
const ONE_AXIS: i64 = 13;

/// `exp(x - m) / sum(exp(x - m))`, with the greatest element as m: the exponentials are at most 1, whatever the input.
pub(super) fn softmax(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (flow, axes) = operand(lowering, node)?;
    let centred = below_the_greatest(lowering, node, &flow, &axes)?;
    let exponentials = applied(lowering, node, &centred, Function::Exp);
    let total = summed(lowering, node, &exponentials, &axes, false);
    let inverse = applied(lowering, node, &total, Function::Reciprocal);
    let result = product(lowering, node, &exponentials, &inverse)?;
    lowering.bind(node, Binding::Flow(result))
}

/// `x - m - log(sum(exp(x - m)))`.
pub(super) fn log_softmax(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (flow, axes) = operand(lowering, node)?;
    let centred = below_the_greatest(lowering, node, &flow, &axes)?;
    let exponentials = applied(lowering, node, &centred, Function::Exp);
    let total = summed(lowering, node, &exponentials, &axes, false);
    let logarithm = applied(lowering, node, &total, Function::Log);
    let result = sum(lowering, node, &[(centred, 1.0), (logarithm, -1.0)])?;
    lowering.bind(node, Binding::Flow(result))
}

/// The operand and the axes that are summed over.
fn operand(lowering: &Lowering, node: &Node) -> Result<(Flow, Vec<usize>), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let rank = flow.shape.len();
    let axes = if lowering.operator_set() < ONE_AXIS {
        (axis(node, node.integer("axis", 1), rank)?..rank).collect()
    } else {
        vec![axis(node, node.integer("axis", -1), rank)?]
    };
    Ok((flow, axes))
}

fn below_the_greatest(
    lowering: &mut Lowering,
    node: &Node,
    flow: &Flow,
    axes: &[usize],
) -> Result<Flow, ImportError> {
    let most = greatest(lowering, node, flow.clone(), axes);
    sum(lowering, node, &[(flow.clone(), 1.0), (most, -1.0)])
}

/// The function of each element.
pub(super) fn applied(lowering: &mut Lowering, node: &Node, flow: &Flow, function: Function) -> Flow {
    lowering.push(node, FloatOp::Pointwise { input: flow.id, function }, flow.shape.clone())
}
