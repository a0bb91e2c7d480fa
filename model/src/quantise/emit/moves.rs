//! Exact sums, maxima and products of activations.

use super::Emitter;
use crate::access::Access;
use crate::float_graph::{Candidate, FloatNode, FloatTerm, ValueId};
use crate::integer_graph::{Activation, IntegerOp, Interval, TensorId, Term};
use crate::quantise::QuantiseError;
use crate::quantise::plan::{interval, representation};
use crate::rounding::requantise;

/// Steps of a product's result that its requantisation is finer, so that rounding it adds nothing.
const PRODUCT_STEPS: f64 = 4.0;

impl Emitter<'_> {
    /// A sum with integer coefficients in the scale that the plan gives it: nothing is requantised.
    pub(super) fn exact(
        &mut self,
        node: &FloatNode,
        terms: &[FloatTerm],
        integers: &[i64],
    ) -> Result<(), QuantiseError> {
        let mut moved = Vec::with_capacity(terms.len());
        for (term, &coefficient) in terms.iter().zip(integers) {
            let input = self.activation(term.input)?;
            moved.push(Term { input, coefficient, access: term.access.clone() });
        }
        let op = IntegerOp::Sum { terms: moved, bias: Vec::new() };
        self.made(node.output, &node.name, op, self.plan.values[node.output.0].scale)
    }

    /// A balanced tree of maxima of two.
    pub(super) fn maximum(
        &mut self,
        node: &FloatNode,
        candidates: &[Candidate],
    ) -> Result<(), QuantiseError> {
        let scale = self.plan.values[node.output.0].scale;
        let distinct = candidates.iter().enumerate();
        let distinct = distinct.filter(|(index, candidate)| !candidates[..*index].contains(candidate));
        let mut level: Vec<TensorId> = Vec::with_capacity(candidates.len());
        for (index, candidate) in distinct {
            level.push(self.candidate(node, (index, candidate), scale)?);
        }
        let mut count = 0;
        while level.len() > 2 {
            let mut next = Vec::with_capacity(level.len().div_ceil(2));
            for pair in level.chunks(2) {
                if let [left, right] = *pair {
                    let suffix = format!(" (maximum {count})");
                    let op = IntegerOp::Maximum { left, right };
                    next.push(self.push((&node.name, &suffix), node.output, op, scale)?);
                    count += 1;
                } else {
                    next.extend_from_slice(pair);
                }
            }
            level = next;
        }
        let elements = self.source.values[node.output.0].elements();
        let op = match *level {
            [left, right] => IntegerOp::Maximum { left, right },
            [only] => IntegerOp::sum(elements, vec![(only, 1)], Vec::new()),
            _ => return Err(QuantiseError::NoLayers),
        };
        self.made(node.output, &node.name, op, scale)
    }

    /// One candidate as a tensor of the maximum's shape and scale.
    fn candidate(
        &mut self,
        node: &FloatNode,
        (index, candidate): (usize, &Candidate),
        scale: f64,
    ) -> Result<TensorId, QuantiseError> {
        let shape = &self.source.values[node.output.0].shape;
        let elements = self.source.values[node.output.0].elements();
        if let [(input, access)] = &candidate.pieces[..]
            && access.is_identity(elements)
            && &self.source.values[input.0].shape == shape
        {
            return self.at_scale(node, *input, scale);
        }
        let mut terms = Vec::with_capacity(candidate.pieces.len());
        for (input, access) in &candidate.pieces {
            let input = self.at_scale(node, *input, scale)?;
            terms.push(Term { input, coefficient: 1, access: access.clone() });
        }
        let op = IntegerOp::Sum { terms, bias: Vec::new() };
        self.push((&node.name, &format!(" (candidate {index})")), node.output, op, scale)
    }

    /// The activation of a value in the given scale; rescaled if the value has another.
    fn at_scale(&mut self, node: &FloatNode, value: ValueId, scale: f64) -> Result<TensorId, QuantiseError> {
        let source = self.activation(value)?;
        let own = self.tensors[source.0].scale;
        if (own / scale - 1.0).abs() < 1e-9 {
            return Ok(source);
        }
        let range = self.statistics[value.0].range;
        let Interval { min, max } = interval((range.min, range.max), scale, self.plan.values[value.0].bits);
        let coefficient = (own / scale * (1u64 << self.plan.shift) as f64).round() as i64;
        self.rescale(node, value, (source, coefficient.max(1)), (Interval { min, max }, scale))
    }

    /// What a linear layer reads: the activation, requantised once more if it is wide.
    pub(super) fn narrow(&mut self, node: &FloatNode, value: ValueId) -> Result<TensorId, QuantiseError> {
        let source = self.activation(value)?;
        if !self.plan.values[value.0].wide {
            return Ok(source);
        }
        if let Some(narrowed) = self.narrowed[value.0] {
            return Ok(narrowed);
        }
        let range = self.statistics[value.0].range;
        let bits = self.plan.values[value.0].bits;
        let (wanted, _) = representation((range.min, range.max), bits);
        // The coefficient is exact; the scale is at least the wanted one.
        let whole = self.tensors[source.0].scale * (1u64 << self.plan.shift) as f64;
        let coefficient = ((whole / wanted) as i64).max(1);
        let scale = whole / coefficient as f64;
        let interval = interval((range.min, range.max), scale, bits);
        let narrowed = self.rescale(node, value, (source, coefficient), (interval, scale))?;
        self.narrowed[value.0] = Some(narrowed);
        Ok(narrowed)
    }

    fn rescale(
        &mut self,
        node: &FloatNode,
        value: ValueId,
        (source, coefficient): (TensorId, i64),
        (interval, scale): (Interval, f64),
    ) -> Result<TensorId, QuantiseError> {
        let (elements, unit) = (self.tensors[source.0].elements(), self.tensors[source.0].scale);
        let name = self.names[value.0].clone().unwrap_or_else(|| node.name.clone());
        let op = IntegerOp::sum(elements, vec![(source, coefficient)], Vec::new());
        let accumulator =
            self.push((&name, " (rescaled accumulator)"), value, op, unit / coefficient as f64)?;
        let reached = self.tensors[accumulator.0].interval;
        let shift = self.plan.shift;
        let domain = Interval { min: requantise(reached.min, shift), max: requantise(reached.max, shift) };
        let domain = domain.hull(Interval { min: 0, max: 0 });
        let function = Activation::Clamp { min: interval.min, max: interval.max };
        let op = IntegerOp::Activate { input: accumulator, shift, function, domain };
        self.push((&name, " (rescaled)"), value, op, scale)
    }

    /// A product of two activations: their integers' product times the integer coefficient that makes its requantisation
    /// fine; functions and readers then go through tables.
    pub(super) fn multiply(
        &mut self,
        node: &FloatNode,
        left: ValueId,
        right: ValueId,
    ) -> Result<(), QuantiseError> {
        let (left, right) = (self.narrow(node, left)?, self.narrow(node, right)?);
        let product_scale = self.tensors[left.0].scale * self.tensors[right.0].scale;
        let op = IntegerOp::Multiply { left, right };
        let product = self.push((&node.name, " (product)"), node.output, op, product_scale)?;
        let whole = product_scale * (1u64 << self.plan.shift) as f64;
        let wanted = self.plan.values[node.output.0].scale / PRODUCT_STEPS;
        let coefficient = ((whole / wanted).ceil().min(f64::from(1u32 << 24)) as i64).max(1);
        self.targets[node.output.0] = whole / coefficient as f64;
        let elements = self.source.values[node.output.0].elements();
        let term = Term { input: product, coefficient, access: Access::identity(elements) };
        let op = IntegerOp::Sum { terms: vec![term], bias: Vec::new() };
        self.accumulator(node, op, product_scale / coefficient as f64)?;
        Ok(())
    }
}
