//! Float against integer, over a set of samples.

use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use crate::data::Samples;
use crate::float_graph::{FloatGraph, FloatGraphError, FloatOp};
use crate::input::InputError;
use crate::integer_graph::{IntegerGraph, IntegerOp, Interval, Product, TensorId};
use crate::interpreter::RunError;
use crate::quantise::{QuantiseError, emit::Layer};
use crate::rounding::requantise;
use crate::teleport::Extent;

/// How a layer's integers compare with its floats.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// The ONNX node's name.
    pub name: String,
    /// Elements of one sample.
    pub elements: usize,
    /// Real value of one.
    pub scale: f64,
    /// Least and greatest float over the samples, in the network that was turned into integers: after any change of scale.
    pub range: Extent,
    /// Bits of the integers that the layer can give: of an activation, or of an output that stays an accumulator.
    pub bits: u32,
    /// Largest absolute error, in real units.
    pub max_error: f64,
    /// Mean absolute error, in real units.
    pub mean_error: f64,
    /// Mean square of the floats over that of the errors, in decibels; nothing if there is no error at all.
    pub signal_to_noise: Option<f64>,
    /// Elements, over all samples, that left the representable range and were cut to it. A ReLU's or Clip's own
    /// cut does not count.
    pub saturated: u64,
    /// The integer network's tensor that holds it.
    #[serde(skip)]
    pub tensor: TensorId,
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
    range: Extent,
}

impl LayerComparison {
    fn merge(mut self, other: &Self) -> Self {
        self.range.join(other.range);
        Self {
            range: self.range,
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
            range: total.range,
            bits: bits(tensor.interval),
            max_error: total.largest,
            mean_error: total.sum / (count * elements as f64).max(1.0),
            signal_to_noise: (total.noise > 0.0).then(|| 10.0 * (total.signal / total.noise).log10()),
            saturated: total.saturated,
            tensor: layer.tensor,
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
            let range = Extent { min: float, max: float };
            LayerComparison { largest: error, sum: error, signal, noise, saturated: 0, range }
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

/// Bits of an integer that can be anything in an interval.
#[must_use]
pub fn bits(interval: Interval) -> u32 {
    u64::BITS - interval.max.abs_diff(interval.min).leading_zeros()
}

/// An integer network beside a float one, over a set of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Number of samples.
    pub samples: usize,
    /// Samples that the integer network does not take, since the input or what follows from it lies outside the calibrated ranges.
    /// They count as lost in the fractions, and not at all in the errors.
    pub refused: usize,
    /// Fraction of samples where both networks' largest output is at the same place; where the output is an index, the same
    /// index.
    pub agreement: f64,
    /// With labels: fraction of samples whose largest output is at the label.
    pub accuracy: Option<Accuracy>,
    /// Root mean square of the differences of the outputs, in real units.
    pub error: f64,
    /// Mean square of the float outputs over that of the differences, in decibels; nothing if there is no difference.
    pub signal_to_noise: Option<f64>,
}

/// What one sample shows of two networks' outputs.
#[derive(Clone, Copy)]
struct OutputComparison {
    /// The float network's class and the integer network's.
    classes: (Option<usize>, Option<usize>),
    refused: bool,
    signal: f64,
    noise: f64,
}

/// Compares the outputs of a float network and of an integer one, which need not have been made from it, on samples that the integer
/// network may refuse. The result does not depend on the number of threads.
///
/// # Errors
/// [`QuantiseError`]: samples of another shape, a malformed network.
pub fn evaluate(
    float: &FloatGraph,
    integer: &IntegerGraph,
    samples: &Samples,
) -> Result<Evaluation, QuantiseError> {
    let inputs: Vec<&[f32]> = samples.iter().collect();
    let compared = inputs.par_iter().map(|input| compare_outputs(float, integer, input));
    let compared: Vec<OutputComparison> = compared.collect::<Result<_, _>>()?;
    let count = compared.len();
    let sum = |of: fn(&OutputComparison) -> f64| compared.iter().map(of).sum::<f64>();
    let fraction = |hit: &dyn Fn(usize, &OutputComparison) -> bool| {
        compared.iter().enumerate().filter(|(at, sample)| hit(*at, sample)).count() as f64
            / count.max(1) as f64
    };
    let accuracy = samples.labels().map(|labels| {
        let labelled = |at: usize, class: Option<usize>| {
            class.is_some_and(|class| i64::try_from(class).ok().as_ref() == labels.get(at))
        };
        Accuracy {
            float: fraction(&|at, sample| labelled(at, sample.classes.0)),
            integer: fraction(&|at, sample| labelled(at, sample.classes.1)),
        }
    });
    let refused = compared.iter().filter(|sample| sample.refused).count();
    let (signal, noise) = (sum(|sample| sample.signal), sum(|sample| sample.noise));
    let outputs = (count - refused) * float.values[float.output.0].elements();
    Ok(Evaluation {
        samples: count,
        refused,
        agreement: fraction(&|_, sample| !sample.refused && sample.classes.0 == sample.classes.1),
        accuracy,
        error: (noise / outputs.max(1) as f64).sqrt(),
        signal_to_noise: (noise > 0.0).then(|| 10.0 * (signal / noise).log10()),
    })
}

fn compare_outputs(
    float: &FloatGraph,
    integer: &IntegerGraph,
    input: &[f32],
) -> Result<OutputComparison, QuantiseError> {
    let mut floats = Vec::new();
    float.run_with(input, |value, elements| {
        if value == float.output {
            floats = elements.to_vec();
        }
    })?;
    let index = |op: &FloatOp| matches!(op, FloatOp::ArgMax { .. });
    let indices = float.nodes.iter().any(|node| node.output == float.output && index(&node.op));
    let class = |values: &[f32]| match values {
        // An index is the class itself.
        [value] if indices => Some(*value as usize),
        values => largest(values),
    };
    let lost = OutputComparison { classes: (class(&floats), None), refused: true, signal: 0.0, noise: 0.0 };
    let integers = match integer.quantise_input(input) {
        Err(InputError::OutOfRange { .. } | InputError::NotFinite { .. }) => return Ok(lost),
        Err(error) => return Err(error.into()),
        Ok(quantised) => match integer.run(&quantised) {
            Err(RunError::OutOfDomain { .. }) => return Ok(lost),
            result => integer.dequantise_output(&result?.swap_remove(integer.output.0)),
        },
    };
    let square = |value: f64| value * value;
    let pairs = floats.iter().zip(&integers);
    Ok(OutputComparison {
        classes: (class(&floats), class(&integers)),
        refused: false,
        signal: floats.iter().map(|&value| square(f64::from(value))).sum(),
        noise: pairs.map(|(&float, &integer)| square(f64::from(float) - f64::from(integer))).sum(),
    })
}

/// Least and greatest element of each value of a float network over the samples, as its values are numbered.
///
/// # Errors
/// [`FloatGraphError`]: samples of another shape, a malformed network.
pub fn ranges(graph: &FloatGraph, samples: &Samples) -> Result<Vec<Extent>, FloatGraphError> {
    let inputs: Vec<&[f32]> = samples.iter().collect();
    let of_sample = |input: &&[f32]| {
        let mut seen = vec![Extent::default(); graph.values.len()];
        graph.run_with(input, |id, elements| elements.iter().for_each(|&element| seen[id.0].see(element)))?;
        Ok(seen)
    };
    let seen: Vec<Vec<Extent>> = inputs.par_iter().map(of_sample).collect::<Result<_, FloatGraphError>>()?;
    let mut all = vec![Extent::default(); graph.values.len()];
    for sample in seen {
        all.iter_mut().zip(sample).for_each(|(extent, other)| extent.join(other));
    }
    Ok(all)
}

/// Weights of a node's products and how many of them are zero, as a circuit has them: after rounding, multiplied by the row's factor.
/// Nothing for a node without weights.
#[must_use]
pub fn weights(op: &IntegerOp) -> Option<(usize, usize)> {
    let IntegerOp::Linear { products, .. } = op else { return None };
    let zeros = |product: &Product| {
        let rows = product.multipliers.iter().enumerate();
        let zero = |(row, multiplier): (usize, &i64)| {
            product.weights.row(row).iter().filter(|&&weight| weight == 0 || *multiplier == 0).count()
        };
        rows.map(zero).sum::<usize>()
    };
    let total = products.iter().map(|product| product.weights.values.len()).sum();
    Some((total, products.iter().map(zeros).sum()))
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
