//! What the calibration set shows: ranges of classes and values, and whether two networks compute the same.

use rayon::prelude::*;

use super::groups::Groups;
use super::{Extent, TeleportError};
use crate::data::Samples;
use crate::float_graph::{FloatGraph, FloatOp, ValueId};

/// Ranges and mean squares over a set of samples.
#[derive(Clone, Debug, Default)]
pub(super) struct Profile {
    /// For each class, over all elements of all values that are in it.
    pub(super) classes: Vec<Extent>,
    /// For each value, over all its elements.
    pub(super) values: Vec<Extent>,
    /// For each value, over all its elements.
    pub(super) mean_squares: Vec<f64>,
    /// For each node that is linear, over the channels or columns that it reads.
    pub(super) channels: Vec<Channels>,
    samples: usize,
}

/// Magnitudes of the channels that a linear operation reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Channels {
    pub(super) maxima: Vec<f32>,
    pub(super) squares: Vec<f64>,
}

impl Profile {
    fn empty(graph: &FloatGraph, groups: &Groups) -> Self {
        let values = graph.values.len();
        Self {
            classes: vec![Extent::default(); groups.count],
            values: vec![Extent::default(); values],
            mean_squares: vec![0.0; values],
            channels: vec![Channels::default(); graph.nodes.len()],
            samples: 0,
        }
    }

    /// Takes in a value of one sample.
    fn see(&mut self, groups: &Groups, id: ValueId, elements: &[f32]) {
        let mut whole = Extent::default();
        for (&element, class) in elements.iter().zip(groups.of_value(id)) {
            whole.see(element);
            if let Some(class) = class {
                self.classes[*class as usize].see(element);
            }
        }
        self.values[id.0].join(whole);
        self.mean_squares[id.0] += mean_square(elements);
    }

    fn merge(&mut self, other: &Self) {
        let extents = self.classes.iter_mut().zip(&other.classes);
        let extents = extents.chain(self.values.iter_mut().zip(&other.values));
        extents.for_each(|(extent, other)| extent.join(*other));
        self.mean_squares.iter_mut().zip(&other.mean_squares).for_each(|(sum, other)| *sum += other);
        for (channels, other) in self.channels.iter_mut().zip(&other.channels) {
            channels.maxima.resize(other.maxima.len(), 0.0);
            channels.squares.resize(other.squares.len(), 0.0);
            channels.maxima.iter_mut().zip(&other.maxima).for_each(|(max, other)| *max = max.max(*other));
            channels.squares.iter_mut().zip(&other.squares).for_each(|(sum, other)| *sum += other);
        }
        self.samples += other.samples;
    }

    fn finish(mut self) -> Self {
        let samples = self.samples.max(1) as f64;
        self.mean_squares.iter_mut().for_each(|sum| *sum /= samples);
        let squares = self.channels.iter_mut().flat_map(|channels| &mut channels.squares);
        squares.for_each(|sum| *sum /= samples);
        self
    }

    /// The hull of the extents of some classes.
    pub(super) fn of_classes(&self, classes: &[u32]) -> Extent {
        let mut hull = Extent::default();
        classes.iter().for_each(|&class| hull.join(self.classes[class as usize]));
        hull
    }

    /// The hull of the extents of all arguments of functions: what a table that all of them share must hold.
    pub(super) fn of_functions(&self, graph: &FloatGraph) -> Extent {
        let mut hull = Extent::default();
        for node in &graph.nodes {
            if let FloatOp::Pointwise { input, .. } = node.op {
                hull.join(self.values[input.0]);
            }
        }
        hull
    }
}

fn mean_square(elements: &[f32]) -> f64 {
    let sum: f64 = elements.iter().map(|&element| f64::from(element) * f64::from(element)).sum();
    sum / elements.len().max(1) as f64
}

impl Channels {
    /// The channels of a value, each a run of elements; or with `period` every so many elements apart.
    fn of(elements: &[f32], count: usize, period: bool) -> Self {
        let mut channels = Self { maxima: vec![0.0; count], squares: vec![0.0; count] };
        let run = (elements.len() / count.max(1)).max(1);
        for (index, &element) in elements.iter().enumerate() {
            let channel = if period { index % count.max(1) } else { index / run };
            channels.maxima[channel] = channels.maxima[channel].max(element.abs());
            channels.squares[channel] += f64::from(element) * f64::from(element) / run as f64;
        }
        channels
    }
}

/// Runs the network on all samples.
pub(super) fn profile(
    graph: &FloatGraph,
    groups: &Groups,
    samples: &Samples,
) -> Result<Profile, TeleportError> {
    let of_sample = |(sample, input): &(usize, &[f32])| -> Result<Profile, TeleportError> {
        let mut seen = Profile { samples: 1, ..Profile::empty(graph, groups) };
        let mut broken = None;
        graph.run_with(input, |id, elements| {
            if let Some(&value) = elements.iter().find(|value| !value.is_finite()) {
                broken = broken.or(Some((id, value)));
            }
            seen.see(groups, id, elements);
            for (node, channels) in graph.nodes.iter().zip(&mut seen.channels) {
                match &node.op {
                    FloatOp::Linear { input, weights, .. } if *input == id => {
                        *channels = Channels::of(elements, weights.columns, true);
                    }
                    FloatOp::Convolution { input, .. } if *input == id => {
                        *channels = Channels::of(elements, graph.values[id.0].shape[0], false);
                    }
                    _ => {}
                }
            }
        })?;
        match broken {
            Some((id, value)) => {
                let layer = layer_of(graph, id);
                Err(TeleportError::NotFinite { layer, sample: *sample, value })
            }
            None => Ok(seen),
        }
    };
    let inputs: Vec<(usize, &[f32])> = samples.iter().enumerate().collect();
    let mut total = Profile::empty(graph, groups);
    for few in inputs.chunks(rayon::current_num_threads().max(4)) {
        for seen in few.par_iter().map(of_sample).collect::<Vec<_>>() {
            total.merge(&seen?);
        }
    }
    Ok(total.finish())
}

/// The name of the node that makes a value; the value's own for the input.
pub(super) fn layer_of(graph: &FloatGraph, id: ValueId) -> String {
    let node = graph.nodes.iter().find(|node| node.output == id);
    node.map_or(&graph.values[id.0].name, |node| &node.name).clone()
}

/// Two networks side by side.
pub(super) struct Comparison {
    /// For each value, the largest difference relative to the value's largest magnitude, both in the first network's scale;
    /// infinite where the second is not finite.
    pub(super) deviations: Vec<f64>,
    /// What the second network's values are.
    pub(super) profile: Profile,
}

/// Compares a network with one whose elements are multiplied by the factors of their classes.
pub(super) fn compare(
    (before, after): (&FloatGraph, &FloatGraph),
    (groups, factors): (&Groups, &[f64]),
    samples: &Samples,
) -> Result<Comparison, TeleportError> {
    let of_sample = |input: &&[f32]| -> Result<Comparison, TeleportError> {
        let expected = before.run(input)?;
        let mut deviations = vec![0.0; before.values.len()];
        let mut profile = Profile { samples: 1, ..Profile::empty(after, groups) };
        after.run_with(input, |id, elements| {
            profile.see(groups, id, elements);
            deviations[id.0] = deviation(&expected[id.0], elements, |at| groups.factor(factors, id, at));
        })?;
        Ok(Comparison { deviations, profile })
    };
    let inputs: Vec<&[f32]> = samples.iter().collect();
    let profile = Profile::empty(after, groups);
    let mut total = Comparison { deviations: vec![0.0; before.values.len()], profile };
    for few in inputs.chunks(rayon::current_num_threads().max(4)) {
        for sample in few.par_iter().map(of_sample).collect::<Vec<_>>() {
            let Comparison { deviations, profile } = sample?;
            let pairs = total.deviations.iter_mut().zip(deviations);
            pairs.for_each(|(largest, deviation)| *largest = largest.max(deviation));
            total.profile.merge(&profile);
        }
    }
    total.profile = total.profile.finish();
    Ok(total)
}

fn deviation(expected: &[f32], found: &[f32], factor: impl Fn(usize) -> f64) -> f64 {
    let largest = expected.iter().fold(0.0f64, |largest, &value| largest.max(f64::from(value).abs()));
    let pairs = expected.iter().zip(found).enumerate();
    let differences = pairs.map(|(at, (&expected, &found))| {
        let difference = (f64::from(found) / factor(at) - f64::from(expected)).abs();
        if difference.is_finite() { difference } else { f64::INFINITY }
    });
    let difference = differences.fold(0.0, f64::max);
    if difference > 0.0 { difference / largest } else { 0.0 }
}
