//! Gemm: `alpha A' B' + beta C` with constant weights on either side.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::arithmetic::sum;
use super::matmul::transposed;
use crate::float_graph::FloatMatrix;

pub(super) fn gemm(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (transpose_a, transpose_b) = (node.integer("transA", 0) != 0, node.integer("transB", 0) != 0);
    let (flow, mut weights, shape) = match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(flow), Binding::Constant(matrix)) => {
            // One sample is one row: a transposed A has to be stored as a column.
            let columns = vector_length(node, &flow, transpose_a, "A")?;
            let weights = matrix_of(node, &matrix, !transpose_b)?;
            check_length(node, columns, weights.columns)?;
            let shape = vec![1, weights.rows];
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
    let addend = if node.input(2).is_some() { Some(lowering.operand(node, 2)?) } else { None };
    let bias = match &addend {
        Some(Binding::Constant(constant)) => {
            let mut bias = broadcast_bias(node, constant, &shape)?;
            bias.iter_mut().for_each(|value| *value *= beta);
            bias
        }
        _ => vec![0.0; weights.rows],
    };
    let result = lowering.push_linear(node, &flow, (weights, bias), shape);
    match addend {
        Some(Binding::Flow(addend)) => {
            let result = sum(lowering, node, &[(result, 1.0), (addend, beta)])?;
            lowering.bind(node, Binding::Flow(result))
        }
        _ => lowering.bind(node, Binding::Flow(result)),
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

/// C as one value for each output; `shape` is the result's, a row or a column.
fn broadcast_bias(node: &Node, constant: &Constant, shape: &[usize]) -> Result<Vec<f32>, ImportError> {
    let outputs = shape.iter().product::<usize>();
    let values = constant.finite()?;
    let own = constant.shape.as_slice();
    let fits = own == shape || (shape[0] == 1 && own == [outputs]);
    match values {
        [value] => Ok(vec![*value; outputs]),
        _ if fits => Ok(values.to_vec()),
        _ => {
            Err(node
                .shape_error(format!("the bias `{}` of shape {own:?} does not fit {shape:?}", constant.name)))
        }
    }
}
