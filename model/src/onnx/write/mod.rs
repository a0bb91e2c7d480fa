//! Export to ONNX: a float graph as an ordinary file of operator set 17, its input with batch dimension 1.
//!
//! Moves of elements become Reshape, Slice, Transpose, Expand, Pad and Concat where they are that, pools become pools, and
//! what is irregular becomes Gather. What import has merged stays merged: a batch normalisation that went into a convolution
//! does not come back.

mod encode;
mod function;
mod layers;
mod moves;
mod pools;
mod sums;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::float_graph::{FloatGraph, FloatGraphError, FloatNode, FloatOp, ValueId};
use encode::{Attribute, FLOAT, INT64, MOST_BYTES, Message};

/// The operator set of written files.
const OPSET: u64 = 17;
/// The file format's version that goes with it.
const FORMAT: u64 = 8;

/// Why a network could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Indices, order or lengths do not fit together.
    #[error(transparent)]
    Structure(#[from] FloatGraphError),
    /// One ONNX file holds at most two gigabytes.
    #[error(
        "the network `{name}` takes {bytes} bytes as ONNX, a file holds at most 2147483647; prune or split it"
    )]
    TooLarge {
        /// The network's name.
        name: String,
        /// Bytes needed.
        bytes: usize,
    },
    /// The operating system would not write it.
    #[error("cannot write {}: {source}; check the path, its permissions and the free space", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Writes the network as an ONNX file that [`super::import`] and other runtimes read. Names of values and nodes are kept, made
/// unique where they are not.
///
/// # Errors
/// [`WriteError`]: a malformed graph, more than two gigabytes, a path that cannot be written.
pub fn write(graph: &FloatGraph, path: impl AsRef<Path>) -> Result<(), WriteError> {
    let (path, bytes) = (path.as_ref(), write_bytes(graph)?);
    std::fs::write(path, bytes).map_err(|source| WriteError::Unwritable { path: path.to_path_buf(), source })
}

/// The bytes of an ONNX file, as [`write()`] writes them.
///
/// # Errors
/// [`WriteError`]: a malformed graph, more than two gigabytes.
pub fn write_bytes(graph: &FloatGraph) -> Result<Vec<u8>, WriteError> {
    graph.check_structure()?;
    let mut writer = Writer::new(graph);
    graph.nodes.iter().for_each(|node| writer.lower(node));
    let output = writer.output();
    let input = &writer.tensors[graph.input.0];
    let mut message = Message::default();
    for node in &writer.nodes {
        message = message.message(1, &node.encode());
    }
    message = message.text(2, &graph.name);
    for tensor in &writer.initializers {
        message = message.message(5, tensor);
    }
    message = message.message(11, &encode::value(&input.name, &input.shape, FLOAT));
    message = message.message(12, &encode::value(&output.name, &output.shape, FLOAT));
    let opset = Message::default().text(1, "").number(2, OPSET);
    let model = Message::default().number(1, FORMAT).text(2, "zkLoom").text(3, env!("CARGO_PKG_VERSION"));
    let model = model.message(7, &message).message(8, &opset);
    match model.0.len() {
        bytes if bytes > MOST_BYTES => Err(WriteError::TooLarge { name: graph.name.clone(), bytes }),
        _ => Ok(model.0),
    }
}

/// A tensor of the written file.
#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    /// Shape as ONNX sees it, the batch axis first.
    shape: Vec<usize>,
}

/// A node of the written file.
#[derive(Debug)]
struct Node {
    name: String,
    operator: &'static str,
    inputs: Vec<String>,
    output: String,
    attributes: Vec<(&'static str, Attribute)>,
}

impl Node {
    fn encode(&self) -> Message {
        let message = self.inputs.iter().fold(Message::default(), |message, input| message.text(1, input));
        let message = message.text(2, &self.output).text(3, &self.name).text(4, self.operator);
        let attributes = self.attributes.iter();
        attributes.fold(message, |message, (name, value)| message.message(5, &encode::attribute(name, value)))
    }
}

/// The file under construction.
struct Writer<'a> {
    graph: &'a FloatGraph,
    nodes: Vec<Node>,
    initializers: Vec<Message>,
    /// Names of tensors that are taken.
    names: HashSet<String>,
    node_names: HashSet<String>,
    /// The tensor of each value of the graph; without a name before it is made.
    tensors: Vec<Tensor>,
    /// Name of the node that is being lowered.
    label: String,
}

/// The shape with the batch axis.
fn batched(shape: &[usize]) -> Vec<usize> {
    [&[1], shape].concat()
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (1..shape.len()).rev() {
        strides[at - 1] = strides[at] * shape[at];
    }
    strides
}

fn unique(names: &mut HashSet<String>, wanted: &str) -> String {
    let wanted = if wanted.is_empty() { "unnamed" } else { wanted };
    let mut name = wanted.to_string();
    let mut number = 1;
    while !names.insert(name.clone()) {
        number += 1;
        name = format!("{wanted}_{number}");
    }
    name
}

impl<'a> Writer<'a> {
    fn new(graph: &'a FloatGraph) -> Self {
        let tensor = |value: &crate::float_graph::FloatValue| Tensor {
            name: String::new(),
            shape: batched(&value.shape),
        };
        let mut writer = Self {
            graph,
            nodes: Vec::new(),
            initializers: Vec::new(),
            names: HashSet::new(),
            node_names: HashSet::new(),
            tensors: graph.values.iter().map(tensor).collect(),
            label: String::new(),
        };
        // The input and the output are what callers ask for by name.
        let input = unique(&mut writer.names, &graph.values[graph.input.0].name);
        writer.tensors[graph.input.0].name = input;
        if graph.output != graph.input {
            let output = unique(&mut writer.names, &graph.values[graph.output.0].name);
            writer.tensors[graph.output.0].name = output;
        }
        writer
    }

    fn tensor(&self, value: ValueId) -> Tensor {
        self.tensors[value.0].clone()
    }

    /// Shape of a value of the graph, without the batch axis.
    fn shape(&self, value: ValueId) -> &'a [usize] {
        &self.graph.values[value.0].shape
    }

    /// Appends an operator whose result has that shape, the batch axis included.
    fn push(
        &mut self,
        operator: &'static str,
        inputs: &[&str],
        attributes: Vec<(&'static str, Attribute)>,
        shape: Vec<usize>,
    ) -> Tensor {
        let output = unique(&mut self.names, &format!("{}/{operator}_out", self.label));
        let inputs = inputs.iter().map(ToString::to_string).collect();
        self.nodes.push(Node { name: String::new(), operator, inputs, output: output.clone(), attributes });
        Tensor { name: output, shape }
    }

    /// A constant of floats.
    fn floats(&mut self, part: &str, shape: &[usize], values: &[f32]) -> String {
        let name = unique(&mut self.names, &format!("{}.{part}", self.label));
        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializers.push(encode::tensor(&name, shape, FLOAT, &raw));
        name
    }

    /// A constant list of integers.
    fn integers(&mut self, part: &str, values: &[usize]) -> String {
        let name = unique(&mut self.names, &format!("{}.{part}", self.label));
        let raw: Vec<u8> = values.iter().flat_map(|&value| (value as i64).to_le_bytes()).collect();
        self.initializers.push(encode::tensor(&name, &[values.len()], INT64, &raw));
        name
    }

    /// The tensor under another shape of as many elements.
    fn reshaped(&mut self, tensor: Tensor, shape: Vec<usize>) -> Tensor {
        if tensor.shape == shape {
            return tensor;
        }
        let target = self.integers("shape", &shape);
        self.push("Reshape", &[&tensor.name, &target], Vec::new(), shape)
    }

    fn lower(&mut self, node: &FloatNode) {
        self.label = if node.name.is_empty() { "node".into() } else { node.name.clone() };
        let (first, value) = (self.nodes.len(), node.output);
        let result = match &node.op {
            FloatOp::Linear { input, weights, bias } => self.linear(*input, (weights, bias), value),
            FloatOp::Convolution { input, geometry, weights, bias } => {
                self.convolution(*input, geometry, (weights, bias))
            }
            FloatOp::Sum { terms, bias } => self.sum(terms, bias, value),
            FloatOp::Maximum { candidates } => self.maximum(candidates, value),
            FloatOp::Multiply { left, right } => {
                let shape = batched(self.shape(value));
                let [left, right] = [*left, *right].map(|id| self.tensor(id));
                let (left, right) = (self.reshaped(left, shape.clone()), self.reshaped(right, shape.clone()));
                self.push("Mul", &[&left.name, &right.name], Vec::new(), shape)
            }
            FloatOp::Pointwise { input, function } => {
                let tensor = self.tensor(*input);
                self.function(tensor, function)
            }
            FloatOp::ArgMax { input, length, inner, last } => self.arg_max(*input, (*length, *inner), *last),
            FloatOp::Reshape { input } => self.tensor(*input),
        };
        let result = self.reshaped(result, batched(self.shape(value)));
        self.finish(result, value, first);
    }

    /// Names what a node of the graph has become: the value, the operator that does the work, and the rest after it.
    fn finish(&mut self, result: Tensor, value: ValueId, first: usize) {
        let made = self.nodes.last().is_some_and(|last| last.output == result.name);
        if self.nodes.len() == first || !made {
            self.push("Identity", &[&result.name], Vec::new(), result.shape.clone());
        }
        if self.tensors[value.0].name.is_empty() {
            self.tensors[value.0].name = unique(&mut self.names, &self.graph.values[value.0].name);
        }
        if let Some(last) = self.nodes.last_mut() {
            last.output.clone_from(&self.tensors[value.0].name);
        }
        let works =
            |node: &Node| matches!(node.operator, "Gemm" | "MatMul" | "Conv" | "MaxPool" | "AveragePool");
        let own = &mut self.nodes[first..];
        let main = own.iter().position(works).unwrap_or(own.len() - 1);
        own[main].name = unique(&mut self.node_names, &self.label);
        for (at, node) in own.iter_mut().enumerate() {
            if at != main {
                node.name = unique(&mut self.node_names, &format!("{}/{}", self.label, node.operator));
            }
        }
    }

    /// The graph's output; a network that is its own input still needs a node.
    fn output(&mut self) -> Tensor {
        let tensor = self.tensor(self.graph.output);
        if self.graph.output != self.graph.input {
            return tensor;
        }
        self.label = "output".into();
        let result = self.push("Identity", &[&tensor.name], Vec::new(), tensor.shape);
        if let Some(last) = self.nodes.last_mut() {
            last.name = unique(&mut self.node_names, "output");
        }
        result
    }
}

#[cfg(test)]
mod tests;
