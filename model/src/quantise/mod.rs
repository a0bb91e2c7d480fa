//! Post-training quantisation: a float graph and a calibration set become an [`IntegerGraph`] and a report.
//!
//! Activations have `bits` bits: `[0, 2^bits - 1]` where the calibrated minimum is not negative, otherwise
//! `[-2^(bits-1), 2^(bits-1) - 1]`. An accumulator stands for real values at the scale `target / 2^shift`, where
//! `target` is the scale of what is requantised from it, so that every requantisation is a division by the same
//! `2^shift`. Weights are int8 with one fixed-point multiplier for each output channel: see [`weights`].

mod calibration;
pub(crate) mod emit;
mod plan;
pub mod weights;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use calibration::{Calibration, Range};

use crate::data::{DataError, Dataset};
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
    /// The shift of all requantisations, 1 to 24; chosen within [`SHIFTS`] if absent, the smallest that keeps
    /// weight rounding quiet (the rule is in [`weights`]). A circuit's range table has `2^shift` rows.
    pub shift: Option<u32>,
    /// How ranges are taken from the calibration set.
    pub calibration: Calibration,
}

impl Default for QuantisationOptions {
    fn default() -> Self {
        Self { bits: 8, shift: None, calibration: Calibration::MinMax }
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
    check_options(options)?;
    graph.check_structure()?;
    let samples = data.samples(&graph.values[graph.input.0].shape)?;
    let ranges = calibration::ranges(graph, &samples, &options.calibration)?;
    let plan = plan::plan(graph, &ranges, options)?;
    let emitted = emit::emit(graph, &plan)?;
    check_intervals(&emitted.graph)?;
    let report = report::compare(graph, &emitted.graph, &emitted.layers, &samples)?;
    Ok(Quantised { graph: emitted.graph, report })
}

fn check_options(options: &QuantisationOptions) -> Result<(), QuantiseError> {
    let within = |option, found, least, greatest| {
        if (least..=greatest).contains(&found) {
            Ok(())
        } else {
            Err(QuantiseError::Option { option, found, least, greatest })
        }
    };
    within("bits", options.bits, *BITS.start(), *BITS.end())?;
    within("shift", options.shift.unwrap_or(*SHIFTS.start()), 1, 24)
}
