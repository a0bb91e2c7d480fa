//! The fast integer executor: the same values as [`IntegerGraph::interpret`], bit for bit, in a fraction of the time.
//!
//! Products of matrices run on 16-bit factors with 32-bit sums wherever the values at hand prove that these are exact
//! ([`matrix`]); what does not fit falls back to wider arithmetic, at last to the interpreter's.

mod matrix;
mod product;

use rayon::prelude::*;

use crate::integer_graph::{Activation, IntegerGraph, IntegerNode, IntegerOp, Interval, TensorId, Term};
use crate::interpreter::RunError;
use crate::rounding::requantise;

/// Elements that a thread takes at once.
const GRAIN: usize = 1 << 13;
/// Partial sums whose magnitude provably stays under this need no wider arithmetic.
const SAFE: u128 = 1 << 62;

impl IntegerGraph {
    /// Computes every tensor from the input's elements (row-major, without batch): `result[id.0]` are the
    /// values of tensor `id`, row-major. A tensor that no node defines stays empty. The same results and the same errors as
    /// [`IntegerGraph::interpret`], on all threads.
    ///
    /// # Errors
    /// [`RunError`]: wrong number of input values, a value outside its tensor's interval or a function's domain, a damaged
    /// graph.
    pub fn run(&self, input: &[i64]) -> Result<Vec<Vec<i64>>, RunError> {
        let mut values = self.begin(input)?;
        for node in &self.nodes {
            values[node.output.0] = self.execute(node, &values)?;
        }
        Ok(values)
    }

    fn execute(&self, node: &IntegerNode, values: &[Vec<i64>]) -> Result<Vec<i64>, RunError> {
        let elements = self.tensor(node.output).elements();
        let fast = match &node.op {
            IntegerOp::Linear { products, bias } => {
                let shapes = products.iter().map(|product| self.tensor(product.input).shape.as_slice());
                product::linear(products, bias, (shapes, values), elements)
            }
            IntegerOp::Sum { terms, bias } => sum(terms, bias, values, elements),
            IntegerOp::Activate { input, shift, function, domain } => {
                let activated = activate(&values[input.0], *shift, function, *domain);
                Some(activated.map_err(|(element, value)| {
                    let layer = self.tensor(node.output).name.clone();
                    RunError::OutOfDomain { layer, element, value, domain: *domain }
                })?)
            }
            IntegerOp::Maximum { left, right } => {
                let pairs = values[left.0].par_iter().zip(&values[right.0]).with_min_len(GRAIN);
                Some(pairs.map(|(&left, &right)| left.max(right)).collect())
            }
            IntegerOp::Multiply { left, right } => {
                let pairs = values[left.0].par_iter().zip(&values[right.0]).with_min_len(GRAIN);
                pairs.map(|(&left, &right)| left.checked_mul(right)).collect()
            }
            IntegerOp::Reshape { input } => Some(values[input.0].clone()),
            IntegerOp::ArgMax { .. } => None,
        };
        match fast {
            Some(computed) => self.check(node.output, computed),
            None => self.evaluate(node, values),
        }
    }

    /// The values, if all lie in the tensor's interval; otherwise the first that does not.
    fn check(&self, id: TensorId, values: Vec<i64>) -> Result<Vec<i64>, RunError> {
        let tensor = self.tensor(id);
        let outside = |&value: &i64| !tensor.interval.contains(value);
        match values.par_iter().with_min_len(GRAIN).position_first(outside) {
            None => Ok(values),
            Some(element) => Err(RunError::OutOfInterval {
                tensor: tensor.name.clone(),
                element,
                value: values[element],
                interval: tensor.interval,
            }),
        }
    }
}

/// The sum, unless a partial sum could leave 64 bits.
fn sum(terms: &[Term], bias: &[i64], values: &[Vec<i64>], elements: usize) -> Option<Vec<i64>> {
    let mut bound = u128::from(magnitude(bias));
    for Term { input, coefficient, access } in terms {
        let largest = u128::from(magnitude(&values[input.0])) * u128::from(coefficient.unsigned_abs());
        bound = bound.saturating_add(largest.saturating_mul(access.pairs() as u128));
    }
    (bound < SAFE).then_some(())?;
    let mut sum = if bias.is_empty() { vec![0; elements] } else { bias.to_vec() };
    for Term { input, coefficient, access } in terms {
        let input = &values[input.0];
        access.simplified().for_each(|to, from| sum[to] += coefficient * input[from]);
    }
    Some(sum)
}

/// The activations, or the first element whose requantised value lies outside the domain, with that value.
fn activate(
    input: &[i64],
    shift: u32,
    function: &Activation,
    domain: Interval,
) -> Result<Vec<i64>, (usize, i64)> {
    let outside = |&accumulator: &i64| !domain.contains(requantise(accumulator, shift));
    if let Some(element) = input.par_iter().with_min_len(GRAIN).position_first(outside) {
        return Err((element, requantise(input[element], shift)));
    }
    let elements = input.par_iter().with_min_len(GRAIN);
    Ok(elements.map(|&accumulator| function.apply(requantise(accumulator, shift))).collect())
}

/// Largest magnitude; 0 for none.
fn magnitude(values: &[i64]) -> u64 {
    values.par_iter().with_min_len(GRAIN).map(|value| value.unsigned_abs()).max().unwrap_or(0)
}
