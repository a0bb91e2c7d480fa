//! What quantisation loses, over an evaluation set.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::super::QuantiseError;
use crate::data::Samples;
use crate::float_graph::{FloatGraph, FloatOp};
use crate::integer_graph::IntegerGraph;
use crate::report::largest;

/// What counts as loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LossMeasure {
    /// [`LossMeasure::Class`] for an output that is a vector of several numbers, or indices; otherwise
    /// [`LossMeasure::RelativeError`].
    #[default]
    Automatic,
    /// The fraction of samples whose largest output is at another place than in the float network; for a network that gives indices,
    /// those where any index differs.
    Class,
    /// Root mean square error of the outputs over that of the float outputs themselves.
    RelativeError,
}

/// What a network loses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Loss {
    /// By the measure chosen.
    pub(super) loss: f64,
    pub(super) relative_error: f64,
}

/// Samples with the float network's outputs.
pub(super) struct Evaluation<'a> {
    samples: Vec<(&'a [f32], Vec<f32>)>,
    measure: LossMeasure,
    /// Whether outputs are indices, which must be equal.
    indices: bool,
}

impl<'a> Evaluation<'a> {
    pub(super) fn of(
        graph: &FloatGraph,
        samples: &Samples<'a>,
        measure: LossMeasure,
    ) -> Result<Self, QuantiseError> {
        let indices = graph
            .nodes
            .iter()
            .any(|node| node.output == graph.output && matches!(node.op, FloatOp::ArgMax { .. }));
        let shape = &graph.values[graph.output.0].shape;
        let vector = shape.iter().filter(|&&size| size > 1).count() == 1;
        let measure = match measure {
            LossMeasure::Automatic if vector || indices => LossMeasure::Class,
            LossMeasure::Automatic => LossMeasure::RelativeError,
            chosen => chosen,
        };
        let inputs: Vec<&'a [f32]> = samples.iter().collect();
        let run = |&input: &&'a [f32]| -> Result<_, QuantiseError> {
            let mut output = Vec::new();
            graph.run_with(input, |id, elements| {
                if id == graph.output {
                    output = elements.to_vec();
                }
            })?;
            Ok((input, output))
        };
        let samples = inputs.par_iter().map(run).collect::<Result<_, _>>()?;
        Ok(Self { samples, measure, indices })
    }

    /// Runs the network on all samples. One that it refuses counts as lost.
    pub(super) fn loss(&self, graph: &IntegerGraph) -> Loss {
        let of_sample = |(input, floats): &(&[f32], Vec<f32>)| {
            let run = || {
                let values = graph.run(&graph.quantise_input(input).ok()?).ok()?;
                Some(graph.dequantise_output(values.get(graph.output.0)?))
            };
            let squares =
                |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
            let signal = squares(&mut floats.iter().map(|&float| f64::from(float)));
            match run() {
                Some(integers) => {
                    let pairs = floats.iter().zip(&integers);
                    let mut errors = pairs.map(|(&a, &b)| f64::from(a) - f64::from(b));
                    let error = squares(&mut errors);
                    let same =
                        if self.indices { error == 0.0 } else { largest(floats) == largest(&integers) };
                    (!same, signal, error)
                }
                None => (true, signal, signal),
            }
        };
        let samples: Vec<(bool, f64, f64)> = self.samples.par_iter().map(of_sample).collect();
        let changed = samples.iter().filter(|sample| sample.0).count() as f64 / samples.len().max(1) as f64;
        let signal: f64 = samples.iter().map(|sample| sample.1).sum();
        let error: f64 = samples.iter().map(|sample| sample.2).sum();
        let relative_error = if error > 0.0 { (error / signal).sqrt() } else { 0.0 };
        let loss = if self.measure == LossMeasure::Class { changed } else { relative_error };
        Loss { loss, relative_error }
    }
}
