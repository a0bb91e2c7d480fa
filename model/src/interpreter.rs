//! The integer interpreter: the oracle that every circuit is compared with, and the source of its witness.

use thiserror::Error;

use crate::integer_graph::{GraphError, IntegerGraph, IntegerNode, IntegerOp, Interval, WeightMatrix};
use crate::rounding::requantise;

/// Why an inference on integers could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RunError {
    /// The input has another number of elements.
    #[error("the network's input has shape {expected_shape:?}, {expected} values; {found} were given")]
    InputLength {
        /// Shape without batch.
        expected_shape: Vec<usize>,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value lies outside its tensor's interval; for the input the caller's mistake, elsewhere the graph's.
    #[error("tensor `{tensor}`, element {element}: the value {value} is outside the interval {interval}")]
    OutOfInterval {
        /// The tensor's name.
        tensor: String,
        /// Row-major index.
        element: usize,
        /// The value; clipped to 64 bits if it leaves them.
        value: i64,
        /// The tensor's declared interval.
        interval: Interval,
    },
    /// The graph's parts do not fit together.
    #[error(transparent)]
    Structure(#[from] GraphError),
}

/// Inputs whose magnitude stays under this are summed in 64-bit chunks: `2^40 * 2^7 * 2^12 < 2^63`.
const FAST_MAGNITUDE: u64 = 1 << 40;
const FAST_CHUNK: usize = 1 << 12;

impl IntegerGraph {
    /// Computes every tensor from the input's elements (row-major, without batch): `result[id.0]` are the
    /// values of tensor `id`, row-major. A tensor that no node defines stays empty.
    ///
    /// # Errors
    /// [`RunError`]: wrong number of input values, a value outside its tensor's interval, a damaged graph.
    pub fn run(&self, input: &[i64]) -> Result<Vec<Vec<i64>>, RunError> {
        self.check_structure()?;
        let tensor = self.tensor(self.input);
        if input.len() != tensor.elements() {
            let expected_shape = tensor.shape.clone();
            return Err(RunError::InputLength {
                expected_shape,
                expected: tensor.elements(),
                found: input.len(),
            });
        }
        let mut values = vec![Vec::new(); self.tensors.len()];
        values[self.input.0] = self.accept(self.input.0, input.iter().map(|&value| i128::from(value)))?;
        for node in &self.nodes {
            values[node.output.0] = self.evaluate(node, &values)?;
        }
        Ok(values)
    }

    fn evaluate(&self, node: &IntegerNode, values: &[Vec<i64>]) -> Result<Vec<i64>, RunError> {
        let output = node.output.0;
        match &node.op {
            IntegerOp::Linear { input, weights, multipliers, bias } => {
                self.accept(output, linear(&values[input.0], weights, multipliers, bias).into_iter())
            }
            IntegerOp::Sum { terms, bias } => {
                let elements = self.tensors[output].elements();
                let element = |index: usize| {
                    let bias = bias.get(index).copied().unwrap_or(0);
                    terms.iter().fold(i128::from(bias), |sum, &(input, coefficient)| {
                        sum.saturating_add(i128::from(coefficient) * i128::from(values[input.0][index]))
                    })
                };
                self.accept(output, (0..elements).map(element))
            }
            IntegerOp::Activate { input, shift, function } => {
                let activated = values[input.0].iter().map(|&acc| function.apply(requantise(acc, *shift)));
                self.accept(output, activated.map(i128::from))
            }
            IntegerOp::Reshape { input } => {
                self.accept(output, values[input.0].iter().map(|&v| i128::from(v)))
            }
        }
    }

    fn accept(&self, id: usize, values: impl Iterator<Item = i128>) -> Result<Vec<i64>, RunError> {
        let tensor = &self.tensors[id];
        let checked = values.enumerate().map(|(element, value)| {
            let clipped = value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
            if i128::from(clipped) == value && tensor.interval.contains(clipped) {
                return Ok(clipped);
            }
            let interval = tensor.interval;
            Err(RunError::OutOfInterval { tensor: tensor.name.clone(), element, value: clipped, interval })
        });
        checked.collect()
    }
}

fn linear(input: &[i64], weights: &WeightMatrix, multipliers: &[i64], bias: &[i64]) -> Vec<i128> {
    let mut output = Vec::with_capacity(input.len() / weights.columns.max(1) * weights.rows);
    for position in input.chunks_exact(weights.columns.max(1)) {
        let fast = position.iter().all(|value| value.unsigned_abs() < FAST_MAGNITUDE);
        for (row, (&multiplier, &bias)) in multipliers.iter().zip(bias).enumerate() {
            let dot = if fast {
                dot_fast(weights.row(row), position)
            } else {
                dot_wide(weights.row(row), position)
            };
            output.push(dot.saturating_mul(i128::from(multiplier)).saturating_add(i128::from(bias)));
        }
    }
    output
}

fn dot_fast(weights: &[i8], input: &[i64]) -> i128 {
    let chunks = weights.chunks(FAST_CHUNK).zip(input.chunks(FAST_CHUNK));
    let sums = chunks.map(|(weights, input)| {
        let products = weights.iter().zip(input).map(|(&weight, &value)| i64::from(weight) * value);
        i128::from(products.sum::<i64>())
    });
    sums.sum()
}

fn dot_wide(weights: &[i8], input: &[i64]) -> i128 {
    let products = weights.iter().zip(input).map(|(&weight, &value)| i128::from(weight) * i128::from(value));
    products.fold(0, i128::saturating_add)
}
