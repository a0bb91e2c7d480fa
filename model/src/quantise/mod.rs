//! Post-training quantisation: a float graph and a calibration set become an [`IntegerGraph`] and a report.
//!
//! Activations have `bits` bits: `[0, 2^bits - 1]` where the calibrated minimum is not negative, otherwise
//! `[-2^(bits-1), 2^(bits-1) - 1]`, or `2^bits` integers around zero where the negative part is small. An accumulator stands
//! for real values at the scale `target / 2^shift`, where `target` is the scale of what is requantised from it, so that every
//! requantisation is a division by the same `2^shift`. Weights are int8 with one fixed-point multiplier for each output
//! channel: see [`weights`].
//!
//! What costs rows in a circuit is requantisation, so that there is as little of it as possible:
//!
//! - A residual sum is one linear layer together with the convolutions that only it reads.
//! - Sums whose coefficients have a common unit (transposition, concatenation, padding, averages) stay integer sums: the unit
//!   goes into the scale. Values tied by them, by maxima and by views share one scale, and the requantisation that makes each
//!   value brings it to that scale at once.
//! - Functions that are no clamps are tables, read from an accumulator that is requantised as finely as the function needs.

mod calibration;
mod classes;
pub(crate) mod emit;
mod equalise;
mod histogram;
mod plan;
mod roles;
mod search;
mod strict;
pub mod weights;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use calibration::{Calibration, Range};
pub use search::{
    Change, LossMeasure, ProvingCost, SearchError, SearchOptions, Searched, TableCost, Trial, search,
};

use crate::data::{DataError, Dataset, Samples};
use crate::float_graph::{FloatGraph, FloatGraphError};
use crate::integer_graph::IntegerGraph;
use crate::interpreter::RunError;
use crate::interval::{IntervalError, check_intervals};
use crate::report::{self, QuantisationReport};

/// The bits that an activation may have.
pub const BITS: std::ops::RangeInclusive<u32> = 4..=12;
/// The shifts that are tried; one outside can be given in [`QuantisationOptions::shift`].
pub const SHIFTS: std::ops::RangeInclusive<u32> = 8..=12;

/// How to quantise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuantisationOptions {
    /// Bits of an activation, within [`BITS`].
    pub bits: u32,
    /// Bits of the activations that single layers make, by the layers' names, or the name of the network's input. What shares
    /// a scale with such a layer, as a ReLU does with the convolution before it, has its bits too, the fewest where several
    /// layers differ.
    pub layer_bits: BTreeMap<String, u32>,
    /// The shift of all requantisations, 1 to 24; chosen within [`SHIFTS`] if absent, the smallest that keeps
    /// weight rounding quiet (the rule is in [`weights`]). A circuit's range table has `2^shift` rows.
    pub shift: Option<u32>,
    /// How ranges are taken from the calibration set.
    pub calibration: Calibration,
    /// What becomes of inputs that lead beyond what calibration saw.
    pub range: RangePolicy,
    /// Whether biases make up for the mean error that rounded weights make over the calibration set.
    pub bias_correction: bool,
    /// Whether channels between two convolutions are brought to like ranges where that lowers the error. If it does
    /// anywhere, the calibration set goes through the network a second time.
    pub equalisation: bool,
}

/// What becomes of a value beyond the range that calibration saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RangePolicy {
    /// It is cut to the range: every input within the input's range has a result.
    #[default]
    Saturate,
    /// The input is refused: functions are defined only for what calibration saw, and a margin. A circuit's tables are
    /// shorter, and a proof also says that nothing was cut off that calibration had not seen cut off.
    Strict,
}

impl Default for QuantisationOptions {
    fn default() -> Self {
        Self {
            bits: 8,
            layer_bits: BTreeMap::new(),
            shift: None,
            calibration: Calibration::MinMax,
            range: RangePolicy::Saturate,
            bias_correction: true,
            equalisation: true,
        }
    }
}

/// A quantised network and how good it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// The network.
    pub graph: IntegerGraph,
    /// Float against integer over the calibration set.
    pub report: QuantisationReport,
}

/// Why a network was not quantised.
#[derive(Debug, Error)]
pub enum QuantiseError {
    /// An option outside its range.
    #[error("{option} is {found}; use {least} to {greatest}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// The value given.
        found: u32,
        /// Least allowed.
        least: u32,
        /// Greatest allowed.
        greatest: u32,
    },
    /// Bits for a layer that the network does not have.
    #[error("there is no layer `{layer}` to give bits to; the report of a quantisation names the layers")]
    UnknownLayer {
        /// The name given.
        layer: String,
    },
    /// A percentile outside its range.
    #[error("the calibration percentile is {0}; use a number above 50 and at most 100, such as 99.99")]
    Percentile(f64),
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
    /// A constant that does not fit the accumulator's units.
    #[error(
        "layer `{layer}`, channel {channel}: the {what} {value} is too large for the layer's calibrated range; \
         calibrate with data that covers the layer, or rescale the layer"
    )]
    TooLarge {
        /// The node's name.
        layer: String,
        /// Output channel or element; the term for a coefficient.
        channel: usize,
        /// "bias" or "coefficient" or "weight".
        what: &'static str,
        /// The real value.
        value: f64,
    },
    /// Nothing between input and output.
    #[error("the network computes nothing: its output is its input")]
    NoLayers,
    /// The float graph is malformed.
    #[error(transparent)]
    Float(#[from] FloatGraphError),
    /// An accumulator can overflow.
    #[error(transparent)]
    Interval(#[from] IntervalError),
    /// The quantised network does not run on its own calibration set.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A calibration sample is not representable.
    #[error(transparent)]
    Input(#[from] crate::input::InputError),
}

/// Quantises `graph` with ranges from `data`, and compares both on `data`. Deterministic: the same network, data
/// and options give the same integers, whatever the number of threads.
///
/// # Errors
/// [`QuantiseError`], naming the option, sample, layer or channel at fault.
pub fn quantise(
    graph: &FloatGraph,
    data: &Dataset,
    options: &QuantisationOptions,
) -> Result<Quantised, QuantiseError> {
    check(graph, options)?;
    let samples = data.samples(&graph.values[graph.input.0].shape)?;
    let prepared = Prepared::of(graph, &samples, options)?;
    let emitted = prepared.emit(&samples, options)?;
    let report = report::compare(&prepared.graph, &emitted.graph, &emitted.layers, &samples)?;
    Ok(Quantised { graph: emitted.graph, report })
}

/// A network with what calibration saw: from here on, options other than `bits` and `equalisation` are free.
struct Prepared<'a> {
    /// The network, equalised where that helps.
    graph: Cow<'a, FloatGraph>,
    statistics: Vec<calibration::Statistics>,
}

impl<'a> Prepared<'a> {
    fn of(
        graph: &'a FloatGraph,
        samples: &Samples,
        options: &QuantisationOptions,
    ) -> Result<Self, QuantiseError> {
        let statistics = calibration::statistics(graph, samples)?;
        let equalised =
            options.equalisation.then(|| equalise::equalise(graph, &statistics, options.bits)).flatten();
        match equalised {
            Some(equalised) => {
                let statistics = calibration::statistics(&equalised, samples)?;
                Ok(Self { graph: Cow::Owned(equalised), statistics })
            }
            None => Ok(Self { graph: Cow::Borrowed(graph), statistics }),
        }
    }

    /// The integer network.
    fn emit(&self, samples: &Samples, options: &QuantisationOptions) -> Result<emit::Emitted, QuantiseError> {
        let bits = plan::bits_of_values(&self.graph, options);
        let statistics =
            calibration::with_ranges((&self.graph, &self.statistics), &options.calibration, &bits);
        let plan = plan::plan(&self.graph, &statistics, options, &bits);
        let mut emitted = emit::emit(&self.graph, &statistics, &plan, options.bias_correction)?;
        if options.range == RangePolicy::Strict {
            strict::restrict(&mut emitted.graph, samples)?;
        }
        check_intervals(&emitted.graph)?;
        Ok(emitted)
    }
}

/// Checks the options, and the network's structure.
fn check(graph: &FloatGraph, options: &QuantisationOptions) -> Result<(), QuantiseError> {
    check_options(options)?;
    graph.check_structure()?;
    let known = |name: &str| {
        graph.values[graph.input.0].name == name || graph.nodes.iter().any(|node| node.name == name)
    };
    match options.layer_bits.keys().find(|name| !known(name)) {
        Some(layer) => Err(QuantiseError::UnknownLayer { layer: layer.clone() }),
        None => Ok(()),
    }
}

fn check_options(options: &QuantisationOptions) -> Result<(), QuantiseError> {
    let within = |option, found, least, greatest| {
        if (least..=greatest).contains(&found) {
            Ok(())
        } else {
            Err(QuantiseError::Option { option, found, least, greatest })
        }
    };
    for bits in std::iter::once(&options.bits).chain(options.layer_bits.values()) {
        within("bits", *bits, *BITS.start(), *BITS.end())?;
    }
    within("shift", options.shift.unwrap_or(*SHIFTS.start()), 1, 24)?;
    match options.calibration {
        Calibration::Percentile(percent) if !(percent > 50.0 && percent <= 100.0) => {
            Err(QuantiseError::Percentile(percent))
        }
        _ => Ok(()),
    }
}
