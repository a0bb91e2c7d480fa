//! Weights of one output channel: an integer multiplier and int8 weights.
//!
//! In accumulator units a row of weights is `weight / unit`, `unit = target scale / (2^shift * input scale)`. The
//! multiplier is the least integer for which `weight / unit / multiplier` fits `[-127, 127]`, and the weights are
//! rounded after dividing by it. The multiplier therefore has no rounding error of its own; what a small shift
//! costs is *levels*: the largest weight of a row becomes some number between 64 and 127 (fewer, if the multiplier
//! is 1 and the row is small against its layer's range) instead of 127.

/// Levels that [`QUANTILE`] of a layer's channels may miss: with 64, the rounding error of a weight is at most
/// 1/128 of the channel's largest weight.
pub const MINIMUM_LEVELS: u32 = 64;
/// Fraction of a layer's nonzero channels that may have fewer levels than [`MINIMUM_LEVELS`]: they are small
/// against the layer's range, so that their absolute error is small too.
pub const QUANTILE: f64 = 0.1;

/// Largest magnitude of a quantised weight.
pub const WEIGHT_LIMIT: f64 = 127.0;

/// The multiplier of a row, 0 only for none: at least 1, nothing if it does not fit 31 bits.
#[must_use]
pub fn multiplier(row: &[f32], unit: f64) -> Option<i64> {
    // A largest weight of 127.5 would round beyond the limit, one of 127.4 would not: both get the next multiplier.
    let needed = (largest(row) / unit / WEIGHT_LIMIT).ceil().max(1.0);
    (needed <= f64::from(i32::MAX)).then_some(needed as i64)
}

/// The quantised weights of a row under its multiplier.
pub fn quantise_row(row: &[f32], unit: f64, multiplier: i64) -> impl Iterator<Item = i8> + '_ {
    let step = unit * multiplier as f64;
    row.iter().map(move |&weight| (f64::from(weight) / step).round().clamp(-WEIGHT_LIMIT, WEIGHT_LIMIT) as i8)
}

/// Magnitude of the row's largest quantised weight, 0 to 127; nothing for a row of zeros.
#[must_use]
pub fn levels(row: &[f32], unit: f64) -> Option<u32> {
    let largest = largest(row);
    if largest == 0.0 {
        return None;
    }
    let scaled = largest / unit;
    let multiplier = (scaled / WEIGHT_LIMIT).ceil().max(1.0);
    Some((scaled / multiplier).round() as u32)
}

fn largest(row: &[f32]) -> f64 {
    row.iter().fold(0.0, |largest: f64, &weight| largest.max(f64::from(weight).abs()))
}
