//! Add, Sub, Mul, Div: sums of activations, and constants that merge into the operation before them.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use crate::float_graph::{FloatMatrix, FloatOp, FloatTerm, ValueId};

pub(super) fn add(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(left), Binding::Flow(right)) => sum(lowering, node, (&left, 1.0), (&right, 1.0)),
        (Binding::Flow(flow), Binding::Constant(constant))
        | (Binding::Constant(constant), Binding::Flow(flow)) => {
            let (shift, shape) = expand(node, &constant, &flow.shape)?;
            affine(lowering, node, &flow, Affine { factor: vec![1.0], shift, shape })
        }
        _ => Err(both_constant(node)),
    }
}

pub(super) fn sub(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(left), Binding::Flow(right)) => sum(lowering, node, (&left, 1.0), (&right, -1.0)),
        (Binding::Flow(flow), Binding::Constant(constant)) => {
            let (mut shift, shape) = expand(node, &constant, &flow.shape)?;
            shift.iter_mut().for_each(|value| *value = -*value);
            affine(lowering, node, &flow, Affine { factor: vec![1.0], shift, shape })
        }
        (Binding::Constant(constant), Binding::Flow(flow)) => {
            let (shift, shape) = expand(node, &constant, &flow.shape)?;
            affine(lowering, node, &flow, Affine { factor: vec![-1.0], shift, shape })
        }
        _ => Err(both_constant(node)),
    }
}

pub(super) fn mul(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(_), Binding::Flow(_)) => {
            Err(node
                .unsupported("the product of two activations is not supported; only constants may multiply"))
        }
        (Binding::Flow(flow), Binding::Constant(constant))
        | (Binding::Constant(constant), Binding::Flow(flow)) => {
            let (factor, shape) = expand(node, &constant, &flow.shape)?;
            affine(lowering, node, &flow, Affine { factor, shift: Vec::new(), shape })
        }
        _ => Err(both_constant(node)),
    }
}

pub(super) fn div(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    match (lowering.operand(node, 0)?, lowering.operand(node, 1)?) {
        (Binding::Flow(flow), Binding::Constant(constant)) => {
            let (mut factor, shape) = expand(node, &constant, &flow.shape)?;
            factor.iter_mut().for_each(|value| *value = 1.0 / *value);
            if factor.iter().any(|value| !value.is_finite()) {
                return Err(
                    node.unsupported(format!("`{}` has a divisor that is zero or nearly so", constant.name))
                );
            }
            affine(lowering, node, &flow, Affine { factor, shift: Vec::new(), shape })
        }
        (Binding::Constant(_), Binding::Constant(_)) => Err(both_constant(node)),
        _ => Err(node.unsupported("division by an activation is not supported; only constants may divide")),
    }
}

fn both_constant(node: &Node) -> ImportError {
    node.unsupported("both operands are constants; fold constants before exporting")
}

/// `y = factor * x + shift`, `factor` one or one for each element, `shift` none or one for each element.
struct Affine {
    factor: Vec<f32>,
    shift: Vec<f32>,
    shape: Vec<usize>,
}

/// Merges `affine` into the operation that made `flow` where that is linear; a Sum of its own otherwise.
fn affine(lowering: &mut Lowering, node: &Node, flow: &Flow, affine: Affine) -> Result<(), ImportError> {
    let uniform = affine.factor.iter().all(|value| *value == affine.factor[0]);
    let merged = match lowering.producer(flow) {
        Some(producer) => {
            let op = match &producer.op {
                FloatOp::Linear { input, weights, bias } => merge_into_linear(*input, weights, bias, &affine),
                FloatOp::Sum { terms, bias } if uniform => Some(merge_into_sum(terms, bias, &affine)),
                _ => None,
            };
            op.map(|op| (producer.name.clone(), op))
        }
        None => None,
    };
    let result = match merged {
        Some((name, op)) => lowering.push_merged(node, name, op, affine.shape),
        None if uniform => {
            let factor = affine.factor.first().copied().unwrap_or(1.0);
            let elements = affine.shape.iter().product();
            let op = FloatOp::sum(elements, vec![(flow.id, factor)], affine.shift);
            lowering.push(node, op, affine.shape)
        }
        None => {
            let reason = "multiplying by different constants is only supported right after Gemm or MatMul, one \
                          constant for each output; merge the scaling into the layer after it before exporting";
            return Err(node.unsupported(reason));
        }
    };
    lowering.bind(node, Binding::Flow(result))
}

/// The linear operation followed by `affine`, if that treats all positions of an output alike.
fn merge_into_linear(
    input: ValueId,
    weights: &FloatMatrix,
    bias: &[f32],
    affine: &Affine,
) -> Option<FloatOp> {
    let rows = weights.rows;
    let factor = periodic(&affine.factor, rows)?;
    let shift = periodic(&affine.shift, rows)?;
    let mut values = weights.values.clone();
    for (row, values) in values.chunks_exact_mut(weights.columns).enumerate() {
        values.iter_mut().for_each(|value| *value *= factor.get(row).copied().unwrap_or(1.0));
    }
    let merged = bias.iter().enumerate().map(|(row, &bias)| {
        bias * factor.get(row).copied().unwrap_or(1.0) + shift.get(row).copied().unwrap_or(0.0)
    });
    let bias = merged.collect();
    Some(FloatOp::Linear { input, weights: FloatMatrix { rows, columns: weights.columns, values }, bias })
}

/// The first `rows` of values that repeat with that period; a single value repeats for all.
fn periodic(values: &[f32], rows: usize) -> Option<Vec<f32>> {
    match values {
        [] => Some(Vec::new()),
        [one] => Some(vec![*one; rows]),
        many if many.len() < rows => None,
        many => many.chunks(rows).all(|chunk| chunk == &many[..rows]).then(|| many[..rows].to_vec()),
    }
}

fn merge_into_sum(terms: &[FloatTerm], bias: &[f32], affine: &Affine) -> FloatOp {
    let factor = affine.factor.first().copied().unwrap_or(1.0);
    let scaled = |term: &FloatTerm| FloatTerm { coefficient: term.coefficient * factor, ..term.clone() };
    let terms = terms.iter().map(scaled).collect();
    let mut merged: Vec<f32> = bias.iter().map(|value| value * factor).collect();
    if merged.is_empty() {
        merged.clone_from(&affine.shift);
    } else {
        merged.iter_mut().zip(&affine.shift).for_each(|(bias, shift)| *bias += shift);
    }
    FloatOp::Sum { terms, bias: merged }
}

/// `left.1 * left.0 + right.1 * right.0`.
pub(super) fn sum(
    lowering: &mut Lowering,
    node: &Node,
    left: (&Flow, f32),
    right: (&Flow, f32),
) -> Result<(), ImportError> {
    let (core, other) = (without_leading_ones(&left.0.shape), without_leading_ones(&right.0.shape));
    if core != other {
        let shapes = format!("{:?} and {:?}", left.0.shape, right.0.shape);
        return Err(node.unsupported(format!("activations of shapes {shapes} are not added by broadcasting")));
    }
    let longer = if left.0.shape.len() >= right.0.shape.len() { left.0 } else { right.0 };
    let shape = longer.shape.clone();
    let elements = shape.iter().product();
    let mut terms: Vec<(ValueId, f32)> = Vec::new();
    let mut bias: Vec<f32> = Vec::new();
    for (flow, sign) in [left, right] {
        // A scaled or shifted value joins with its factor; a longer sum stays one rounded value, because
        // chains of residual sums would otherwise grow with the depth.
        let (parts, offsets) = match lowering.producer(flow).map(|producer| &producer.op) {
            Some(FloatOp::Sum { terms, bias }) => match terms.as_slice() {
                [term] if term.access.is_identity(elements) => {
                    (vec![(term.input, term.coefficient)], bias.clone())
                }
                _ => (vec![(flow.id, 1.0)], Vec::new()),
            },
            _ => (vec![(flow.id, 1.0)], Vec::new()),
        };
        for (value, coefficient) in parts {
            match terms.iter_mut().find(|term| term.0 == value) {
                Some(term) => term.1 += sign * coefficient,
                None => terms.push((value, sign * coefficient)),
            }
        }
        if bias.is_empty() {
            bias = vec![0.0; offsets.len()];
        }
        bias.iter_mut().zip(offsets).for_each(|(bias, offset)| *bias += sign * offset);
    }
    let result = lowering.push(node, FloatOp::sum(elements, terms, bias), shape);
    lowering.bind(node, Binding::Flow(result))
}

fn without_leading_ones(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|&&size| size == 1).count();
    &shape[ones..]
}

/// The constant broadcast to `shape`, or one value if it is a scalar; and the result's shape, which may have
/// gained leading axes of size 1.
fn expand(node: &Node, constant: &Constant, shape: &[usize]) -> Result<(Vec<f32>, Vec<usize>), ImportError> {
    let values = constant.finite()?;
    let rank = shape.len().max(constant.shape.len());
    let pad = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
    let (own, result) = (pad(&constant.shape), pad(shape));
    if own.iter().zip(&result).any(|(&own, &size)| own != size && own != 1) {
        let shapes =
            format!("`{}` of shape {:?} does not broadcast to {shape:?}", constant.name, constant.shape);
        return Err(
            node.unsupported(format!("{shapes}; an activation cannot be broadcast to a constant's shape"))
        );
    }
    let elements = result.iter().product::<usize>();
    let expanded = (0..elements).map(|flat| {
        let (mut rest, mut stride, mut position) = (flat, 1, 0);
        for (&own, &size) in own.iter().zip(&result).rev() {
            position += if own == 1 { 0 } else { (rest % size) * stride };
            stride *= own;
            rest /= size;
        }
        values[position]
    });
    Ok((expanded.collect(), result))
}
