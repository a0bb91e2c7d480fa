//! Flatten, Reshape, Squeeze, Unsqueeze: the same elements under another shape.

use std::rc::Rc;

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;
use super::axis;
use super::layout::shape_of;

pub(super) fn flatten(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let shape = operand_shape(lowering, node)?;
    let at = match node.integer("axis", 1) {
        // The axis may also be the rank: everything is before it.
        last if last == shape.len() as i64 => shape.len(),
        other => axis(node, other, shape.len())?,
    };
    let (before, after) = shape.split_at(at);
    view(lowering, node, vec![before.iter().product(), after.iter().product()])
}

pub(super) fn reshape(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let shape = operand_shape(lowering, node)?;
    let target =
        lowering.constant(node, 1)?.ok_or_else(|| node.shape_error("its target shape is missing"))?;
    let keep_zeros = node.integer("allowzero", 0) != 0;
    let mut resolved = Vec::new();
    let mut inferred = None;
    for (position, &size) in target.integers()?.iter().enumerate() {
        let wrong =
            || node.shape_error(format!("its target shape {:?} does not fit {shape:?}", target.elements));
        resolved.push(match size {
            0 if !keep_zeros => *shape.get(position).ok_or_else(wrong)?,
            -1 if inferred.replace(position).is_none() => 1,
            size => usize::try_from(size).map_err(|_| wrong())?,
        });
    }
    if let Some(position) = inferred {
        let rest = resolved.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        resolved[position] = shape.iter().product::<usize>().checked_div(rest.unwrap_or(0)).unwrap_or(0);
    }
    view(lowering, node, resolved)
}

pub(super) fn squeeze(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let shape = operand_shape(lowering, node)?;
    let removed = match axes(lowering, node)? {
        Some(axes) => axes.iter().map(|&at| axis(node, at, shape.len())).collect::<Result<Vec<_>, _>>()?,
        // Without axes the batch axis stays: it is 1 here, but need not be where it is symbolic.
        None => (1..shape.len()).filter(|&at| shape[at] == 1).collect(),
    };
    if let Some(&at) = removed.iter().find(|&&at| shape[at] != 1) {
        return Err(node.shape_error(format!("axis {at} of {shape:?} is not 1")));
    }
    let kept = (0..shape.len()).filter(|at| !removed.contains(at)).map(|at| shape[at]);
    let kept = kept.collect();
    view(lowering, node, kept)
}

pub(super) fn unsqueeze(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let mut shape = operand_shape(lowering, node)?;
    let axes = axes(lowering, node)?.ok_or_else(|| node.shape_error("its axes are missing"))?;
    let rank = shape.len() + axes.len();
    let mut inserted = axes.iter().map(|&at| axis(node, at, rank)).collect::<Result<Vec<_>, _>>()?;
    inserted.sort_unstable();
    if inserted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(node.shape_error("an axis is inserted twice"));
    }
    inserted.iter().for_each(|&at| shape.insert(at, 1));
    view(lowering, node, shape)
}

/// Axes are an attribute up to operator set 12 and an input from 13 on.
fn axes(lowering: &Lowering, node: &Node) -> Result<Option<Vec<i64>>, ImportError> {
    match (node.integers("axes"), lowering.constant(node, 1)?) {
        (Some(axes), _) => Ok(Some(axes.to_vec())),
        (None, Some(constant)) => Ok(Some(constant.integers()?.to_vec())),
        (None, None) => Ok(None),
    }
}

fn operand_shape(lowering: &Lowering, node: &Node) -> Result<Vec<usize>, ImportError> {
    Ok(shape_of(&lowering.operand(node, 0)?))
}

/// Binds the first operand's elements under another shape.
fn view(lowering: &mut Lowering, node: &Node, shape: Vec<usize>) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    let result = viewed(lowering, node, operand, shape)?;
    lowering.bind(node, result)
}

/// An operand's elements under another shape.
pub(super) fn viewed(
    lowering: &mut Lowering,
    node: &Node,
    operand: Binding,
    shape: Vec<usize>,
) -> Result<Binding, ImportError> {
    let own = shape_of(&operand);
    let count = |shape: &[usize]| shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if count(&own) != count(&shape) {
        return Err(node.shape_error(format!("{own:?} cannot be viewed as {shape:?}")));
    }
    Ok(match operand {
        Binding::Constant(constant) => Binding::Constant(Rc::new(Constant { shape, ..(*constant).clone() })),
        Binding::Flow(flow) => Binding::Flow(lowering.viewed(node, &flow, shape)),
    })
}
