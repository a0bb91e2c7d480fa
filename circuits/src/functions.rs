//! Functions of several tensors, made of sums and table lookups: maximum, product, index of the largest.

use zkloom_model::access::{Access, AccessAxis};
use zkloom_model::integer_graph::{Activation, Interval, TensorId};

use crate::error::CompileError;
use crate::patches::{Part, Patch};
use crate::plan::{Activated, Content, MAX_PATCHES, Plan, read_through, sizes_of};
use crate::tables::MAX_SHIFT;

/// Longest table that the compiler makes for a function of its own.
const MAX_OWN_TABLE: i128 = 1 << 22;

/// Most values of functions that the compiler writes out, for all layers together: two copies for each product of tensors.
const MAX_WRITTEN: usize = 1 << 24;

/// A tensor seen as `[outer, length, inner]`.
type Sizes = [u32; 3];

fn axis(count: usize, output_stride: usize, input_stride: usize) -> AccessAxis {
    AccessAxis { count, output_stride, input_stride }
}

/// Patches with the opposite sign; factors that have a patch have a negative.
fn negated(patches: &[Patch]) -> impl Iterator<Item = Patch> + '_ {
    patches.iter().map(|patch| Patch { coefficient: patch.coefficient.saturating_neg(), ..patch.clone() })
}

impl Plan<'_> {
    /// A function of the compiler's own, defined for all that its tensors' intervals allow and nothing else: its table is shared
    /// with none that reaches further. Beyond these intervals it is the wrong function (a clamp that cuts off, squares that stay
    /// flat), so values there must be refused and not looked up, whatever intervals somebody states.
    fn own(&self, function: Activation, domain: Interval) -> Activated {
        let name = format!("{}.counted", self.layer());
        Activated { name, node: self.current(), function, domain, restrictive: true }
    }

    /// A block with the activation of `2^shift` times a combination.
    fn apply(
        &mut self,
        what: &str,
        shape: &[u32],
        patches: Vec<Patch>,
        activated: Activated,
    ) -> Result<Patch, CompileError> {
        let layer = self.layer();
        let scale = 1_i64 << self.shift.min(MAX_SHIFT);
        let scaled: Option<Vec<Patch>> = patches.iter().map(|patch| patch.scaled(scale)).collect();
        let patches = scaled.ok_or_else(|| CompileError::Weight { layer: layer.clone(), channel: 0 })?;
        let length = i128::from(activated.domain.max) - i128::from(activated.domain.min) + 1;
        if length > MAX_OWN_TABLE {
            let Interval { min, max } = activated.domain;
            return Err(CompileError::Domain { layer, interval: format!("{min}..={max}") });
        }
        let name = format!("{layer}.{what}");
        let activated = Activated { name: format!("{name} of table"), ..activated };
        let block = self.push(name, shape, Content::Combination { patches }, Some(activated))?;
        Ok(self.whole(block, Part::Activation))
    }

    /// `max(left, right) = right + max(0, left - right)`: one block, and the patches of the maximum.
    ///
    /// Single-valued for arbitrary field elements: the block's accumulator is `2^shift` times a difference of integers that are
    /// small by their origins, so the requantisation's remainder can only be zero and its quotient the difference itself.
    pub(crate) fn maximum(
        &mut self,
        shape: &[u32],
        (left, right): (&[Patch], &[Patch]),
        (of_left, of_right): (Interval, Interval),
    ) -> Result<Vec<Patch>, CompileError> {
        let low = of_left.min.saturating_sub(of_right.max).min(0);
        let high = of_left.max.saturating_sub(of_right.min).max(0);
        let function = Activation::Clamp { min: 0, max: high };
        let activated = self.own(function, Interval { min: low, max: high });
        let difference = left.iter().cloned().chain(negated(right)).collect();
        let excess = self.apply("excess", shape, difference, activated)?;
        Ok(right.iter().cloned().chain([excess]).collect())
    }

    /// `a b = floor((a + b)^2 / 4) - floor((a - b)^2 / 4)`: sum and difference are both even or both odd, so that the two
    /// halves of one cancel. Two blocks that share a table.
    pub(crate) fn multiply(
        &mut self,
        output: TensorId,
        left: TensorId,
        right: TensorId,
    ) -> Result<(), CompileError> {
        let (a, b) = (self.graph.tensor(left).interval, self.graph.tensor(right).interval);
        let magnitude = |i: Interval| i.min.unsigned_abs().max(i.max.unsigned_abs());
        let reach = magnitude(a).saturating_add(magnitude(b)).min(1 << 22) as i64;
        let layer = self.layer();
        let too_long =
            || CompileError::Domain { layer: layer.clone(), interval: format!("-{reach}..={reach}") };
        self.written = self.written.saturating_add(2 * (2 * reach as usize + 1));
        if self.written > MAX_WRITTEN {
            return Err(too_long());
        }
        // Squares of larger numbers do not fit the table's values.
        let values: Option<Vec<i32>> = (-reach..=reach).map(|q| i32::try_from(q * q / 4).ok()).collect();
        let function = Activation::Table { first: -reach, values: values.ok_or_else(too_long)? };
        let activated = self.own(function, Interval { min: -reach, max: reach });
        let shape = sizes_of(&self.graph.tensor(output).shape);
        let (left, right) = (self.held(left).to_vec(), self.held(right).to_vec());
        let sum = left.iter().chain(&right).cloned().collect();
        let plus = self.apply("sum", &shape, sum, activated.clone())?;
        let difference = left.into_iter().chain(negated(&right)).collect();
        let minus = self.apply("difference", &shape, difference, activated)?;
        let minus = Patch { coefficient: -1, ..minus };
        self.hold(output, vec![plus, minus]);
        Ok(())
    }

    /// The index of the first (or last) largest element: of all indices, those up to which no largest element was met are
    /// counted (or those other than zero from which one is still to come).
    pub(crate) fn arg_max(
        &mut self,
        output: TensorId,
        input: TensorId,
        (length, inner, last): (usize, usize, bool),
    ) -> Result<(), CompileError> {
        let tensor = self.graph.tensor(input);
        let interval = tensor.interval;
        let elements = tensor.elements();
        let outer = elements / (length * inner).max(1);
        let sizes = [outer, length, inner].map(|size| size as u32);
        self.settle(input)?;
        let values = self.held(input).to_vec();
        let largest = self.largest(&values, sizes, interval)?;
        let spread = Access {
            output_start: 0,
            input_start: 0,
            axes: vec![axis(outer, length * inner, inner), axis(length, inner, 0), axis(inner, 1, 1)],
        };
        let spread = read_through(&largest, &spread, &[sizes[0], sizes[2]]);
        let spread = spread
            .ok_or_else(|| CompileError::Access { layer: self.layer(), tensor: tensor.name.clone() })?;
        let behind = spread.into_iter().chain(negated(&values)).collect();
        let width = interval.max.saturating_sub(interval.min);
        let is_zero = Activation::Table { first: -1, values: vec![0, 1, 0] };
        let activated = self.own(is_zero.clone(), Interval { min: 0, max: width });
        let hits = self.apply("hits", &sizes, behind, activated)?;
        let function = if last { Activation::Clamp { min: 0, max: 1 } } else { is_zero };
        let domain = Interval { min: 0, max: length as i64 };
        let content = Content::Counts {
            patches: vec![hits],
            outer: sizes[0],
            length: sizes[1],
            inner: sizes[2],
            from_end: last,
        };
        let name = format!("{}.counts", self.layer());
        let activated = self.own(function, domain);
        let block = self.push(name, &sizes, content, Some(activated))?;
        let skipped = usize::from(last);
        let sum = Access {
            output_start: 0,
            input_start: skipped * inner,
            axes: vec![
                axis(outer, inner, length * inner),
                axis(length - skipped, 0, inner),
                axis(inner, 1, 1),
            ],
        };
        let counted = if length == skipped {
            Some(Vec::new())
        } else {
            read_through(&[self.whole(block, Part::Activation)], &sum, &sizes)
        };
        let counted = counted
            .ok_or_else(|| CompileError::Access { layer: self.layer(), tensor: tensor.name.clone() })?;
        self.hold(output, counted);
        Ok(())
    }

    /// The largest element along the middle axis, by halving it; a tensor of shape `[outer, inner]`.
    fn largest(
        &mut self,
        values: &[Patch],
        sizes: Sizes,
        interval: Interval,
    ) -> Result<Vec<Patch>, CompileError> {
        let ([outer, mut length, inner], mut held) = (sizes, values.to_vec());
        while length > 1 {
            let (half, sizes) = (length / 2, [outer, length, inner]);
            let left = self.part(&held, sizes, (0, half), (half, 0))?;
            let right = self.part(&held, sizes, (half, half), (half, 0))?;
            let shape = [outer, half, inner];
            let winners = self.maximum(&shape, (&left, &right), (interval, interval))?;
            held = if length.is_multiple_of(2) {
                winners
            } else {
                // The odd one out goes on beside the winners.
                let mut grown = self.part(&winners, shape, (0, half), (half + 1, 0))?;
                grown.extend(self.part(&held, sizes, (2 * half, 1), (half + 1, half))?);
                grown
            };
            length = length.div_ceil(2);
            if held.len() > MAX_PATCHES / 4 {
                let name = format!("{}.largest of {length}", self.layer());
                let content = Content::Combination { patches: held };
                let block = self.push(name, &[outer, length, inner], content, None)?;
                held = vec![self.whole(block, Part::Accumulator)];
            }
        }
        Ok(held)
    }

    /// Indices `from .. from + count` of the middle axis, at `to ..` of an axis of another length.
    fn part(
        &self,
        held: &[Patch],
        sizes: Sizes,
        (from, count): (u32, u32),
        (new_length, to): (u32, u32),
    ) -> Result<Vec<Patch>, CompileError> {
        let [outer, length, inner] = sizes.map(|size| size as usize);
        let access = Access {
            output_start: to as usize * inner,
            input_start: from as usize * inner,
            axes: vec![
                axis(outer, new_length as usize * inner, length * inner),
                axis(count as usize, inner, inner),
                axis(inner, 1, 1),
            ],
        };
        let read = read_through(held, &access, &sizes);
        read.ok_or_else(|| CompileError::Access { layer: self.layer(), tensor: "its halves".to_owned() })
    }
}
