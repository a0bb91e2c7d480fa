//! Transpose, Concat, Split, Slice, Pad, Expand, Tile, Gather: elements move, nothing is computed.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::layout::{AxisMap, Piece, assemble, broadcast, broadcast_shape, mapped, shape_of, strides, whole};
use super::{axis, sizes};
use crate::access::{Access, AccessAxis};

pub(super) fn transpose(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let shape = shape_of(&operand);
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
    let (inputs, outputs) = (strides(&shape), strides(&moved));
    let step = |(to, &from): (usize, &usize)| AccessAxis {
        count: moved[to],
        output_stride: outputs[to],
        input_stride: inputs[from],
    };
    let axes = order.iter().enumerate().map(step).collect();
    let access = Access { output_start: 0, input_start: 0, axes }.simplified();
    let result = assemble(lowering, node, moved, vec![Piece { operand, access }], 0.0)?;
    lowering.bind(node, result)
}

pub(super) fn concat(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operands = (0..node.inputs()).map(|index| lowering.operand(node, index));
    let operands = operands.collect::<Result<Vec<_>, _>>()?;
    let first = operands.first().ok_or_else(|| node.shape_error("it has no inputs"))?;
    let mut shape = shape_of(first);
    let at = axis(node, node.integer("axis", 1), shape.len())?;
    let lengths = operands.iter().map(|operand| {
        let own = shape_of(operand);
        let fits =
            own.len() == shape.len() && (0..own.len()).all(|axis| axis == at || own[axis] == shape[axis]);
        if fits {
            Ok(own[at])
        } else {
            Err(node.shape_error(format!("{own:?} does not join {shape:?} along axis {at}")))
        }
    });
    let lengths = lengths.collect::<Result<Vec<usize>, _>>()?;
    shape[at] = lengths.iter().fold(0, |sum: usize, &length| sum.saturating_add(length));
    lowering.check_size(node, &shape)?;
    let (inner, outer) = (shape[at + 1..].iter().product::<usize>(), shape[..at].iter().product());
    let mut start = 0;
    let mut pieces = Vec::with_capacity(operands.len());
    for (operand, length) in operands.into_iter().zip(lengths).filter(|part| part.1 > 0) {
        let axes = vec![
            AccessAxis { count: outer, output_stride: shape[at] * inner, input_stride: length * inner },
            AccessAxis { count: length * inner, output_stride: 1, input_stride: 1 },
        ];
        let access = Access { output_start: start * inner, input_start: 0, axes }.simplified();
        pieces.push(Piece { operand, access });
        start += length;
    }
    let result = assemble(lowering, node, shape, pieces, 0.0)?;
    lowering.bind(node, result)
}

/// The parts' lengths are an attribute up to operator set 12 and an input from 13 on; without them, the parts are equal,
/// the last one shorter where they do not come out even.
pub(super) fn split(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let shape = shape_of(&operand);
    let at = axis(node, node.integer("axis", 0), shape.len())?;
    let lengths = match (node.integers("split"), lowering.constant(node, 1)?) {
        (Some(lengths), _) => sizes(node, lengths)?,
        (None, Some(constant)) => sizes(node, constant.integers()?)?,
        (None, None) => {
            let parts = node.outputs().len().max(1);
            let length = shape[at].div_ceil(parts);
            (0..parts).map(|part| length.min(shape[at].saturating_sub(part * length))).collect()
        }
    };
    let total = lengths.iter().try_fold(0usize, |sum, &length| sum.checked_add(length));
    if total != Some(shape[at]) || lengths.len() != node.outputs().len() {
        let reason =
            format!("parts of {lengths:?} for {} outputs do not make up {}", node.outputs().len(), shape[at]);
        return Err(node.shape_error(reason));
    }
    let mut start = 0;
    for (output, length) in lengths.into_iter().enumerate() {
        let mut maps: Vec<AxisMap> = shape.iter().map(|&size| whole(size)).collect();
        maps[at] = (start..start + length).map(Some).collect();
        start += length;
        if !node.outputs()[output].is_empty() {
            let part = mapped(lowering, node, operand.clone(), &maps, 0.0)?;
            lowering.bind_output(node, output, part)?;
        }
    }
    Ok(())
}

/// Bounds are attributes in operator set 9 and inputs from 10 on.
pub(super) fn slice(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let shape = shape_of(&operand);
    let list =
        |attribute: &str, input: usize| match (node.integers(attribute), lowering.constant(node, input)?) {
            (Some(list), _) => Ok(Some(list.to_vec())),
            (None, Some(constant)) => Ok(Some(constant.integers()?.to_vec())),
            (None, None) => Ok::<_, ImportError>(None),
        };
    let missing = |what: &str| node.shape_error(format!("its {what} are missing"));
    let starts = list("starts", 1)?.ok_or_else(|| missing("starts"))?;
    let ends = list("ends", 2)?.ok_or_else(|| missing("ends"))?;
    let axes = list("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|&length| length != starts.len()) {
        return Err(node.shape_error("its starts, ends, axes and steps are not equally many"));
    }
    let mut maps: Vec<AxisMap> = shape.iter().map(|&size| whole(size)).collect();
    for (index, &at) in axes.iter().enumerate() {
        let at = axis(node, at, shape.len())?;
        maps[at] = slice_map(shape[at] as i64, (starts[index], ends[index], steps[index]))
            .ok_or_else(|| node.shape_error("its step is 0"))?;
    }
    let result = mapped(lowering, node, operand, &maps, 0.0)?;
    lowering.bind(node, result)
}

/// The elements from `start` on, before `end`, with that step; negative bounds count from the end.
fn slice_map(size: i64, (start, end, step): (i64, i64, i64)) -> Option<AxisMap> {
    let counted = |bound: i64| if bound < 0 { bound.saturating_add(size) } else { bound };
    let (start, end) = (counted(start), counted(end));
    let mut map = Vec::new();
    let (mut at, end) = match step {
        0 => return None,
        1.. => (start.clamp(0, size), end.clamp(0, size)),
        _ => (start.clamp(-1, size - 1), end.clamp(-1, size - 1)),
    };
    while if step > 0 { at < end } else { at > end } {
        map.push(usize::try_from(at).ok());
        at = at.saturating_add(step);
    }
    Some(map)
}

/// Amounts are an attribute up to operator set 10 and an input from 11 on.
pub(super) fn pad(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let shape = shape_of(&operand);
    let pads = match (node.integers("pads"), lowering.constant(node, 1)?) {
        (Some(pads), _) => pads.to_vec(),
        (None, Some(constant)) => constant.integers()?.to_vec(),
        (None, None) => return Err(node.shape_error("its pads are missing")),
    };
    let axes = match lowering.constant(node, 3)? {
        Some(axes) => {
            axes.integers()?.iter().map(|&at| axis(node, at, shape.len())).collect::<Result<Vec<_>, _>>()?
        }
        None => (0..shape.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(node.shape_error(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let fill = match (lowering.constant(node, 2)?, node.attribute("value")) {
        (Some(value), _) => *value.finite()?.first().unwrap_or(&0.0),
        (None, Some(_)) => node.float("value", 0.0)?,
        (None, None) => 0.0,
    };
    let mode = node.text("mode", "constant");
    let mut maps: Vec<AxisMap> = shape.iter().map(|&size| whole(size)).collect();
    for (index, &at) in axes.iter().enumerate() {
        let amounts = (pads[index], pads[index + axes.len()]);
        maps[at] = pad_map(node, &mode, shape[at], amounts)?;
    }
    let result = mapped(lowering, node, operand, &maps, fill)?;
    lowering.bind(node, result)
}

fn pad_map(
    node: &Node,
    mode: &str,
    size: usize,
    (before, after): (i64, i64),
) -> Result<AxisMap, ImportError> {
    let limit = 1 << 26;
    if size == 0 || size as i64 > limit || before.abs().max(after.abs()) > limit {
        return Err(node.shape_error(format!("pads of {before} and {after} do not suit {size} elements")));
    }
    let size = size as i64;
    let place = |at: i64| match mode {
        "constant" => Ok((0..size).contains(&at).then_some(at)),
        "edge" => Ok(Some(at.clamp(0, size - 1))),
        "wrap" => Ok(Some(at.rem_euclid(size))),
        "reflect" => {
            // Back and forth without the ends repeated; one element reflects to itself.
            let turn = at.rem_euclid((2 * (size - 1)).max(1));
            Ok(Some(if turn < size { turn } else { 2 * (size - 1) - turn }))
        }
        other => Err(node.unsupported(format!(
            "its attribute mode is `{other}`; constant, edge, reflect or wrap is needed"
        ))),
    };
    (-before..size + after).map(|at| Ok(place(at)?.map(|at| at as usize))).collect()
}

pub(super) fn expand(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let shape = shape_of(&operand);
    let target = lowering.required(node, 1)?;
    let target = broadcast_shape(node, &shape, &sizes(node, target.integers()?)?)?;
    lowering.check_size(node, &target)?;
    let access = broadcast(&shape, &target);
    let result = assemble(lowering, node, target, vec![Piece { operand, access }], 0.0)?;
    lowering.bind(node, result)
}

pub(super) fn tile(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let shape = shape_of(&operand);
    let repeats = sizes(node, lowering.required(node, 1)?.integers()?)?;
    if repeats.len() != shape.len() {
        return Err(
            node.shape_error(format!("{repeats:?} repeats for the {} axes of {shape:?}", shape.len()))
        );
    }
    let tiled: Vec<usize> =
        shape.iter().zip(&repeats).map(|(&size, &times)| size.saturating_mul(times)).collect();
    lowering.check_size(node, &tiled)?;
    let maps: Vec<AxisMap> = shape
        .iter()
        .zip(&tiled)
        .map(|(&size, &length)| (0..length).map(|at| Some(at % size)).collect())
        .collect();
    let result = mapped(lowering, node, operand, &maps, 0.0)?;
    lowering.bind(node, result)
}

pub(super) fn gather(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let (data, indices) = (lowering.operand(node, 0)?, lowering.required(node, 1)?);
    let shape = shape_of(&data);
    let at = axis(node, node.integer("axis", 0), shape.len())?;
    let picked = indices.integers()?.iter().map(|&index| axis(node, index, shape[at]));
    let picked = picked.collect::<Result<Vec<_>, _>>()?;
    let mut maps: Vec<AxisMap> = shape.iter().map(|&size| whole(size)).collect();
    maps[at] = picked.into_iter().map(Some).collect();
    let result = [&shape[..at], &indices.shape, &shape[at + 1..]].concat();
    let gathered = match mapped(lowering, node, data, &maps, 0.0)? {
        Binding::Constant(constant) => {
            Binding::Constant(std::rc::Rc::new(Constant { shape: result, ..(*constant).clone() }))
        }
        Binding::Flow(flow) => Binding::Flow(lowering.viewed(node, &flow, result)),
    };
    lowering.bind(node, gathered)
}
