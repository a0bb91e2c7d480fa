//! Scales of all tensors, and the common shift, before anything is emitted.

use super::QuantisationOptions;
use super::calibration::Statistics;
use super::roles::{Role, Roles, roles};
use super::weights::{NOISE_LIMIT, mean_square_step};
use crate::float_graph::{FloatGraph, FloatNode, FloatOp, FloatTerm, ValueId};
use crate::function::Function;
use crate::integer_graph::Interval;

/// Bits beyond an activation's that a linear layer's input may have; wider inputs are requantised for it first.
const DIRECT_BITS: u32 = 2;
/// Bits beyond an activation's that a function's argument may have.
pub(super) const ARGUMENT_BITS: std::ops::RangeInclusive<u32> = 0..=4;
/// Error that rounding a function's argument may add, root mean square, in steps of the function's result.
const ARGUMENT_NOISE: f64 = 0.3;
/// Linear layers from which on each has to be the quieter, the more there are, as their noise adds up; but never quieter than
/// the rounding of an activation, which has `1 / sqrt(12)` steps.
const QUIET_LAYERS: usize = 4;
const QUIETEST: f64 = 0.3;

/// What emission needs to know about a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct ValuePlan {
    /// Interval of the value as an activation.
    pub(super) interval: Interval,
    /// Real value of one as an activation.
    pub(super) scale: f64,
    /// Whether the value is an accumulator first and needs a requantisation to be an activation.
    pub(super) accumulator: bool,
    /// Whether its integers are wider than what a linear layer reads.
    pub(super) wide: bool,
    /// Bits that it has as an activation.
    pub(super) bits: u32,
}

/// Scales and shift of the whole graph.
pub(super) struct Plan {
    /// One for each value of the float graph.
    pub(super) values: Vec<ValuePlan>,
    /// How each value is made.
    pub(super) roles: Vec<Role>,
    /// The value that each is a view of; itself if it is none.
    pub(super) origins: Vec<usize>,
    /// For each accumulator (at its origin), the scale that requantisation brings it to. Products of activations get theirs
    /// when they are emitted.
    pub(super) targets: Vec<f64>,
    /// The network's output is a layer that nothing requantises; its unit is divided by `2^refinement`.
    pub(super) refinement: u32,
    /// Common to all requantisations.
    pub(super) shift: u32,
    /// Bits of an activation whose layer has none of its own.
    pub(super) bits: u32,
}

/// Plans scales from calibrated ranges, for values of so many bits each.
pub(super) fn plan(
    graph: &FloatGraph,
    statistics: &[Statistics],
    options: &QuantisationOptions,
    bits: &[u32],
) -> Plan {
    let roles = roles(graph, bits);
    let scales = scales(graph, statistics, &roles, bits);
    let range = |id: usize| (statistics[id].range.min, statistics[id].range.max);
    let values = (0..graph.values.len()).map(|id| ValuePlan {
        interval: interval(range(id), scales[id], bits[id]),
        scale: scales[id],
        accumulator: roles.accumulator[id],
        wide: roles.magnitudes[id] > 1 << (bits[id] + DIRECT_BITS),
        bits: bits[id],
    });
    let values: Vec<ValuePlan> = values.collect();
    let mut targets = scales;
    for id in (0..graph.values.len()).filter(|&id| roles.accumulator[id] && roles.tabled[id]) {
        targets[id] = argument_scale(graph, statistics, (&roles, &values), id);
    }
    let Roles { roles, origins, uses, .. } = roles;
    let (shift, bits) = (0, options.bits);
    let mut plan = Plan { values, roles, origins, targets, refinement: 0, shift, bits };
    let free = uses[graph.output.0] == 1;
    plan.shift = options.shift.unwrap_or_else(|| choose_shift(graph, statistics, &mut plan, free));
    if free {
        plan.refinement = refinement(graph, statistics, &plan);
    }
    plan
}

/// Bits of each value: the fewest that the options give to a layer whose scale is tied to the value's, and otherwise those of all.
pub(super) fn bits_of_values(graph: &FloatGraph, options: &QuantisationOptions) -> Vec<u32> {
    let count = graph.values.len();
    if options.layer_bits.is_empty() {
        return vec![options.bits; count];
    }
    let classes = roles(graph, &vec![options.bits; count]).classes;
    let mut fewest = vec![u32::MAX; count];
    let input = (graph.input.0, &graph.values[graph.input.0].name);
    let made = graph.nodes.iter().map(|node| (node.output.0, &node.name));
    for (id, name) in made.chain([input]) {
        let root = classes.root(id).0;
        fewest[root] = options.layer_bits.get(name).map_or(fewest[root], |&bits| bits.min(fewest[root]));
    }
    let of_class = |id: usize| Some(fewest[classes.root(id).0]).filter(|&bits| bits < u32::MAX);
    (0..count).map(|id| of_class(id).unwrap_or(options.bits)).collect()
}

/// The scale of each value as an activation: what its class needs.
fn scales(graph: &FloatGraph, statistics: &[Statistics], roles: &Roles, bits: &[u32]) -> Vec<f64> {
    let count = graph.values.len();
    let (mut wanted, mut otherwise) = (vec![0.0f64; count], vec![0.0f64; count]);
    let direct: Vec<bool> = (0..count).map(|id| roles.read_directly(graph, ValueId(id))).collect();
    for id in 0..count {
        let (root, ratio) = roles.classes.root(id);
        let range = statistics[id].range;
        let own = representation((range.min, range.max), bits[id]).0 / ratio;
        otherwise[root] = otherwise[root].max(own);
        let counts = match roles.roles[id] {
            Role::Activation => true,
            Role::Accumulator | Role::Residual(_) | Role::Passed => roles.accumulator[id] && direct[id],
            Role::Fused | Role::Exact(_) => false,
        };
        if counts {
            wanted[root] = wanted[root].max(own);
        }
    }
    let scale = |id: usize| {
        let (root, ratio) = roles.classes.root(id);
        let needed = if wanted[root] > 0.0 { wanted[root] } else { otherwise[root] };
        ratio * roles.classes.fixed(root).unwrap_or(needed)
    };
    (0..count).map(scale).collect()
}

/// Scale and interval of an activation with that range: `[0, 2^bits - 1]` if the range has no negative part, `2^bits` integers
/// placed as the range is if its negative part is small, otherwise `[-2^(bits-1), 2^(bits-1) - 1]`.
pub(super) fn representation(range: (f32, f32), bits: u32) -> (f64, Interval) {
    let (min, max) = (f64::from(range.0), f64::from(range.1));
    let (span, steps) = if min >= 0.0 {
        (max, (1i64 << bits) - 1)
    } else if lopsided(range) {
        // The negative part is rounded up to whole steps.
        (max - min, (1i64 << bits) - 2)
    } else {
        (max.abs().max(min.abs()), (1i64 << (bits - 1)) - 1)
    };
    // A tensor that is always zero may have any scale.
    let scale = if span > 0.0 { span } else { 1.0 } / steps as f64;
    (scale, interval(range, scale, bits))
}

fn lopsided((min, max): (f32, f32)) -> bool {
    min < 0.0 && f64::from(-min) < f64::from(max) / 3.0
}

/// The interval of an activation with that range and scale.
pub(super) fn interval(range: (f32, f32), scale: f64, bits: u32) -> Interval {
    let least = if range.0 >= 0.0 {
        0
    } else if lopsided(range) {
        ((f64::from(range.0) / scale).floor() as i64).max(-(1 << (bits - 1)))
    } else {
        -(1 << (bits - 1))
    };
    Interval { min: least, max: least + (1 << bits) - 1 }
}

/// The scale to which an accumulator is requantised before functions are applied to it: the coarsest for which rounding their
/// argument is quiet, measured over the calibration set.
fn argument_scale(
    graph: &FloatGraph,
    statistics: &[Statistics],
    (roles, values): (&Roles, &[ValuePlan]),
    origin: usize,
) -> f64 {
    let bits = values[origin].bits;
    let viewed = |value: ValueId| roles.origins[value.0] == origin;
    let mut readers: Vec<(&Function, f64)> = Vec::new();
    for node in &graph.nodes {
        match &node.op {
            FloatOp::Pointwise { input, function } if viewed(*input) => {
                readers.push((function, values[node.output.0].scale));
            }
            _ => {}
        }
    }
    let identity = Function::Clamp { min: None, max: None };
    let views = (0..graph.values.len()).map(ValueId).filter(|&value| viewed(value));
    if views.clone().any(|value| roles.read_directly(graph, value)) {
        readers.push((&identity, values[origin].scale));
    }
    let scale = |extra: u32| argument_step(&statistics[origin], bits + extra);
    let quiet = |&extra: &u32| {
        let noise = readers
            .iter()
            .map(|(function, step)| argument_noise(function, scale(extra), &statistics[origin]) / step);
        noise.fold(0.0, f64::max) <= ARGUMENT_NOISE
    };
    scale(ARGUMENT_BITS.clone().find(quiet).unwrap_or(*ARGUMENT_BITS.end()))
}

/// The step at which the range that was seen has `2^bits` integers.
pub(super) fn argument_step(statistics: &Statistics, bits: u32) -> f64 {
    let span = f64::from(statistics.seen.max.max(0.0)) - f64::from(statistics.seen.min.min(0.0));
    if span > 0.0 { span / ((1u64 << bits) - 1) as f64 } else { 1.0 }
}

/// Root mean square error of a function whose argument is rounded to multiples of `step`, over the calibration set.
pub(super) fn argument_noise(function: &Function, step: f64, statistics: &Statistics) -> f64 {
    let (mut squares, mut total) = (0.0, 0u64);
    for (value, count) in statistics.histogram.bins() {
        let exact = function.apply(value);
        // A bin's values round up and down alike.
        let ends = [value - step / 2.0, value + step / 2.0].map(|end| function.apply(end) - exact);
        let error = ends.iter().map(|error| error * error).sum::<f64>() / 2.0 / 3.0;
        if error.is_finite() {
            squares += error * count as f64;
            total += count;
        }
    }
    (squares / total.max(1) as f64).sqrt()
}

/// The smallest shift at which weight rounding is quiet enough in every layer, by the rule of
/// [`super::weights`]; the largest that is tried if none is.
fn choose_shift(graph: &FloatGraph, statistics: &[Statistics], plan: &mut Plan, free: bool) -> u32 {
    let quiet = |&shift: &u32| {
        plan.shift = shift;
        let requantised = |node: &&FloatNode| !(free && refinable(graph, plan, node));
        let mut layers = graph.nodes.iter().filter(requantised);
        layers.all(|node| noise(graph, statistics, (plan, node)) <= noise_limit(graph))
    };
    super::SHIFTS.clone().find(quiet).unwrap_or(*super::SHIFTS.end())
}

/// Noise that each layer may have, in steps of its output.
fn noise_limit(graph: &FloatGraph) -> f64 {
    let linear = |node: &&FloatNode| matches!(node.op, FloatOp::Linear { .. } | FloatOp::Convolution { .. });
    let layers = graph.nodes.iter().filter(linear).count().max(QUIET_LAYERS);
    (NOISE_LIMIT * QUIET_LAYERS as f64 / layers as f64).max(QUIETEST)
}

/// Whether the node is the network's output and reads wide integers: its unit can be as small as they need.
fn refinable(graph: &FloatGraph, plan: &Plan, node: &FloatNode) -> bool {
    let wide = node.op.inputs().iter().any(|input| plan.values[input.0].wide);
    let linear = matches!(node.op, FloatOp::Linear { .. } | FloatOp::Convolution { .. });
    linear && wide && plan.origins[graph.output.0] == node.output.0
}

fn refinement(graph: &FloatGraph, statistics: &[Statistics], plan: &Plan) -> u32 {
    let Some(node) = graph.nodes.iter().find(|node| refinable(graph, plan, node)) else { return 0 };
    // Smaller units divide the step between weights until these need all their bits.
    let noise = noise(graph, statistics, (plan, node));
    let quiet = |&bits: &u32| noise / f64::from(1u32 << bits) <= NOISE_LIMIT / 4.0;
    (0..=20).find(quiet).unwrap_or(20)
}

/// Noise of a layer's weights, root mean square, in steps of the value as an activation; 0 for what has no weights.
fn noise(graph: &FloatGraph, statistics: &[Statistics], (plan, node): (&Plan, &FloatNode)) -> f64 {
    let (input, weights) = match &node.op {
        FloatOp::Linear { input, weights, .. } | FloatOp::Convolution { input, weights, .. } => {
            (input, weights)
        }
        FloatOp::Sum { terms, .. } if plan.roles[node.output.0] == Role::Accumulator => {
            return sum_error(graph, statistics, (plan, node), terms);
        }
        _ => return 0.0,
    };
    // A fused product has the unit of the sum that it is part of.
    let reader = graph
        .nodes
        .iter()
        .find(|reader| plan.roles[node.output.0] == Role::Fused && reader.op.inputs().contains(&node.output));
    let output = reader.map_or(node.output, |reader| reader.output);
    let unit = accumulator_unit(plan.targets[output.0], plan.shift);
    let range = statistics[input.0].range;
    let narrowed = plan.values[input.0].wide && !refinable(graph, plan, node);
    let input_scale = if narrowed {
        representation((range.min, range.max), plan.values[input.0].bits).0
    } else {
        plan.values[input.0].scale
    };
    let step = mean_square_step(weights, unit / input_scale);
    let noise = step / 12.0 * weights.columns as f64 * statistics[input.0].seen.mean_square;
    noise.sqrt() / plan.values[output.0].scale
}

/// Error that rounded coefficients make in the elements of a sum, in steps of the value as an activation. It does not average
/// out: all elements that one coefficient multiplies have its error.
fn sum_error(
    graph: &FloatGraph,
    statistics: &[Statistics],
    (plan, node): (&Plan, &FloatNode),
    terms: &[FloatTerm],
) -> f64 {
    let unit = accumulator_unit(plan.targets[node.output.0], plan.shift);
    let elements = graph.values[node.output.0].elements().max(1) as f64;
    let error = |term: &FloatTerm| {
        let scale = plan.values[term.input.0].scale;
        let coefficient = f64::from(term.coefficient) * scale / unit;
        let rounding = (coefficient - coefficient.round()).abs() * unit / scale;
        // The terms of a sum reach different elements, or the same ones with other inputs.
        let reach = term.access.pairs() as f64 / elements;
        rounding * reach * statistics[term.input.0].seen.mean_square.sqrt()
    };
    terms.iter().map(error).sum::<f64>() / plan.values[node.output.0].scale
}

/// Real value of one in an accumulator from which `scale` is requantised.
pub(super) fn accumulator_unit(scale: f64, shift: u32) -> f64 {
    scale / (1u64 << shift) as f64
}
