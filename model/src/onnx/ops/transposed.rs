//! ConvTranspose: one ordinary convolution that makes all phases of a stride as channels of their own, and a move that
//! puts them side by side. No element is computed that the result does not have, but for a border.

use super::super::constant::Constant;
use super::super::error::ImportError;
use super::super::lowering::{Binding, Flow, Lowering};
use super::super::node::Node;
use super::convolution::{channel_values, image};
use super::layout::strides;
use super::sizes;
use crate::access::{Access, AccessAxis};
use crate::convolution::{Convolution, Window};
use crate::float_graph::{FloatMatrix, FloatOp, FloatTerm};

/// The most that a stride, a dilation, a pad or a kernel may be.
const LARGEST: usize = 1 << 20;

/// One spatial axis: output `o` sums `x[i] w[t]` over `i * stride + t * dilation = o + pad`.
#[derive(Clone, Copy)]
struct Axis {
    input: usize,
    output: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    pad: usize,
}

impl Axis {
    /// Taps that one phase of the stride has at most.
    fn taps(&self) -> usize {
        (self.dilation * (self.kernel - 1) + 1).div_ceil(self.stride)
    }

    /// The first and the last `q` with `stride * q + phase = o + pad` for an output `o`; none if there is no such output.
    fn span(&self, phase: usize) -> Option<(usize, usize)> {
        let first = self.pad.saturating_sub(phase).div_ceil(self.stride);
        let last = (self.output + self.pad - 1).checked_sub(phase)? / self.stride;
        (first <= last).then_some((first, last))
    }

    /// The convolution's window for all phases, and the `q` of its first output.
    fn window(&self) -> (Window, usize) {
        let spans = || (0..self.stride).filter_map(|phase| self.span(phase));
        let first = spans().map(|span| span.0).min().unwrap_or(0).min(self.taps() - 1);
        let last = spans().map(|span| span.1).max().unwrap_or(0);
        let window = Window {
            kernel: self.taps(),
            stride: 1,
            dilation: 1,
            pad_begin: self.taps() - 1 - first,
            pad_end: (last + 1).saturating_sub(self.input),
        };
        (window, first)
    }

    /// The kernel's offset that meets tap `tap` of the window in a phase.
    fn offset(&self, phase: usize, tap: usize) -> Option<usize> {
        let place = phase + self.stride * (self.taps() - 1 - tap);
        (place.is_multiple_of(self.dilation) && place / self.dilation < self.kernel)
            .then(|| place / self.dilation)
    }
}

pub(super) fn conv_transpose(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let flow = image(lowering, node, 1)?;
    let weights = lowering.required(node, 1)?;
    let [channels, per_group, kernel @ ..] = weights.shape.as_slice() else {
        return Err(node.shape_error(format!("the weights `{}` have no output channels", weights.name)));
    };
    let groups = usize::try_from(node.integer("group", 1)).unwrap_or(0);
    if *channels != flow.shape[1] || groups == 0 || !channels.is_multiple_of(groups) || weights.count() == 0 {
        return Err(node.shape_error(format!(
            "the weights `{}` of shape {:?} do not fit {} channels in {groups} groups",
            weights.name, weights.shape, flow.shape[1]
        )));
    }
    let bias = match lowering.constant(node, 2)? {
        Some(bias) => channel_values(node, &bias, per_group * groups)?,
        None => vec![0.0; per_group * groups],
    };
    let axes = axes(node, kernel, &flow.shape[2..])?;
    let phases = Phases::new(&axes, groups, *per_group);
    let computed = phases.convolution(lowering, node, &flow, &weights)?;
    let shape =
        [&[1, groups * per_group], axes.iter().map(|axis| axis.output).collect::<Vec<_>>().as_slice()]
            .concat();
    let elements = lowering.check_size(node, &shape)?;
    let inner = elements / bias.len();
    let terms = phases.terms(&computed);
    let bias = if bias.iter().all(|&value| value == 0.0) {
        Vec::new()
    } else {
        bias.iter().flat_map(|&value| std::iter::repeat_n(value, inner)).collect()
    };
    let result = lowering.push(node, FloatOp::Sum { terms, bias }, shape);
    lowering.bind(node, Binding::Flow(result))
}

/// Reads strides, dilations and pads; the output's size is given or follows from them.
fn axes(node: &Node, kernel: &[usize], spatial: &[usize]) -> Result<Vec<Axis>, ImportError> {
    let rank = spatial.len();
    if kernel.len() != rank {
        return Err(node.shape_error(format!("a kernel with {} axes for {rank}", kernel.len())));
    }
    let list = |name: &str, length: usize, default: usize| match node.integers(name) {
        None => Ok(vec![default; length]),
        Some(values) => {
            let found = sizes(node, values)?;
            let fits = found.len() == length && found.iter().all(|&value| value <= LARGEST);
            let reason = || format!("its attribute {name} is {values:?}, {length} values are needed");
            if fits { Ok(found) } else { Err(node.shape_error(reason())) }
        }
    };
    let (strides, dilations) = (list("strides", rank, 1)?, list("dilations", rank, 1)?);
    let (pads, more) = (list("pads", 2 * rank, 0)?, list("output_padding", rank, 0)?);
    let given = node.integers("output_shape").map(|shape| sizes(node, shape)).transpose()?;
    let automatic = node.text("auto_pad", "NOTSET");
    let axis = |at: usize| {
        let (stride, dilation, kernel, input) = (strides[at], dilations[at], kernel[at], spatial[at]);
        if [stride, dilation, kernel, input].contains(&0) || kernel > LARGEST || input > LARGEST {
            return Err(node.shape_error("a kernel, stride, dilation or size is 0 or too large"));
        }
        let full = stride * (input - 1) + more[at] + dilation * (kernel - 1) + 1;
        // The last axes of a shape that is given, which may have batch and channels before them.
        let target =
            given.as_ref().map(|shape| (shape.len() + at).checked_sub(rank).map_or(0, |at| shape[at]));
        let (pad, output) = match (automatic.as_str(), target) {
            ("NOTSET" | "", None) => (pads[at], full.saturating_sub(pads[at] + pads[at + rank])),
            ("VALID", None) => (0, full),
            ("SAME_UPPER" | "SAME_LOWER" | "NOTSET" | "" | "VALID", target) => {
                let output = target.unwrap_or(stride * input);
                let total = full.saturating_sub(output);
                (if automatic == "SAME_UPPER" { total / 2 } else { total - total / 2 }, output)
            }
            (other, _) => return Err(node.unsupported(format!("its attribute auto_pad is `{other}`"))),
        };
        if output == 0 || pad >= full {
            return Err(node.shape_error(format!("its pads {pads:?} leave nothing of {full} elements")));
        }
        Ok(Axis { input, output, kernel, stride, dilation, pad })
    };
    (0..rank).map(axis).collect()
}

/// How the phases of all axes share the channels of one convolution: group, then phase, then channel of the group.
struct Phases<'a> {
    axes: &'a [Axis],
    groups: usize,
    per_group: usize,
    count: usize,
}

impl<'a> Phases<'a> {
    fn new(axes: &'a [Axis], groups: usize, per_group: usize) -> Self {
        let count = axes.iter().fold(1usize, |count, axis| count.saturating_mul(axis.stride));
        Self { axes, groups, per_group, count }
    }

    /// The phase of each axis, from the number of the combination.
    fn split(&self, mut number: usize) -> Vec<usize> {
        let mut phases = vec![0; self.axes.len()];
        for (phase, axis) in phases.iter_mut().zip(self.axes).rev() {
            *phase = number % axis.stride;
            number /= axis.stride;
        }
        phases
    }

    fn convolution(
        &self,
        lowering: &mut Lowering,
        node: &Node,
        flow: &Flow,
        weights: &Constant,
    ) -> Result<Flow, ImportError> {
        let windows: Vec<Window> = self.axes.iter().map(|axis| axis.window().0).collect();
        let outputs: Option<Vec<usize>> =
            windows.iter().zip(self.axes).map(|(window, axis)| window.outputs(axis.input)).collect();
        let outputs = outputs.ok_or_else(|| node.shape_error("its kernel and pads leave no output"))?;
        let channels = flow.shape[1] / self.groups;
        let taps: usize = windows.iter().map(|window| window.kernel).product();
        let rows = self.groups.saturating_mul(self.count).saturating_mul(self.per_group);
        let columns = channels * taps;
        lowering.check_size(node, &[rows, columns])?;
        let shape = [&[1, rows], outputs.as_slice()].concat();
        lowering.check_size(node, &shape)?;
        let source = weights.finite()?;
        let kernel: usize = self.axes.iter().map(|axis| axis.kernel).product();
        let mut values = Vec::with_capacity(rows * columns);
        for group in 0..self.groups {
            for phase in 0..self.count {
                let offsets = self.offsets(&self.split(phase), taps);
                for output in 0..self.per_group {
                    for channel in 0..channels {
                        let start = ((group * channels + channel) * self.per_group + output) * kernel;
                        values.extend(
                            offsets.iter().map(|offset| offset.map_or(0.0, |offset| source[start + offset])),
                        );
                    }
                }
            }
        }
        let geometry = Convolution { groups: self.groups, windows };
        let weights = FloatMatrix { rows, columns, values };
        let op = FloatOp::Convolution { input: flow.id, geometry, weights, bias: vec![0.0; rows] };
        Ok(lowering.push(node, op, shape))
    }

    /// For each tap of the windows, row-major, the element of the kernel that stands there in these phases.
    fn offsets(&self, phases: &[usize], taps: usize) -> Vec<Option<usize>> {
        let offset = |mut tap: usize| {
            let (mut place, mut stride) = (0, 1);
            for (axis, &phase) in self.axes.iter().zip(phases).rev() {
                place += axis.offset(phase, tap % axis.taps())? * stride;
                tap /= axis.taps();
                stride *= axis.kernel;
            }
            Some(place)
        };
        (0..taps).map(offset).collect()
    }

    /// What puts each phase's outputs where they belong.
    fn terms(&self, computed: &Flow) -> Vec<FloatTerm> {
        let shape: Vec<usize> = std::iter::once(self.groups * self.per_group)
            .chain(self.axes.iter().map(|axis| axis.output))
            .collect();
        let (to, from) = (strides(&shape), strides(&computed.shape[1..]));
        let term = |number: usize| {
            let mut access = Access {
                output_start: 0,
                input_start: number * self.per_group * from[0],
                axes: vec![
                    AccessAxis {
                        count: self.groups,
                        output_stride: self.per_group * to[0],
                        input_stride: self.count * self.per_group * from[0],
                    },
                    AccessAxis { count: self.per_group, output_stride: to[0], input_stride: from[0] },
                ],
            };
            for (at, (axis, phase)) in self.axes.iter().zip(self.split(number)).enumerate() {
                let (first, last) = axis.span(phase)?;
                access.output_start += (axis.stride * first + phase - axis.pad) * to[at + 1];
                access.input_start += (first - axis.window().1) * from[at + 1];
                access.axes.push(AccessAxis {
                    count: last - first + 1,
                    output_stride: axis.stride * to[at + 1],
                    input_stride: from[at + 1],
                });
            }
            Some(FloatTerm { input: computed.id, coefficient: 1.0, access: access.simplified() })
        };
        (0..self.count).filter_map(term).collect()
    }
}
