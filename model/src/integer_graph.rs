//! The integer graph: the network as the circuit compiler sees it, and the structure it must have.

use serde::{Deserialize, Serialize};
use thiserror::Error;

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
    /// `multiplier` is the layer's [`IntegerOp::Linear`] multiplier of that row.
    pub fn effective_row(&self, row: usize, multiplier: i64) -> impl Iterator<Item = i64> + '_ {
        self.row(row).iter().map(move |&weight| multiplier.saturating_mul(i64::from(weight)))
    }
}

/// A pointwise function after requantisation. Identity with saturation, ReLU and Clip are all clamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// `max(min, min(max, q))`.
    Clamp {
        /// Least result.
        min: i64,
        /// Greatest result.
        max: i64,
    },
}

impl Activation {
    /// The function's value at the requantised `q`.
    #[must_use]
    pub fn apply(&self, q: i64) -> i64 {
        match *self {
            Self::Clamp { min, max } => q.min(max).max(min),
        }
    }
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum IntegerOp {
    /// `acc[o] = multipliers[o] * sum_k weights[o][k] * input[k] + bias[o]`. The input may have leading
    /// positions: `[.., K]` gives `[.., O]`.
    Linear {
        /// The tensor of shape `[.., K]`.
        input: TensorId,
        /// `O` rows of `K` weights.
        weights: WeightMatrix,
        /// One for each output.
        multipliers: Vec<i64>,
        /// One for each output, in accumulator units.
        bias: Vec<i64>,
    },
    /// `acc = sum coefficient * input + bias`, element by element, for tensors of equal shape.
    Sum {
        /// Inputs with their coefficients, at least one.
        terms: Vec<(TensorId, i64)>,
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
    },
    /// The same elements in row-major order under another shape.
    Reshape {
        /// The tensor to view.
        input: TensorId,
    },
}

impl IntegerOp {
    /// The tensors that the node reads, in order.
    #[must_use]
    pub fn inputs(&self) -> Vec<TensorId> {
        match self {
            Self::Linear { input, .. } | Self::Activate { input, .. } | Self::Reshape { input } => {
                vec![*input]
            }
            Self::Sum { terms, .. } => terms.iter().map(|term| term.0).collect(),
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
            IntegerOp::Linear { input, weights, multipliers, bias } => {
                let input = self.tensor(*input);
                need(
                    "the weight matrix",
                    weights.rows.saturating_mul(weights.columns),
                    weights.values.len(),
                )?;
                need("the list of multipliers", weights.rows, multipliers.len())?;
                need("the bias", weights.rows, bias.len())?;
                need("the input's last axis", weights.columns, input.shape.last().copied().unwrap_or(1))?;
                need("the output's last axis", weights.rows, output.shape.last().copied().unwrap_or(1))?;
                let positions = input.elements().checked_div(weights.columns).unwrap_or(0);
                need("the output", positions.saturating_mul(weights.rows), output.elements())
            }
            IntegerOp::Sum { terms, bias } => {
                if terms.is_empty() {
                    return need("the list of terms", 1, 0);
                }
                for (input, _) in terms {
                    need("a term", output.elements(), self.tensor(*input).elements())?;
                }
                if bias.is_empty() { Ok(()) } else { need("the bias", output.elements(), bias.len()) }
            }
            IntegerOp::Activate { input, .. } | IntegerOp::Reshape { input } => {
                need("the input", output.elements(), self.tensor(*input).elements())
            }
        }
    }
}
