//! Shape and Cast: what exporters begin and end their arithmetic on shapes with.

use super::super::constant::Elements;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::super::proto::DataType;
use super::fold::bind;
use super::layout::shape_of;

pub(super) fn shape(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let shape = shape_of(&lowering.operand(node, 0)?);
    let rank = shape.len() as i64;
    let bound = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let (start, end) = (bound(node.integer("start", 0)), bound(node.integer("end", rank)));
    let sizes: Vec<i64> = shape.get(start..end).unwrap_or(&[]).iter().map(|&size| size as i64).collect();
    bind(lowering, node, vec![sizes.len()], Elements::Integers(sizes))
}

pub(super) fn cast(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let target = i32::try_from(node.integer("to", 0)).ok().and_then(|to| DataType::try_from(to).ok());
    let to_float = matches!(target, Some(DataType::Float | DataType::Double));
    let to_integer = matches!(target, Some(DataType::Int32 | DataType::Int64));
    let to_bool = target == Some(DataType::Bool);
    match lowering.operand(node, 0)? {
        flow @ Binding::Flow(_) if to_float => lowering.bind(node, flow),
        Binding::Constant(constant) if to_float || to_integer || to_bool => {
            let elements = match &constant.elements {
                Elements::Integers(values) if to_float => {
                    Elements::Floats(values.iter().map(|&value| value as f32).collect())
                }
                Elements::Integers(values) if to_bool => {
                    Elements::Integers(values.iter().map(|&value| i64::from(value != 0)).collect())
                }
                Elements::Floats(values) if to_bool => {
                    Elements::Integers(values.iter().map(|&value| i64::from(value != 0.0)).collect())
                }
                Elements::Floats(values) if to_integer => {
                    Elements::Integers(values.iter().map(|&value| value as i64).collect())
                }
                same => same.clone(),
            };
            bind(lowering, node, constant.shape.clone(), elements)
        }
        _ => Err(node.unsupported(
            "activations are only cast to float32 or float64, constants also to int32, int64 or bool",
        )),
    }
}
