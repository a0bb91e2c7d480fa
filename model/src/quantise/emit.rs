//! Writes the integer graph that a plan describes.

use super::QuantiseError;
use super::plan::{Plan, accumulator_unit};
use super::weights::{multiplier, quantise_row};
use crate::access::Access;
use crate::float_graph::{FloatGraph, FloatMatrix, FloatNode, FloatOp, FloatTerm, ValueId};
use crate::function::Function;
use crate::integer_graph::{
    Activation, IntegerGraph, IntegerNode, IntegerOp, IntegerTensor, Interval, TensorId, Term, WeightMatrix,
};
use crate::interval::{channel_intervals, hull};
use crate::rounding::requantise;

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
    tensors: Vec<IntegerTensor>,
    nodes: Vec<IntegerNode>,
    layers: Vec<Layer>,
    /// For each float value, the tensor that its node made: an accumulator or an activation.
    direct: Vec<Option<TensorId>>,
    /// For each float value, the activation that stands for it.
    activations: Vec<Option<TensorId>>,
    names: Vec<Option<String>>,
}

/// Emits the graph.
pub(super) fn emit(source: &FloatGraph, plan: &Plan) -> Result<Emitted, QuantiseError> {
    let count = source.values.len();
    let mut emitter = Emitter {
        source,
        plan,
        tensors: Vec::new(),
        nodes: Vec::new(),
        layers: Vec::new(),
        direct: vec![None; count],
        activations: vec![None; count],
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
        let (value, plan) =
            (&self.source.values[self.source.input.0], &self.plan.values[self.source.input.0]);
        let (name, shape) = (value.name.clone(), value.shape.clone());
        self.tensors.push(IntegerTensor { name, shape, interval: plan.interval, scale: plan.scale });
        let id = TensorId(0);
        self.direct[self.source.input.0] = Some(id);
        self.activations[self.source.input.0] = Some(id);
        id
    }

    fn node(&mut self, node: &FloatNode) -> Result<(), QuantiseError> {
        let output = node.output;
        self.names[output.0] = Some(node.name.clone());
        match &node.op {
            FloatOp::Linear { input, weights, bias } => self.linear(node, *input, weights, bias)?,
            FloatOp::Sum { terms, bias } => {
                self.accumulate(node, terms, bias)?;
            }
            FloatOp::Pointwise { input, function: Function::Clamp { min, max } } => {
                let accumulator = match self.plan.values[input.0].accumulator {
                    true => self.known(&self.direct, *input),
                    // A clamp of an activation needs an accumulator to be requantised from.
                    false => {
                        let access = Access::identity(self.source.values[output.0].elements());
                        self.accumulate(node, &[FloatTerm { input: *input, coefficient: 1.0, access }], &[])?
                    }
                };
                self.activate(&node.name, output, accumulator, (*min, *max))?;
                self.direct[output.0] = self.activations[output.0];
            }
            FloatOp::Reshape { input } => {
                let source = self.known(&self.direct, *input);
                let viewed = self.view(node, source);
                self.direct[output.0] = Some(viewed);
                if !self.plan.values[output.0].accumulator {
                    self.activations[output.0] = Some(viewed);
                }
            }
            _ => return Err(QuantiseError::NoLayers),
        }
        Ok(())
    }

    /// The tensor recorded for `value`; every value is recorded before it is read, as the graph is topological.
    fn known(&self, recorded: &[Option<TensorId>], value: ValueId) -> TensorId {
        recorded[value.0].unwrap_or(TensorId(0))
    }

    fn view(&mut self, node: &FloatNode, source: TensorId) -> TensorId {
        let tensor = &self.tensors[source.0];
        let (interval, scale) = (tensor.interval, tensor.scale);
        let value = &self.source.values[node.output.0];
        let id = TensorId(self.tensors.len());
        self.tensors.push(IntegerTensor {
            name: value.name.clone(),
            shape: value.shape.clone(),
            interval,
            scale,
        });
        let op = IntegerOp::Reshape { input: source };
        self.nodes.push(IntegerNode { name: node.name.clone(), op, output: id });
        id
    }

    fn linear(
        &mut self,
        node: &FloatNode,
        input: ValueId,
        weights: &FloatMatrix,
        bias: &[f32],
    ) -> Result<(), QuantiseError> {
        let source = self.activation(input)?;
        let unit = accumulator_unit(self.plan.values[node.output.0].scale, self.plan.shift);
        let weight_unit = unit / self.tensors[source.0].scale;
        let mut multipliers = Vec::with_capacity(weights.rows);
        let mut values = Vec::with_capacity(weights.values.len());
        for row in 0..weights.rows {
            let floats = weights.row(row);
            let value = floats.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
            let multiplier = multiplier(floats, weight_unit)
                .ok_or_else(|| too_large(node, row, "weight", f64::from(value)))?;
            multipliers.push(multiplier);
            values.extend(quantise_row(floats, weight_unit, multiplier));
        }
        let bias = integers(node, "bias", bias.iter().map(|&value| f64::from(value)), unit)?;
        let weights = WeightMatrix { rows: weights.rows, columns: weights.columns, values };
        let op = IntegerOp::dense(source, weights, multipliers, bias);
        self.accumulator(node, op, unit)?;
        Ok(())
    }

    /// A Sum of activations in the accumulator units of the node's output.
    fn accumulate(
        &mut self,
        node: &FloatNode,
        terms: &[FloatTerm],
        bias: &[f32],
    ) -> Result<TensorId, QuantiseError> {
        let unit = accumulator_unit(self.plan.values[node.output.0].scale, self.plan.shift);
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
        let id = TensorId(self.tensors.len());
        let node_made = IntegerNode { name: node.name.clone(), op, output: id };
        let value = &self.source.values[node.output.0];
        let name = format!("{} (accumulator)", value.name);
        let unknown = Interval { min: 0, max: 0 };
        self.tensors.push(IntegerTensor { name, shape: value.shape.clone(), interval: unknown, scale });
        self.tensors[id.0].interval = hull(&channel_intervals(&node_made, &self.tensors)?);
        self.nodes.push(node_made);
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
        self.activate(&name, value, accumulator, (None, None))
    }

    /// Requantises `accumulator` to `value`, clamped to its interval and to real bounds.
    fn activate(
        &mut self,
        name: &str,
        value: ValueId,
        accumulator: TensorId,
        bounds: (Option<f32>, Option<f32>),
    ) -> Result<TensorId, QuantiseError> {
        let plan = self.plan.values[value.0];
        // Saturating float-to-integer casts: a bound beyond the interval does not bind.
        let bound = |bound: f32| (f64::from(bound) / plan.scale).round() as i64;
        let low = bounds.0.map(bound).filter(|&low| low >= plan.interval.min);
        let high = bounds.1.map(bound).filter(|&high| high <= plan.interval.max);
        let min = low.unwrap_or(plan.interval.min).min(plan.interval.max);
        let max = high.unwrap_or(plan.interval.max).max(min);
        let lossless = Interval {
            min: if low.is_some() { i64::MIN } else { min },
            max: if high.is_some() { i64::MAX } else { max },
        };
        let id = TensorId(self.tensors.len());
        let source = &self.source.values[value.0];
        let (label, shape) = (source.name.clone(), source.shape.clone());
        self.tensors.push(IntegerTensor {
            name: label,
            shape,
            interval: Interval { min, max },
            scale: plan.scale,
        });
        let shift = self.plan.shift;
        let reached = self.tensors[accumulator.0].interval;
        let domain = Interval { min: requantise(reached.min, shift), max: requantise(reached.max, shift) };
        let function = Activation::Clamp { min, max };
        let op = IntegerOp::Activate { input: accumulator, shift, function, domain };
        self.nodes.push(IntegerNode { name: name.to_string(), op, output: id });
        self.activations[value.0] = Some(id);
        let requantised = Some(Requantised { accumulator, shift, lossless });
        self.layers.push(Layer { name: name.to_string(), value, tensor: id, requantised });
        Ok(id)
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
