//! The walk over the file's nodes, and what operator lowerings build with.

use std::collections::HashMap;
use std::rc::Rc;

use super::ImportOptions;
use super::constant::Constant;
use super::error::{ImportError, UnsupportedOperator};
use super::node::Node;
use super::ops;
use super::part::{Part, input_shape};
use super::proto::{GraphProto, ModelProto, NodeProto};
use crate::float_graph::{FloatGraph, FloatMatrix, FloatNode, FloatOp, FloatValue, ValueId};
use crate::passes;

/// The most elements that a value may have: far beyond what can be proved, far from overflowing.
pub(super) const LARGEST: usize = 1 << 26;

/// A value that depends on the network's input.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    /// Its place in the float graph.
    pub(super) id: ValueId,
    /// Shape as ONNX sees it for one sample: a batch axis counts 1.
    pub(super) shape: Vec<usize>,
}

/// What a name of the file stands for.
#[derive(Clone, Debug)]
pub(super) enum Binding {
    /// Known at import.
    Constant(Rc<Constant>),
    /// Depends on the input.
    Flow(Flow),
}

/// The float graph under construction.
pub(super) struct Lowering {
    values: Vec<FloatValue>,
    nodes: Vec<FloatNode>,
    bindings: HashMap<String, Binding>,
    operator_set: i64,
}

/// Lowers a decoded model, or the part of it that the options name.
pub(super) fn lower(
    model: &ModelProto,
    fallback_name: &str,
    options: &ImportOptions,
) -> Result<FloatGraph, ImportError> {
    let graph = model.graph.as_ref().ok_or(ImportError::Incomplete { part: "graph" })?;
    let operator_set = operator_set(model)?;
    let part = Part::new(graph, options)?;
    check_operators(&part.nodes)?;
    let mut lowering =
        Lowering { values: Vec::new(), nodes: Vec::new(), bindings: HashMap::new(), operator_set };
    lowering.bind_initializers(graph)?;
    let input = lowering.bind_input(graph, &part, options)?;
    for proto in &part.nodes {
        let node = Node::new(proto);
        let row = ops::TABLE.iter().find(|row| row.0 == node.operator());
        let lower = row.map(|row| row.1).ok_or_else(|| node.unsupported("this operator is not supported"))?;
        lower(&mut lowering, &node)?;
    }
    let output = part.output;
    let missing = || ImportError::MissingTensor { node: "the graph's output".into(), tensor: output.clone() };
    let output = match lowering.bindings.get(&output).ok_or_else(missing)? {
        Binding::Flow(flow) => flow.id,
        Binding::Constant(_) => return Err(ImportError::ConstantOutput { output }),
    };
    let name = if graph.name.is_empty() { fallback_name.to_string() } else { graph.name.clone() };
    Ok(passes::simplify(FloatGraph { name, values: lowering.values, nodes: lowering.nodes, input, output }))
}

/// The version of ONNX's own operator set, which import must know.
fn operator_set(model: &ModelProto) -> Result<i64, ImportError> {
    let own = model.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    let found = own.ok_or(ImportError::Incomplete { part: "operator set" })?.version;
    if super::OPSETS.contains(&found) { Ok(found) } else { Err(ImportError::Opset { found }) }
}

fn check_operators(nodes: &[&NodeProto]) -> Result<(), ImportError> {
    let nodes = nodes.iter().map(|proto| Node::new(proto));
    let unknown = nodes.filter(|node| ops::TABLE.iter().all(|row| row.0 != node.qualified_operator()));
    let nodes: Vec<_> = unknown
        .map(|node| UnsupportedOperator { node: node.name(), operator: node.qualified_operator() })
        .collect();
    if nodes.is_empty() { Ok(()) } else { Err(ImportError::UnsupportedOperators { nodes }) }
}

impl Lowering {
    fn bind_initializers(&mut self, graph: &GraphProto) -> Result<(), ImportError> {
        if let Some(sparse) = graph.sparse_initializer.first() {
            let tensor = sparse.values.as_ref().map_or_else(String::new, |values| values.name.clone());
            return Err(ImportError::SparseTensor { tensor });
        }
        for tensor in &graph.initializer {
            let constant = Constant::from_proto(tensor, "an initializer without name")?;
            let binding = Binding::Constant(Rc::new(constant));
            if self.bindings.insert(tensor.name.clone(), binding).is_some() {
                let node = "the initializers".to_string();
                return Err(ImportError::DefinedTwice { node, tensor: tensor.name.clone() });
            }
        }
        Ok(())
    }

    /// Binds the one input that the output depends on.
    fn bind_input(
        &mut self,
        graph: &GraphProto,
        part: &Part,
        options: &ImportOptions,
    ) -> Result<ValueId, ImportError> {
        // Old exporters list the initializers among the inputs.
        let mut inputs: Vec<_> =
            graph.input.iter().filter(|input| !self.bindings.contains_key(&input.name)).collect();
        if inputs.len() > 1 {
            inputs.retain(|input| part.read.contains(input.name.as_str()) || input.name == part.output);
        }
        let input = match inputs.as_slice() {
            [] => return Err(ImportError::NoInput),
            [input] => *input,
            several => {
                return Err(ImportError::SeveralInputs {
                    names: several.iter().map(|i| i.name.clone()).collect(),
                });
            }
        };
        let shape = input_shape(input, options.input_shape.as_deref())?;
        let id = self.push_value(&input.name, &shape);
        self.bindings.insert(input.name.clone(), Binding::Flow(Flow { id, shape }));
        Ok(id)
    }

    /// The version of the operator set that the file is written in.
    pub(super) fn operator_set(&self) -> i64 {
        self.operator_set
    }

    /// What input `index` of the node stands for.
    pub(super) fn operand(&self, node: &Node, index: usize) -> Result<Binding, ImportError> {
        let name =
            node.input(index).ok_or_else(|| node.shape_error(format!("its input {index} is missing")))?;
        let missing = || ImportError::MissingTensor { node: node.name(), tensor: name.to_string() };
        self.bindings.get(name).cloned().ok_or_else(missing)
    }

    /// Input `index`, which must depend on the network's input.
    pub(super) fn flow(&self, node: &Node, index: usize) -> Result<Flow, ImportError> {
        match self.operand(node, index)? {
            Binding::Flow(flow) => Ok(flow),
            Binding::Constant(_) => {
                Err(node.unsupported("its operand is a constant; fold constants before exporting"))
            }
        }
    }

    /// Input `index` as a constant; nothing if it is left out.
    pub(super) fn constant(&self, node: &Node, index: usize) -> Result<Option<Rc<Constant>>, ImportError> {
        if node.input(index).is_none() {
            return Ok(None);
        }
        match self.operand(node, index)? {
            Binding::Constant(constant) => Ok(Some(constant)),
            Binding::Flow(_) => Err(node.unsupported(format!(
                "its input {index} is computed from the network's input; it must be constant"
            ))),
        }
    }

    /// Input `index` as a constant that must be there.
    pub(super) fn required(&self, node: &Node, index: usize) -> Result<Rc<Constant>, ImportError> {
        self.constant(node, index)?.ok_or_else(|| node.shape_error(format!("its input {index} is missing")))
    }

    /// The flow under another ONNX shape of as many elements.
    pub(super) fn viewed(&mut self, node: &Node, flow: &Flow, shape: Vec<usize>) -> Flow {
        if stored_shape(&flow.shape) == stored_shape(&shape) {
            return Flow { id: flow.id, shape };
        }
        self.push(node, FloatOp::Reshape { input: flow.id }, shape)
    }

    /// Number of elements of a result; refuses more than can be computed with.
    pub(super) fn check_size(&self, node: &Node, shape: &[usize]) -> Result<usize, ImportError> {
        let elements = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let elements = elements.filter(|&count| count <= LARGEST);
        elements.ok_or_else(|| node.shape_error(format!("its result {shape:?} has more than 2^26 elements")))
    }

    /// Appends an operation whose result has the ONNX shape `shape`, under the node's name.
    pub(super) fn push(&mut self, node: &Node, op: FloatOp, shape: Vec<usize>) -> Flow {
        let label = node.outputs().first().map_or("", String::as_str);
        let id = self.push_value(label, &shape);
        self.nodes.push(FloatNode { name: node.name(), op, output: id });
        Flow { id, shape }
    }

    /// Appends a linear operation whose result has the ONNX shape `shape`, with reshapes around it where the
    /// activation's last axis is not the weights' or the result's not the outputs'.
    pub(super) fn push_linear(
        &mut self,
        node: &Node,
        flow: &Flow,
        op: (FloatMatrix, Vec<f32>),
        shape: Vec<usize>,
    ) -> Flow {
        let (weights, bias) = op;
        let (rows, columns) = (weights.rows, weights.columns);
        let positions = self.values[flow.id.0].elements() / columns;
        let input = match self.values[flow.id.0].shape.last() {
            Some(&last) if last == columns => flow.id,
            _ => self.push(node, FloatOp::Reshape { input: flow.id }, vec![positions, columns]).id,
        };
        let op = FloatOp::Linear { input, weights, bias };
        if stored_shape(&shape).last() == Some(&rows) {
            return self.push(node, op, shape);
        }
        let result = self.push(node, op, vec![positions, rows]);
        self.push(node, FloatOp::Reshape { input: result.id }, shape)
    }

    /// Binds the node's first output; refuses a value too large to compute with.
    pub(super) fn bind(&mut self, node: &Node, binding: Binding) -> Result<(), ImportError> {
        self.bind_output(node, 0, binding)
    }

    /// Binds one of the node's outputs, as [`Self::bind`] does.
    pub(super) fn bind_output(
        &mut self,
        node: &Node,
        output: usize,
        binding: Binding,
    ) -> Result<(), ImportError> {
        let name = node.outputs().get(output).ok_or_else(|| node.shape_error("it has no output"))?;
        if let Binding::Flow(flow) = &binding {
            self.check_size(node, &flow.shape)?;
        }
        match self.bindings.insert(name.clone(), binding) {
            None => Ok(()),
            Some(_) => Err(ImportError::DefinedTwice { node: node.name(), tensor: name.clone() }),
        }
    }

    fn push_value(&mut self, name: &str, shape: &[usize]) -> ValueId {
        self.values.push(FloatValue { name: name.to_string(), shape: stored_shape(shape) });
        ValueId(self.values.len() - 1)
    }
}

/// The shape that the float graph keeps: a leading 1 is the batch axis, or an axis that changes nothing.
pub(super) fn stored_shape(shape: &[usize]) -> Vec<usize> {
    match shape {
        [] => vec![1],
        [1, rest @ ..] if !rest.is_empty() => rest.to_vec(),
        other => other.to_vec(),
    }
}
