//! Where elements go: the one notation behind Transpose, Slice, Concat, Pad, Expand, Resize and their kin.

use std::rc::Rc;

use super::super::constant::{Constant, Elements};
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::reshape;
use crate::access::{Access, AccessAxis};
use crate::float_graph::{FloatOp, FloatTerm};

/// The most accesses that one operand is taken apart into.
const MOST_PIECES: usize = 1 << 12;

/// Elements of an operand, and where in the result they stand.
pub(super) struct Piece {
    pub(super) operand: Binding,
    pub(super) access: Access,
}

/// For each element of the result along an axis, the operand's element that stands there; none where none does.
pub(super) type AxisMap = Vec<Option<usize>>;

/// Row-major strides.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

/// Shape of an operand as ONNX sees it.
pub(super) fn shape_of(operand: &Binding) -> Vec<usize> {
    match operand {
        Binding::Flow(flow) => flow.shape.clone(),
        Binding::Constant(constant) => constant.shape.clone(),
    }
}

/// The shape that two shapes broadcast to.
pub(super) fn broadcast_shape(
    node: &Node,
    left: &[usize],
    right: &[usize],
) -> Result<Vec<usize>, ImportError> {
    let rank = left.len().max(right.len());
    let size =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    let axis = |axis: usize| match (size(left, axis), size(right, axis)) {
        (left, right) if left == right || right == 1 => Some(left),
        (1, right) => Some(right),
        _ => None,
    };
    let shape: Option<Vec<usize>> = (0..rank).map(axis).collect();
    shape.ok_or_else(|| node.shape_error(format!("{left:?} and {right:?} do not broadcast to one shape")))
}

/// Repeats a tensor of shape `from` to `to`, which it must broadcast to.
pub(super) fn broadcast(from: &[usize], to: &[usize]) -> Access {
    let (inputs, outputs) = (strides(from), strides(to));
    let axis = |at: usize| {
        let own = (at + from.len()).checked_sub(to.len());
        let input_stride = own.filter(|&own| from[own] != 1).map_or(0, |own| inputs[own]);
        AccessAxis { count: to[at], output_stride: outputs[at], input_stride }
    };
    let access = Access { output_start: 0, input_start: 0, axes: (0..to.len()).map(axis).collect() };
    access.simplified()
}

/// The flow repeated to a shape that it broadcasts to.
pub(super) fn spread(lowering: &mut Lowering, node: &Node, flow: &Flow, shape: &[usize]) -> Flow {
    if flow.shape.iter().product::<usize>() == shape.iter().product::<usize>() {
        return lowering.viewed(node, flow, shape.to_vec());
    }
    let term = FloatTerm { input: flow.id, coefficient: 1.0, access: broadcast(&flow.shape, shape) };
    lowering.push(node, FloatOp::Sum { terms: vec![term], bias: Vec::new() }, shape.to_vec())
}

/// The constant's elements repeated to a shape that it broadcasts to.
pub(super) fn expand(constant: &Constant, shape: &[usize]) -> Result<Vec<f32>, ImportError> {
    let values = constant.finite()?;
    let mut expanded = vec![0.0; shape.iter().product()];
    broadcast(&constant.shape, shape).for_each(|to, from| expanded[to] = values[from]);
    Ok(expanded)
}

/// What takes a tensor of shape `from` apart so that each axis is mapped by its own map.
pub(super) fn remap(node: &Node, from: &[usize], maps: &[AxisMap]) -> Result<Vec<Access>, ImportError> {
    let shape: Vec<usize> = maps.iter().map(Vec::len).collect();
    let (inputs, outputs) = (strides(from), strides(&shape));
    let mut accesses = vec![Access { output_start: 0, input_start: 0, axes: Vec::new() }];
    for (at, map) in maps.iter().enumerate() {
        let runs = runs(map);
        if accesses.len().saturating_mul(runs.len()) > MOST_PIECES {
            return Err(node.unsupported("it would cut its operand into more than 4096 pieces"));
        }
        let extended = accesses.iter().flat_map(|access| {
            runs.iter().map(|run| {
                let mut access = access.clone();
                access.output_start += run.output_start * outputs[at];
                access.input_start += run.input_start * inputs[at];
                access.axes.extend(run.axes.iter().map(|axis| AccessAxis {
                    count: axis.count,
                    output_stride: axis.output_stride * outputs[at],
                    input_stride: axis.input_stride * inputs[at],
                }));
                access
            })
        });
        accesses = extended.collect();
    }
    Ok(accesses.iter().map(Access::simplified).collect())
}

/// A map along one axis as accesses.
fn runs(map: &[Option<usize>]) -> Vec<Access> {
    if let Some(blocks) = blocks(map) {
        return vec![blocks];
    }
    let mut runs = Vec::new();
    let mut position = 0;
    while position < map.len() {
        let Some(first) = map[position] else {
            position += 1;
            continue;
        };
        let next = map.get(position + 1).copied().flatten();
        let step = next.and_then(|next| next.checked_sub(first));
        let follows =
            |offset: usize| step.is_some_and(|step| map[position + offset] == Some(first + offset * step));
        let count =
            (1..map.len() - position).find(|&offset| !follows(offset)).unwrap_or(map.len() - position);
        let axes = vec![AccessAxis { count, output_stride: 1, input_stride: step.unwrap_or(0) }];
        runs.push(Access { output_start: position, input_start: first, axes });
        position += count;
    }
    runs
}

/// The map as equally long blocks of one element each, equally far apart, if it is that.
fn blocks(map: &[Option<usize>]) -> Option<Access> {
    let first = (*map.first()?)?;
    let length = map.iter().position(|&at| at != Some(first)).unwrap_or(map.len());
    let step = match map.get(length) {
        Some(next) => (*next)?.checked_sub(first)?,
        None => 0,
    };
    let regular = map.iter().enumerate().all(|(at, &from)| from == Some(first + at / length * step));
    (regular && map.len().is_multiple_of(length)).then_some(())?;
    let axes = vec![
        AccessAxis { count: map.len() / length, output_stride: length, input_stride: step },
        AccessAxis { count: length, output_stride: 1, input_stride: 0 },
    ];
    Some(Access { output_start: 0, input_start: first, axes }.simplified())
}

/// The tensor of shape `shape` that consists of the pieces, which must not overlap, and of `fill` elsewhere.
pub(super) fn assemble(
    lowering: &mut Lowering,
    node: &Node,
    shape: Vec<usize>,
    pieces: Vec<Piece>,
    fill: f32,
) -> Result<Binding, ImportError> {
    let elements = lowering.check_size(node, &shape)?;
    if pieces.iter().all(|piece| matches!(piece.operand, Binding::Constant(_))) {
        return constant(node, shape, &pieces, fill);
    }
    if elements == 0 {
        return Err(node.unsupported(format!("its result {shape:?} has no elements")));
    }
    if let [Piece { operand, access }] = pieces.as_slice() {
        let own = shape_of(operand).iter().product::<usize>();
        if own == elements && access.is_identity(elements) {
            return reshape::viewed(lowering, node, operand.clone(), shape);
        }
    }
    let mut bias = vec![fill; elements];
    let mut terms = Vec::new();
    for Piece { operand, access } in pieces {
        match operand {
            Binding::Constant(constant) => {
                let values = constant.finite()?;
                access.for_each(|to, from| bias[to] = values[from]);
            }
            Binding::Flow(flow) => {
                access.for_each(|to, _| bias[to] = 0.0);
                terms.push(FloatTerm { input: flow.id, coefficient: 1.0, access });
            }
        }
    }
    if bias.iter().all(|&value| value == 0.0) {
        bias.clear();
    }
    Ok(Binding::Flow(lowering.push(node, FloatOp::Sum { terms, bias }, shape)))
}

fn constant(node: &Node, shape: Vec<usize>, pieces: &[Piece], fill: f32) -> Result<Binding, ImportError> {
    let elements = shape.iter().product();
    let parts = || {
        pieces.iter().filter_map(|piece| match &piece.operand {
            Binding::Constant(constant) => Some((constant, &piece.access)),
            Binding::Flow(_) => None,
        })
    };
    let integers = parts().all(|(constant, _)| matches!(constant.elements, Elements::Integers(_)));
    let elements = if integers {
        let mut values = vec![fill as i64; elements];
        for (constant, access) in parts() {
            let source = constant.integers()?;
            access.for_each(|to, from| values[to] = source[from]);
        }
        Elements::Integers(values)
    } else {
        let mut values = vec![fill; elements];
        for (constant, access) in parts() {
            let source = constant.floats()?;
            access.for_each(|to, from| values[to] = source[from]);
        }
        Elements::Floats(values)
    };
    Ok(Binding::Constant(Rc::new(Constant { name: node.name(), shape, elements })))
}

/// An operand with each axis mapped by its own map, and `fill` where a map has nothing.
pub(super) fn mapped(
    lowering: &mut Lowering,
    node: &Node,
    operand: Binding,
    maps: &[AxisMap],
    fill: f32,
) -> Result<Binding, ImportError> {
    let shape: Vec<usize> = maps.iter().map(Vec::len).collect();
    lowering.check_size(node, &shape)?;
    let accesses = remap(node, &shape_of(&operand), maps)?;
    let pieces = accesses.into_iter().map(|access| Piece { operand: operand.clone(), access }).collect();
    assemble(lowering, node, shape, pieces, fill)
}

/// Every element where it is, along an axis of `size` elements.
pub(super) fn whole(size: usize) -> AxisMap {
    (0..size).map(Some).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_become_few_runs() {
        let some = |list: &[usize]| list.iter().map(|&at| Some(at)).collect::<AxisMap>();
        let cases = [
            (some(&[0, 1, 2, 3]), 1),
            (some(&[0, 0, 1, 1, 2, 2]), 1),
            (some(&[5, 5, 5]), 1),
            (some(&[1, 3, 5]), 1),
            (some(&[0, 1, 0, 1]), 2),
            (some(&[3, 2, 1, 0]), 4),
            (vec![None, Some(0), Some(1), None], 1),
            (vec![Some(0), None, Some(4), Some(4)], 2),
        ];
        for (map, count) in cases {
            let runs = runs(&map);
            assert_eq!(runs.len(), count, "{map:?}");
            let mut found = vec![None; map.len()];
            runs.iter().for_each(|run| run.for_each(|to, from| found[to] = Some(from)));
            assert_eq!(found, map);
        }
    }
}
