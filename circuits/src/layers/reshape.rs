//! Reshape: the same cells under another shape. No rows, no claim.

use zkloom_model::integer_graph::{IntegerNode, TensorId};

use super::Layer;
use crate::error::CompileError;
use crate::lowering::Lowering;
use crate::plan::Plan;

pub(super) struct Reshape<'a> {
    pub node: &'a IntegerNode,
    pub input: TensorId,
}

impl Layer for Reshape<'_> {
    fn operator(&self) -> &'static str {
        "Reshape"
    }

    fn plan(&self, plan: &mut Plan<'_>) -> Result<(), CompileError> {
        plan.alias(self.node.output, self.input);
        Ok(())
    }

    fn lower(&self, _: &mut Lowering<'_>) {}
}
