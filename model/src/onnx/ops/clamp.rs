//! Relu and Clip.

use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use crate::float_graph::FloatOp;
use crate::function::Function;

pub(super) fn relu(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    clamp(lowering, node, Some(0.0), None)
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
    clamp(lowering, node, min, max)
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

fn clamp(
    lowering: &mut Lowering,
    node: &Node,
    min: Option<f32>,
    max: Option<f32>,
) -> Result<(), ImportError> {
    let flow = lowering.flow(node, 0)?;
    let op = match lowering.producer(&flow).map(|producer| &producer.op) {
        // clamp(clamp(x)) is one clamp, whose bounds are the inner ones clamped by the outer.
        Some(&FloatOp::Pointwise { input, function: Function::Clamp { min: inner_min, max: inner_max } }) => {
            let outer =
                |value: f32| value.min(max.unwrap_or(f32::INFINITY)).max(min.unwrap_or(f32::NEG_INFINITY));
            let least = outer(inner_min.unwrap_or(f32::NEG_INFINITY));
            let greatest = outer(inner_max.unwrap_or(f32::INFINITY));
            let finite = |value: f32| value.is_finite().then_some(value);
            FloatOp::Pointwise {
                input,
                function: Function::Clamp { min: finite(least), max: finite(greatest) },
            }
        }
        _ => FloatOp::Pointwise { input: flow.id, function: Function::Clamp { min, max } },
    };
    let result = lowering.push(node, op, flow.shape);
    lowering.bind(node, Binding::Flow(result))
}
