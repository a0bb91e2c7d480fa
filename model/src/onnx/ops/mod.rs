//! The operators: one family in one file, one row of the table for each.

mod arithmetic;
mod clamp;
mod constant;
mod gemm;
mod matmul;
mod rearrange;
mod reshape;
mod shape_arithmetic;

use super::error::ImportError;
use super::lowering::Lowering;
use super::node::Node;

/// Lowers one node: reads its operands from the lowering and binds its output there.
type Lower = fn(&mut Lowering, &Node) -> Result<(), ImportError>;

/// Every supported operator of ONNX's own domain.
pub(super) const TABLE: &[(&str, Lower)] = &[
    ("Add", arithmetic::add),
    ("Cast", shape_arithmetic::cast),
    ("Clip", clamp::clip),
    ("Concat", shape_arithmetic::concat),
    ("Constant", constant::constant),
    ("Div", arithmetic::div),
    ("Dropout", constant::dropout),
    ("Flatten", reshape::flatten),
    ("Gather", shape_arithmetic::gather),
    ("Gemm", gemm::gemm),
    ("Identity", constant::identity),
    ("MatMul", matmul::matmul),
    ("Mul", arithmetic::mul),
    ("Relu", clamp::relu),
    ("Reshape", reshape::reshape),
    ("Shape", shape_arithmetic::shape),
    ("Squeeze", reshape::squeeze),
    ("Sub", arithmetic::sub),
    ("Transpose", rearrange::transpose),
    ("Unsqueeze", reshape::unsqueeze),
];

/// An axis counted from the front; `rank` is excluded.
fn axis(node: &Node, axis: i64, rank: usize) -> Result<usize, ImportError> {
    let counted = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    let counted = counted.and_then(|axis| usize::try_from(axis).ok()).filter(|&axis| axis < rank);
    counted
        .ok_or_else(|| node.shape_error(format!("axis {axis} does not exist in a tensor with {rank} axes")))
}
