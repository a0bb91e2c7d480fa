//! Requantisation with a function: clamps in the accumulator's own target scale, tables for all others.

use super::{Emitter, Layer, Requantised};
use crate::access::Access;
use crate::float_graph::{FloatNode, FloatTerm, ValueId};
use crate::function::Function;
use crate::integer_graph::{Activation, IntegerOp, IntegerTensor, Interval, TensorId};
use crate::quantise::QuantiseError;
use crate::quantise::plan::{ARGUMENT_BITS, argument_noise, argument_step};
use crate::rounding::requantise;

/// Values that a table may have.
const TABLE_LIMIT: i64 = 1 << 16;
/// Part of the calibrated range by which a table reaches beyond it at either end.
const TABLE_MARGIN: f64 = 0.25;
/// Error that rounding an activation for a function may add, root mean square, in steps of the result.
const ROUNDING_NOISE: f64 = 0.3;

impl Emitter<'_> {
    pub(super) fn pointwise(
        &mut self,
        node: &FloatNode,
        input: ValueId,
        function: &Function,
    ) -> Result<(), QuantiseError> {
        let output = node.output;
        let (accumulator, target) = if self.plan.values[input.0].accumulator {
            (self.known(&self.direct, input), self.targets[self.plan.origins[input.0]])
        } else if function.as_clamp().is_some() {
            // A clamp of an activation needs an accumulator to be requantised from.
            let access = Access::identity(self.source.values[output.0].elements());
            let accumulator = self.accumulate(node, &[FloatTerm { input, coefficient: 1.0, access }], &[])?;
            (accumulator, self.targets[output.0])
        } else {
            self.argument(node, input, function)?
        };
        let activation = self.activate(&node.name, (output, input), (accumulator, target), function)?;
        self.direct[output.0] = Some(activation);
        Ok(())
    }

    /// An activation as the accumulator of a function's argument, and the scale to which it is requantised: as it is where a
    /// table of its integers is small, otherwise rounded as finely as the function needs.
    fn argument(
        &mut self,
        node: &FloatNode,
        input: ValueId,
        function: &Function,
    ) -> Result<(TensorId, f64), QuantiseError> {
        let source = self.activation(input)?;
        let IntegerTensor { interval, scale, .. } = self.tensors[source.0];
        let exact = 1i64 << self.plan.shift;
        let bits = self.plan.values[input.0].bits;
        let small = interval.max.saturating_sub(interval.min) >> (bits + ARGUMENT_BITS.end()) == 0;
        let coefficient = if small {
            exact
        } else {
            let result = self.plan.values[node.output.0].scale;
            let statistics = &self.statistics[input.0];
            let step = |extra: u32| argument_step(statistics, bits + extra);
            let quiet =
                |&extra: &u32| argument_noise(function, step(extra), statistics) <= ROUNDING_NOISE * result;
            let extra = ARGUMENT_BITS.clone().find(quiet).unwrap_or(*ARGUMENT_BITS.end());
            ((exact as f64 * scale / step(extra)) as i64).clamp(1, exact)
        };
        let target = exact as f64 * scale / coefficient as f64;
        let elements = self.tensors[source.0].elements();
        let op = IntegerOp::sum(elements, vec![(source, coefficient)], Vec::new());
        let unit = scale / coefficient as f64;
        Ok((self.push((&node.name, " (argument)"), input, op, unit)?, target))
    }

    /// Requantises `accumulator` to its target scale and applies `function`, which leads from value `argument` to value
    /// `value`; the result has the scale of `value` and is cut to its interval.
    pub(super) fn activate(
        &mut self,
        name: &str,
        (value, argument): (ValueId, ValueId),
        (accumulator, target): (TensorId, f64),
        function: &Function,
    ) -> Result<TensorId, QuantiseError> {
        let plan = self.plan.values[value.0];
        let shift = self.plan.shift;
        let reached = self.tensors[accumulator.0].interval;
        // Zero is what unused rows of a circuit hold.
        let domain = Interval { min: requantise(reached.min, shift), max: requantise(reached.max, shift) }
            .hull(Interval { min: 0, max: 0 });
        let same = (target / plan.scale - 1.0).abs() < 1e-9;
        let (function, lossless) = match function.as_clamp() {
            Some(bounds) if same => clamp(bounds, (plan.scale, plan.interval)),
            _ => self.table(function, argument, (target, domain), (plan.scale, plan.interval)),
        };
        let image = match function {
            Activation::Clamp { min, max } => Interval { min, max },
            Activation::Table { .. } => function.image(domain),
        };
        let op = IntegerOp::Activate { input: accumulator, shift, function, domain };
        let id = self.push((name, ""), value, op, plan.scale)?;
        self.tensors[id.0].interval = image;
        self.activations[value.0] = Some(id);
        let requantised = Some(Requantised { accumulator, shift, lossless });
        self.layers.push(Layer { name: name.to_string(), value, tensor: id, requantised });
        Ok(id)
    }

    /// The function as a table from the scale `target` to the scale of the result, and the arguments whose results are not cut.
    fn table(
        &self,
        function: &Function,
        argument: ValueId,
        (target, domain): (f64, Interval),
        (scale, interval): (f64, Interval),
    ) -> (Activation, Interval) {
        let seen = self.statistics[argument.0].seen;
        let (least, greatest) =
            (f64::from(seen.min.min(0.0)) / target, f64::from(seen.max.max(0.0)) / target);
        let margin = (greatest - least) * TABLE_MARGIN;
        let first = ((least - margin).floor() as i64).max(domain.min).max(-TABLE_LIMIT / 2);
        let last = ((greatest + margin).ceil() as i64).min(domain.max).min(TABLE_LIMIT / 2 - 1);
        let exact = |q: i64| (function.apply(q as f64 * target) / scale).round();
        let value = |q: i64| (exact(q) as i64).clamp(interval.min, interval.max) as i32;
        let mut values: Vec<i32> = (first..=last).map(value).collect();
        let kept = |q: &i64| interval.contains(exact(*q) as i64);
        let (low, high) = ((first..=last).find(kept), (first..=last).rev().find(kept));
        let lossless = Interval {
            min: low.filter(|&low| low > first).unwrap_or(i64::MIN),
            max: high.filter(|&high| high < last).unwrap_or(i64::MAX),
        };
        // Beyond its ends a table continues with the last value.
        while values.len() > 1 && values[values.len() - 1] == values[values.len() - 2] {
            values.pop();
        }
        let flat = values.windows(2).take_while(|pair| pair[0] == pair[1]).count();
        values.drain(..flat);
        (Activation::Table { first: first + flat as i64, values }, lossless)
    }
}

/// A clamp to an interval and to real bounds, and the arguments that it keeps or that its bounds are meant to cut.
fn clamp(bounds: (Option<f32>, Option<f32>), (scale, interval): (f64, Interval)) -> (Activation, Interval) {
    // Saturating float-to-integer casts: a bound beyond the interval does not bind.
    let bound = |bound: f32| (f64::from(bound) / scale).round() as i64;
    let low = bounds.0.map(bound).filter(|&low| low >= interval.min);
    let high = bounds.1.map(bound).filter(|&high| high <= interval.max);
    let min = low.unwrap_or(interval.min).min(interval.max);
    let max = high.unwrap_or(interval.max).max(min);
    let lossless = Interval {
        min: if low.is_some() { i64::MIN } else { min },
        max: if high.is_some() { i64::MAX } else { max },
    };
    (Activation::Clamp { min, max }, lossless)
}
