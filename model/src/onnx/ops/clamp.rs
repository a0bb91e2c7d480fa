//! Relu and Clip.

use super::super::error::ImportError;
use super::super::lowering::Lowering;
use super::super::node::Node;
use super::pointwise::apply;
use crate::function::Function;

pub(super) fn relu(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    apply(lowering, node, Function::RELU)
}

/// Bounds are attributes up to operator set 10 and inputs from 11 on.
pub(super) fn clip(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let min = bound(lowering, node, "min", 1)?;
    let max = bound(lowering, node, "max", 2)?;
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        return Err(node.unsupported(format!("its bounds are swapped: min {min} is above max {max}")));
    }
    apply(lowering, node, Function::Clamp { min, max })
}

fn bound(
    lowering: &Lowering,
    node: &Node,
    attribute: &str,
    input: usize,
) -> Result<Option<f32>, ImportError> {
    let value = match (node.attribute(attribute), lowering.constant(node, input)?) {
        (Some(attribute), _) => attribute.f,
        (None, None) => return Ok(None),
        (None, Some(constant)) => match constant.floats()? {
            [value] => *value,
            values => {
                return Err(node.shape_error(format!("its bound {attribute} has {} values", values.len())));
            }
        },
    };
    if value.is_nan() {
        return Err(node.unsupported(format!("its bound {attribute} is not a number")));
    }
    // Exporters write the largest float, or infinity, for no bound.
    Ok((value.abs() < f32::MAX).then_some(value))
}
