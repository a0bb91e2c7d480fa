//! MatMul with constant weights on either side.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use crate::float_graph::FloatMatrix;

pub(super) fn matmul(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (flow, weights, shape) = match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(flow), Binding::Constant(constant)) => weights_right(node, flow, &constant)?,
        (Binding::Constant(constant), Binding::Flow(flow)) => weights_left(node, flow, &constant)?,
        (Binding::Flow(_), Binding::Flow(_)) => {
            return Err(node
                .unsupported("the product of two activations is not supported; one side must be constant"));
        }
        _ => return Err(node.unsupported("both operands are constants; fold constants before exporting")),
    };
    let bias = vec![0.0; weights.rows];
    let result = lowering.push_linear(node, &flow, (weights, bias), shape);
    lowering.bind(node, Binding::Flow(result))
}

/// `[.., K]` times `[K, O]`, or times a vector `[K]`.
fn weights_right(
    node: &Node,
    flow: Flow,
    constant: &Constant,
) -> Result<(Flow, FloatMatrix, Vec<usize>), ImportError> {
    let (stored, vector) = matrix(node, constant, true)?;
    let weights = transposed(&stored);
    let (&length, positions) =
        flow.shape.split_last().ok_or_else(|| node.shape_error("its operand is a scalar"))?;
    check(node, length, weights.columns)?;
    let mut shape = positions.to_vec();
    if !vector {
        shape.push(weights.rows);
    }
    Ok((flow, weights, shape))
}

/// `[O, K]` times `[.., K, 1]` or `[K]`.
fn weights_left(
    node: &Node,
    flow: Flow,
    constant: &Constant,
) -> Result<(Flow, FloatMatrix, Vec<usize>), ImportError> {
    let (weights, vector) = matrix(node, constant, false)?;
    let (length, positions, column) = match flow.shape.as_slice() {
        [length] => (*length, &[][..], false),
        [positions @ .., length, 1] => (*length, positions, true),
        shape => {
            let reason = format!(
                "weights on the left of an activation of shape {shape:?} would need a transposition; \
                 only columns [.., K, 1] are supported"
            );
            return Err(node.unsupported(reason));
        }
    };
    check(node, length, weights.columns)?;
    let mut shape = positions.to_vec();
    if !vector {
        shape.push(weights.rows);
    }
    if column {
        shape.push(1);
    }
    Ok((flow, weights, shape))
}

fn check(node: &Node, found: usize, needed: usize) -> Result<(), ImportError> {
    let reason = || format!("the weights take {needed} values, the activation's axis has {found}");
    if found == needed { Ok(()) } else { Err(node.shape_error(reason())) }
}

/// The constant as it stands, and whether it was a vector: one column (on the right) or one row (on the left).
fn matrix(node: &Node, constant: &Constant, right: bool) -> Result<(FloatMatrix, bool), ImportError> {
    let values = constant.finite()?.to_vec();
    let (rows, columns, vector) = match constant.shape.as_slice() {
        &[length] if right => (length, 1, true),
        &[length] => (1, length, true),
        [ones @ .., rows, columns] if ones.iter().all(|&size| size == 1) => (*rows, *columns, false),
        shape => {
            let name = &constant.name;
            return Err(
                node.unsupported(format!("the weights `{name}` of shape {shape:?} are more than one matrix"))
            );
        }
    };
    if rows == 0 || columns == 0 {
        return Err(node.shape_error(format!("the weights `{}` are empty", constant.name)));
    }
    Ok((FloatMatrix { rows, columns, values }, vector))
}

/// Rows and columns exchanged.
pub(super) fn transposed(matrix: &FloatMatrix) -> FloatMatrix {
    let (rows, columns) = (matrix.columns, matrix.rows);
    let values = (0..rows)
        .flat_map(|row| (0..columns).map(move |column| matrix.values[column * rows + row]))
        .collect();
    FloatMatrix { rows, columns, values }
}
