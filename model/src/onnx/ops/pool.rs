//! MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool.

use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::convolution::image;
use super::layout::strides;
use super::reduce;
use super::sizes;
use super::windows::{Windows, inside, windows};
use crate::access::{Access, AccessAxis};
use crate::convolution::Window;
use crate::float_graph::{Candidate, FloatOp, FloatTerm};

fn pool_windows(node: &Node, flow: &Flow) -> Result<Windows, ImportError> {
    let kernel =
        node.integers("kernel_shape").ok_or_else(|| node.shape_error("its kernel_shape is missing"))?;
    let slid = windows(node, &sizes(node, kernel)?, &flow.shape[2..])?;
    for ((window, &outputs), &input) in slid.windows.iter().zip(&slid.outputs).zip(&flow.shape[2..]) {
        // The first and the last window lie furthest outside.
        if [0, outputs - 1].iter().any(|&output| inside(window, output, input).1 == 0) {
            return Err(node
                .unsupported("a window lies in the padding altogether; make pads smaller than the kernel"));
        }
    }
    Ok(slid)
}

/// One maximum for each spatial axis, the axis that leaves the fewest elements first.
pub(super) fn max_pool(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    if node.outputs().get(1).is_some_and(|name| !name.is_empty()) {
        return Err(node.unsupported("its second output, the indices, is not supported"));
    }
    if node.integer("storage_order", 0) != 0 {
        return Err(node.unsupported("its attribute storage_order is not 0"));
    }
    let mut flow = image(lowering, node, 1)?;
    let Windows { windows, outputs } = pool_windows(node, &flow)?;
    let final_shape = [&flow.shape[..2], outputs.as_slice()].concat();
    lowering.check_size(node, &final_shape)?;
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&axis| outputs[axis] * (1 << 20) / flow.shape[axis + 2]);
    for axis in order {
        let window = windows[axis];
        if window.kernel == 1 && window.stride == 1 && (window.pad_begin, window.pad_end) == (0, 0) {
            continue;
        }
        let mut shape = flow.shape.clone();
        shape[axis + 2] = outputs[axis];
        lowering.check_size(node, &shape)?;
        let candidates =
            (0..window.kernel).map(|offset| candidate(&flow, axis + 2, &window, (offset, outputs[axis])));
        let op = FloatOp::Maximum { candidates: candidates.collect() };
        flow = lowering.push(node, op, shape);
    }
    lowering.bind(node, Binding::Flow(flow))
}

/// What a kernel offset meets along an axis, with the window's nearest element inside in place of the padding.
fn candidate(flow: &Flow, axis: usize, window: &Window, (offset, outputs): (usize, usize)) -> Candidate {
    let input = flow.shape[axis];
    let met = (0..outputs).map(|output| {
        let (first, count) = inside(window, output, input);
        let offset = offset.clamp(first, first + count - 1);
        output * window.stride + offset * window.dilation - window.pad_begin
    });
    let met: Vec<usize> = met.collect();
    let mut shape = flow.shape.clone();
    shape[axis] = outputs;
    let (to, from) = (strides(&shape), strides(&flow.shape));
    let outer: usize = shape[..axis].iter().product();
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < outputs {
        let regular = |at: &usize| met[*at] != met[start] + (*at - start) * window.stride;
        let end = (start + 1..outputs).find(regular).unwrap_or(outputs);
        let axes = vec![
            AccessAxis { count: outer, output_stride: to[axis] * outputs, input_stride: from[axis] * input },
            AccessAxis {
                count: end - start,
                output_stride: to[axis],
                input_stride: from[axis] * window.stride,
            },
            AccessAxis { count: to[axis], output_stride: 1, input_stride: 1 },
        ];
        let access = Access { output_start: start * to[axis], input_start: met[start] * from[axis], axes };
        pieces.push((flow.id, access.simplified()));
        start = end;
    }
    Candidate { pieces }
}

/// Outputs along one axis whose windows have the same kernel offsets inside the input.
struct Stretch {
    output: usize,
    count: usize,
    offset: usize,
    offsets: usize,
    /// What their sum is divided by.
    divisor: usize,
}

/// Sums over windows: one term where they lie inside, and one for each way in which they hang over the edges.
pub(super) fn average_pool(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 1)?;
    let Windows { windows, outputs } = pool_windows(node, &flow)?;
    let counted = node.integer("count_include_pad", 0) != 0;
    let shape = [&flow.shape[..2], outputs.as_slice()].concat();
    lowering.check_size(node, &shape)?;
    let (to, from) = (strides(&shape), strides(&flow.shape));
    let channels = vec![AccessAxis { count: flow.shape[1], output_stride: to[1], input_stride: from[1] }];
    let mut parts = vec![(Access { output_start: 0, input_start: 0, axes: channels }, 1usize)];
    for (axis, window) in windows.iter().enumerate() {
        let stretches = stretches(window, outputs[axis], (flow.shape[axis + 2], counted));
        if parts.len().saturating_mul(stretches.len()) > 1 << 12 {
            return Err(node.unsupported("its windows hang over the edges in more than 4096 ways"));
        }
        let (to, from) = (to[axis + 2], from[axis + 2]);
        let stretches = &stretches;
        let extended = parts.iter().flat_map(|(access, divisor)| {
            stretches.iter().map(move |stretch| {
                let mut access = access.clone();
                access.output_start += stretch.output * to;
                let met =
                    stretch.output * window.stride + stretch.offset * window.dilation - window.pad_begin;
                access.input_start += met * from;
                let step = window.stride * from;
                access.axes.push(AccessAxis { count: stretch.count, output_stride: to, input_stride: step });
                let step = window.dilation * from;
                access.axes.push(AccessAxis { count: stretch.offsets, output_stride: 0, input_stride: step });
                (access, divisor * stretch.divisor)
            })
        });
        parts = extended.collect();
    }
    let term = |(access, divisor): (Access, usize)| FloatTerm {
        input: flow.id,
        coefficient: 1.0 / divisor as f32,
        access: access.simplified(),
    };
    let op = FloatOp::Sum { terms: parts.into_iter().map(term).collect(), bias: Vec::new() };
    let result = lowering.push(node, op, shape);
    lowering.bind(node, Binding::Flow(result))
}

/// `input` elements along the axis, and whether padding counts in the divisor.
fn stretches(window: &Window, outputs: usize, (input, counted): (usize, bool)) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for output in 0..outputs {
        let (offset, offsets) = inside(window, output, input);
        // Padding counts, but not what a last window that was rounded up to has beyond the padding.
        let padded = input + window.pad_begin + window.pad_end - output * window.stride;
        let divisor = if counted { padded.div_ceil(window.dilation).min(window.kernel) } else { offsets };
        match stretches.last_mut() {
            Some(last) if (last.offset, last.offsets, last.divisor) == (offset, offsets, divisor) => {
                last.count += 1;
            }
            _ => stretches.push(Stretch { output, count: 1, offset, offsets, divisor }),
        }
    }
    stretches
}

pub(super) fn global_average_pool(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 1)?;
    let axes: Vec<usize> = (2..flow.shape.len()).collect();
    let result = reduce::summed(lowering, node, &flow, &axes, true);
    lowering.bind(node, Binding::Flow(result))
}

pub(super) fn global_max_pool(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 1)?;
    let axes: Vec<usize> = (2..flow.shape.len()).collect();
    let result = reduce::greatest(lowering, node, flow, &axes);
    lowering.bind(node, Binding::Flow(result))
}
