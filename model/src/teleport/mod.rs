//! Teleportation: an exact change of scale. Every element of a hidden value may be multiplied by a positive factor if the weights
//! that make it are multiplied by the factor and the weights that read it are divided by it, as long as all that lies
//! between is positively homogeneous: ReLU, LeakyReLU, maxima, averages, sums, and everything that only moves elements. The
//! network computes the same; its values have other ranges.
//!
//! Elements that must be scaled alike form classes: the channels of a residual stage, the elements that a dense layer reads
//! at one column. Values that share classes form a group, as a residual stage or the parts of a concatenation do. Each class
//! could have a factor of its own. What is done with this freedom:
//!
//! - [`Granularity::Group`]: one factor for each group, `min(1, T / largest magnitude)`. This makes ranges alike where all layers
//!   share one fixed-point step. (Quantisation in this crate gives every layer its own scale, so that such factors change
//!   nothing there: powers of two lead to the very same integers.)
//! - [`Granularity::Channel`]: before that, channels are balanced by the rule of cross-layer equalisation, through residual
//!   sums, pools, concatenations and views, wherever that is predicted to lower the noise of quantisation.
//!
//! Factors depend on ranges over the whole calibration set, never on the input that is proved. Nothing is scaled through GELU,
//! SiLU, sigmoid, softmax or a bounded clip. The pass checks itself: both networks run on the calibration set, and if their
//! outputs differ by more than rounding, the original is returned and the report says where they part.

pub(crate) mod channels;
pub(crate) mod groups;
mod measure;
mod report;
pub(crate) mod scale;
mod threshold;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::data::{DataError, Dataset, Samples};
use crate::float_graph::{FloatGraph, FloatGraphError, FloatNode, FloatOp, ValueId};
use crate::quantise::BITS;
use channels::{Reader, balance};
use groups::{Bundle, Groups, channel_start};
use measure::{Comparison, Profile, compare, layer_of, profile};
pub use report::{GroupReport, Held, Outcome, TeleportReport};

/// The largest difference of the outputs that counts as rounding, relative to the largest output of the sample: some thousand
/// times that of one operation on 32-bit floats. Factors that are powers of two make no difference at all.
pub const ROUNDING: f64 = 1e-4;

/// How finely factors are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Granularity {
    /// One factor for each group. It holds for inputs that were not calibrated as well as any range does.
    #[default]
    Group,
    /// Besides, a power of two for each class of channels.
    Channel,
}

/// Where ranges are to end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Threshold {
    /// The smallest at which the noise of rounding all values and weights to one common step, relative to the values, is predicted
    /// to grow by at most this fraction.
    Automatic {
        /// Zero or more; 0.05 allows a twentieth more noise power.
        tolerance: f64,
    },
    /// The largest magnitude that a group may have; above zero.
    Fixed(f32),
}

/// How to change the scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TeleportOptions {
    /// How finely factors are chosen.
    pub granularity: Granularity,
    /// The largest magnitude that a group may have; groups within it stay as they are.
    pub threshold: Threshold,
    /// Whether factors are powers of two: then the float network's results stay the same to the last bit.
    pub power_of_two: bool,
    /// Bits of an activation that balancing channels reckons with, within [`BITS`].
    pub bits: u32,
}

impl Default for TeleportOptions {
    fn default() -> Self {
        Self {
            granularity: Granularity::Group,
            threshold: Threshold::Automatic { tolerance: 0.05 },
            power_of_two: true,
            bits: 8,
        }
    }
}

/// Least and greatest value seen over the calibration set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// Least.
    pub min: f32,
    /// Greatest.
    pub max: f32,
}

impl Default for Extent {
    /// The extent of nothing: it becomes that of the first value that it sees.
    fn default() -> Self {
        Self { min: f32::INFINITY, max: f32::NEG_INFINITY }
    }
}

impl Extent {
    /// Largest magnitude; 0 for nothing.
    #[must_use]
    pub fn magnitude(&self) -> f64 {
        f64::from(self.max).max(-f64::from(self.min)).max(0.0)
    }

    /// Distance of the ends; 0 for nothing.
    #[must_use]
    pub fn span(&self) -> f64 {
        (f64::from(self.max) - f64::from(self.min)).max(0.0)
    }

    pub(crate) fn see(&mut self, value: f32) {
        *self = Self { min: self.min.min(value), max: self.max.max(value) };
    }

    pub(crate) fn join(&mut self, other: Self) {
        *self = Self { min: self.min.min(other.min), max: self.max.max(other.max) };
    }
}

/// A network with other scales, and what was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Teleported {
    /// The network; the original where the outcome is not [`Outcome::Applied`].
    pub graph: FloatGraph,
    /// What was done.
    pub report: TeleportReport,
}

/// Why a network's scale could not be changed.
#[derive(Debug, Error)]
pub enum TeleportError {
    /// An option outside its range.
    #[error("{option} is {found}; {advice}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// The value given.
        found: f64,
        /// What it may be.
        advice: &'static str,
    },
    /// The calibration set does not fit the network.
    #[error("calibration set: {0}")]
    Data(#[from] DataError),
    /// A sample drives a layer to NaN or infinity.
    #[error(
        "layer `{layer}` computes {value} on calibration sample {sample}; its weights or the sample are too large"
    )]
    NotFinite {
        /// The node's name, or the input's.
        layer: String,
        /// Index of the sample.
        sample: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// The float graph is malformed.
    #[error(transparent)]
    Float(#[from] FloatGraphError),
}

/// Changes the scale of the network's values by ranges over `data`, exactly. Deterministic: the same network, data and options
/// give the same network, whatever the number of threads.
///
/// # Errors
/// [`TeleportError`]: an option outside its range, data that does not fit, a value that is not finite.
pub fn teleport(
    graph: &FloatGraph,
    data: &Dataset,
    options: &TeleportOptions,
) -> Result<Teleported, TeleportError> {
    check_options(options)?;
    graph.check_structure()?;
    let samples = data.samples(&graph.values[graph.input.0].shape)?;
    let groups = Groups::of(graph);
    let before = profile(graph, &groups, &samples)?;
    let mut factors = vec![1.0; groups.count];
    if options.granularity == Granularity::Channel {
        balance_channels(graph, &groups, &before, options.bits, &mut factors);
    }
    let choice = if options.granularity == Granularity::Channel {
        let balanced = scale::scaled(graph, &groups, &factors);
        threshold::choose(&balanced, &groups, &profile(&balanced, &groups, &samples)?, options)
    } else {
        threshold::choose(graph, &groups, &before, options)
    };
    for (bundle, factor) in groups.bundles.iter().zip(&choice.factors) {
        bundle.classes.iter().for_each(|&class| factors[class as usize] *= factor);
    }
    let judged = if factors.iter().any(|&factor| factor != 1.0) {
        judge((graph, scale::scaled(graph, &groups, &factors)), (&groups, &factors), &samples)?
    } else {
        let comparison = Comparison { deviations: vec![0.0; graph.values.len()], profile: before.clone() };
        Judged { graph: graph.clone(), outcome: Outcome::Unchanged, comparison }
    };
    let profiles = (&before, &judged.comparison.profile);
    let report = TeleportReport {
        outcome: judged.outcome,
        threshold: choice.threshold,
        deviation: judged.comparison.deviations[graph.output.0],
        functions: report::functions(graph, profiles),
        groups: report::groups(graph, &groups, profiles, &factors),
        held: groups.held,
    };
    Ok(Teleported { graph: judged.graph, report })
}

fn check_options(options: &TeleportOptions) -> Result<(), TeleportError> {
    let refuse = |option, found, advice| Err(TeleportError::Option { option, found, advice });
    if !BITS.contains(&options.bits) {
        return refuse("bits", f64::from(options.bits), "use 4 to 12");
    }
    match options.threshold {
        Threshold::Fixed(value) if !(value.is_finite() && value > 0.0) => {
            refuse("threshold", f64::from(value), "use a finite number above zero")
        }
        Threshold::Automatic { tolerance } if !(tolerance.is_finite() && tolerance >= 0.0) => {
            refuse("tolerance", tolerance, "use a finite number, zero or more")
        }
        _ => Ok(()),
    }
}

/// Multiplies the factors of each bundle by those that balance its channels. The bundle's largest magnitude does not grow.
fn balance_channels(graph: &FloatGraph, groups: &Groups, profile: &Profile, bits: u32, factors: &mut [f64]) {
    for bundle in &groups.bundles {
        let readers: Vec<Reader> = readers(graph, groups, profile, bundle);
        let Some(divisors) = balance(&readers, bundle.classes.len(), bits) else { continue };
        let magnitude = |class: u32| profile.classes[class as usize].magnitude();
        let before = bundle.classes.iter().map(|&class| magnitude(class)).fold(0.0, f64::max);
        let divided =
            bundle.classes.iter().zip(&divisors).map(|(&class, divisor)| magnitude(class) / divisor);
        let after = divided.fold(0.0, f64::max);
        let common = if after > before { (before / after).log2().floor().exp2() } else { 1.0 };
        for (&class, divisor) in bundle.classes.iter().zip(&divisors) {
            factors[class as usize] *= common / divisor;
        }
    }
}

/// The linear operations that read a bundle.
fn readers<'a>(
    graph: &'a FloatGraph,
    groups: &Groups,
    profile: &'a Profile,
    bundle: &Bundle,
) -> Vec<Reader<'a>> {
    let nodes = graph.nodes.iter().zip(&profile.channels);
    let reader = |(node, channels): (&'a FloatNode, &'a measure::Channels)| {
        let (input, geometry, weights) = match &node.op {
            FloatOp::Linear { input, weights, .. } => (*input, None, weights),
            FloatOp::Convolution { input, geometry, weights, .. } => (*input, Some(geometry), weights),
            _ => return None,
        };
        bundle.values.binary_search(&input.0).ok()?;
        let class = |channel| {
            let start = if geometry.is_some() { channel_start(graph, input, channel) } else { channel };
            let class = groups.class(input, start)?;
            bundle.classes.binary_search(&(class as u32)).ok()
        };
        let classes = (0..channels.maxima.len()).map(class).collect();
        let (maxima, squares) = (channels.maxima.as_slice(), channels.squares.as_slice());
        Some(Reader { geometry, weights, maxima, squares, classes })
    };
    nodes.filter_map(reader).collect()
}

/// The network that is kept, with what a comparison with the original says.
struct Judged {
    graph: FloatGraph,
    outcome: Outcome,
    comparison: Comparison,
}

/// Runs both networks, and keeps the second if it computes what the first does.
fn judge(
    (before, after): (&FloatGraph, FloatGraph),
    (groups, factors): (&Groups, &[f64]),
    samples: &Samples,
) -> Result<Judged, TeleportError> {
    let comparison = compare((before, &after), (groups, factors), samples)?;
    let differs = |id: &ValueId| comparison.deviations[id.0] > ROUNDING;
    if !differs(&before.output) {
        return Ok(Judged { graph: after, outcome: Outcome::Applied, comparison });
    }
    let first = before.nodes.iter().map(|node| node.output).find(differs).unwrap_or(before.output);
    let outcome =
        Outcome::Undone { layer: layer_of(before, first), deviation: comparison.deviations[first.0] };
    Ok(Judged { graph: before.clone(), outcome, comparison })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float_graph::FloatMatrix;

    fn network() -> FloatGraph {
        let matrix = |values: [f32; 4]| FloatMatrix { rows: 2, columns: 2, values: values.to_vec() };
        let layers = vec![(matrix([8.0, 0.0, 1.0, 4.0]), vec![1.0, 0.0]), (matrix([1.0; 4]), vec![0.0; 2])];
        FloatGraph::dense("test", layers).expect("network")
    }

    #[test]
    fn a_network_that_computes_something_else_is_undone_at_the_layer_that_does() {
        let graph = network();
        let groups = Groups::of(&graph);
        let factors = vec![0.5; groups.count];
        let data = Dataset::new(vec![2, 2], vec![1.0, 0.5, -0.25, 1.0], None).expect("data");
        let samples = data.samples(&[2]).expect("samples");
        let judged = |graph: &FloatGraph, scaled: FloatGraph| {
            let judged = judge((graph, scaled.clone()), (&groups, &factors), &samples).expect("both run");
            let kept = if judged.outcome == Outcome::Applied { &scaled } else { graph };
            assert_eq!(&judged.graph, kept);
            judged.outcome
        };
        let scaled = scale::scaled(&graph, &groups, &factors);
        assert_eq!(judged(&graph, scaled.clone()), Outcome::Applied);
        for (node, layer) in [(0, "dense1"), (2, "dense2")] {
            let mut broken = scaled.clone();
            if let FloatOp::Linear { bias, .. } = &mut broken.nodes[node].op {
                bias[1] += 0.01;
            }
            match judged(&graph, broken) {
                Outcome::Undone { layer: found, deviation } => {
                    assert_eq!(found, layer);
                    assert!(deviation > ROUNDING, "{deviation}");
                }
                other => panic!("{other:?}"),
            }
        }
        let mut endless = scaled;
        if let FloatOp::Linear { weights, .. } = &mut endless.nodes[2].op {
            weights.values[0] = f32::INFINITY;
        }
        assert!(matches!(judged(&graph, endless), Outcome::Undone { .. }));
    }
}
