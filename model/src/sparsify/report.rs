//! What pruning did, layer by layer.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::layers::{Layer, parts};
use super::rebuild::Places;
use super::{Method, SparsifyError, Task};
use crate::float_graph::{FloatGraph, FloatGraphError};

/// Why a layer was pruned by another method than the one asked for: always [`Method::Wanda`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fallback {
    /// Its Hessian would be too large.
    Wide {
        /// Inputs of one output.
        columns: usize,
        /// The most that are allowed.
        widest: usize,
    },
    /// All that it reads is zero on the calibration set.
    NoInput,
    /// Its damped Hessian has no inverse in 64-bit floats.
    Singular,
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wide { columns, widest } => {
                write!(f, "it has {columns} inputs for each output, more than {widest}")
            }
            Self::NoInput => write!(f, "its input is zero on the calibration set"),
            Self::Singular => write!(f, "its Hessian is singular, more damping would help"),
        }
    }
}

/// What was done with a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Treatment {
    /// Open to pruning by the method.
    Pruned(Method),
    /// Open to pruning by [`Method::Wanda`], for this reason.
    FellBack(Fallback),
    /// Left alone as the caller asked.
    Excluded,
    /// Left alone as the first layer.
    First,
    /// Left alone as the last layer.
    Last,
    /// Left alone because it only scales elements.
    Scale,
    /// Left alone because its channels cannot be removed: they are tied to the input, the output, an index of a maximum, a layer
    /// that is left alone, or reach a function that makes something of zero.
    Tied,
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pruned(method) => write!(f, "{method:?}"),
            Self::FellBack(reason) => write!(f, "Wanda, as {reason}"),
            Self::Excluded => write!(f, "excluded"),
            Self::First => write!(f, "kept: the first layer"),
            Self::Last => write!(f, "kept: the last layer"),
            Self::Scale => write!(f, "kept: only a scale"),
            Self::Tied => write!(f, "kept: its channels are tied to what must stay"),
        }
    }
}

/// One layer before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSparsity {
    /// The node's name.
    pub name: String,
    /// What was done with it.
    pub treatment: Treatment,
    /// Weights before.
    pub weights: usize,
    /// Zeros among them.
    pub zeros_before: usize,
    /// Weights that do nothing any more, of those before: zeros, and weights removed with their channels.
    pub zeros_after: usize,
    /// Outputs for each position, or channels, before.
    pub rows_before: usize,
    /// The same after.
    pub rows_after: usize,
    /// How far the layer's output inside the pruned network is from that in the given one: norm of the difference over norm, on
    /// the calibration set, removed channels counting as zero. It has the errors of the layers before in it. 0 where both are
    /// zero.
    pub error: f64,
}

/// What pruning did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SparsityReport {
    /// Every layer with weights, in order.
    pub layers: Vec<LayerSparsity>,
    /// The same error as that of a layer, for the network's output.
    pub error: f64,
    /// Cost of all layers before, by the given measure.
    pub cost_before: f64,
    /// The same after.
    pub cost_after: f64,
}

impl SparsityReport {
    /// Part of all weights that do nothing any more, 0 to 1; 0 without weights.
    #[must_use]
    pub fn sparsity(&self) -> f64 {
        let sum = |of: fn(&LayerSparsity) -> usize| self.layers.iter().map(of).sum::<usize>() as f64;
        let weights = sum(|layer| layer.weights);
        if weights > 0.0 { sum(|layer| layer.zeros_after) / weights } else { 0.0 }
    }
}

impl fmt::Display for SparsityReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "layer | weights | zeros before | after | outputs | error | how")?;
        for layer in &self.layers {
            let LayerSparsity { name, weights, zeros_before, zeros_after, rows_before, rows_after, .. } =
                layer;
            let (error, treatment) = (layer.error, layer.treatment);
            let rows = match rows_before == rows_after {
                true => rows_before.to_string(),
                false => format!("{rows_before} to {rows_after}"),
            };
            writeln!(
                f,
                "{name} | {weights} | {zeros_before} | {zeros_after} | {rows} | {error:.4} | {treatment}"
            )?;
        }
        let (percent, error) = (100.0 * self.sparsity(), self.error);
        write!(f, "{percent:.1} % of all weights are zero or gone; the output's relative error is {error:.4}")
    }
}

/// Squares of a difference and of what it is compared with.
#[derive(Clone, Copy, Debug, Default)]
struct Squares {
    difference: f64,
    whole: f64,
}

impl Squares {
    fn add(&mut self, before: f32, after: f32) {
        let (before, difference) = (f64::from(before), f64::from(before) - f64::from(after));
        self.difference += difference * difference;
        self.whole += before * before;
    }

    fn error(self) -> f64 {
        if self.difference == 0.0 { 0.0 } else { (self.difference / self.whole).sqrt() }
    }
}

/// The given network's outputs for the samples that errors are measured on.
pub(super) struct Reference(Vec<Vec<f32>>);

/// Runs the given network on the samples that errors are measured on.
pub(super) fn reference(task: &Task) -> Result<Reference, SparsifyError> {
    Ok(Reference(outputs(task, task.graph)?))
}

fn outputs(task: &Task, graph: &FloatGraph) -> Result<Vec<Vec<f32>>, FloatGraphError> {
    let samples: Vec<&[f32]> = task.samples.iter().take(task.options.samples).collect();
    let output = |sample: &&[f32]| {
        let mut output = Vec::new();
        graph.run_with(sample, |id, values| {
            if id == graph.output {
                output = values.to_vec();
            }
        })?;
        Ok(output)
    };
    samples.par_iter().map(output).collect()
}

/// Squared error of the network's outputs over some samples, relative to their squares.
pub(super) fn output_error(
    task: &Task,
    reference: &Reference,
    changed: &FloatGraph,
) -> Result<f64, SparsifyError> {
    let mut total = Squares::default();
    for (before, after) in reference.0.iter().zip(outputs(task, changed)?) {
        before.iter().zip(after).for_each(|(&before, after)| total.add(before, after));
    }
    Ok(total.error().powi(2))
}

/// Compares the networks; `places` says where elements went, if any are gone.
pub(super) fn report(
    task: &Task,
    layers: &[Layer],
    pruned: &FloatGraph,
    places: Option<&Places>,
) -> Result<SparsityReport, SparsifyError> {
    let graph = task.graph;
    let mut watched: Vec<usize> = layers.iter().map(|layer| graph.nodes[layer.node].output.0).collect();
    watched.push(graph.output.0);
    let mut squares = vec![Squares::default(); watched.len()];
    for sample in task.samples.iter() {
        let collect = |graph: &FloatGraph| {
            let mut values = vec![Vec::new(); watched.len()];
            graph.run_with(sample, |id, elements| {
                let own = watched.iter().zip(&mut values).filter(|(watched, _)| **watched == id.0);
                own.for_each(|(_, value)| *value = elements.to_vec());
            })?;
            Ok::<_, FloatGraphError>(values)
        };
        let (before, after) = (collect(graph)?, collect(pruned)?);
        for (at, value) in watched.iter().enumerate() {
            for (element, &old) in before[at].iter().enumerate() {
                let place = places.map_or(Some(element), |places| places.of(*value, element));
                squares[at].add(old, place.map_or(0.0, |place| after[at][place]));
            }
        }
    }
    let cost = |graph: &FloatGraph| {
        layers.iter().map(|layer| (task.cost)(&super::layers::size(graph, layer.node))).sum()
    };
    let list = layers.iter().zip(&squares).map(|(layer, squares)| compared(layer, graph, pruned, *squares));
    Ok(SparsityReport {
        layers: list.collect(),
        error: squares.last().copied().unwrap_or_default().error(),
        cost_before: cost(graph),
        cost_after: cost(pruned),
    })
}

fn compared(layer: &Layer, graph: &FloatGraph, pruned: &FloatGraph, squares: Squares) -> LayerSparsity {
    let count = |graph: &FloatGraph| {
        parts(&graph.nodes[layer.node]).map_or((0, 0, 0), |parts| {
            let nonzero = parts.weights.values.iter().filter(|&&weight| weight != 0.0).count();
            (parts.weights.values.len(), nonzero, parts.weights.rows)
        })
    };
    let ((weights, before, rows_before), (_, after, rows_after)) = (count(graph), count(pruned));
    LayerSparsity {
        name: layer.name.clone(),
        treatment: layer.treatment,
        weights,
        zeros_before: weights - before,
        zeros_after: weights - after,
        rows_before,
        rows_after,
        error: squares.error(),
    }
}
