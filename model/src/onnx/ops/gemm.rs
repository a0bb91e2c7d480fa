//! Gemm: `alpha A' B' + beta C` with constant weights on either side.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::{shifted, sum};
use super::layout::broadcast_shape;
use super::matmul::transposed;
use crate::float_graph::FloatMatrix;

pub(super) fn gemm(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (transpose_a, transpose_b) = (node.integer("transA", 0) != 0, node.integer("transB", 0) != 0);
    let (flow, mut weights, shape) = match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(flow), Binding::Constant(matrix)) => {
            let (positions, columns) = positions(node, &flow, transpose_a, "A")?;
            let weights = matrix_of(node, &matrix, !transpose_b)?;
            check_length(node, columns, weights.columns)?;
            let shape = vec![positions, weights.rows];
            (flow, weights, shape)
        }
        (Binding::Constant(matrix), Binding::Flow(flow)) => {
            let columns = vector_length(node, &flow, !transpose_b, "B")?;
            let weights = matrix_of(node, &matrix, transpose_a)?;
            check_length(node, columns, weights.columns)?;
            let shape = vec![weights.rows, 1];
            (flow, weights, shape)
        }
        _ => return Err(node.unsupported("exactly one of A and B must be constant weights")),
    };
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    weights.values.iter_mut().for_each(|value| *value *= alpha);
    let bias = vec![0.0; weights.rows];
    let mut result = lowering.push_linear(node, &flow, (weights, bias), shape);
    if node.input(2).is_some() {
        result = match lowering.operand(node, 2)? {
            Binding::Flow(addend) => sum(lowering, node, &[(result, 1.0), (addend, beta)])?,
            Binding::Constant(constant) => {
                if broadcast_shape(node, &result.shape, &constant.shape).ok().as_ref() != Some(&result.shape)
                {
                    let (bias, own, shape) = (&constant.name, &constant.shape, &result.shape);
                    let reason = format!("the bias `{bias}` of shape {own:?} does not fit {shape:?}");
                    return Err(node.shape_error(reason));
                }
                shifted(lowering, node, (&result, 1.0), (&constant, beta))?
            }
        };
    }
    lowering.bind(node, Binding::Flow(result))
}

/// How many rows an activation has, and their length. One that is to be transposed must be a column, which is one row.
fn positions(
    node: &Node,
    flow: &Flow,
    transpose: bool,
    operand: &str,
) -> Result<(usize, usize), ImportError> {
    match flow.shape.as_slice() {
        &[positions, columns] if !transpose => Ok((positions, columns)),
        _ => Ok((1, vector_length(node, flow, transpose, operand)?)),
    }
}

/// The length of an activation that is a row (`column = false`) or a column.
fn vector_length(node: &Node, flow: &Flow, column: bool, operand: &str) -> Result<usize, ImportError> {
    match (flow.shape.as_slice(), column) {
        ([1, length], false) | ([length, 1], true) => Ok(*length),
        (shape, _) => {
            let reason = format!(
                "its operand {operand} has shape {shape:?}, after transposition it must be one vector"
            );
            Err(node.unsupported(reason))
        }
    }
}

fn check_length(node: &Node, found: usize, needed: usize) -> Result<(), ImportError> {
    let reason = || format!("the weights take {needed} values, the activation has {found}");
    if found == needed { Ok(()) } else { Err(node.shape_error(reason())) }
}

/// The constant matrix with outputs as rows, transposed from how it stands if `transpose`.
fn matrix_of(node: &Node, constant: &Constant, transpose: bool) -> Result<FloatMatrix, ImportError> {
    let values = constant.finite()?;
    match constant.shape.as_slice() {
        &[rows, columns] if rows > 0 && columns > 0 => {
            let matrix = FloatMatrix { rows, columns, values: values.to_vec() };
            Ok(if transpose { transposed(&matrix) } else { matrix })
        }
        shape => {
            Err(node
                .shape_error(format!("the weights `{}` have shape {shape:?}, not a matrix's", constant.name)))
        }
    }
}
