//! Strided correspondences between the elements of two tensors: one notation for transposition, slicing, concatenation,
//! broadcasting, padding, upsampling, and sums over axes or windows.

use serde::{Deserialize, Serialize};

/// One loop of an [`Access`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessAxis {
    /// Number of iterations, at least one.
    pub count: usize,
    /// Elements of the output from one iteration to the next; 0 sums over the axis.
    pub output_stride: usize,
    /// Elements of the input from one iteration to the next; 0 broadcasts along the axis.
    pub input_stride: usize,
}

/// Which elements of an input tensor meet which elements of an output tensor, both flattened row-major: for every index
/// vector `j` below the axes' counts, input element `input_start + sum_i j_i input_stride_i` meets output element
/// `output_start + sum_i j_i output_stride_i`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Output element of the first index vector.
    pub output_start: usize,
    /// Input element of the first index vector.
    pub input_start: usize,
    /// The loops, outermost first.
    pub axes: Vec<AccessAxis>,
}

impl Access {
    /// Element `i` meets element `i`, for `elements` elements.
    #[must_use]
    pub fn identity(elements: usize) -> Self {
        let axes = vec![AccessAxis { count: elements, output_stride: 1, input_stride: 1 }];
        Self { output_start: 0, input_start: 0, axes }
    }

    /// Whether it is the identity on `elements` elements, in any notation.
    #[must_use]
    pub fn is_identity(&self, elements: usize) -> bool {
        let simple = self.simplified();
        match simple.axes.as_slice() {
            [] => (simple.output_start, simple.input_start, elements) == (0, 0, 1),
            [axis] => {
                (simple.output_start, simple.input_start) == (0, 0)
                    && (axis.count, axis.output_stride, axis.input_stride) == (elements, 1, 1)
            }
            _ => false,
        }
    }

    /// The same correspondence without axes of one iteration, and with neighbouring axes merged where one continues the other.
    #[must_use]
    pub fn simplified(&self) -> Self {
        let mut axes: Vec<AccessAxis> = Vec::with_capacity(self.axes.len());
        for axis in self.axes.iter().filter(|axis| axis.count != 1) {
            match axes.last_mut() {
                Some(outer)
                    if axis.output_stride.checked_mul(axis.count) == Some(outer.output_stride)
                        && axis.input_stride.checked_mul(axis.count) == Some(outer.input_stride) =>
                {
                    *outer = AccessAxis { count: outer.count.saturating_mul(axis.count), ..*axis };
                }
                _ => axes.push(*axis),
            }
        }
        Self { axes, ..*self }
    }

    /// The largest output and input elements that it touches; nothing if there are none, or if they overflow.
    #[must_use]
    pub fn reach(&self) -> Option<(usize, usize)> {
        self.axes.iter().try_fold((self.output_start, self.input_start), |(output, input), axis| {
            let steps = axis.count.checked_sub(1)?;
            let output = output.checked_add(steps.checked_mul(axis.output_stride)?)?;
            Some((output, input.checked_add(steps.checked_mul(axis.input_stride)?)?))
        })
    }

    /// Number of pairs, saturating.
    #[must_use]
    pub fn pairs(&self) -> usize {
        self.axes.iter().fold(1, |product, axis| product.saturating_mul(axis.count))
    }

    /// Calls `visit(output, input)` for every pair, last axis innermost.
    pub fn for_each(&self, mut visit: impl FnMut(usize, usize)) {
        walk(&self.axes, self.output_start, self.input_start, &mut visit);
    }
}

fn walk(axes: &[AccessAxis], output: usize, input: usize, visit: &mut impl FnMut(usize, usize)) {
    match axes {
        [] => visit(output, input),
        [axis] => {
            for step in 0..axis.count {
                visit(output + step * axis.output_stride, input + step * axis.input_stride);
            }
        }
        [axis, inner @ ..] => {
            for step in 0..axis.count {
                walk(inner, output + step * axis.output_stride, input + step * axis.input_stride, visit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(count: usize, output_stride: usize, input_stride: usize) -> AccessAxis {
        AccessAxis { count, output_stride, input_stride }
    }

    fn pairs(access: &Access) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        access.for_each(|output, input| pairs.push((output, input)));
        pairs
    }

    #[test]
    fn transposition_reduction_and_broadcast() {
        let transposed = Access { output_start: 0, input_start: 0, axes: vec![axis(2, 1, 3), axis(3, 2, 1)] };
        assert_eq!(pairs(&transposed), [(0, 0), (2, 1), (4, 2), (1, 3), (3, 4), (5, 5)]);
        assert!(!transposed.is_identity(6));
        let sum = Access { output_start: 1, input_start: 2, axes: vec![axis(3, 0, 2)] };
        assert_eq!(pairs(&sum), [(1, 2), (1, 4), (1, 6)]);
        let broadcast = Access { output_start: 0, input_start: 5, axes: vec![axis(2, 1, 0)] };
        assert_eq!(pairs(&broadcast), [(0, 5), (1, 5)]);
        assert_eq!(sum.reach(), Some((1, 6)));
        assert_eq!(sum.pairs(), 3);
    }

    #[test]
    fn the_identity_in_any_notation() {
        let nested = [axis(2, 12, 12), axis(1, 7, 0), axis(3, 4, 4), axis(4, 1, 1)];
        let nested = Access { output_start: 0, input_start: 0, axes: nested.to_vec() };
        assert!(nested.is_identity(24) && !nested.is_identity(12));
        assert_eq!(nested.simplified(), Access::identity(24));
        assert!(Access::identity(1).is_identity(1));
        assert!(!Access { input_start: 1, ..Access::identity(3) }.is_identity(3));
    }

    #[test]
    fn reach_does_not_overflow() {
        let far = Access { output_start: 1, input_start: 0, axes: vec![axis(usize::MAX, 2, 1)] };
        assert_eq!(far.reach(), None);
        assert_eq!(Access { axes: vec![axis(0, 1, 1)], ..far }.reach(), None);
    }
}
