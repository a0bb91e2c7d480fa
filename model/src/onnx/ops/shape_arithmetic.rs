//! Shape, Gather, Concat, Cast: what exporters compute a Reshape's target with. All on constants.

use std::rc::Rc;

use super::super::constant::{Constant, Elements};
use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::super::proto::DataType;
use super::axis;

pub(super) fn shape(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let shape = match lowering.operand(node, 0)? {
        Binding::Flow(flow) => flow.shape,
        Binding::Constant(constant) => constant.shape.clone(),
    };
    let rank = shape.len() as i64;
    let bound = |at: i64| if at < 0 { at.saturating_add(rank) } else { at }.clamp(0, rank) as usize;
    let (start, end) = (bound(node.integer("start", 0)), bound(node.integer("end", rank)));
    let sizes: Vec<i64> = shape.get(start..end).unwrap_or(&[]).iter().map(|&size| size as i64).collect();
    bind(lowering, node, vec![sizes.len()], Elements::Integers(sizes))
}

pub(super) fn gather(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (data, indices) = (required(lowering, node, 0)?, required(lowering, node, 1)?);
    let at = axis(node, node.integer("axis", 0), data.shape.len())?;
    let (before, after) = (&data.shape[..at], &data.shape[at + 1..]);
    let size = data.shape[at];
    let picked =
        indices.integers()?.iter().map(|&index| axis(node, index, size)).collect::<Result<Vec<_>, _>>()?;
    let inner = after.iter().product::<usize>();
    let outer = before.iter().product::<usize>();
    let positions = (0..outer).flat_map(|block| picked.iter().map(move |&index| block * size + index));
    let order = positions.flat_map(|row| (0..inner).map(move |element| row * inner + element));
    let shape = [before, &indices.shape, after].concat();
    let gathered = data.select(shape, order);
    lowering.bind(node, Binding::Constant(Rc::new(gathered)))
}

pub(super) fn concat(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let parts =
        (0..node.inputs()).map(|index| required(lowering, node, index)).collect::<Result<Vec<_>, _>>()?;
    let first = parts.first().ok_or_else(|| node.shape_error("it has no inputs"))?;
    if first.shape.len() != 1 || parts.iter().any(|part| part.shape.len() != 1) {
        return Err(node.unsupported("only lists of constants are joined"));
    }
    let elements = match &first.elements {
        Elements::Integers(_) => {
            let lists = parts.iter().map(|part| part.integers()).collect::<Result<Vec<_>, _>>()?;
            Elements::Integers(lists.concat())
        }
        Elements::Floats(_) => {
            let lists = parts.iter().map(|part| part.floats()).collect::<Result<Vec<_>, _>>()?;
            Elements::Floats(lists.concat())
        }
    };
    let length = parts.iter().map(|part| part.count()).sum();
    bind(lowering, node, vec![length], elements)
}

pub(super) fn cast(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let target = i32::try_from(node.integer("to", 0)).ok().and_then(|to| DataType::try_from(to).ok());
    let to_float = matches!(target, Some(DataType::Float | DataType::Double));
    let to_integer = matches!(target, Some(DataType::Int32 | DataType::Int64));
    match lowering.operand(node, 0)? {
        flow @ Binding::Flow(_) if to_float => lowering.bind(node, flow),
        Binding::Constant(constant) if to_float || to_integer => {
            let elements = match &constant.elements {
                Elements::Integers(values) if to_float => {
                    Elements::Floats(values.iter().map(|&value| value as f32).collect())
                }
                Elements::Floats(values) if to_integer => {
                    Elements::Integers(values.iter().map(|&value| value as i64).collect())
                }
                same => same.clone(),
            };
            bind(lowering, node, constant.shape.clone(), elements)
        }
        _ => Err(node.unsupported(
            "activations are only cast to float32 or float64, constants also to int32 or int64",
        )),
    }
}

fn required(lowering: &Lowering, node: &Node, index: usize) -> Result<Rc<Constant>, ImportError> {
    lowering.constant(node, index)?.ok_or_else(|| node.shape_error(format!("its input {index} is missing")))
}

fn bind(
    lowering: &mut Lowering,
    node: &Node,
    shape: Vec<usize>,
    elements: Elements,
) -> Result<(), ImportError> {
    let constant = Constant { name: node.name(), shape, elements };
    lowering.bind(node, Binding::Constant(Rc::new(constant)))
}
