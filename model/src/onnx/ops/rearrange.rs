//! Transpose: of constants, and of activations where only axes of size 1 move.

use std::rc::Rc;

use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::{axis, reshape};

pub(super) fn transpose(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let shape = match &operand {
        Binding::Flow(flow) => flow.shape.clone(),
        Binding::Constant(constant) => constant.shape.clone(),
    };
    let order: Vec<usize> = match node.integers("perm") {
        Some(order) => order.iter().map(|&at| axis(node, at, shape.len())).collect::<Result<_, _>>()?,
        None => (0..shape.len()).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().ne(0..shape.len()) {
        return Err(node.shape_error(format!("{order:?} is not a permutation of {} axes", shape.len())));
    }
    let moved: Vec<usize> = order.iter().map(|&at| shape[at]).collect();
    match operand {
        Binding::Constant(constant) => {
            let strides = strides(&shape);
            let steps: Vec<usize> = order.iter().map(|&at| strides[at]).collect();
            let source = |flat: usize| {
                let (mut rest, mut position) = (flat, 0);
                for (&size, &step) in moved.iter().zip(&steps).rev() {
                    position += (rest % size) * step;
                    rest /= size;
                }
                position
            };
            let transposed = constant.select(moved.clone(), (0..constant.count()).map(source));
            lowering.bind(node, Binding::Constant(Rc::new(transposed)))
        }
        Binding::Flow(_) => {
            let long = order.iter().filter(|&&at| shape[at] != 1);
            if !long.is_sorted() {
                return Err(node.unsupported("a transposition of activations is not supported"));
            }
            reshape::view(lowering, node, moved)
        }
    }
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}
