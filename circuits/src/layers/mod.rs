//! One file for each operation of a network, and the table that finds it.
//!
//! A layer does two things: it *plans* (which cells it needs, how large its values are), before lanes and rows are chosen, and
//! it *lowers* (claims, matrices, tensors with their origins), once every cell has its place.

use zkloom_model::integer_graph::{IntegerNode, IntegerOp};
use zkloom_plonkish::IntegerMatrix;

use crate::error::CompileError;
use crate::lowering::Lowering;
use crate::plan::Plan;

mod activate;
pub(crate) mod linear;
mod reshape;
pub(crate) mod sum;

/// An operation of the network as the compiler sees it.
pub trait Layer {
    /// The operation's name in reports.
    fn operator(&self) -> &'static str;

    /// Gives the output its cells and its interval.
    ///
    /// # Errors
    /// [`CompileError`], naming the layer.
    fn plan(&self, plan: &mut Plan<'_>) -> Result<(), CompileError>;

    /// The matrix whose rows the key commits to, if the layer has one.
    ///
    /// # Errors
    /// [`CompileError::Weight`] for an entry that does not fit.
    fn matrix(&self) -> Result<Option<IntegerMatrix>, CompileError> {
        Ok(None)
    }

    /// Adds claims, matrices and tensors to the circuit.
    fn lower(&self, lowering: &mut Lowering<'_>);
}

/// The layer of a node; `index` is the node's place in the graph.
pub fn layer_of(index: usize, node: &IntegerNode) -> Box<dyn Layer + '_> {
    match &node.op {
        IntegerOp::Linear { input, weights, multipliers, bias } => {
            Box::new(linear::Linear { node, input: *input, weights, multipliers, bias })
        }
        IntegerOp::Sum { terms, bias } => Box::new(sum::Sum { index, node, terms, bias }),
        IntegerOp::Activate { input, shift, function } => {
            Box::new(activate::Activate { node, input: *input, shift: *shift, function: *function })
        }
        IntegerOp::Reshape { input } => Box::new(reshape::Reshape { node, input: *input }),
    }
}
