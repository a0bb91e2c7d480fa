//! The integer graph: the network as the circuit compiler sees it, and the structure it must have.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::access::Access;
use crate::convolution::Convolution;

/// Index of a tensor in [`IntegerGraph::tensors`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorId(pub usize);

/// A range of integers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// Least value.
    pub min: i64,
    /// Greatest value.
    pub max: i64,
}

impl Interval {
    /// The least interval `-2^k ..= 2^k - 1` that holds this one, or all integers of 64 bits: as much as may be shown of one that
    /// depends on private weights.
    #[must_use]
    pub fn widened(self) -> Self {
        let fits = |bits: &u32| self.min >= -(1_i64 << bits) && self.max < 1_i64 << bits;
        match (0..63).find(fits) {
            Some(bits) => Self { min: -(1 << bits), max: (1 << bits) - 1 },
            None => Self { min: i64::MIN, max: i64::MAX },
        }
    }

    /// Whether `value` lies inside.
    #[must_use]
    pub fn contains(&self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }

    /// The least interval that contains both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "[{}, {}]", self.min, self.max)
    }
}

/// One tensor: the values are computed by [`IntegerGraph::run`], this is what is known beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegerTensor {
    /// Name for messages: the ONNX value's, or the node's with a suffix for an accumulator.
    pub name: String,
    /// Shape without the batch dimension, row-major.
    pub shape: Vec<usize>,
    /// Worst-case interval of every element.
    pub interval: Interval,
    /// Real value of one: `real = integer * scale`.
    pub scale: f64,
}

impl IntegerTensor {
    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Quantised weights, row-major, one row for each output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightMatrix {
    /// Number of rows, the outputs `O`.
    pub rows: usize,
    /// Number of columns, the inputs `K`.
    pub columns: usize,
    /// `rows * columns` weights in `[-127, 127]`.
    pub values: Vec<i8>,
}

impl WeightMatrix {
    /// Row `row` as quantised, without the multiplier; empty if there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[i8] {
        let start = row.saturating_mul(self.columns);
        self.values.get(start..start.saturating_add(self.columns)).unwrap_or(&[])
    }

    /// `multiplier * weights[row][k]` for each column `k`: the numbers that a circuit commits to.
    /// `multiplier` is the [`Product`]'s multiplier of that row.
    pub fn effective_row(&self, row: usize, multiplier: i64) -> impl Iterator<Item = i64> + '_ {
        self.row(row).iter().map(move |&weight| multiplier.saturating_mul(i64::from(weight)))
    }
}

/// A pointwise function after requantisation, on integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// `max(min, min(max, q))`: identity with saturation, ReLU and Clip.
    Clamp {
        /// Least result.
        min: i64,
        /// Greatest result.
        max: i64,
    },
    /// Any function, by its values: `values[q - first]`; outside it keeps the value at the nearer end.
    Table {
        /// Argument of the first value.
        first: i64,
        /// The values, at least one.
        values: Vec<i32>,
    },
}

impl Activation {
    /// The function's value at the requantised `q`.
    #[must_use]
    pub fn apply(&self, q: i64) -> i64 {
        match self {
            Self::Clamp { min, max } => q.min(*max).max(*min),
            Self::Table { first, values } => {
                let last = values.len().saturating_sub(1);
                let index = usize::try_from(q.saturating_sub(*first)).unwrap_or(0).min(last);
                values.get(index).map_or(0, |&value| i64::from(value))
            }
        }
    }

    /// The least interval that holds the results for all arguments in `domain`.
    #[must_use]
    pub fn image(&self, domain: Interval) -> Interval {
        let ends = [self.apply(domain.min), self.apply(domain.max)];
        let mut image = Interval { min: ends[0].min(ends[1]), max: ends[0].max(ends[1]) };
        if let Self::Table { first, values } = self {
            // A file may state any first argument, even one beside the largest integer.
            let arguments = (0_i64..).map_while(|index| first.checked_add(index));
            for (argument, &value) in arguments.zip(values).filter(|(argument, _)| domain.contains(*argument))
            {
                debug_assert_eq!(self.apply(argument), i64::from(value));
                image = image.hull(Interval { min: i64::from(value), max: i64::from(value) });
            }
        }
        image
    }
}

/// How the columns of a weight matrix meet an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contraction {
    /// The input's last axis: `[.., K]` gives `[.., O]`, the leading axes are positions.
    Dense,
    /// A convolution: `[C, spatial..]` gives `[O, spatial..]`.
    Convolution(Convolution),
}

impl Contraction {
    /// Number of groups of channels; 1 for a dense contraction.
    #[must_use]
    pub fn groups(&self) -> usize {
        match self {
            Self::Dense => 1,
            Self::Convolution(convolution) => convolution.groups,
        }
    }

    /// Shape of the output for an input shape and number of rows; nothing if they do not fit.
    #[must_use]
    pub fn output_shape(&self, input: &[usize], rows: usize) -> Option<Vec<usize>> {
        match self {
            Self::Dense => {
                let (_, positions) = input.split_last()?;
                Some(positions.iter().copied().chain([rows]).collect())
            }
            Self::Convolution(convolution) => convolution.output_shape(input, rows),
        }
    }

    /// Columns of the weights for an input shape, saturating.
    #[must_use]
    pub fn columns(&self, input: &[usize]) -> usize {
        match self {
            Self::Dense => input.last().copied().unwrap_or(1),
            Self::Convolution(convolution) => convolution.columns(input.first().copied().unwrap_or(1)),
        }
    }
}

/// A weight matrix and the input that it is multiplied with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The input.
    pub input: TensorId,
    /// How weights and input meet.
    pub contraction: Contraction,
    /// One row for each output channel `O`.
    pub weights: WeightMatrix,
    /// One for each row: the matrix that counts is `multipliers[o] * weights[o][k]`.
    pub multipliers: Vec<i64>,
}

/// A tensor that enters a sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The tensor.
    pub input: TensorId,
    /// Its factor.
    pub coefficient: i64,
    /// Which of its elements are added to which elements of the sum.
    pub access: Access,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum IntegerOp {
    /// `acc = sum over products of (multiplier * weights) input + bias`, all of one output shape. Several products are a
    /// fused residual sum: a skip connection is a product with one weight for each channel.
    Linear {
        /// At least one; all dense, or all convolutions.
        products: Vec<Product>,
        /// One for each output channel, in accumulator units.
        bias: Vec<i64>,
    },
    /// `acc = sum coefficient * access(input) + bias`: residual sums, averages, and all operations that only move elements.
    Sum {
        /// The terms; elements that none reaches are the bias alone.
        terms: Vec<Term>,
        /// Empty, or one for each element, in accumulator units.
        bias: Vec<i64>,
    },
    /// `q = requantise(acc, shift)`, `output = function(q)`; see [`crate::rounding::requantise`].
    Activate {
        /// The accumulator.
        input: TensorId,
        /// Requantisation divides by `2^shift`.
        shift: u32,
        /// Applied to each requantised element.
        function: Activation,
        /// The requantised elements that the function is defined for: all that can occur, or fewer where an input that leads
        /// outside shall be refused.
        domain: Interval,
    },
    /// `max(left, right)`, element by element, for tensors of equal shape and scale.
    Maximum {
        /// One of them.
        left: TensorId,
        /// The other.
        right: TensorId,
    },
    /// `left * right`, element by element, for tensors of equal shape. The result is an accumulator whose scale is the
    /// product of the scales.
    Multiply {
        /// One factor.
        left: TensorId,
        /// The other.
        right: TensorId,
    },
    /// Index of the largest element along the middle axis of a tensor that is seen as `[outer, length, inner]`; the result is
    /// `[outer, inner]`.
    ArgMax {
        /// The tensor, `outer * length * inner` elements.
        input: TensorId,
        /// Length of the axis.
        length: usize,
        /// Elements behind one index of the axis.
        inner: usize,
        /// Of equal elements, the last index instead of the first.
        last: bool,
    },
    /// The same elements in row-major order under another shape.
    Reshape {
        /// The tensor to view.
        input: TensorId,
    },
}

impl IntegerOp {
    /// One dense product: `acc[o] = multipliers[o] * sum_k weights[o][k] * input[k] + bias[o]`.
    #[must_use]
    pub fn dense(input: TensorId, weights: WeightMatrix, multipliers: Vec<i64>, bias: Vec<i64>) -> Self {
        Self::Linear {
            products: vec![Product { input, contraction: Contraction::Dense, weights, multipliers }],
            bias,
        }
    }

    /// A sum of whole tensors with `elements` elements each, element by element.
    #[must_use]
    pub fn sum(elements: usize, terms: Vec<(TensorId, i64)>, bias: Vec<i64>) -> Self {
        let term = |(input, coefficient)| Term { input, coefficient, access: Access::identity(elements) };
        Self::Sum { terms: terms.into_iter().map(term).collect(), bias }
    }

    /// The tensors that the node reads, in order.
    #[must_use]
    pub fn inputs(&self) -> Vec<TensorId> {
        match self {
            Self::Linear { products, .. } => products.iter().map(|product| product.input).collect(),
            Self::Sum { terms, .. } => terms.iter().map(|term| term.input).collect(),
            Self::Maximum { left, right } | Self::Multiply { left, right } => vec![*left, *right],
            Self::Activate { input, .. } | Self::ArgMax { input, .. } | Self::Reshape { input } => {
                vec![*input]
            }
        }
    }
}

/// One operation of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegerNode {
    /// The ONNX node's name, with a suffix where quantisation added the operation.
    pub name: String,
    /// The operation.
    pub op: IntegerOp,
    /// The tensor that it defines.
    pub output: TensorId,
}

/// A quantised network: tensors, and nodes in topological order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntegerGraph {
    /// The network's name.
    pub name: String,
    /// All tensors; a node refers to them by [`TensorId`].
    pub tensors: Vec<IntegerTensor>,
    /// The operations; each reads only the input and what earlier nodes define.
    pub nodes: Vec<IntegerNode>,
    /// The network's input.
    pub input: TensorId,
    /// The network's output.
    pub output: TensorId,
    /// Bits of an activation.
    pub bits: u32,
    /// The shift that all requantisations share.
    pub shift: u32,
}

/// A graph whose parts do not fit together: damaged, or assembled wrongly.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// A tensor index beyond the tensors.
    #[error(
        "{place} refers to tensor {id}, but the graph has {tensors} tensors; the graph is damaged, compile the model again"
    )]
    UnknownTensor {
        /// The node, or "the graph's input" or "the graph's output".
        place: String,
        /// The index.
        id: usize,
        /// How many there are.
        tensors: usize,
    },
    /// A tensor read before anything defines it.
    #[error("node `{node}` reads tensor `{tensor}` before it is defined; nodes must be in topological order")]
    NotTopological {
        /// The reading node.
        node: String,
        /// The tensor's name.
        tensor: String,
    },
    /// A tensor defined by two nodes, or the input defined by a node.
    #[error("tensor `{tensor}` is defined a second time by node `{node}`; each tensor has one origin")]
    DefinedTwice {
        /// The second node.
        node: String,
        /// The tensor's name.
        tensor: String,
    },
    /// Shapes or vector lengths that disagree.
    #[error(
        "node `{node}`: {what} has {found} elements, {expected} are needed; the graph is damaged, compile the model again"
    )]
    Length {
        /// The node.
        node: String,
        /// Which vector or shape.
        what: &'static str,
        /// Needed.
        expected: usize,
        /// Found.
        found: usize,
    },
    /// A term of a sum that reaches beyond a tensor.
    #[error(
        "node `{node}` reads or writes beyond the end of a tensor in its term `{tensor}`; the graph is damaged, compile the model again"
    )]
    Access {
        /// The node.
        node: String,
        /// The term's tensor.
        tensor: String,
    },
    /// A product whose geometry does not give the output's shape.
    #[error(
        "node `{node}`: its product with `{tensor}` does not have the output's shape; the graph is damaged, compile the model again"
    )]
    Product {
        /// The node.
        node: String,
        /// The product's input.
        tensor: String,
    },
    /// A shape whose number of elements does not fit a machine word, or an interval with its ends swapped.
    #[error("tensor `{tensor}` is malformed: {reason}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl IntegerGraph {
    /// The tensor at `id`.
    ///
    /// # Panics
    /// If `id` is not an index of this graph's tensors.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> &IntegerTensor {
        &self.tensors[id.0]
    }

    /// Checks indices, order, shapes and vector lengths: after it, walking the graph cannot go wrong.
    /// Does not look at weights; [`crate::interval::check_intervals`] does.
    ///
    /// # Errors
    /// [`GraphError`], naming the node or tensor.
    pub fn check_structure(&self) -> Result<(), GraphError> {
        self.check_shapes()?;
        for node in &self.nodes {
            let IntegerOp::Linear { products, bias } = &node.op else { continue };
            let need = |what, expected: usize, found: usize| {
                let length = GraphError::Length { node: node.name.clone(), what, expected, found };
                if expected == found { Ok(()) } else { Err(length) }
            };
            for Product { weights, multipliers, .. } in products {
                let entries = weights.rows.saturating_mul(weights.columns);
                need("the weight matrix", entries, weights.values.len())?;
                need("the list of multipliers", weights.rows, multipliers.len())?;
                need("the bias", weights.rows, bias.len())?;
            }
        }
        Ok(())
    }

    /// The part of [`IntegerGraph::check_structure`] that does not ask for weights, multipliers and biases of linear layers:
    /// they may be left out of a graph that only describes an architecture, and cannot be run.
    ///
    /// # Errors
    /// [`GraphError`], naming the node or tensor.
    pub fn check_shapes(&self) -> Result<(), GraphError> {
        for tensor in &self.tensors {
            let malformed = |reason| GraphError::Tensor { tensor: tensor.name.clone(), reason };
            tensor
                .shape
                .iter()
                .try_fold(1usize, |product, &size| product.checked_mul(size))
                .ok_or_else(|| malformed("its number of elements overflows"))?;
            if tensor.interval.min > tensor.interval.max {
                return Err(malformed("its interval's ends are swapped"));
            }
        }
        let mut defined = vec![false; self.tensors.len()];
        *self.slot(&mut defined, self.input, "the graph's input")? = true;
        for node in &self.nodes {
            for input in node.op.inputs() {
                if !*self.slot(&mut defined, input, &node.name)? {
                    let tensor = self.tensor(input).name.clone();
                    return Err(GraphError::NotTopological { node: node.name.clone(), tensor });
                }
            }
            let slot = self.slot(&mut defined, node.output, &node.name)?;
            if std::mem::replace(slot, true) {
                let tensor = self.tensor(node.output).name.clone();
                return Err(GraphError::DefinedTwice { node: node.name.clone(), tensor });
            }
            self.check_node(node)?;
        }
        if !*self.slot(&mut defined, self.output, "the graph's output")? {
            let tensor = self.tensor(self.output).name.clone();
            return Err(GraphError::NotTopological { node: "the graph's output".into(), tensor });
        }
        Ok(())
    }

    fn slot<'a>(
        &self,
        defined: &'a mut [bool],
        id: TensorId,
        place: &str,
    ) -> Result<&'a mut bool, GraphError> {
        let tensors = self.tensors.len();
        defined.get_mut(id.0).ok_or_else(|| GraphError::UnknownTensor {
            place: place.to_string(),
            id: id.0,
            tensors,
        })
    }

    fn check_node(&self, node: &IntegerNode) -> Result<(), GraphError> {
        let need = |what, expected: usize, found: usize| {
            let length = GraphError::Length { node: node.name.clone(), what, expected, found };
            if expected == found { Ok(()) } else { Err(length) }
        };
        let output = self.tensor(node.output);
        match &node.op {
            IntegerOp::Linear { products, .. } => self.check_linear(node, products),
            IntegerOp::Sum { terms, bias } => {
                for term in terms {
                    let input = self.tensor(term.input).elements();
                    let reach = term.access.reach();
                    let inside = reach.is_some_and(|(to, from)| to < output.elements() && from < input);
                    if !inside {
                        let (node, tensor) = (node.name.clone(), self.tensor(term.input).name.clone());
                        return Err(GraphError::Access { node, tensor });
                    }
                }
                if bias.is_empty() { Ok(()) } else { need("the bias", output.elements(), bias.len()) }
            }
            IntegerOp::Activate { input, function, domain, .. } => {
                if let Activation::Table { values, .. } = function {
                    need("the function's table", values.len().max(1), values.len())?;
                }
                if domain.min > domain.max {
                    let tensor = output.name.clone();
                    return Err(GraphError::Tensor {
                        tensor,
                        reason: "its function's domain has its ends swapped",
                    });
                }
                need("the input", output.elements(), self.tensor(*input).elements())
            }
            IntegerOp::Maximum { left, right } | IntegerOp::Multiply { left, right } => {
                need("the left operand", output.elements(), self.tensor(*left).elements())?;
                need("the right operand", output.elements(), self.tensor(*right).elements())
            }
            IntegerOp::ArgMax { input, length, inner, .. } => {
                need("the axis", (*length).max(1), *length)?;
                need("an index of the axis", (*inner).max(1), *inner)?;
                need("the input", output.elements().saturating_mul(*length), self.tensor(*input).elements())?;
                need("the output", output.elements() / inner * inner, output.elements())
            }
            IntegerOp::Reshape { input } => {
                need("the input", output.elements(), self.tensor(*input).elements())
            }
        }
    }

    fn check_linear(&self, node: &IntegerNode, products: &[Product]) -> Result<(), GraphError> {
        let need = |what, expected: usize, found: usize| {
            let length = GraphError::Length { node: node.name.clone(), what, expected, found };
            if expected == found { Ok(()) } else { Err(length) }
        };
        let output = self.tensor(node.output);
        need("the list of products", products.len().max(1), products.len())?;
        let dense = |product: &Product| product.contraction == Contraction::Dense;
        let first = products.first().is_some_and(dense);
        for product in products {
            let Product { input, contraction, weights, .. } = product;
            let input = self.tensor(*input);
            need("a row of weights", contraction.columns(&input.shape), weights.columns)?;
            let shape = contraction.output_shape(&input.shape, weights.rows);
            if dense(product) != first || shape.as_deref() != Some(&output.shape) {
                return Err(GraphError::Product { node: node.name.clone(), tensor: input.name.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_is_to_the_next_power_of_two() {
        let widen = |min, max| {
            let Interval { min, max } = Interval { min, max }.widened();
            (min, max)
        };
        assert_eq!(widen(0, 0), (-1, 0));
        assert_eq!(widen(0, 1), (-2, 1));
        assert_eq!(widen(-5, 3), (-8, 7));
        assert_eq!(widen(-8, 7), (-8, 7));
        assert_eq!(widen(-8, 8), (-16, 15));
        assert_eq!(widen(i64::MIN, 0), (i64::MIN, i64::MAX));
        assert_eq!(widen(0, i64::MAX), (i64::MIN, i64::MAX));
    }
}
