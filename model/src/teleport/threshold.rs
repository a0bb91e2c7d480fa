//! One factor for each bundle of values: `min(1, T / largest magnitude)`, and the choice of `T`.
//!
//! A network whose values share one fixed-point step, as they do where one table or one number of limbs serves all layers, needs
//! `log2(range / step)` bits for the largest of its ranges. Scaling a bundle down saves bits and costs resolution: with a
//! factor `s`, rounding to the step adds `1 / s^2` times as much noise to the bundle's values. Rounding weights to the step
//! adds less to what is made of values that were scaled down, and more to what is scaled down. The noise of all layers
//! relative to their signals is summed up, and the smallest `T` is taken at which the sum has grown by at most a tolerance.

use super::groups::Groups;
use super::measure::Profile;
use super::{TeleportOptions, Threshold};
use crate::float_graph::{FloatGraph, FloatNode, FloatOp};

/// Candidates for each factor of two.
const STEPS: i32 = 4;
/// Factors of two that are tried below the largest range.
const DEPTH: i32 = 24;

/// A threshold, and the factor of each bundle that follows from it.
pub(super) struct Choice {
    /// Largest magnitude that a scaled bundle has; nothing if no bundle needs scaling.
    pub(super) threshold: Option<f64>,
    /// One for each bundle.
    pub(super) factors: Vec<f64>,
}

/// The factors of all bundles.
pub(super) fn choose(
    graph: &FloatGraph,
    groups: &Groups,
    profile: &Profile,
    options: &TeleportOptions,
) -> Choice {
    let bundles = groups.bundles.iter().map(|bundle| profile.of_classes(&bundle.classes).magnitude());
    let magnitudes: Vec<f64> = bundles.collect();
    let factors = |threshold: f64| factors(&magnitudes, threshold, options.power_of_two);
    let threshold = match options.threshold {
        Threshold::Fixed(threshold) => Some(f64::from(threshold)),
        Threshold::Automatic { tolerance } => {
            let model = Model::of(graph, groups, profile);
            let limit = model.noise(&vec![1.0; magnitudes.len()]) * (1.0 + tolerance);
            let quiet = |threshold: &f64| model.noise(&factors(*threshold)) <= limit;
            candidates(&magnitudes, held_magnitude(graph, groups, profile))
                .into_iter()
                .filter(quiet)
                .reduce(f64::min)
        }
    };
    let factors = threshold.map_or_else(|| vec![1.0; magnitudes.len()], factors);
    let scaled = factors.iter().any(|&factor| factor < 1.0);
    Choice { threshold: threshold.filter(|_| scaled), factors }
}

fn factors(magnitudes: &[f64], threshold: f64, power_of_two: bool) -> Vec<f64> {
    let factor = |&magnitude: &f64| {
        let factor = threshold / magnitude;
        match factor < 1.0 {
            // Rounded down: what is scaled keeps to the threshold.
            true if power_of_two => factor.log2().floor().exp2(),
            true => factor,
            false => 1.0,
        }
    };
    magnitudes.iter().map(factor).collect()
}

/// The largest magnitude of a function's argument whose scale is held: no table can be smaller.
fn held_magnitude(graph: &FloatGraph, groups: &Groups, profile: &Profile) -> f64 {
    let arguments = graph.nodes.iter().filter_map(|node| match node.op {
        FloatOp::Pointwise { input, .. } => Some(input),
        _ => None,
    });
    let held = arguments.filter(|&input| groups.of_value(input).contains(&None));
    held.map(|input| profile.values[input.0].magnitude()).fold(0.0, f64::max)
}

/// From the largest magnitude down to the smallest, or to what is held.
fn candidates(magnitudes: &[f64], held: f64) -> Vec<f64> {
    let positive = magnitudes.iter().copied().filter(|&magnitude| magnitude > 0.0);
    let Some(largest) = positive.clone().reduce(f64::max) else { return Vec::new() };
    // Below the smallest, all would only shrink together.
    let least = positive.reduce(f64::min).map_or(0.0, |smallest| smallest.max(held));
    let steps = (0..=DEPTH * STEPS).map(|step| largest * (-f64::from(step) / f64::from(STEPS)).exp2());
    steps
        .chain(magnitudes.iter().copied())
        .filter(|&threshold| threshold > 0.0 && threshold >= least)
        .collect()
}

/// Predicts the noise of rounding to one common step, relative to what is rounded.
struct Model {
    terms: Vec<Term>,
}

/// `weight * factor(read)^2 / factor(made)^2`.
struct Term {
    weight: f64,
    read: Option<usize>,
    made: Option<usize>,
}

impl Model {
    fn of(graph: &FloatGraph, groups: &Groups, profile: &Profile) -> Self {
        let mut bundle_of = vec![None; graph.values.len()];
        for (index, bundle) in groups.bundles.iter().enumerate() {
            bundle.values.iter().for_each(|&value| bundle_of[value] = Some(index));
        }
        let mut terms = Vec::new();
        for node in graph.nodes.iter().filter(|node| rounds(node)) {
            let signal = profile.mean_squares[node.output.0];
            if signal <= 0.0 {
                continue;
            }
            let made = bundle_of[node.output.0];
            terms.push(Term { weight: 1.0 / signal, read: None, made });
            if let FloatOp::Linear { input, weights, .. } | FloatOp::Convolution { input, weights, .. } =
                &node.op
            {
                // Weights that are zero have no rounding error.
                let present = weights.values.iter().filter(|&&weight| weight != 0.0).count();
                let met = present as f64 / weights.rows.max(1) as f64 * profile.mean_squares[input.0];
                // A read value without factor counts as one with factor one.
                terms.push(Term { weight: met / signal, read: bundle_of[input.0], made });
            }
        }
        Self { terms }
    }

    fn noise(&self, factors: &[f64]) -> f64 {
        let factor = |bundle: Option<usize>| bundle.map_or(1.0, |bundle| factors[bundle]);
        let term = |term: &Term| term.weight * (factor(term.read) / factor(term.made)).powi(2);
        self.terms.iter().map(term).sum()
    }
}

/// Whether a fixed-point network rounds the node's result.
fn rounds(node: &FloatNode) -> bool {
    match &node.op {
        FloatOp::Linear { .. } | FloatOp::Convolution { .. } | FloatOp::Multiply { .. } => true,
        FloatOp::Sum { terms, .. } => terms.iter().any(|term| term.coefficient.fract() != 0.0),
        FloatOp::Pointwise { function, .. } => function.as_clamp().is_none(),
        FloatOp::Maximum { .. } | FloatOp::ArgMax { .. } | FloatOp::Reshape { .. } => false,
    }
}
