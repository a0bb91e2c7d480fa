//! The integer interpreter: every operation from its definition, the oracle for the executor and for every circuit.

use thiserror::Error;

use crate::convolution::Convolution;
use crate::integer_graph::{
    Contraction, GraphError, IntegerGraph, IntegerNode, IntegerOp, Interval, Product, Term, WeightMatrix,
};
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
    /// A requantised value outside what the layer's function is defined for.
    #[error(
        "layer `{layer}`, element {element}: the requantised value {value} is outside {domain}, the range that the \
         network was calibrated for; compile with saturation, or calibrate with data that covers this input"
    )]
    OutOfDomain {
        /// The activation's tensor.
        layer: String,
        /// Row-major index.
        element: usize,
        /// The requantised value.
        value: i64,
        /// What is allowed.
        domain: Interval,
    },
    /// The graph's parts do not fit together.
    #[error(transparent)]
    Structure(#[from] GraphError),
}

/// Inputs whose magnitude stays under this are summed in 64-bit chunks: `2^40 * 2^7 * 2^12 < 2^63`.
const FAST_MAGNITUDE: u64 = 1 << 40;
const FAST_CHUNK: usize = 1 << 12;

impl IntegerGraph {
    /// Computes what [`IntegerGraph::run`] computes, straight from the definitions and on one thread: the oracle for it and
    /// for circuits.
    ///
    /// # Errors
    /// [`RunError`]: wrong number of input values, a value outside its tensor's interval or a function's domain, a damaged
    /// graph.
    pub fn interpret(&self, input: &[i64]) -> Result<Vec<Vec<i64>>, RunError> {
        let mut values = self.begin(input)?;
        for node in &self.nodes {
            values[node.output.0] = self.evaluate(node, &values)?;
        }
        Ok(values)
    }

    /// The values before any node is evaluated: the input's, once graph and input are checked.
    pub(crate) fn begin(&self, input: &[i64]) -> Result<Vec<Vec<i64>>, RunError> {
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
        Ok(values)
    }

    pub(crate) fn evaluate(&self, node: &IntegerNode, values: &[Vec<i64>]) -> Result<Vec<i64>, RunError> {
        let output = node.output.0;
        match &node.op {
            IntegerOp::Linear { products, bias } => {
                let shape = &self.tensors[output].shape;
                let mut accumulators = biased(products, bias, shape);
                for product in products {
                    let input = &self.tensors[product.input.0];
                    multiply(product, &input.shape, &values[product.input.0], &mut accumulators);
                }
                self.accept(output, accumulators.into_iter())
            }
            IntegerOp::Sum { terms, bias } => {
                let mut sum = vec![0i128; self.tensors[output].elements()];
                sum.iter_mut().zip(bias).for_each(|(element, &bias)| *element = i128::from(bias));
                for Term { input, coefficient, access } in terms {
                    let (input, coefficient) = (&values[input.0], i128::from(*coefficient));
                    access.for_each(|to, from| {
                        sum[to] = sum[to].saturating_add(coefficient * i128::from(input[from]));
                    });
                }
                self.accept(output, sum.into_iter())
            }
            IntegerOp::Activate { input, shift, function, domain } => {
                let tensor = &self.tensors[output];
                let activate = |(element, &acc): (usize, &i64)| {
                    let value = requantise(acc, *shift);
                    if domain.contains(value) {
                        return Ok(i128::from(function.apply(value)));
                    }
                    let (layer, domain) = (tensor.name.clone(), *domain);
                    Err(RunError::OutOfDomain { layer, element, value, domain })
                };
                let activated: Result<Vec<i128>, RunError> =
                    values[input.0].iter().enumerate().map(activate).collect();
                self.accept(output, activated?.into_iter())
            }
            IntegerOp::Maximum { left, right } => {
                let pairs = values[left.0].iter().zip(&values[right.0]);
                self.accept(output, pairs.map(|(&left, &right)| i128::from(left.max(right))))
            }
            IntegerOp::Multiply { left, right } => {
                let pairs = values[left.0].iter().zip(&values[right.0]);
                self.accept(output, pairs.map(|(&left, &right)| i128::from(left) * i128::from(right)))
            }
            IntegerOp::ArgMax { input, length, inner, last } => {
                let indices = arg_max(&values[input.0], (*length, *inner), *last);
                self.accept(output, indices.into_iter().map(|index| index as i128))
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

/// Accumulators that hold their channel's bias.
fn biased(products: &[Product], bias: &[i64], shape: &[usize]) -> Vec<i128> {
    let elements: usize = shape.iter().product();
    let dense = products.first().is_some_and(|product| product.contraction == Contraction::Dense);
    let positions = elements / bias.len().max(1);
    let channel = |element: usize| if dense { element % bias.len() } else { element / positions };
    (0..elements).map(|element| i128::from(bias[channel(element)])).collect()
}

/// Adds a product to the accumulators.
fn multiply(product: &Product, shape: &[usize], input: &[i64], accumulators: &mut [i128]) {
    match &product.contraction {
        Contraction::Dense => linear(input, &product.weights, &product.multipliers, accumulators),
        Contraction::Convolution(convolution) => convolve(product, convolution, (shape, input), accumulators),
    }
}

fn linear(input: &[i64], weights: &WeightMatrix, multipliers: &[i64], accumulators: &mut [i128]) {
    let positions = input.chunks_exact(weights.columns.max(1));
    for (position, outputs) in positions.zip(accumulators.chunks_exact_mut(weights.rows.max(1))) {
        let fast = position.iter().all(|value| value.unsigned_abs() < FAST_MAGNITUDE);
        for (row, (&multiplier, output)) in multipliers.iter().zip(outputs).enumerate() {
            let dot = if fast {
                dot_fast(weights.row(row), position)
            } else {
                dot_wide(weights.row(row), position)
            };
            *output = output.saturating_add(dot.saturating_mul(i128::from(multiplier)));
        }
    }
}

/// A convolution straight from its definition: each weight meets the input elements that its kernel offset reaches.
fn convolve(
    product: &Product,
    convolution: &Convolution,
    (shape, input): (&[usize], &[i64]),
    accumulators: &mut [i128],
) {
    let Product { weights, multipliers, .. } = product;
    let (channels, spatial) = (shape[0], &shape[1..]);
    let per_group = (channels / convolution.groups, weights.rows / convolution.groups);
    let plane: usize = spatial.iter().product();
    let outputs = accumulators.len() / weights.rows.max(1);
    let kernel: usize = convolution.windows.iter().map(|window| window.kernel).product();
    for row in 0..weights.rows {
        let multiplier = i128::from(multipliers[row]);
        for (column, &weight) in weights.row(row).iter().enumerate() {
            let channel = row / per_group.1 * per_group.0 + column / kernel;
            let factor = multiplier * i128::from(weight);
            convolution.tap(column % kernel, spatial).for_each(|to, from| {
                let element = &mut accumulators[row * outputs + to];
                *element =
                    element.saturating_add(factor.saturating_mul(i128::from(input[channel * plane + from])));
            });
        }
    }
}

/// For each outer and inner index, the index of the largest element along the axis.
fn arg_max(input: &[i64], (length, inner): (usize, usize), last: bool) -> Vec<usize> {
    let group = |group: &[i64]| {
        let index = |position: usize| {
            let better = |best: usize, index: usize| {
                let (best_value, value) = (group[best * inner + position], group[index * inner + position]);
                if value > best_value || (last && value == best_value) { index } else { best }
            };
            (1..length).fold(0, better)
        };
        (0..inner).map(index).collect::<Vec<usize>>()
    };
    input.chunks_exact(length * inner).flat_map(group).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::integer_graph::{Activation, IntegerTensor, TensorId};

    fn tensor(name: &str, shape: &[usize], interval: (i64, i64)) -> IntegerTensor {
        let interval = Interval { min: interval.0, max: interval.1 };
        IntegerTensor { name: name.into(), shape: shape.to_vec(), interval, scale: 1.0 }
    }

    /// input [2, 2] -> linear [2, 3] -> relu -> view [6] -> sum with itself.
    fn graph() -> IntegerGraph {
        let weights = WeightMatrix { rows: 3, columns: 2, values: vec![1, 2, -1, 0, 3, 3] };
        let linear = IntegerOp::dense(TensorId(0), weights, vec![10, 20, 1], vec![1, 2, 3]);
        let relu = IntegerOp::Activate {
            input: TensorId(1),
            shift: 2,
            function: Activation::Clamp { min: 0, max: 20 },
            domain: Interval { min: -50, max: 50 },
        };
        let sum = IntegerOp::sum(6, vec![(TensorId(3), 5), (TensorId(3), -2)], vec![0, 0, 0, 0, 0, 7]);
        let node = |name: &str, op, output| IntegerNode { name: name.into(), op, output: TensorId(output) };
        IntegerGraph {
            name: "graph".into(),
            tensors: vec![
                tensor("x", &[2, 2], (-4, 4)),
                tensor("acc", &[2, 3], (-200, 200)),
                tensor("act", &[2, 3], (0, 20)),
                tensor("view", &[6], (0, 20)),
                tensor("y", &[6], (0, 100)),
            ],
            nodes: vec![
                node("dense", linear, 1),
                node("relu", relu, 2),
                node("view", IntegerOp::Reshape { input: TensorId(2) }, 3),
                node("sum", sum, 4),
            ],
            input: TensorId(0),
            output: TensorId(4),
            bits: 8,
            shift: 2,
        }
    }

    #[test]
    fn every_tensor_is_computed() {
        let values = graph().interpret(&[1, 2, -3, 4]).expect("run");
        assert_eq!(values[1], [51, -18, 12, 51, 62, 6]);
        assert_eq!(values[2], [13, 0, 3, 13, 16, 2]);
        assert_eq!(values[3], values[2]);
        assert_eq!(values[4], [39, 0, 9, 39, 48, 13]);
    }

    #[test]
    fn one_column_and_several_positions() {
        let weights = WeightMatrix { rows: 2, columns: 1, values: vec![3, -1] };
        let mut accumulators = [0, 4, 0, 4, 0, 4];
        linear(&[1, 2, 5], &weights, &[10, 1], &mut accumulators);
        assert_eq!(accumulators, [30, 3, 60, 2, 150, -1]);
        let none = WeightMatrix { rows: 2, columns: 0, values: vec![] };
        linear(&[], &none, &[1, 1], &mut accumulators);
        assert_eq!(accumulators, [30, 3, 60, 2, 150, -1]);
    }

    #[test]
    fn inputs_of_the_wrong_length_or_outside_the_interval_are_refused() {
        let expected = RunError::InputLength { expected_shape: vec![2, 2], expected: 4, found: 3 };
        assert_eq!(graph().interpret(&[0, 0, 0]), Err(expected));
        let interval = Interval { min: -4, max: 4 };
        let expected = RunError::OutOfInterval { tensor: "x".into(), element: 2, value: 5, interval };
        assert_eq!(graph().interpret(&[0, 0, 5, 0]), Err(expected));
    }

    #[test]
    fn a_value_outside_its_interval_is_an_error_also_beyond_64_bits() {
        let mut narrow = graph();
        narrow.tensors[1].interval.max = 50;
        let interval = narrow.tensors[1].interval;
        let expected = RunError::OutOfInterval { tensor: "acc".into(), element: 0, value: 51, interval };
        assert_eq!(narrow.interpret(&[1, 2, -3, 4]), Err(expected));
        let mut wide = graph();
        wide.tensors[0].interval = Interval { min: i64::MIN, max: i64::MAX };
        wide.tensors[1].interval = Interval { min: i64::MIN, max: i64::MAX };
        let result = wide.interpret(&[i64::MAX, i64::MAX, 0, 0]);
        assert!(
            matches!(result, Err(RunError::OutOfInterval { value: i64::MAX, element: 0, .. })),
            "{result:?}"
        );
    }

    #[test]
    fn both_dot_products_agree() {
        let weights: Vec<i8> = (0..9000).map(|index| (index * 7 % 255 - 127) as i8).collect();
        let input: Vec<i64> = (0..9000).map(|index| (index * 1_234_567 % (1 << 40)) - (1 << 39)).collect();
        assert_eq!(dot_fast(&weights, &input), dot_wide(&weights, &input));
        let extreme = vec![(1 << 40) - 1; 9000];
        assert_eq!(dot_fast(&[-128; 9000], &extreme), -128 * 9000 * ((1i128 << 40) - 1));
    }

    #[test]
    fn damaged_graphs_are_refused_before_anything_is_computed() {
        type Damage = fn(&mut IntegerGraph);
        let cases: [(Damage, &str); 13] = [
            (|graph| graph.input = TensorId(9), "the graph's input refers to tensor 9"),
            (|graph| graph.output = TensorId(9), "the graph's output refers to tensor 9"),
            (|graph| graph.nodes.swap(0, 1), "before it is defined"),
            (|graph| graph.nodes[3].output = TensorId(0), "a second time"),
            (|graph| drop(graph.nodes.pop()), "before it is defined"),
            (|graph| graph.tensors[1].shape = vec![2, usize::MAX], "overflows"),
            (|graph| graph.tensors[1].interval.min = 300, "swapped"),
            (|graph| graph.tensors[2].shape = vec![5], "the input has 6 elements, 5 are needed"),
            (|graph| graph.tensors[0].shape = vec![4, 1], "a row of weights has 2 elements, 1 are needed"),
            (|graph| graph.nodes[0].output = TensorId(77), "refers to tensor 77"),
            (
                |graph| {
                    if let IntegerOp::Linear { bias, .. } = &mut graph.nodes[0].op {
                        bias.pop();
                    }
                },
                "the bias has 2 elements, 3 are needed",
            ),
            (
                |graph| {
                    if let IntegerOp::Sum { terms, .. } = &mut graph.nodes[3].op {
                        terms[1].access.input_start = 1;
                    }
                },
                "beyond the end of a tensor in its term `view`",
            ),
            (
                |graph| {
                    if let IntegerOp::Linear { products, .. } = &mut graph.nodes[0].op {
                        products.clear();
                    }
                },
                "the list of products has 0 elements",
            ),
        ];
        for (damage, part) in cases {
            let mut damaged = graph();
            damage(&mut damaged);
            let error = damaged.interpret(&[0; 4]).expect_err(part);
            assert!(matches!(error, RunError::Structure(_)) && error.to_string().contains(part), "{error}");
        }
    }
}
