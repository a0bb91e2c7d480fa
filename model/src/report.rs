//! Float against integer, over a set of samples.

use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use crate::data::Samples;
use crate::float_graph::FloatGraph;
use crate::integer_graph::IntegerGraph;
use crate::quantise::{QuantiseError, emit::Layer};
use crate::rounding::requantise;

/// How a layer's integers compare with its floats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// The ONNX node's name.
    pub name: String,
    /// Elements of one sample.
    pub elements: usize,
    /// Real value of one.
    pub scale: f64,
    /// Largest absolute error, in real units.
    pub max_error: f64,
    /// Mean absolute error, in real units.
    pub mean_error: f64,
    /// Mean square of the floats over that of the errors, in decibels; nothing if there is no error at all.
    pub signal_to_noise: Option<f64>,
    /// Elements, over all samples, that left the representable range and were cut to it. A ReLU's or Clip's own
    /// cut does not count.
    pub saturated: u64,
}

/// Fractions of samples, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Of the float network.
    pub float: f64,
    /// Of the integer network.
    pub integer: f64,
}

/// Float against integer over a set of samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuantisationReport {
    /// Number of samples compared.
    pub samples: usize,
    /// Bits of an activation.
    pub bits: u32,
    /// The common shift.
    pub shift: u32,
    /// Layers in order; the last is the output.
    pub layers: Vec<LayerReport>,
    /// Fraction of samples where both networks' largest output is the same (of equals, the first).
    pub agreement: f64,
    /// With labels: fraction of samples whose largest output is at the label.
    pub accuracy: Option<Accuracy>,
}

/// What one sample contributes.
struct Comparison {
    layers: Vec<LayerComparison>,
    float_class: Option<usize>,
    integer_class: Option<usize>,
}

#[derive(Clone, Copy, Default)]
struct LayerComparison {
    largest: f64,
    sum: f64,
    /// Sums of squares of floats and of errors.
    signal: f64,
    noise: f64,
    saturated: u64,
}

impl LayerComparison {
    fn merge(self, other: &Self) -> Self {
        Self {
            largest: self.largest.max(other.largest),
            sum: self.sum + other.sum,
            signal: self.signal + other.signal,
            noise: self.noise + other.noise,
            saturated: self.saturated + other.saturated,
        }
    }
}

/// Runs both networks on all samples. The result does not depend on the number of threads.
pub(crate) fn compare(
    float: &FloatGraph,
    integer: &IntegerGraph,
    layers: &[Layer],
    samples: &Samples,
) -> Result<QuantisationReport, QuantiseError> {
    let inputs: Vec<&[f32]> = samples.iter().collect();
    let compared = inputs.par_iter().map(|input| compare_sample(float, integer, layers, input));
    let compared: Vec<Comparison> = compared.collect::<Result<_, _>>()?;
    let count = compared.len() as f64;
    let fraction = |matching: usize| matching as f64 / count;
    let layers = layers.iter().enumerate().map(|(index, layer)| {
        let tensor = integer.tensor(layer.tensor);
        let samples = compared.iter().map(|sample| &sample.layers[index]);
        let total = samples.fold(LayerComparison::default(), LayerComparison::merge);
        let elements = tensor.elements();
        LayerReport {
            name: layer.name.clone(),
            elements,
            scale: tensor.scale,
            max_error: total.largest,
            mean_error: total.sum / (count * elements as f64).max(1.0),
            signal_to_noise: (total.noise > 0.0).then(|| 10.0 * (total.signal / total.noise).log10()),
            saturated: total.saturated,
        }
    });
    let layers = layers.collect();
    let agreement =
        fraction(compared.iter().filter(|sample| sample.float_class == sample.integer_class).count());
    let accuracy = samples.labels().map(|labels| {
        let hits = |class: fn(&Comparison) -> Option<usize>| {
            let pairs = compared.iter().zip(labels);
            let hit = |(sample, label): &(&Comparison, &i64)| {
                class(sample).is_some_and(|c| i64::try_from(c) == Ok(**label))
            };
            fraction(pairs.filter(hit).count())
        };
        Accuracy { float: hits(|sample| sample.float_class), integer: hits(|sample| sample.integer_class) }
    });
    let (bits, shift) = (integer.bits, integer.shift);
    Ok(QuantisationReport { samples: compared.len(), bits, shift, layers, agreement, accuracy })
}

fn compare_sample(
    float: &FloatGraph,
    integer: &IntegerGraph,
    layers: &[Layer],
    input: &[f32],
) -> Result<Comparison, QuantiseError> {
    let integers = integer.run(&integer.quantise_input(input)?)?;
    let compare_layer = |layer: &Layer, floats: &[f32]| {
        let scale = integer.tensor(layer.tensor).scale;
        let pairs = floats.iter().zip(&integers[layer.tensor.0]);
        let element = |(&float, &integer): (&f32, &i64)| {
            let error = (f64::from(float) - integer as f64 * scale).abs();
            let (signal, noise) = (f64::from(float) * f64::from(float), error * error);
            LayerComparison { largest: error, sum: error, signal, noise, saturated: 0 }
        };
        let total = pairs.map(element).fold(LayerComparison::default(), |total, next| total.merge(&next));
        let saturated = layer.requantised.map_or(0, |from| {
            let outside = |&&acc: &&i64| !from.lossless.contains(requantise(acc, from.shift));
            integers[from.accumulator.0].iter().filter(outside).count() as u64
        });
        LayerComparison { saturated, ..total }
    };
    let mut compared = vec![LayerComparison::default(); layers.len()];
    let mut float_class = None;
    float.run_with(input, |value, floats| {
        let layers = layers.iter().zip(&mut compared).filter(|(layer, _)| layer.value == value);
        layers.for_each(|(layer, compared)| *compared = compare_layer(layer, floats));
        if value == float.output {
            float_class = largest(floats);
        }
    })?;
    Ok(Comparison { layers: compared, float_class, integer_class: largest(&integers[integer.output.0]) })
}

/// Index of the largest value, the first among equals; nothing for none.
#[must_use]
pub fn largest<T: PartialOrd>(values: &[T]) -> Option<usize> {
    let better = |best: usize, index: usize| if values[index] > values[best] { index } else { best };
    (0..values.len()).reduce(better)
}

/// Layers that the report's text names as the worst.
const WORST: usize = 3;

impl QuantisationReport {
    /// The `count` layers with the lowest signal-to-noise ratio, lowest first.
    #[must_use]
    pub fn worst(&self, count: usize) -> Vec<&LayerReport> {
        let mut layers: Vec<&LayerReport> =
            self.layers.iter().filter(|layer| layer.signal_to_noise.is_some()).collect();
        layers.sort_by(|left, right| {
            let ratio = |layer: &LayerReport| layer.signal_to_noise.unwrap_or(f64::INFINITY);
            ratio(left).total_cmp(&ratio(right))
        });
        layers.truncate(count);
        layers
    }
}

impl fmt::Display for QuantisationReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|layer| layer.name.chars().count()).max().unwrap_or(0).max(5);
        writeln!(
            formatter,
            "{:width$}  {:>8}  {:>11}  {:>11}  {:>11}  {:>7}  {:>9}",
            "layer", "elements", "scale", "max error", "mean error", "SNR dB", "saturated"
        )?;
        for layer in &self.layers {
            let LayerReport { name, elements, scale, max_error, mean_error, saturated, .. } = layer;
            let ratio = layer.signal_to_noise.map_or("exact".into(), |ratio| format!("{ratio:.1}"));
            write!(formatter, "{name:width$}  {elements:>8}  {scale:>11.4e}  {max_error:>11.4e}  ")?;
            writeln!(formatter, "{mean_error:>11.4e}  {ratio:>7}  {saturated:>9}")?;
        }
        let named = |layer: &&LayerReport| {
            format!("{} ({:.1} dB)", layer.name, layer.signal_to_noise.unwrap_or(f64::INFINITY))
        };
        let worst: Vec<String> = self.worst(WORST).iter().map(named).collect();
        if !worst.is_empty() {
            writeln!(formatter, "worst layers: {}", worst.join(", "))?;
        }
        let (bits, shift, samples) = (self.bits, self.shift, self.samples);
        write!(formatter, "{samples} samples, {bits}-bit activations, shift {shift}: same class on ")?;
        write!(formatter, "{:.2} %", self.agreement * 100.0)?;
        if let Some(Accuracy { float, integer }) = self.accuracy {
            write!(formatter, ", accuracy {:.2} % float, {:.2} % integer", float * 100.0, integer * 100.0)?;
        }
        Ok(())
    }
}
