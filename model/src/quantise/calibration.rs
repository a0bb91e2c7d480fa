//! The range of every value over a calibration set.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::QuantiseError;
use crate::data::Samples;
use crate::float_graph::FloatGraph;

/// How a value's range is taken from the calibration set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Calibration {
    /// Least and greatest value seen.
    #[default]
    MinMax,
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

impl Range {
    fn of(values: &[f32]) -> Self {
        let min = values.iter().copied().reduce(f32::min).unwrap_or(0.0);
        let max = values.iter().copied().reduce(f32::max).unwrap_or(0.0);
        let squares: f64 = values.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
        Self { min, max, mean_square: squares / values.len().max(1) as f64 }
    }

    /// The range over all samples, from that of each; their order fixes the rounding.
    fn over(samples: impl Iterator<Item = Self> + Clone) -> Self {
        let min = samples.clone().map(|range| range.min).reduce(f32::min).unwrap_or(0.0);
        let max = samples.clone().map(|range| range.max).reduce(f32::max).unwrap_or(0.0);
        let count = samples.clone().count().max(1) as f64;
        Self { min, max, mean_square: samples.map(|range| range.mean_square).sum::<f64>() / count }
    }
}

/// The range of each value of the graph, indexed as its values are.
pub(super) fn ranges(
    graph: &FloatGraph,
    samples: &Samples,
    calibration: &Calibration,
) -> Result<Vec<Range>, QuantiseError> {
    let Calibration::MinMax = calibration;
    let samples: Vec<&[f32]> = samples.iter().collect();
    let of_sample = |(sample, input): (usize, &&[f32])| {
        let values = graph.run(input)?;
        for (id, elements) in values.iter().enumerate() {
            if let Some(&value) = elements.iter().find(|value| !value.is_finite()) {
                let node = graph.nodes.iter().find(|node| node.output.0 == id);
                let layer = node.map_or(&graph.values[id].name, |node| &node.name).clone();
                return Err(QuantiseError::NotFinite { layer, sample, value });
            }
        }
        Ok(values.iter().map(|elements| Range::of(elements)).collect::<Vec<_>>())
    };
    let per_sample: Vec<Vec<Range>> =
        samples.par_iter().enumerate().map(of_sample).collect::<Result<_, _>>()?;
    let value = |id: usize| Range::over(per_sample.iter().map(move |ranges| ranges[id]));
    Ok((0..graph.values.len()).map(value).collect())
}
