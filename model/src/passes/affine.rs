//! Scales and shifts, batch normalisation above all, join the linear operation before or after them.

use super::Links;
use crate::convolution::{Convolution, Window};
use crate::float_graph::{FloatGraph, FloatMatrix, FloatOp, FloatTerm, ValueId};

/// `factor * input + shift`: the factor one for all elements or one for each, the shift none or one for each.
struct Affine {
    input: ValueId,
    factor: Vec<f32>,
    shift: Vec<f32>,
}

/// Folds every affine operation that a neighbour can take in; it becomes a reshape.
pub(super) fn fold(graph: &mut FloatGraph) {
    let links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        let Some(affine) = recognise(graph, index) else { continue };
        let before = links.behind_reshapes(graph, affine.input);
        if let Some(producer) = links.producers[before.0]
            && links.readers[before.0] == 1
            && let Some(op) = after(&graph.nodes[producer].op, &affine, graph.values[before.0].elements())
            && is_finite(&op)
        {
            graph.nodes[producer].op = op;
            graph.nodes[index].op = FloatOp::Reshape { input: affine.input };
        }
    }
    for index in 0..graph.nodes.len() {
        fold_before(graph, &links, index);
    }
}

/// Folds the affine operation that a linear one reads into it.
fn fold_before(graph: &mut FloatGraph, links: &Links, index: usize) {
    let input = match &graph.nodes[index].op {
        FloatOp::Linear { input, .. } | FloatOp::Convolution { input, .. } => *input,
        _ => return,
    };
    let scaled = links.behind_reshapes(graph, input);
    let Some(producer) = links.producers[scaled.0] else { return };
    let Some(affine) = recognise(graph, producer) else { return };
    let alone = links.readers[scaled.0] == 1;
    let alike = scaled == input && graph.values[affine.input.0].shape == graph.values[input.0].shape;
    if !alone && !alike {
        return;
    }
    let value = &graph.values[input.0];
    let Some(mut op) = before(&graph.nodes[index].op, &affine, (&value.shape, value.elements())) else {
        return;
    };
    if !is_finite(&op) {
        return;
    }
    if alone {
        graph.nodes[producer].op = FloatOp::Reshape { input: affine.input };
    } else {
        op.inputs_mut().into_iter().for_each(|read| *read = affine.input);
    }
    graph.nodes[index].op = op;
}

fn recognise(graph: &FloatGraph, index: usize) -> Option<Affine> {
    let node = &graph.nodes[index];
    let elements = graph.values[node.output.0].elements();
    match &node.op {
        FloatOp::Sum { terms, bias } => match terms.as_slice() {
            [FloatTerm { input, coefficient, access }]
                if graph.values[input.0].elements() == elements && access.is_identity(elements) =>
            {
                Some(Affine { input: *input, factor: vec![*coefficient], shift: bias.clone() })
            }
            _ => None,
        },
        FloatOp::Convolution { input, geometry, weights, bias } => {
            let channels = *graph.values[input.0].shape.first()?;
            let plain = geometry.groups == channels && (weights.rows, weights.columns) == (channels, 1);
            (plain && geometry.windows.iter().all(is_unit)).then_some(())?;
            let inner = elements / channels;
            let spread = |values: &[f32]| {
                values.iter().flat_map(|&value| std::iter::repeat_n(value, inner)).collect::<Vec<f32>>()
            };
            let shift = if bias.iter().all(|&bias| bias == 0.0) { Vec::new() } else { spread(bias) };
            Some(Affine { input: *input, factor: spread(&weights.values), shift })
        }
        _ => None,
    }
}

fn is_unit(window: &Window) -> bool {
    *window == Window { kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 }
}

/// One value for each of `count` channels, each of which is a block of equal values; one value holds for all.
fn by_block(values: &[f32], count: usize, default: f32) -> Option<Vec<f32>> {
    match values {
        [] => Some(vec![default; count]),
        [one] => Some(vec![*one; count]),
        many => {
            let block = many.len().checked_div(count).filter(|block| block * count == many.len())?;
            let blocks = many.chunks_exact(block.max(1));
            let equal = |block: &[f32]| block.iter().all(|value| *value == block[0]).then(|| block[0]);
            blocks.map(equal).collect()
        }
    }
}

/// One value for each of `count` channels that alternate; one value holds for all.
fn by_period(values: &[f32], count: usize, default: f32) -> Option<Vec<f32>> {
    match values {
        [] => Some(vec![default; count]),
        [one] => Some(vec![*one; count]),
        many => {
            let first = many.get(..count).filter(|_| many.len().is_multiple_of(count))?;
            many.chunks_exact(count).all(|chunk| chunk == first).then(|| first.to_vec())
        }
    }
}

/// The operation, whose result has `elements` elements, followed by the affine one.
fn after(op: &FloatOp, affine: &Affine, elements: usize) -> Option<FloatOp> {
    let one_shift = if affine.shift.len() == 1 && elements > 1 { return None } else { &affine.shift };
    match op {
        FloatOp::Linear { input, weights, bias } => {
            let factor = by_period(&affine.factor, weights.rows, 1.0)?;
            let shift = by_period(one_shift, weights.rows, 0.0)?;
            let (weights, bias) = rows_scaled(weights, bias, &factor, &shift);
            Some(FloatOp::Linear { input: *input, weights, bias })
        }
        FloatOp::Convolution { input, geometry, weights, bias } => {
            let factor = by_block(&affine.factor, weights.rows, 1.0)?;
            let shift = by_block(one_shift, weights.rows, 0.0)?;
            let (weights, bias) = rows_scaled(weights, bias, &factor, &shift);
            Some(FloatOp::Convolution { input: *input, geometry: geometry.clone(), weights, bias })
        }
        FloatOp::Sum { terms, bias } => {
            let factor = affine.factor[0];
            affine.factor.iter().all(|&value| value == factor).then_some(())?;
            let scaled =
                |term: &FloatTerm| FloatTerm { coefficient: term.coefficient * factor, ..term.clone() };
            let mut sum: Vec<f32> = bias.iter().map(|bias| bias * factor).collect();
            if !one_shift.is_empty() {
                sum.resize(elements, 0.0);
                sum.iter_mut().zip(one_shift).for_each(|(sum, shift)| *sum += shift);
            }
            Some(FloatOp::Sum { terms: terms.iter().map(scaled).collect(), bias: sum })
        }
        _ => None,
    }
}

fn rows_scaled(
    weights: &FloatMatrix,
    bias: &[f32],
    factor: &[f32],
    shift: &[f32],
) -> (FloatMatrix, Vec<f32>) {
    let mut weights = weights.clone();
    for (row, factor) in weights.values.chunks_exact_mut(weights.columns).zip(factor) {
        row.iter_mut().for_each(|weight| *weight *= factor);
    }
    let bias = bias.iter().zip(factor).zip(shift).map(|((bias, factor), shift)| bias * factor + shift);
    (weights, bias.collect())
}

/// The linear operation, which reads `elements` elements of that shape, with the affine one before it.
fn before(op: &FloatOp, affine: &Affine, (shape, elements): (&[usize], usize)) -> Option<FloatOp> {
    if affine.shift.len() == 1 && elements > 1 {
        return None;
    }
    match op {
        FloatOp::Linear { input, weights, bias } => {
            let factor = by_period(&affine.factor, weights.columns, 1.0)?;
            let shift = by_period(&affine.shift, weights.columns, 0.0)?;
            let (weights, bias) = columns_scaled(weights, bias, |_, column| (factor[column], shift[column]));
            Some(FloatOp::Linear { input: *input, weights, bias })
        }
        FloatOp::Convolution { input, geometry, weights, bias } => {
            let channels = *shape.first()?;
            let factor = by_block(&affine.factor, channels, 1.0)?;
            let shift = by_block(&affine.shift, channels, 0.0)?;
            // Padding is zero after the shift: with a shift it would have to be something else before it.
            let padded = geometry.windows.iter().any(|window| window.pad_begin.max(window.pad_end) > 0);
            (!padded || shift.iter().all(|&shift| shift == 0.0)).then_some(())?;
            let channel = channel_of(geometry, weights, channels);
            let scale = |row, column| {
                let channel = channel(row, column);
                (factor[channel], shift[channel])
            };
            let (weights, bias) = columns_scaled(weights, bias, scale);
            Some(FloatOp::Convolution { input: *input, geometry: geometry.clone(), weights, bias })
        }
        _ => None,
    }
}

/// The input channel that a weight multiplies.
fn channel_of(
    geometry: &Convolution,
    weights: &FloatMatrix,
    channels: usize,
) -> impl Fn(usize, usize) -> usize {
    let (rows, per_group) = (weights.rows / geometry.groups, channels / geometry.groups);
    let kernel = weights.columns / per_group;
    move |row, column| row / rows * per_group + column / kernel
}

/// The weights times the factor of what they multiply, and the bias with the shifts' products.
fn columns_scaled(
    weights: &FloatMatrix,
    bias: &[f32],
    scale: impl Fn(usize, usize) -> (f32, f32),
) -> (FloatMatrix, Vec<f32>) {
    let mut weights = weights.clone();
    let mut sums = Vec::with_capacity(bias.len());
    for (row, (values, &bias)) in weights.values.chunks_exact_mut(weights.columns).zip(bias).enumerate() {
        let mut sum = f64::from(bias);
        for (column, weight) in values.iter_mut().enumerate() {
            let (factor, shift) = scale(row, column);
            sum += f64::from(*weight) * f64::from(shift);
            *weight *= factor;
        }
        sums.push(sum as f32);
    }
    (weights, sums)
}

fn is_finite(op: &FloatOp) -> bool {
    let all = |values: &[f32]| values.iter().all(|value| value.is_finite());
    match op {
        FloatOp::Linear { weights, bias, .. } | FloatOp::Convolution { weights, bias, .. } => {
            all(&weights.values) && all(bias)
        }
        FloatOp::Sum { terms, bias } => terms.iter().all(|term| term.coefficient.is_finite()) && all(bias),
        _ => true,
    }
}
