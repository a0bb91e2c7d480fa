//! Weights of one output channel: an integer multiplier and int8 weights.
//!
//! In accumulator units a row of weights is `weight / unit`, `unit = target scale / (2^shift * input scale)`. The
//! multiplier is the least integer for which `weight / unit / multiplier` fits `[-127, 127]`, and the weights are
//! rounded after dividing by it. The multiplier therefore has no rounding error of its own; what a small shift
//! costs is weight resolution: the step between weights, `unit * multiplier`, is at least `unit`.
//!
//! **Choice of the shift.** Rounding moves each weight by a uniform error of at most half a step, so that it adds
//! noise of variance `step^2 / 12 * sum_k input[k]^2` to an output. The shift is the smallest of
//! [`super::SHIFTS`] at which this noise, averaged over a layer's outputs, with the inputs' mean square over the
//! calibration set, is at most [`NOISE_LIMIT`] quantisation steps of the layer's output, in every layer; less where there are
//! more than a few layers. (The range table of a circuit has `2^shift` rows: a small shift is worth some noise.)

use crate::float_graph::FloatMatrix;

/// Noise that weight rounding may add to a layer's output, root mean square, in the output's quantisation steps:
/// with 8 bits some 0.6 % of the range.
pub const NOISE_LIMIT: f64 = 1.5;

/// Largest magnitude of a quantised weight.
pub const WEIGHT_LIMIT: f64 = 127.0;

/// The multiplier of a row: at least 1, nothing if it does not fit 31 bits.
#[must_use]
pub fn multiplier(row: &[f32], unit: f64) -> Option<i64> {
    let needed = needed_multiplier(row, unit);
    (needed <= f64::from(i32::MAX)).then_some(needed as i64)
}

/// The quantised weights of a row under its multiplier.
pub fn quantise_row(row: &[f32], unit: f64, multiplier: i64) -> impl Iterator<Item = i8> + '_ {
    let step = unit * multiplier as f64;
    row.iter().map(move |&weight| (f64::from(weight) / step).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT) as i8)
}

/// Mean over the rows of the squared weight step, in real units.
pub(super) fn mean_square_step(weights: &FloatMatrix, unit: f64) -> f64 {
    let steps = (0..weights.rows).map(|row| unit * needed_multiplier(weights.row(row), unit));
    steps.map(|step| step * step).sum::<f64>() / weights.rows.max(1) as f64
}

fn needed_multiplier(row: &[f32], unit: f64) -> f64 {
    (largest(row) / unit / WEIGHT_LIMIT).ceil().max(1.0)
}

fn largest(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |largest: f64, &weight| largest.max(f64::from(weight).abs()))
}
