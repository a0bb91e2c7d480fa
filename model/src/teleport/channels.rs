//! Balancing the channels of one or several values that linear operations read: a channel much smaller than the others has few
//! integers of the scale that all of them share.
//!
//! With `r` the largest magnitude of a channel and `v` that of the weights that read it, the factor `sqrt(r / v)` balances the
//! rounding of activations, which wants channels alike, with that of weights, which wants columns alike. A depthwise
//! convolution has its own weight scale for each channel: there the factor is `r`. The factors are used if the noise that
//! both kinds of rounding are predicted to make in the results falls by at least [`GAIN`].

use super::groups::each_weight;
use crate::convolution::Convolution;
use crate::float_graph::FloatMatrix;
use crate::quantise::weights::WEIGHT_LIMIT;

/// Part of the predicted noise that must go.
const GAIN: f64 = 0.1;
/// Factors are at most so far from one another.
const SPREAD: f64 = 256.0;

/// A linear operation that reads channels.
pub(crate) struct Reader<'a> {
    /// How its columns meet the channels; nothing for a linear layer, whose columns are the channels.
    pub(crate) geometry: Option<&'a Convolution>,
    /// Its weights.
    pub(crate) weights: &'a FloatMatrix,
    /// Largest magnitude of each channel.
    pub(crate) maxima: &'a [f32],
    /// Mean square of each channel.
    pub(crate) squares: &'a [f64],
    /// The class that each channel belongs to; nothing where its scale is held.
    pub(crate) classes: Vec<Option<usize>>,
}

impl Reader<'_> {
    /// Calls `visit(row, channel, weight)` for every weight.
    fn each_weight(&self, mut visit: impl FnMut(usize, usize, f64)) {
        match self.geometry {
            Some(geometry) => each_weight(geometry, self.weights, self.maxima.len(), visit),
            None => {
                for row in 0..self.weights.rows {
                    let columns = self.weights.row(row).iter().enumerate();
                    columns.for_each(|(column, &weight)| visit(row, column, f64::from(weight)));
                }
            }
        }
    }

    fn depthwise(&self) -> bool {
        self.geometry.is_some_and(|geometry| geometry.groups == self.maxima.len())
    }

    fn factor(&self, factors: &[f64], channel: usize) -> f64 {
        self.classes[channel].map_or(1.0, |class| factors[class])
    }

    /// The operation's noise, as the sum of its rows' variances, once channels are divided by the factors.
    fn noise(&self, factors: &[f64], bits: u32) -> f64 {
        let channels = self.maxima.iter().enumerate();
        let magnitudes =
            channels.map(|(channel, &magnitude)| f64::from(magnitude) / self.factor(factors, channel));
        let step = magnitudes.fold(0.0, f64::max) / f64::from(1u32 << bits);
        // For each row: the largest weight, the sums of squares of weights and of what they meet.
        let mut rows = vec![(0.0f64, 0.0, 0.0); self.weights.rows];
        self.each_weight(|row, channel, weight| {
            let factor = self.factor(factors, channel);
            let (weight, (largest, squares, met)) = (weight * factor, &mut rows[row]);
            *largest = largest.max(weight.abs());
            *squares += weight * weight;
            *met += self.squares[channel] / (factor * factor);
        });
        let row = |(largest, squares, met): (f64, f64, f64)| {
            let weight_step = largest / WEIGHT_LIMIT;
            (step * step * squares + weight_step * weight_step * met) / 12.0
        };
        rows.into_iter().map(row).sum()
    }
}

/// A power of two for each of so many classes, at most one, by which dividing its channels makes less noise in activations of
/// `bits` bits and in weights; nothing if no choice helps enough.
pub(crate) fn balance(readers: &[Reader], classes: usize, bits: u32) -> Option<Vec<f64>> {
    let (mut magnitudes, mut weights) = (vec![0.0f64; classes], vec![0.0f64; classes]);
    for reader in readers {
        for (class, &magnitude) in reader.classes.iter().zip(reader.maxima) {
            class.iter().for_each(|&class| magnitudes[class] = magnitudes[class].max(f64::from(magnitude)));
        }
        reader.each_weight(|_, channel, weight| {
            let class = reader.classes[channel];
            class.iter().for_each(|&class| weights[class] = weights[class].max(weight.abs()));
        });
    }
    let depthwise = readers.iter().any(Reader::depthwise);
    let wanted = magnitudes
        .iter()
        .zip(&weights)
        .map(|(&magnitude, &weight)| if depthwise { magnitude } else { (magnitude / weight).sqrt() });
    let wanted: Vec<f64> = wanted.collect();
    let usable = |factor: &f64| factor.is_finite() && *factor > 0.0;
    let greatest = wanted.iter().copied().filter(usable).reduce(f64::max)?;
    // Dead channels and channels that nothing reads stay as they are.
    let factors = wanted
        .into_iter()
        .map(|factor| if usable(&factor) { (factor / greatest).max(1.0 / SPREAD) } else { 1.0 });
    // Powers of two leave the float network's rounding as it was.
    let factors: Vec<f64> = factors.map(|factor| factor.log2().round().exp2()).collect();
    let noise = |factors: &[f64]| readers.iter().map(|reader| reader.noise(factors, bits)).sum::<f64>();
    (noise(&factors) < (1.0 - GAIN) * noise(&vec![1.0; classes])).then_some(factors)
}
