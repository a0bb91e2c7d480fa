//! The float graph that import produces: a few operations, constants inside them, and an interpreter.

mod execute;
mod multiply;
mod reference;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::access::Access;
use crate::convolution::Convolution;
use crate::function::Function;

/// Index of a value in [`FloatGraph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ValueId(pub usize);

/// A value that flows through the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloatValue {
    /// The ONNX value's name.
    pub name: String,
    /// Shape without the batch dimension, row-major.
    pub shape: Vec<usize>,
}

impl FloatValue {
    /// Number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }
}

/// Float weights, row-major, one row for each output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloatMatrix {
    /// Number of rows, the outputs `O`.
    pub rows: usize,
    /// Number of columns, the inputs `K`.
    pub columns: usize,
    /// `rows * columns` finite weights.
    pub values: Vec<f32>,
}

impl FloatMatrix {
    /// Row `row`; empty if there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        let start = row.saturating_mul(self.columns);
        self.values.get(start..start.saturating_add(self.columns)).unwrap_or(&[])
    }
}

/// A value that enters a sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloatTerm {
    /// The value.
    pub input: ValueId,
    /// Its factor.
    pub coefficient: f32,
    /// Which of its elements meet which elements of the result.
    pub access: Access,
}

/// One of the elements that compete for each element of a maximum: pieces that together reach every element of the result
/// exactly once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The pieces, each from one value.
    pub pieces: Vec<(ValueId, Access)>,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FloatOp {
    /// `y[o] = sum_k weights[o][k] * x[k] + bias[o]`; `[.., K]` gives `[.., O]`.
    Linear {
        /// The value of shape `[.., K]`.
        input: ValueId,
        /// `O` rows of `K` weights.
        weights: FloatMatrix,
        /// One for each output.
        bias: Vec<f32>,
    },
    /// A convolution, grouped and depthwise ones too; `[C, spatial..]` gives `[O, spatial..]`. Scaling each channel is one
    /// with `C` groups and kernels of size one, scaling each element one with as many groups as elements.
    Convolution {
        /// The value of shape `[C, spatial..]`.
        input: ValueId,
        /// Groups and windows.
        geometry: Convolution,
        /// `O` rows of `C / groups * product of kernels` weights.
        weights: FloatMatrix,
        /// One for each output channel.
        bias: Vec<f32>,
    },
    /// `y = sum coefficient * access(x) + bias`: residual sums, averages, and what moves elements without computing.
    Sum {
        /// The terms; elements that none reaches are the bias alone.
        terms: Vec<FloatTerm>,
        /// Empty, or one for each element.
        bias: Vec<f32>,
    },
    /// The largest of the candidates, element by element. A window that leaves the input has another of its own elements in
    /// place of the padding.
    Maximum {
        /// The candidates, at least one.
        candidates: Vec<Candidate>,
    },
    /// `y = left * right`, element by element, for values of equal shape.
    Multiply {
        /// One factor.
        left: ValueId,
        /// The other.
        right: ValueId,
    },
    /// A function of each element.
    Pointwise {
        /// The argument.
        input: ValueId,
        /// The function.
        function: Function,
    },
    /// Index of the largest element along the middle axis of a value that is seen as `[outer, length, inner]`; the result is
    /// `[outer, inner]`.
    ArgMax {
        /// The value, `outer * length * inner` elements.
        input: ValueId,
        /// Length of the axis.
        length: usize,
        /// Elements behind one index of the axis.
        inner: usize,
        /// Of equal elements, the last index instead of the first.
        last: bool,
    },
    /// The same elements in row-major order under another shape.
    Reshape {
        /// The value to view.
        input: ValueId,
    },
}

impl FloatOp {
    /// ReLU.
    #[must_use]
    pub fn relu(input: ValueId) -> Self {
        Self::Pointwise { input, function: Function::RELU }
    }

    /// A sum of whole values with `elements` elements each, element by element.
    #[must_use]
    pub fn sum(elements: usize, terms: Vec<(ValueId, f32)>, bias: Vec<f32>) -> Self {
        let term =
            |(input, coefficient)| FloatTerm { input, coefficient, access: Access::identity(elements) };
        Self::Sum { terms: terms.into_iter().map(term).collect(), bias }
    }

    /// The values that the node reads, in order.
    #[must_use]
    pub fn inputs(&self) -> Vec<ValueId> {
        match self {
            Self::Linear { input, .. }
            | Self::Convolution { input, .. }
            | Self::Pointwise { input, .. }
            | Self::ArgMax { input, .. }
            | Self::Reshape { input } => vec![*input],
            Self::Multiply { left, right } => vec![*left, *right],
            Self::Sum { terms, .. } => terms.iter().map(|term| term.input).collect(),
            Self::Maximum { candidates } => {
                candidates.iter().flat_map(|candidate| &candidate.pieces).map(|piece| piece.0).collect()
            }
        }
    }

    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut ValueId> {
        match self {
            Self::Linear { input, .. }
            | Self::Convolution { input, .. }
            | Self::Pointwise { input, .. }
            | Self::ArgMax { input, .. }
            | Self::Reshape { input } => vec![input],
            Self::Multiply { left, right } => vec![left, right],
            Self::Sum { terms, .. } => terms.iter_mut().map(|term| &mut term.input).collect(),
            Self::Maximum { candidates } => {
                let pieces = candidates.iter_mut().flat_map(|candidate| &mut candidate.pieces);
                pieces.map(|piece| &mut piece.0).collect()
            }
        }
    }
}

/// One operation of the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloatNode {
    /// The ONNX node's name; its first output's name where the node has none.
    pub name: String,
    /// The operation.
    pub op: FloatOp,
    /// The value that it defines.
    pub output: ValueId,
}

/// An imported network: values, and nodes in topological order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FloatGraph {
    /// The network's name.
    pub name: String,
    /// All values; a node refers to them by [`ValueId`].
    pub values: Vec<FloatValue>,
    /// The operations; each reads only the input and what earlier nodes define.
    pub nodes: Vec<FloatNode>,
    /// The network's input.
    pub input: ValueId,
    /// The network's output.
    pub output: ValueId,
}

/// Why a float graph could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FloatGraphError {
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
    /// Indices, order or lengths do not fit together.
    #[error("{place}: {reason}; the float graph is malformed, import the model again")]
    Malformed {
        /// The node, or "the graph's input" or "the graph's output".
        place: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl FloatGraph {
    /// A dense network, input vector first: one Linear for each of `layers` (weights, bias), named `dense1`,
    /// `dense2`, ..., and a ReLU (`relu1`, ...) after each but the last.
    ///
    /// # Errors
    /// [`FloatGraphError::Malformed`] if there is no layer or the layers' sizes do not fit together.
    pub fn dense(name: &str, layers: Vec<(FloatMatrix, Vec<f32>)>) -> Result<Self, FloatGraphError> {
        let count = layers.len();
        let first = layers.first().ok_or_else(|| malformed(name, "it has no layers"))?;
        let mut values = vec![FloatValue { name: "input".into(), shape: vec![first.0.columns] }];
        let mut nodes = Vec::new();
        for (index, (weights, bias)) in layers.into_iter().enumerate() {
            let (number, shape) = (index + 1, vec![weights.rows]);
            let mut push = |name: String, op| {
                let output = ValueId(values.len());
                values.push(FloatValue { name: format!("{name}_out"), shape: shape.clone() });
                nodes.push(FloatNode { name, op, output });
                output
            };
            let input = ValueId(2 * index);
            let linear = push(format!("dense{number}"), FloatOp::Linear { input, weights, bias });
            if number < count {
                push(format!("relu{number}"), FloatOp::relu(linear));
            }
        }
        let output = ValueId(values.len() - 1);
        let graph = Self { name: name.to_string(), values, nodes, input: ValueId(0), output };
        graph.check_structure()?;
        Ok(graph)
    }

    /// Checks indices, order and lengths: after it, walking the graph cannot go wrong.
    ///
    /// # Errors
    /// [`FloatGraphError::Malformed`], naming the node.
    pub fn check_structure(&self) -> Result<(), FloatGraphError> {
        let mut defined = vec![false; self.values.len()];
        let overflows =
            |value: &FloatValue| value.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_none();
        if let Some(value) = self.values.iter().find(|value| overflows(value)) {
            return Err(malformed(&value.name, "its number of elements overflows"));
        }
        let unknown = "it refers to a value that the graph does not have";
        *defined.get_mut(self.input.0).ok_or_else(|| malformed("the graph's input", unknown))? = true;
        for node in &self.nodes {
            if node.op.inputs().iter().any(|input| defined.get(input.0) != Some(&true)) {
                return Err(malformed(&node.name, "it reads a value that no earlier node defines"));
            }
            let slot = defined.get_mut(node.output.0).ok_or_else(|| malformed(&node.name, unknown))?;
            if std::mem::replace(slot, true) {
                return Err(malformed(&node.name, "it defines a value a second time"));
            }
            self.check_node(node)?;
        }
        match defined.get(self.output.0) {
            Some(true) => Ok(()),
            _ => Err(malformed("the graph's output", "no node defines it")),
        }
    }

    fn check_node(&self, node: &FloatNode) -> Result<(), FloatGraphError> {
        let output = &self.values[node.output.0];
        let elements = |id: ValueId| self.values[id.0].elements();
        let inside = |input: ValueId, access: &Access| {
            access.reach().is_some_and(|(to, from)| to < output.elements() && from < elements(input))
        };
        let fits = match &node.op {
            FloatOp::Linear { input, weights, bias } => {
                weights.columns > 0
                    && weights.rows.checked_mul(weights.columns) == Some(weights.values.len())
                    && bias.len() == weights.rows
                    && elements(*input).is_multiple_of(weights.columns)
                    && (elements(*input) / weights.columns).checked_mul(weights.rows)
                        == Some(output.elements())
            }
            FloatOp::Convolution { input, geometry, weights, bias } => {
                let shape = &self.values[input.0].shape;
                geometry.output_shape(shape, weights.rows).as_ref() == Some(&output.shape)
                    && shape.first().map(|&channels| geometry.columns(channels)) == Some(weights.columns)
                    && weights.rows.checked_mul(weights.columns) == Some(weights.values.len())
                    && bias.len() == weights.rows
            }
            FloatOp::Sum { terms, bias } => {
                terms.iter().all(|term| inside(term.input, &term.access))
                    && (bias.is_empty() || bias.len() == output.elements())
            }
            FloatOp::Maximum { candidates } => {
                let complete = |candidate: &Candidate| {
                    let mut reached = vec![0usize; output.elements()];
                    candidate.pieces.iter().all(|(input, access)| inside(*input, access)) && {
                        let pieces = candidate.pieces.iter();
                        pieces.for_each(|(_, access)| access.for_each(|to, _| reached[to] += 1));
                        reached.into_iter().all(|times| times == 1)
                    }
                };
                !candidates.is_empty() && candidates.iter().all(complete)
            }
            FloatOp::Multiply { left, right } => {
                elements(*left) == output.elements() && elements(*right) == output.elements()
            }
            FloatOp::ArgMax { input, length, inner, .. } => {
                let group = length.checked_mul(*inner).filter(|&group| group > 0);
                group.is_some_and(|group| {
                    elements(*input).is_multiple_of(group) && elements(*input) / length == output.elements()
                })
            }
            FloatOp::Pointwise { input, .. } | FloatOp::Reshape { input } => {
                elements(*input) == output.elements()
            }
        };
        if fits { Ok(()) } else { Err(malformed(&node.name, "its shapes do not fit together")) }
    }
}

fn malformed(place: &str, reason: &'static str) -> FloatGraphError {
    FloatGraphError::Malformed { place: place.to_string(), reason }
}
