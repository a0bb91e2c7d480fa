//! What everyone may know of a network: its operations with their geometry, without weights, multipliers and biases.
//!
//! A circuit is a function of this structure, of the intervals that it states for the outputs of matrices, and of a few choices
//! (lanes, rows, who sees what). Whoever has them can make the circuit again and compare; see [`crate::audit()`].

use zkloom_model::access::Access;
use zkloom_model::integer_graph::{
    IntegerGraph, IntegerNode, IntegerOp, Interval, Product, Term, WeightMatrix,
};
use zkloom_model::interval::{IntervalError, channel_intervals, check_intervals, hull};
use zkloom_model::rounding::requantise;
use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};

use crate::error::CompileError;
use crate::plan::element_count;

/// A network without its weights: matrices have a size and no entries, biases are absent or zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Structure {
    graph: IntegerGraph,
}

/// A structure is equal to itself: the scales, its only real numbers, are all one.
impl Eq for Structure {}

impl Structure {
    /// Takes a network's weights away. Intervals and the domains of functions that depend on private weights are widened to
    /// powers of two; scales are removed.
    ///
    /// # Errors
    /// [`CompileError`] for a graph whose parts do not fit together, whose values leave 64 bits or the intervals that it states,
    /// and for functions whose domain a circuit could not keep: [`CompileError::Strict`].
    pub fn of(graph: &IntegerGraph, private_weights: bool) -> Result<Self, CompileError> {
        check_intervals(graph).map_err(interval_error)?;
        for tensor in &graph.tensors {
            element_count(&tensor.name, tensor.elements())?;
        }
        let (name, tensors) = (graph.name.clone(), graph.tensors.clone());
        let mut bare = IntegerGraph { name, tensors, nodes: Vec::with_capacity(graph.nodes.len()), ..*graph };
        bare.tensors.iter_mut().for_each(|tensor| tensor.scale = 1.0);
        // Whether a tensor's interval tells of weights.
        let mut telling = vec![false; graph.tensors.len()];
        for node in &graph.nodes {
            let mut node = without_weights(node);
            let tells = match &mut node.op {
                IntegerOp::Linear { .. } => true,
                IntegerOp::Sum { bias, .. } if !bias.is_empty() => true,
                IntegerOp::Activate { input, shift, domain, .. } => {
                    let reached = quotients(graph.tensor(*input).interval, *shift);
                    let whole = covers(*domain, reached);
                    let given = *domain;
                    if private_weights && telling.get(input.0) == Some(&true) {
                        *domain = domain.widened();
                    }
                    // Padding cells have accumulator zero, so a table holds it.
                    let kept = *domain == given && (given.contains(0) || !reached.contains(0));
                    if !whole && !kept {
                        return Err(strict(&node.name, given));
                    }
                    if whole {
                        // It stays whole over the interval that is stated.
                        *domain = domain.hull(quotients(bare.tensor(*input).interval, *shift));
                    }
                    false
                }
                op => op.inputs().iter().any(|input| telling.get(input.0) == Some(&true)),
            };
            let matrix = is_matrix(&node);
            let interval = if matrix {
                let interval = graph.tensor(node.output).interval;
                if private_weights { interval.widened() } else { interval }
            } else {
                hull(&channel_intervals(&node, &bare.tensors).map_err(interval_error)?)
            };
            if let Some(slot) = telling.get_mut(node.output.0) {
                *slot = tells;
            }
            if let Some(tensor) = bare.tensors.get_mut(node.output.0) {
                tensor.interval = interval;
            }
            bare.nodes.push(node);
        }
        Ok(Self { graph: bare })
    }

    /// The network; matrices have no entries and biases are zero.
    pub fn graph(&self) -> &IntegerGraph {
        &self.graph
    }

    /// Checks a structure from a file: walking it cannot go wrong after it.
    fn check(&self) -> Result<(), CompileError> {
        for tensor in &self.graph.tensors {
            let elements = tensor.shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
            element_count(&tensor.name, elements.unwrap_or(0))?;
        }
        // The model's check wants entries of matrices; sums that read the same tensors stand in for them.
        let stand_in = |node: &IntegerNode| {
            let IntegerOp::Linear { products, .. } = &node.op else { return node.clone() };
            let first = Access { output_start: 0, input_start: 0, axes: Vec::new() };
            let term =
                |product: &Product| Term { input: product.input, coefficient: 1, access: first.clone() };
            let terms = products.iter().map(term).collect();
            IntegerNode { op: IntegerOp::Sum { terms, bias: Vec::new() }, ..node.clone() }
        };
        let (name, tensors) = (self.graph.name.clone(), self.graph.tensors.clone());
        let nodes = self.graph.nodes.iter().map(stand_in).collect();
        IntegerGraph { name, tensors, nodes, ..self.graph }.check_structure()?;
        self.graph.nodes.iter().try_for_each(|node| self.check_node(node))?;
        self.graph.nodes.iter().try_for_each(|node| self.check_interval(node))
    }

    /// What follows from other intervals is not for a description to state.
    fn check_interval(&self, node: &IntegerNode) -> Result<(), CompileError> {
        if is_matrix(node) {
            return Ok(());
        }
        let derived = hull(&channel_intervals(node, &self.graph.tensors).map_err(interval_error)?);
        let stated = self.graph.tensor(node.output).interval;
        if derived == stated {
            return Ok(());
        }
        let reason = format!("its values reach {derived}, the description states {stated}");
        Err(CompileError::Unprovable { layer: node.name.clone(), reason })
    }

    /// Blake3 of the encoding: what two parties compare to know that they speak of one architecture.
    pub fn digest(&self) -> [u8; 32] {
        *blake3::hash(&self.to_vec()).as_bytes()
    }

    fn check_node(&self, node: &IntegerNode) -> Result<(), CompileError> {
        let refuse = |reason: &str| {
            Err(CompileError::Unprovable { layer: node.name.clone(), reason: reason.to_owned() })
        };
        match &node.op {
            IntegerOp::Linear { products, bias } => {
                let output = self.graph.tensor(node.output);
                let dense = |p: &Product| {
                    p.contraction.groups() == 1
                        && p.contraction == zkloom_model::integer_graph::Contraction::Dense
                };
                let first = products.first().is_some_and(dense);
                let fits = |product: &Product| {
                    let shape = &self.graph.tensor(product.input).shape;
                    product.weights.columns == product.contraction.columns(shape)
                        && dense(product) == first
                        && product.weights.values.is_empty()
                        && product.multipliers.is_empty()
                        && product.contraction.output_shape(shape, product.weights.rows).as_ref()
                            == Some(&output.shape)
                };
                if products.is_empty() || !bias.is_empty() || !products.iter().all(fits) {
                    return refuse("its products do not have the output's shape");
                }
            }
            IntegerOp::Sum { terms, bias } => {
                let pairs = |term: &Term| term.access.pairs() <= crate::plan::MAX_ELEMENTS;
                if !bias.iter().all(|value| *value == 0) || !terms.iter().all(pairs) {
                    return refuse("its bias is stated, or it adds too many elements");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a node's output comes from a matrix whose rows the key commits to.
pub fn is_matrix(node: &IntegerNode) -> bool {
    match &node.op {
        IntegerOp::Linear { .. } => true,
        IntegerOp::Sum { bias, .. } => !bias.is_empty(),
        _ => false,
    }
}

fn interval_error(error: IntervalError) -> CompileError {
    match error {
        IntervalError::Structure(error) => CompileError::Graph(error),
        other => CompileError::Interval(other),
    }
}

fn strict(layer: &str, domain: Interval) -> CompileError {
    CompileError::Strict { layer: layer.to_owned(), domain, widened: domain.widened() }
}

/// What accumulators of an interval can be once they are requantised.
pub(crate) fn quotients(accumulators: Interval, shift: u32) -> Interval {
    Interval { min: requantise(accumulators.min, shift), max: requantise(accumulators.max, shift) }
}

/// Whether an interval holds another.
pub(crate) fn covers(outer: Interval, inner: Interval) -> bool {
    outer.contains(inner.min) && outer.contains(inner.max)
}

/// A node with empty matrices and a zero bias.
fn without_weights(node: &IntegerNode) -> IntegerNode {
    let op = match &node.op {
        IntegerOp::Linear { products, .. } => {
            let bare = |product: &Product| Product {
                input: product.input,
                contraction: product.contraction.clone(),
                weights: WeightMatrix { values: Vec::new(), ..product.weights },
                multipliers: Vec::new(),
            };
            IntegerOp::Linear { products: products.iter().map(bare).collect(), bias: Vec::new() }
        }
        IntegerOp::Sum { terms, bias } => IntegerOp::Sum { terms: terms.clone(), bias: vec![0; bias.len()] },
        other => other.clone(),
    };
    IntegerNode { name: node.name.clone(), op, output: node.output }
}

impl Encode for Structure {
    fn encode(&self, writer: &mut Writer) {
        // Writing to memory cannot fail for this type; an empty graph would be refused when it is read.
        let bytes = postcard::to_stdvec(&self.graph).unwrap_or_default();
        (bytes.len() as u64).encode(writer);
        writer.raw(&bytes);
    }
}

impl Decode for Structure {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = usize::try_from(u64::decode(reader)?);
        let length = length.map_err(|_| reader.invalid("the network's structure is too long"))?;
        let bytes = reader.raw(length)?;
        let graph: IntegerGraph = postcard::from_bytes(bytes)
            .map_err(|_| reader.invalid("the network's structure cannot be read"))?;
        let structure = Self { graph };
        let damaged = |_| reader.invalid("the parts of the network's structure do not fit together");
        structure.check().map_err(damaged)?;
        Ok(structure)
    }
}
