//! Kernels, strides, dilations and pads, as convolutions and pools give them.

use super::super::error::ImportError;
use super::super::node::Node;
use super::sizes;
use crate::convolution::Window;

/// The most that a stride, a dilation or a pad may be.
const LARGEST: usize = 1 << 26;

/// The windows that a node slides over the spatial axes, and the outputs along each.
pub(super) struct Windows {
    pub(super) windows: Vec<Window>,
    pub(super) outputs: Vec<usize>,
}

/// Reads the node's windows for a kernel and the spatial shape of the input.
pub(super) fn windows(node: &Node, kernel: &[usize], spatial: &[usize]) -> Result<Windows, ImportError> {
    let rank = spatial.len();
    if kernel.len() != rank {
        return Err(node.shape_error(format!("a kernel with {} axes slides over {rank}", kernel.len())));
    }
    let list = |name: &str, length: usize, default: usize| match node.integers(name) {
        None => Ok(vec![default; length]),
        Some(values) => {
            let values = sizes(node, values).map_err(|_| {
                node.unsupported(format!(
                    "its attribute {name} is {values:?}; negative values are not supported"
                ))
            })?;
            let fits = values.len() == length && values.iter().all(|&value| value <= LARGEST);
            let reason =
                || format!("its attribute {name} is {values:?}, {length} values up to 2^26 are needed");
            if fits { Ok(values) } else { Err(node.shape_error(reason())) }
        }
    };
    let (strides, dilations) = (list("strides", rank, 1)?, list("dilations", rank, 1)?);
    let pads = list("pads", 2 * rank, 0)?;
    let automatic = node.text("auto_pad", "NOTSET");
    let ceil = node.integer("ceil_mode", 0) != 0;
    let mut result = Windows { windows: Vec::with_capacity(rank), outputs: Vec::with_capacity(rank) };
    for (axis, &input) in spatial.iter().enumerate() {
        let mut window = Window {
            kernel: kernel[axis],
            stride: strides[axis],
            dilation: dilations[axis],
            pad_begin: pads[axis],
            pad_end: pads[axis + rank],
        };
        if window.kernel == 0 || window.stride == 0 || window.dilation == 0 || window.kernel > LARGEST {
            return Err(node.shape_error("a kernel, stride or dilation is 0 or too large"));
        }
        match automatic.as_str() {
            "NOTSET" | "" => {}
            "VALID" => (window.pad_begin, window.pad_end) = (0, 0),
            "SAME_UPPER" | "SAME_LOWER" => {
                let total = same_padding(&window, input);
                let half = total / 2;
                let (small, large) = (half, total - half);
                (window.pad_begin, window.pad_end) =
                    if automatic == "SAME_UPPER" { (small, large) } else { (large, small) };
            }
            other => {
                let known = "NOTSET, VALID, SAME_UPPER or SAME_LOWER is needed";
                return Err(node.unsupported(format!("its attribute auto_pad is `{other}`; {known}")));
            }
        }
        let outputs = outputs(&window, input, ceil).ok_or_else(|| {
            node.shape_error(format!("its kernel {kernel:?} is larger than the padded input {spatial:?}"))
        })?;
        result.windows.push(window);
        result.outputs.push(outputs);
    }
    Ok(result)
}

/// Zeros in all, before and after, with which there are as many outputs as strides begun in the input.
fn same_padding(window: &Window, input: usize) -> usize {
    let outputs = input.div_ceil(window.stride);
    let span = window.dilation * (window.kernel - 1) + 1;
    (outputs.saturating_sub(1) * window.stride + span).saturating_sub(input)
}

/// Number of outputs. Rounded up, a last window hangs over the end, unless it would begin behind the input.
fn outputs(window: &Window, input: usize, ceil: bool) -> Option<usize> {
    let exact = window.outputs(input)?;
    let span = window.dilation * (window.kernel - 1) + 1;
    let rest = (input + window.pad_begin + window.pad_end - span) % window.stride;
    let one_more = ceil && rest != 0 && exact * window.stride < input + window.pad_begin;
    Some(exact + usize::from(one_more))
}

/// The kernel offsets of one output that lie inside the input: the first, and how many.
pub(super) fn inside(window: &Window, output: usize, input: usize) -> (usize, usize) {
    let start = output * window.stride;
    let first = window.pad_begin.saturating_sub(start).div_ceil(window.dilation);
    let end = (input + window.pad_begin).saturating_sub(start).div_ceil(window.dilation).min(window.kernel);
    (first.min(end), end.saturating_sub(first))
}
