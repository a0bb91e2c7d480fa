//! Strided correspondences as Slice, ReduceSum, Transpose, Expand and Pad, wherever they are made of these.
//!
//! Both tensors are viewed under finer shapes in which each loop of an access runs along one axis: the input's axes are cut
//! by Slice (or picked by Gather where several loops run along one, as in windows), summed where the loop stays at one element
//! of the result, brought into order by Transpose, repeated by Expand, and placed by Pad or Concat.

use super::encode::Attribute;
use super::layers::list;
use super::{Tensor, Writer, batched, strides};
use crate::access::{Access, AccessAxis};

/// Rounds in which loops are cut so that each runs along one axis on either side.
const ROUNDS: usize = 64;

/// A flat tensor as mixed radices: the axes' lengths and strides, outermost first.
#[derive(Clone, Debug)]
struct View {
    sizes: Vec<usize>,
    strides: Vec<usize>,
}

impl View {
    /// The coarsest view of `elements` elements with an axis at each of the strides; nothing if they do not nest.
    fn of(elements: usize, wanted: impl Iterator<Item = usize>) -> Option<Self> {
        let mut steps: Vec<usize> = wanted.filter(|&stride| stride > 0 && stride < elements).collect();
        steps.push(1);
        steps.sort_unstable_by(|a, b| b.cmp(a));
        steps.dedup();
        let mut outer = elements;
        let mut sizes = Vec::with_capacity(steps.len());
        for &stride in &steps {
            outer.is_multiple_of(stride).then_some(())?;
            sizes.push(outer / stride);
            outer = stride;
        }
        Some(Self { sizes, strides: steps })
    }

    fn digit(&self, axis: usize, flat: usize) -> usize {
        flat / self.strides[axis] % self.sizes[axis]
    }

    /// The axis with the largest stride that divides `stride`.
    fn axis(&self, stride: usize) -> Option<usize> {
        self.strides.iter().position(|&own| own <= stride && stride.is_multiple_of(own))
    }
}

/// A correspondence as operators.
#[derive(Clone, Debug)]
pub(super) struct Move {
    input: View,
    output: View,
    input_start: usize,
    output_start: usize,
    /// Loops that read different elements, in the order of the input's axes, each with its axis.
    reading: Vec<(usize, AccessAxis)>,
    /// Loops that write the same element to many places.
    repeating: Vec<AccessAxis>,
    /// How often each pair occurs.
    times: usize,
}

/// Where a piece stands in the result: elements `start..end` of each `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) period: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The access as a move, if it is one.
pub(super) fn recognise(access: &Access, input: &[usize], output: &[usize]) -> Option<Move> {
    let shapes = [(true, true), (false, true), (true, false), (false, false)];
    shapes.into_iter().find_map(|(by_input, by_output)| {
        let input = (input.iter().product(), if by_input { strides(input) } else { Vec::new() });
        let output = (output.iter().product(), if by_output { strides(output) } else { Vec::new() });
        plan(access, input, output)
    })
}

/// Cuts loops until each runs along one axis of both views. The views have axes at the given strides and at the loops'.
fn plan(
    access: &Access,
    (inputs, input_strides): (usize, Vec<usize>),
    (outputs, output_strides): (usize, Vec<usize>),
) -> Option<Move> {
    let mut loops: Vec<AccessAxis> = access.simplified().axes;
    let still = |axis: &AccessAxis| axis.input_stride == 0 && axis.output_stride == 0;
    let times = loops.iter().filter(|axis| still(axis)).map(|axis| axis.count).product();
    loops.retain(|axis| !still(axis));
    for _ in 0..ROUNDS {
        let own = loops.iter().map(|axis| axis.output_stride);
        let output = View::of(outputs, output_strides.iter().copied().chain(own))?;
        let own = loops.iter().map(|axis| axis.input_stride).filter(|_| input_strides.is_empty());
        let input = View::of(inputs, input_strides.iter().copied().chain(own))?;
        let too_long = loops.iter().enumerate().find_map(|(at, axis)| {
            let written = overrun(&output, axis.output_stride, axis.count, access.output_start);
            let read = overrun(&input, axis.input_stride, axis.count, access.input_start);
            written.or(read).map(|length| (at, length))
        });
        let Some((at, length)) = too_long else {
            return assemble((input, access.input_start), (output, access.output_start), &loops, times);
        };
        let axis = loops[at];
        let inner = length.filter(|&length| length > 1 && axis.count.is_multiple_of(length))?;
        let outer = AccessAxis {
            count: axis.count / inner,
            output_stride: axis.output_stride * inner,
            input_stride: axis.input_stride * inner,
        };
        loops[at] = outer;
        loops.insert(at + 1, AccessAxis { count: inner, ..axis });
        loops.retain(|axis| axis.count > 1);
    }
    None
}

/// Nothing if the loop stays on its axis; otherwise the length to cut it to, if cutting helps.
fn overrun(view: &View, stride: usize, count: usize, start: usize) -> Option<Option<usize>> {
    if stride == 0 {
        return None;
    }
    let Some(axis) = view.axis(stride) else { return Some(None) };
    let (step, digit) = (stride / view.strides[axis], view.digit(axis, start));
    if digit + (count - 1) * step < view.sizes[axis] {
        return None;
    }
    Some((digit < step && view.sizes[axis].is_multiple_of(step)).then(|| view.sizes[axis] / step))
}

fn assemble(
    (input, input_start): (View, usize),
    (output, output_start): (View, usize),
    loops: &[AccessAxis],
    times: usize,
) -> Option<Move> {
    let mut reading = Vec::new();
    for axis in loops.iter().filter(|axis| axis.input_stride > 0) {
        reading.push((input.axis(axis.input_stride)?, *axis));
    }
    reading.sort_by_key(|(at, axis)| (*at, std::cmp::Reverse(axis.input_stride)));
    // Several loops along one axis of the input add up; together they must stay on it.
    for at in 0..input.sizes.len() {
        let steps = reading.iter().filter(|(own, _)| *own == at);
        let last: usize =
            steps.map(|(_, axis)| (axis.count - 1) * (axis.input_stride / input.strides[at])).sum();
        (input.digit(at, input_start) + last < input.sizes[at]).then_some(())?;
    }
    // Along an axis of the result there may be one, with steps of one, so that no element is written twice.
    let mut written: Vec<usize> = loops.iter().map(|axis| axis.output_stride).filter(|&to| to > 0).collect();
    let exact = written.iter().all(|to| output.strides.contains(to));
    let count = written.len();
    written.sort_unstable();
    written.dedup();
    (exact && written.len() == count).then_some(())?;
    let repeating = loops.iter().filter(|axis| axis.input_stride == 0).copied().collect();
    Some(Move { input, output, input_start, output_start, reading, repeating, times })
}

impl Move {
    /// How often the move adds each pair.
    pub(super) fn times(&self) -> usize {
        self.times
    }

    /// Lengths of the piece along the result's axes.
    fn counts(&self) -> Vec<usize> {
        let loops = || self.reading.iter().map(|(_, axis)| axis).chain(&self.repeating);
        let count =
            |stride: &usize| loops().find(|axis| axis.output_stride == *stride).map_or(1, |axis| axis.count);
        self.output.strides.iter().map(count).collect()
    }

    /// The stretch of the result that the piece fills, if it is one.
    pub(super) fn stretch(&self) -> Option<Stretch> {
        let counts = self.counts();
        let partial: Vec<usize> =
            (0..counts.len()).filter(|&at| counts[at] != self.output.sizes[at]).collect();
        let elements = self.output.sizes.iter().product();
        match partial.as_slice() {
            [] => Some(Stretch { period: elements, start: 0, end: elements }),
            &[at] => {
                let (stride, digit) = (self.output.strides[at], self.output.digit(at, self.output_start));
                let period = stride * self.output.sizes[at];
                Some(Stretch { period, start: digit * stride, end: (digit + counts[at]) * stride })
            }
            _ => None,
        }
    }
}

impl Writer<'_> {
    /// The piece that a move makes of a tensor, without what surrounds it.
    pub(super) fn piece(&mut self, tensor: Tensor, moved: &Move) -> Tensor {
        let Move { input, reading, .. } = moved;
        let viewed = self.reshaped(tensor, batched(&input.sizes));
        let cut = self.cut(viewed, moved);
        let counts = |loops: &[(usize, AccessAxis)]| {
            std::iter::once(1).chain(loops.iter().map(|(_, axis)| axis.count)).collect::<Vec<usize>>()
        };
        let mut tensor = self.reshaped(cut, counts(reading));
        let summed: Vec<usize> =
            (0..reading.len()).filter(|&at| reading[at].1.output_stride == 0).map(|at| at + 1).collect();
        let mut kept = reading.clone();
        if !summed.is_empty() {
            kept.retain(|(_, axis)| axis.output_stride > 0);
            let axes = self.integers("axes", &summed);
            let attributes = vec![("keepdims", Attribute::Int(0))];
            tensor = self.push("ReduceSum", &[&tensor.name, &axes], attributes, counts(&kept));
        }
        let mut order: Vec<usize> = (0..kept.len()).collect();
        order.sort_by_key(|&at| std::cmp::Reverse(kept[at].1.output_stride));
        if !order.is_sorted() {
            kept = order.iter().map(|&at| kept[at]).collect();
            let permutation = list(std::iter::once(0).chain(order.iter().map(|at| at + 1)));
            tensor = self.push("Transpose", &[&tensor.name], vec![("perm", permutation)], counts(&kept));
        }
        self.repeated(tensor, moved, &kept)
    }

    /// The elements that the loops read: along each axis of the view a slice, or what several loops pick.
    fn cut(&mut self, mut tensor: Tensor, moved: &Move) -> Tensor {
        let view = &moved.input;
        let (mut starts, mut ends, mut axes, mut steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut picks = Vec::new();
        for at in 0..view.sizes.len() {
            let own: Vec<&AccessAxis> =
                moved.reading.iter().filter(|(axis, _)| *axis == at).map(|(_, axis)| axis).collect();
            let first = view.digit(at, moved.input_start);
            let (count, step) = match own.as_slice() {
                [] => (1, 1),
                [one] => (one.count, one.input_stride / view.strides[at]),
                _ => {
                    let access = |axis: &&AccessAxis| AccessAxis {
                        input_stride: axis.input_stride / view.strides[at],
                        output_stride: 0,
                        ..**axis
                    };
                    let axes = own.iter().map(access).collect();
                    let access = Access { output_start: 0, input_start: first, axes };
                    let mut indices = Vec::with_capacity(access.pairs());
                    access.for_each(|_, from| indices.push(from));
                    picks.push((at, indices));
                    continue;
                }
            };
            if count != view.sizes[at] {
                starts.push(first);
                ends.push(first + (count - 1) * step + 1);
                axes.push(at + 1);
                steps.push(step);
                tensor.shape[at + 1] = count;
            }
        }
        if !starts.is_empty() {
            let bounds = [("starts", starts), ("ends", ends), ("axes", axes), ("steps", steps)];
            let [starts, ends, axes, steps] = bounds.map(|(name, values)| self.integers(name, &values));
            let operands = [tensor.name.as_str(), &starts, &ends, &axes, &steps];
            tensor = self.push("Slice", &operands, Vec::new(), tensor.shape.clone());
        }
        for (at, indices) in picks {
            tensor.shape[at + 1] = indices.len();
            let indices = self.integers("indices", &indices);
            let attributes = vec![("axis", Attribute::Int(at as i64 + 1))];
            tensor = self.push("Gather", &[&tensor.name, &indices], attributes, tensor.shape.clone());
        }
        tensor
    }

    /// Repeats along the loops that read one element, and gives the piece the axes of the result's view.
    fn repeated(&mut self, mut tensor: Tensor, moved: &Move, kept: &[(usize, AccessAxis)]) -> Tensor {
        let counts = moved.counts();
        if !moved.repeating.is_empty() {
            let size = |stride: &usize| {
                kept.iter().find(|(_, axis)| axis.output_stride == *stride).map_or(1, |(_, axis)| axis.count)
            };
            let narrow: Vec<usize> = moved.output.strides.iter().map(size).collect();
            tensor = self.reshaped(tensor, batched(&narrow));
            let target = self.integers("shape", &batched(&counts));
            tensor = self.push("Expand", &[&tensor.name, &target], Vec::new(), batched(&counts));
        }
        self.reshaped(tensor, batched(&counts))
    }

    /// A piece with zeros around it, so that it fills the result's view.
    pub(super) fn surrounded(&mut self, piece: Tensor, moved: &Move) -> Tensor {
        let (counts, view) = (moved.counts(), &moved.output);
        if counts == view.sizes {
            return piece;
        }
        let before: Vec<usize> = (0..counts.len()).map(|at| view.digit(at, moved.output_start)).collect();
        let after = (0..counts.len()).map(|at| view.sizes[at] - before[at] - counts[at]);
        let pads: Vec<usize> =
            std::iter::once(0).chain(before.iter().copied()).chain([0]).chain(after).collect();
        let pads = self.integers("pads", &pads);
        let zero = self.floats("zero", &[], &[0.0]);
        self.push("Pad", &[&piece.name, &pads, &zero], Vec::new(), batched(&view.sizes))
    }
}
