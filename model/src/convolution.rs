//! The geometry of convolutions, for float and integer graphs alike.

use serde::{Deserialize, Serialize};

use crate::access::{Access, AccessAxis};

/// How a kernel moves along one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Number of kernel offsets, at least one.
    pub kernel: usize,
    /// Distance of neighbouring outputs in the input, at least one.
    pub stride: usize,
    /// Distance of neighbouring kernel offsets in the input, at least one.
    pub dilation: usize,
    /// Zeros before the input.
    pub pad_begin: usize,
    /// Zeros after the input.
    pub pad_end: usize,
}

/// The outputs that a kernel offset reaches without leaving the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap {
    /// First output.
    pub output: usize,
    /// Input that it meets there; the next output meets the input one stride further.
    pub input: usize,
    /// Number of outputs, possibly zero.
    pub count: usize,
}

impl Window {
    /// Number of outputs along an axis of `input` elements: `floor((input + pads - dilation (kernel - 1) - 1) / stride) + 1`;
    /// nothing if the padded input is shorter than the kernel, or a field is zero that must not be.
    #[must_use]
    pub fn outputs(&self, input: usize) -> Option<usize> {
        let span = self.dilation.checked_mul(self.kernel.checked_sub(1)?)?.checked_add(1)?;
        let padded = input.checked_add(self.pad_begin)?.checked_add(self.pad_end)?;
        (self.dilation > 0).then_some(())?;
        padded.checked_sub(span)?.checked_div(self.stride)?.checked_add(1)
    }

    /// What kernel offset `offset` meets along an axis of `input` elements: output `o` meets input
    /// `o * stride + offset * dilation - pad_begin`, where that is inside.
    #[must_use]
    pub fn tap(&self, offset: usize, input: usize) -> Tap {
        let outputs = self.outputs(input).unwrap_or(0);
        let ahead = offset * self.dilation;
        let first = self.pad_begin.saturating_sub(ahead).div_ceil(self.stride.max(1));
        let at = (first * self.stride + ahead).saturating_sub(self.pad_begin);
        if at >= input || first >= outputs {
            return Tap { output: 0, input: 0, count: 0 };
        }
        let count = ((input - 1 - at) / self.stride.max(1) + 1).min(outputs - first);
        Tap { output: first, input: at, count }
    }
}

/// A convolution's geometry: the input is `[C, spatial..]`, the output `[O, spatial..]`, and the weights have `O` rows of
/// `C / groups * product of kernels` columns, the input channel outermost and the kernel offsets row-major behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convolution {
    /// Input and output channels fall into so many groups that do not meet; `C` for a depthwise convolution.
    pub groups: usize,
    /// One for each spatial axis; none for a per-channel map of shape `[C]`.
    pub windows: Vec<Window>,
}

impl Convolution {
    /// Shape of the output for an input shape and number of output channels; nothing if they do not fit.
    #[must_use]
    pub fn output_shape(&self, input: &[usize], rows: usize) -> Option<Vec<usize>> {
        let (channels, spatial) = input.split_first()?;
        let fits =
            self.groups > 0 && channels.is_multiple_of(self.groups) && rows.is_multiple_of(self.groups);
        (fits && spatial.len() == self.windows.len()).then_some(())?;
        let outputs = self.windows.iter().zip(spatial).map(|(window, &size)| window.outputs(size));
        std::iter::once(Some(rows)).chain(outputs).collect()
    }

    /// What a kernel offset (row-major over the windows) meets: output element against input element, both within one channel
    /// of the `spatial` input shape. The offset must be below the product of the kernels.
    #[must_use]
    pub fn tap(&self, offset: usize, spatial: &[usize]) -> Access {
        let mut access = Access { output_start: 0, input_start: 0, axes: Vec::with_capacity(spatial.len()) };
        let (mut offset, mut output_stride, mut input_stride) = (offset, 1, 1);
        for (window, &input) in self.windows.iter().zip(spatial).rev() {
            let tap = window.tap(offset % window.kernel, input);
            offset /= window.kernel;
            access.output_start += tap.output * output_stride;
            access.input_start += tap.input * input_stride;
            let (count, input_stride_axis) = (tap.count, window.stride * input_stride);
            access.axes.push(AccessAxis { count, output_stride, input_stride: input_stride_axis });
            output_stride *= window.outputs(input).unwrap_or(0);
            input_stride *= input;
        }
        access.axes.reverse();
        access
    }

    /// Columns of the weights for `channels` input channels, saturating.
    #[must_use]
    pub fn columns(&self, channels: usize) -> usize {
        let per_group = channels.checked_div(self.groups).unwrap_or(0);
        self.windows.iter().fold(per_group, |product, window| product.saturating_mul(window.kernel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_the_definition() {
        for kernel in 1..5 {
            for (stride, dilation) in [(1, 1), (2, 1), (1, 2), (3, 2), (5, 1)] {
                for (pad_begin, pad_end) in [(0, 0), (1, 1), (0, 2), (4, 3)] {
                    for input in 1..9 {
                        check(Window { kernel, stride, dilation, pad_begin, pad_end }, input);
                    }
                }
            }
        }
    }

    fn check(window: Window, input: usize) {
        let Some(outputs) = window.outputs(input) else {
            assert!(window.dilation * (window.kernel - 1) + 1 > input + window.pad_begin + window.pad_end);
            return;
        };
        for offset in 0..window.kernel {
            let meets = |output: usize| {
                let at = output * window.stride + offset * window.dilation;
                at.checked_sub(window.pad_begin).filter(|&at| at < input).map(|at| (output, at))
            };
            let expected: Vec<_> = (0..outputs).filter_map(meets).collect();
            let tap = window.tap(offset, input);
            let found: Vec<_> =
                (0..tap.count).map(|i| (tap.output + i, tap.input + i * window.stride)).collect();
            assert_eq!(found, expected, "{window:?}, offset {offset}, {input} elements");
        }
    }

    #[test]
    fn shapes_that_do_not_fit_have_no_output() {
        let window = Window { kernel: 3, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
        let convolution = Convolution { groups: 2, windows: vec![window, window] };
        assert_eq!(convolution.output_shape(&[4, 5, 6], 8), Some(vec![8, 3, 4]));
        assert_eq!(convolution.columns(4), 18);
        for (input, rows) in [(vec![3, 5, 6], 8), (vec![4, 5, 6], 7), (vec![4, 2, 6], 8), (vec![4, 5], 8)] {
            assert_eq!(convolution.output_shape(&input, rows), None);
        }
        assert_eq!(Window { stride: 0, ..window }.outputs(5), None);
        assert_eq!(Window { kernel: 0, ..window }.outputs(5), None);
    }
}
