//! The float graph that import produces: four operations, constants inside them, and an interpreter.

use serde::{Deserialize, Serialize};
use thiserror::Error;

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
    /// `y = sum coefficient * x + bias`, element by element, for values with equally many elements.
    Sum {
        /// Inputs with their coefficients, at least one.
        terms: Vec<(ValueId, f32)>,
        /// Empty, or one for each element.
        bias: Vec<f32>,
    },
    /// `y = max(min, min(max, x))`; an absent bound does not bind. ReLU is `min = 0`.
    Clamp {
        /// The value to clamp.
        input: ValueId,
        /// Least result.
        min: Option<f32>,
        /// Greatest result.
        max: Option<f32>,
    },
    /// The same elements in row-major order under another shape.
    Reshape {
        /// The value to view.
        input: ValueId,
    },
}

impl FloatOp {
    /// The values that the node reads, in order.
    #[must_use]
    pub fn inputs(&self) -> Vec<ValueId> {
        match self {
            Self::Linear { input, .. } | Self::Clamp { input, .. } | Self::Reshape { input } => vec![*input],
            Self::Sum { terms, .. } => terms.iter().map(|term| term.0).collect(),
        }
    }

    pub(crate) fn inputs_mut(&mut self) -> Vec<&mut ValueId> {
        match self {
            Self::Linear { input, .. } | Self::Clamp { input, .. } | Self::Reshape { input } => vec![input],
            Self::Sum { terms, .. } => terms.iter_mut().map(|term| &mut term.0).collect(),
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
                push(format!("relu{number}"), FloatOp::Clamp { input: linear, min: Some(0.0), max: None });
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
        let fits = match &node.op {
            FloatOp::Linear { input, weights, bias } => {
                let input = &self.values[input.0];
                weights.columns > 0
                    && weights.rows.checked_mul(weights.columns) == Some(weights.values.len())
                    && bias.len() == weights.rows
                    && input.elements().is_multiple_of(weights.columns)
                    && (input.elements() / weights.columns).checked_mul(weights.rows)
                        == Some(output.elements())
            }
            FloatOp::Sum { terms, bias } => {
                !terms.is_empty()
                    && terms.iter().all(|term| self.values[term.0.0].elements() == output.elements())
                    && (bias.is_empty() || bias.len() == output.elements())
            }
            FloatOp::Clamp { input, .. } | FloatOp::Reshape { input } => {
                self.values[input.0].elements() == output.elements()
            }
        };
        if fits { Ok(()) } else { Err(malformed(&node.name, "its shapes do not fit together")) }
    }

    /// Computes every value from the input's elements (row-major, without batch): `result[id.0]` are the
    /// elements of value `id`. Sums are accumulated in 64-bit floats and rounded once.
    ///
    /// # Errors
    /// [`FloatGraphError`]: wrong number of input elements, a malformed graph.
    pub fn run(&self, input: &[f32]) -> Result<Vec<Vec<f32>>, FloatGraphError> {
        self.check_structure()?;
        let expected = &self.values[self.input.0];
        if input.len() != expected.elements() {
            let expected_shape = expected.shape.clone();
            let expected = expected.elements();
            return Err(FloatGraphError::InputLength { expected_shape, expected, found: input.len() });
        }
        let mut values = vec![Vec::new(); self.values.len()];
        values[self.input.0] = input.to_vec();
        for node in &self.nodes {
            values[node.output.0] = self.evaluate(node, &values);
        }
        Ok(values)
    }

    fn evaluate(&self, node: &FloatNode, values: &[Vec<f32>]) -> Vec<f32> {
        match &node.op {
            FloatOp::Linear { input, weights, bias } => {
                let positions = values[input.0].chunks_exact(weights.columns);
                positions.flat_map(|position| linear(position, weights, bias)).collect()
            }
            FloatOp::Sum { terms, bias } => {
                let element = |index: usize| {
                    let bias = f64::from(bias.get(index).copied().unwrap_or(0.0));
                    let term = |&(input, coefficient): &(ValueId, f32)| {
                        f64::from(coefficient) * f64::from(values[input.0][index])
                    };
                    (bias + terms.iter().map(term).sum::<f64>()) as f32
                };
                (0..self.values[node.output.0].elements()).map(element).collect()
            }
            FloatOp::Clamp { input, min, max } => {
                let clamp = |&value: &f32| {
                    value.min(max.unwrap_or(f32::INFINITY)).max(min.unwrap_or(f32::NEG_INFINITY))
                };
                values[input.0].iter().map(clamp).collect()
            }
            FloatOp::Reshape { input } => values[input.0].clone(),
        }
    }
}

fn linear(position: &[f32], weights: &FloatMatrix, bias: &[f32]) -> Vec<f32> {
    let row = |(row, &bias): (usize, &f32)| {
        let products = weights.row(row).iter().zip(position).map(|(&w, &x)| f64::from(w) * f64::from(x));
        (products.sum::<f64>() + f64::from(bias)) as f32
    };
    bias.iter().enumerate().map(row).collect()
}

fn malformed(place: &str, reason: &'static str) -> FloatGraphError {
    FloatGraphError::Malformed { place: place.to_string(), reason }
}
