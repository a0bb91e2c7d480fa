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

/// Least and greatest real value of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Least.
    pub min: f32,
    /// Greatest.
    pub max: f32,
}

impl Range {
    fn of(values: &[f32]) -> Self {
        let first = values.first().copied().unwrap_or(0.0);
        values.iter().fold(Self { min: first, max: first }, |range, &value| {
            range.hull(Self { min: value, max: value })
        })
    }

    fn hull(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
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
    let hull =
        |one: Vec<Range>, other: Vec<Range>| one.into_iter().zip(other).map(|(a, b)| a.hull(b)).collect();
    Ok(per_sample.into_iter().reduce(hull).unwrap_or_default())
}
