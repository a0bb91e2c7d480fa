//! Scales of all tensors, and the common shift, before anything is emitted.

use super::QuantisationOptions;
use super::QuantiseError;
use super::calibration::Range;
use super::weights::{NOISE_LIMIT, mean_square_step};
use crate::float_graph::{FloatGraph, FloatOp, ValueId};
use crate::integer_graph::Interval;

/// What emission needs to know about a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValuePlan {
    /// Interval of the value as an activation.
    pub(super) interval: Interval,
    /// Real value of one as an activation.
    pub(super) scale: f64,
    /// Whether the value is an accumulator first and needs a requantisation to be an activation.
    pub(super) accumulator: bool,
}

/// Scales and shift of the whole graph.
pub(super) struct Plan {
    /// One for each value of the float graph.
    pub(super) values: Vec<ValuePlan>,
    /// Common to all requantisations.
    pub(super) shift: u32,
    /// Bits of an activation.
    pub(super) bits: u32,
}

/// Plans scales from calibrated ranges.
pub(super) fn plan(
    graph: &FloatGraph,
    ranges: &[Range],
    options: &QuantisationOptions,
) -> Result<Plan, QuantiseError> {
    let own = |id: ValueId| own_scale(ranges[id.0], options.bits);
    let mut accumulator = vec![false; graph.values.len()];
    for node in &graph.nodes {
        accumulator[node.output.0] = match &node.op {
            FloatOp::Linear { .. } | FloatOp::Convolution { .. } | FloatOp::Sum { .. } => true,
            FloatOp::Reshape { input } => accumulator[input.0],
            _ => false,
        };
    }
    // From the back: an accumulator's target covers everything that is requantised from it.
    let mut needed = vec![0.0f64; graph.values.len()];
    for node in graph.nodes.iter().rev() {
        let output = node.output;
        if needed[output.0] == 0.0 {
            needed[output.0] = own(output).0;
        }
        for input in node.op.inputs() {
            let wanted = match &node.op {
                FloatOp::Pointwise { .. } => own(output).0,
                FloatOp::Reshape { .. } => needed[output.0],
                _ => own(input).0,
            };
            needed[input.0] = needed[input.0].max(wanted);
        }
    }
    // From the front: a clamp of an accumulator has the accumulator's scale, a view has its source's.
    let mut scales = vec![0.0; graph.values.len()];
    scales[graph.input.0] = own(graph.input).0;
    for node in &graph.nodes {
        scales[node.output.0] = match &node.op {
            FloatOp::Linear { .. } | FloatOp::Convolution { .. } | FloatOp::Sum { .. } => {
                needed[node.output.0]
            }
            FloatOp::Pointwise { input, .. } if accumulator[input.0] => scales[input.0],
            FloatOp::Reshape { input } => scales[input.0],
            _ => own(node.output).0,
        };
    }
    let values = (0..graph.values.len()).map(|id| ValuePlan {
        interval: own(ValueId(id)).1,
        scale: scales[id],
        accumulator: accumulator[id],
    });
    let values: Vec<ValuePlan> = values.collect();
    let shift = options.shift.unwrap_or_else(|| choose_shift(graph, ranges, &values));
    Ok(Plan { values, shift, bits: options.bits })
}

/// Scale and interval of an activation with that range.
fn own_scale(range: Range, bits: u32) -> (f64, Interval) {
    let interval = if range.min >= 0.0 {
        Interval { min: 0, max: (1 << bits) - 1 }
    } else {
        Interval { min: -(1 << (bits - 1)), max: (1 << (bits - 1)) - 1 }
    };
    let magnitude = f64::from(range.max.abs().max(range.min.abs()));
    // A tensor that is always zero may have any scale.
    let magnitude = if magnitude > 0.0 { magnitude } else { 1.0 };
    (magnitude / interval.max as f64, interval)
}

/// The smallest shift at which weight rounding is quiet enough in every layer, by the rule of
/// [`super::weights`]; the largest that is tried if none is.
fn choose_shift(graph: &FloatGraph, ranges: &[Range], values: &[ValuePlan]) -> u32 {
    let quiet = |&shift: &u32| {
        graph.nodes.iter().all(|node| match &node.op {
            FloatOp::Linear { input, weights, .. } => {
                let target = values[node.output.0].scale;
                let unit = accumulator_unit(target, shift) / values[input.0].scale;
                let step = mean_square_step(weights, unit);
                let noise = (step / 12.0 * weights.columns as f64 * ranges[input.0].mean_square).sqrt();
                noise <= NOISE_LIMIT * target
            }
            _ => true,
        })
    };
    super::SHIFTS.clone().find(quiet).unwrap_or(*super::SHIFTS.end())
}

/// Real value of one in an accumulator from which `scale` is requantised.
pub(super) fn accumulator_unit(scale: f64, shift: u32) -> f64 {
    scale / (1u64 << shift) as f64
}
