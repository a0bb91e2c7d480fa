//! Writes the integer graph that a plan describes.

mod functions;
mod moves;
mod products;

use super::QuantiseError;
use super::calibration::Statistics;
use super::plan::{Plan, accumulator_unit};
use super::roles::Role;
use crate::float_graph::{FloatGraph, FloatNode, FloatOp, FloatTerm, ValueId};
use crate::function::Function;
use crate::integer_graph::{IntegerGraph, IntegerNode, IntegerOp, IntegerTensor, Interval, TensorId, Term};
use crate::interval::{channel_intervals, hull};

/// A tensor that is compared with a float value in the report.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The ONNX node's name.
    pub(crate) name: String,
    /// The float value.
    pub(crate) value: ValueId,
    /// The integer tensor that stands for it.
    pub(crate) tensor: TensorId,
    /// What it was requantised from, if it was.
    pub(crate) requantised: Option<Requantised>,
}

/// How a tensor came out of an accumulator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requantised {
    /// The accumulator.
    pub(crate) accumulator: TensorId,
    /// The shift.
    pub(crate) shift: u32,
    /// Requantised values outside lose information: the representable range, where the function does not cut
    /// them anyway.
    pub(crate) lossless: Interval,
}

/// The integer graph with its correspondence to the float graph.
pub(crate) struct Emitted {
    pub(crate) graph: IntegerGraph,
    pub(crate) layers: Vec<Layer>,
}

struct Emitter<'a> {
    source: &'a FloatGraph,
    plan: &'a Plan,
    statistics: &'a [Statistics],
    /// Whether biases make up for the mean error of rounded weights.
    correct_bias: bool,
    tensors: Vec<IntegerTensor>,
    nodes: Vec<IntegerNode>,
    layers: Vec<Layer>,
    /// For each float value, the tensor that its node made: an accumulator or an activation.
    direct: Vec<Option<TensorId>>,
    /// For each float value, the activation that stands for it.
    activations: Vec<Option<TensorId>>,
    /// For each float value that is wide, the activation that linear layers read in its place.
    narrowed: Vec<Option<TensorId>>,
    /// For each value, the scale to which its accumulator is requantised.
    targets: Vec<f64>,
    names: Vec<Option<String>>,
}

/// Emits the graph.
pub(super) fn emit(
    source: &FloatGraph,
    statistics: &[Statistics],
    plan: &Plan,
    correct_bias: bool,
) -> Result<Emitted, QuantiseError> {
    let count = source.values.len();
    let mut emitter = Emitter {
        source,
        plan,
        statistics,
        correct_bias,
        tensors: Vec::new(),
        nodes: Vec::new(),
        layers: Vec::new(),
        direct: vec![None; count],
        activations: vec![None; count],
        narrowed: vec![None; count],
        targets: plan.targets.clone(),
        names: vec![None; count],
    };
    let input = emitter.input();
    for node in &source.nodes {
        emitter.node(node)?;
    }
    let output = emitter.direct[source.output.0].ok_or(QuantiseError::NoLayers)?;
    if !emitter.nodes.iter().any(|node| !matches!(node.op, IntegerOp::Reshape { .. })) {
        return Err(QuantiseError::NoLayers);
    }
    emitter.report_output(output);
    let Emitter { tensors, nodes, layers, .. } = emitter;
    let (name, bits, shift) = (source.name.clone(), plan.bits, plan.shift);
    Ok(Emitted { graph: IntegerGraph { name, tensors, nodes, input, output, bits, shift }, layers })
}

impl Emitter<'_> {
    fn input(&mut self) -> TensorId {
        let input = self.source.input;
        let (value, plan) = (&self.source.values[input.0], &self.plan.values[input.0]);
        let (name, shape) = (value.name.clone(), value.shape.clone());
        self.tensors.push(IntegerTensor { name, shape, interval: plan.interval, scale: plan.scale });
        let id = TensorId(0);
        self.direct[input.0] = Some(id);
        self.activations[input.0] = Some(id);
        id
    }

    fn node(&mut self, node: &FloatNode) -> Result<(), QuantiseError> {
        let output = node.output;
        self.names[output.0] = Some(node.name.clone());
        match (&node.op, &self.plan.roles[output.0]) {
            // It is emitted with the sum that reads it.
            (_, Role::Fused) => Ok(()),
            (FloatOp::Linear { .. } | FloatOp::Convolution { .. }, _) => self.linear(node),
            (FloatOp::Sum { terms, bias }, Role::Residual(fused)) => {
                self.residual(node, (terms, bias), fused)
            }
            (FloatOp::Sum { terms, .. }, Role::Exact(exact)) => self.exact(node, terms, &exact.integers),
            (FloatOp::Sum { terms, bias }, _) => self.accumulate(node, terms, bias).map(drop),
            (FloatOp::Maximum { candidates }, _) => self.maximum(node, candidates),
            (FloatOp::Multiply { left, right }, _) => self.multiply(node, *left, *right),
            (FloatOp::Pointwise { input, function }, _) => self.pointwise(node, *input, function),
            (FloatOp::ArgMax { input, length, inner, last }, _) => {
                let input = self.activation(*input)?;
                let op = IntegerOp::ArgMax { input, length: *length, inner: *inner, last: *last };
                self.made(output, &node.name, op, 1.0)
            }
            (FloatOp::Reshape { input }, _) => {
                let source = self.known(&self.direct, *input);
                let (scale, op) = (self.tensors[source.0].scale, IntegerOp::Reshape { input: source });
                let viewed = self.push((&node.name, ""), output, op, scale)?;
                self.direct[output.0] = Some(viewed);
                if !self.plan.values[output.0].accumulator {
                    self.activations[output.0] = Some(viewed);
                }
                Ok(())
            }
        }
    }

    /// The tensor recorded for `value`; every value is recorded before it is read, as the graph is topological.
    fn known(&self, recorded: &[Option<TensorId>], value: ValueId) -> TensorId {
        recorded[value.0].unwrap_or(TensorId(0))
    }

    /// Adds a node and its tensor, which has the shape of `value` and the interval that the analysis finds; `suffix` goes to
    /// the names of node and tensor for what the float graph does not have.
    fn push(
        &mut self,
        (name, suffix): (&str, &str),
        value: ValueId,
        op: IntegerOp,
        scale: f64,
    ) -> Result<TensorId, QuantiseError> {
        let id = TensorId(self.tensors.len());
        let node = IntegerNode { name: format!("{name}{suffix}"), op, output: id };
        let float = &self.source.values[value.0];
        let suffix = match node.op {
            IntegerOp::Linear { .. } if suffix.is_empty() => " (accumulator)",
            _ => suffix,
        };
        let (name, shape) = (format!("{}{suffix}", float.name), float.shape.clone());
        let unknown = Interval { min: 0, max: 0 };
        self.tensors.push(IntegerTensor { name, shape, interval: unknown, scale });
        self.tensors[id.0].interval = hull(&channel_intervals(&node, &self.tensors)?);
        self.nodes.push(node);
        Ok(id)
    }

    /// Adds the node that makes `value` as an activation, without requantisation.
    fn made(&mut self, value: ValueId, name: &str, op: IntegerOp, scale: f64) -> Result<(), QuantiseError> {
        let id = self.push((name, ""), value, op, scale)?;
        self.direct[value.0] = Some(id);
        self.activations[value.0] = Some(id);
        Ok(())
    }

    /// Real value of one in the accumulator of `value`.
    fn unit(&self, value: ValueId) -> f64 {
        let unit = accumulator_unit(self.targets[value.0], self.plan.shift);
        let output = self.plan.origins[self.source.output.0] == value.0;
        if output { unit / f64::from(1u32 << self.plan.refinement) } else { unit }
    }

    /// A Sum of activations in the accumulator units of the node's output.
    fn accumulate(
        &mut self,
        node: &FloatNode,
        terms: &[FloatTerm],
        bias: &[f32],
    ) -> Result<TensorId, QuantiseError> {
        let unit = self.unit(node.output);
        let mut inputs = Vec::with_capacity(terms.len());
        let mut coefficients = Vec::with_capacity(terms.len());
        for term in terms {
            let input = self.activation(term.input)?;
            inputs.push((input, term.access.clone()));
            coefficients.push(f64::from(term.coefficient) * self.tensors[input.0].scale);
        }
        let coefficients = integers(node, "coefficient", coefficients.into_iter(), unit)?;
        let bias = integers(node, "bias", bias.iter().map(|&value| f64::from(value)), unit)?;
        let term = |((input, access), coefficient)| Term { input, coefficient, access };
        let terms = inputs.into_iter().zip(coefficients).map(term).collect();
        self.accumulator(node, IntegerOp::Sum { terms, bias }, unit)
    }

    fn accumulator(
        &mut self,
        node: &FloatNode,
        op: IntegerOp,
        scale: f64,
    ) -> Result<TensorId, QuantiseError> {
        let id = self.push((&node.name, ""), node.output, op, scale)?;
        self.tensors[id.0].name = format!("{} (accumulator)", self.source.values[node.output.0].name);
        self.direct[node.output.0] = Some(id);
        Ok(id)
    }

    /// The activation that stands for `value`, requantised now if it only exists as an accumulator.
    fn activation(&mut self, value: ValueId) -> Result<TensorId, QuantiseError> {
        if let Some(id) = self.activations[value.0] {
            return Ok(id);
        }
        let accumulator = self.known(&self.direct, value);
        let name = self.names[value.0].clone().unwrap_or_default();
        let target = self.targets[self.plan.origins[value.0]];
        let identity = Function::Clamp { min: None, max: None };
        self.activate(&name, (value, value), (accumulator, target), &identity)
    }

    /// An output that is an accumulator, or a view, is compared too.
    fn report_output(&mut self, output: TensorId) {
        let value = self.source.output;
        if self.layers.last().is_none_or(|layer| layer.tensor != output) {
            let name = self.names[value.0].clone().unwrap_or_default();
            self.layers.push(Layer { name, value, tensor: output, requantised: None });
        }
    }
}

/// Real constants in units of an accumulator, rounded to nearest.
fn integers(
    node: &FloatNode,
    what: &'static str,
    values: impl Iterator<Item = f64>,
    unit: f64,
) -> Result<Vec<i64>, QuantiseError> {
    let rounded = values.enumerate().map(|(channel, value)| {
        let scaled = (value / unit).round();
        // Far inside 64 bits, so that sums of a few do not overflow before the interval analysis sees them.
        if scaled.abs() < (1i64 << 56) as f64 {
            Ok(scaled as i64)
        } else {
            Err(too_large(node, channel, what, value))
        }
    });
    rounded.collect()
}

fn too_large(node: &FloatNode, channel: usize, what: &'static str, value: f64) -> QuantiseError {
    QuantiseError::TooLarge { layer: node.name.clone(), channel, what, value }
}
