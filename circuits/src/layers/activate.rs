//! Requantise and activate: fills the activation cells beside an accumulator. The constraints are the lookups of
//! [`crate::gadgets::requantise`], which every lane has; here the tensor gets its origin.

use zkloom_model::integer_graph::{Activation, IntegerNode, TensorId};

use super::Layer;
use crate::error::CompileError;
use crate::lowering::Lowering;
use crate::plan::Plan;

pub(super) struct Activate<'a> {
    pub node: &'a IntegerNode,
    pub input: TensorId,
    pub shift: u32,
    pub function: Activation,
}

impl Layer for Activate<'_> {
    fn operator(&self) -> &'static str {
        "Activate"
    }

    fn plan(&self, plan: &mut Plan<'_>) -> Result<(), CompileError> {
        plan.activate(self.node, self.input, self.shift, self.function)
    }

    fn lower(&self, lowering: &mut Lowering<'_>) {
        lowering.ranged_tensor(self.node.output);
    }
}
