//! What calibration sees: ranges, histograms and means of every value over a set of samples.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::QuantiseError;
use super::histogram::Histogram;
use crate::data::Samples;
use crate::float_graph::{FloatGraph, FloatOp};

/// How a value's range is taken from the calibration set. The network's input always has the range that was seen: inputs
/// outside it are refused, not cut.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Calibration {
    /// Least and greatest value seen.
    #[default]
    MinMax,
    /// The range that holds so many percent of the values seen, above 50 and at most 100; the rest is cut off in equal parts
    /// at both ends, or at the upper end where no value is negative.
    Percentile(f64),
    /// The range with the least mean square error of rounding inside and cutting off outside.
    MeanSquareError,
}

/// What calibration sees of a tensor, over all its elements and all samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Least.
    pub min: f32,
    /// Greatest.
    pub max: f32,
    /// Mean of the squares.
    pub mean_square: f64,
}

/// All that is kept of a value.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    /// Range as seen.
    pub(super) seen: Range,
    /// Range that is to be represented.
    pub(super) range: Range,
    pub(super) histogram: Histogram,
    /// Mean of each channel, the first axis; kept for what convolutions read.
    pub(super) channels: Vec<f64>,
    /// Largest magnitude of each channel.
    pub(super) maxima: Vec<f32>,
    /// Mean square of each channel.
    pub(super) squares: Vec<f64>,
    /// Mean of each index of the last axis; kept for what linear layers read.
    pub(super) features: Vec<f64>,
}

/// Which means are needed of a value.
#[derive(Clone, Copy, Default)]
struct Needed {
    channels: bool,
    features: bool,
}

impl Statistics {
    fn of(values: &[f32], shape: &[usize], needed: Needed) -> Self {
        let min = values.iter().copied().reduce(f32::min).unwrap_or(0.0);
        let max = values.iter().copied().reduce(f32::max).unwrap_or(0.0);
        let squares: f64 = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        let seen = Range { min, max, mean_square: squares / values.len().max(1) as f64 };
        let mut histogram = Histogram::default();
        histogram.add(values);
        let (mut channels, mut features) = (Vec::new(), Vec::new());
        let (mut maxima, mut channel_squares) = (Vec::new(), Vec::new());
        if let (true, Some(&count)) = (needed.channels, shape.first()) {
            let channel = (values.len() / count.max(1)).max(1);
            for values in values.chunks(channel) {
                let mean = |of: fn(f64) -> f64| {
                    values.iter().map(|&v| of(f64::from(v))).sum::<f64>() / channel as f64
                };
                channels.push(mean(|v| v));
                channel_squares.push(mean(|v| v * v));
                maxima.push(values.iter().fold(0.0f32, |largest, value| largest.max(value.abs())));
            }
        }
        if let (true, Some(&count)) = (needed.features, shape.last()) {
            let positions = (values.len() / count.max(1)).max(1) as f64;
            features = vec![0.0; count];
            for position in values.chunks(count.max(1)) {
                features.iter_mut().zip(position).for_each(|(sum, &v)| *sum += f64::from(v) / positions);
            }
        }
        Self { seen, range: seen, histogram, channels, maxima, squares: channel_squares, features }
    }

    /// Adds what another sample showed; the order of samples fixes the rounding of the sums.
    fn merge(&mut self, other: Self) {
        self.seen.min = self.seen.min.min(other.seen.min);
        self.seen.max = self.seen.max.max(other.seen.max);
        self.seen.mean_square += other.seen.mean_square;
        self.histogram.merge(other.histogram);
        self.channels.iter_mut().zip(other.channels).for_each(|(sum, mean)| *sum += mean);
        self.maxima.iter_mut().zip(other.maxima).for_each(|(max, value)| *max = max.max(value));
        self.squares.iter_mut().zip(other.squares).for_each(|(sum, mean)| *sum += mean);
        self.features.iter_mut().zip(other.features).for_each(|(sum, mean)| *sum += mean);
    }

    /// Turns sums over samples into means.
    fn finish(&mut self, samples: usize) {
        let count = samples as f64;
        self.seen.mean_square /= count;
        self.channels.iter_mut().for_each(|sum| *sum /= count);
        self.squares.iter_mut().for_each(|sum| *sum /= count);
        self.features.iter_mut().for_each(|sum| *sum /= count);
        self.range = self.seen;
    }

    /// Chooses the range for activations of so many bits.
    fn choose(&mut self, calibration: &Calibration, bits: u32) {
        let Range { min, max, mean_square } = self.seen;
        let (low, high) = match calibration {
            Calibration::MinMax => (min, max),
            Calibration::Percentile(percent) => self.percentile(percent / 100.0),
            Calibration::MeanSquareError => self.least_error(bits),
        };
        self.range = Range { min: low.max(min), max: high.min(max), mean_square };
    }

    fn percentile(&self, fraction: f64) -> (f32, f32) {
        let Range { min, max, .. } = self.seen;
        let outside = 1.0 - fraction;
        if min >= 0.0 {
            return (min, self.histogram.quantile(fraction) as f32);
        }
        let (low, high) =
            (self.histogram.quantile(outside / 2.0), self.histogram.quantile(1.0 - outside / 2.0));
        (low.min(0.0) as f32, if max > 0.0 { high.max(0.0) as f32 } else { max })
    }

    /// Tries ranges from the one seen down to a fifth of it.
    fn least_error(&self, bits: u32) -> (f32, f32) {
        let Range { min, max, .. } = self.seen;
        let candidates = (4..=20).rev().map(|part| f64::from(part) / 20.0);
        let range = |part: f64| (f64::from(min) * part, f64::from(max) * part);
        let error = |part: f64| {
            let (low, high) = range(part);
            let (scale, _) = super::plan::representation((low as f32, high as f32), bits);
            let cut = |(value, count): (f64, u64)| {
                let outside = (low - value).max(value - high).max(0.0);
                count as f64 * (outside * outside).max(scale * scale / 12.0)
            };
            self.histogram.bins().map(cut).sum::<f64>()
        };
        let errors = candidates.map(|part| (part, error(part)));
        // The first, widest, of equals.
        let best = errors.reduce(|best, next| if next.1 < best.1 { next } else { best });
        let (low, high) = range(best.map_or(1.0, |(part, _)| part));
        (if min >= 0.0 { min } else { low as f32 }, high as f32)
    }
}

/// The statistics with ranges as the method chooses them, for activations of so many bits each.
pub(super) fn with_ranges(
    (graph, statistics): (&FloatGraph, &[Statistics]),
    calibration: &Calibration,
    bits: &[u32],
) -> Vec<Statistics> {
    let mut statistics = statistics.to_vec();
    for (id, (statistics, &bits)) in statistics.iter_mut().zip(bits).enumerate() {
        let is_input = id == graph.input.0;
        statistics.choose(if is_input { &Calibration::MinMax } else { calibration }, bits);
    }
    statistics
}

/// Statistics of each value of the graph, indexed as its values are, with ranges as they were seen. Samples go through the
/// network a few at a time; of each only sums are kept.
pub(super) fn statistics(graph: &FloatGraph, samples: &Samples) -> Result<Vec<Statistics>, QuantiseError> {
    let mut needed = vec![Needed::default(); graph.values.len()];
    for node in &graph.nodes {
        match &node.op {
            FloatOp::Linear { input, .. } => needed[input.0].features = true,
            FloatOp::Convolution { .. } | FloatOp::Sum { .. } => {
                node.op.inputs().iter().for_each(|input| needed[input.0].channels = true);
            }
            _ => {}
        }
        // A linear layer of a vector may become a convolution without windows.
        if let FloatOp::Linear { input, .. } = &node.op {
            needed[input.0].channels |= graph.values[input.0].shape.len() == 1;
        }
    }
    let inputs: Vec<(usize, &[f32])> = samples.iter().enumerate().collect();
    let mut total: Vec<Statistics> = Vec::new();
    for few in inputs.chunks(rayon::current_num_threads().max(4)) {
        let seen = few.par_iter().map(|&(sample, input)| of_sample(graph, &needed, sample, input));
        for statistics in seen.collect::<Vec<_>>() {
            let statistics = statistics?;
            if total.is_empty() {
                total = statistics;
            } else {
                total.iter_mut().zip(statistics).for_each(|(total, sample)| total.merge(sample));
            }
        }
    }
    total.iter_mut().for_each(|statistics| statistics.finish(inputs.len()));
    Ok(total)
}

fn of_sample(
    graph: &FloatGraph,
    needed: &[Needed],
    sample: usize,
    input: &[f32],
) -> Result<Vec<Statistics>, QuantiseError> {
    let mut statistics = vec![Statistics::of(&[], &[], Needed::default()); graph.values.len()];
    let mut broken = None;
    graph.run_with(input, |id, elements| match elements.iter().find(|value| !value.is_finite()) {
        Some(&value) => broken = broken.or(Some((id, value))),
        None => statistics[id.0] = Statistics::of(elements, &graph.values[id.0].shape, needed[id.0]),
    })?;
    if let Some((id, value)) = broken {
        let node = graph.nodes.iter().find(|node| node.output == id);
        let layer = node.map_or(&graph.values[id.0].name, |node| &node.name).clone();
        return Err(QuantiseError::NotFinite { layer, sample, value });
    }
    Ok(statistics)
}
