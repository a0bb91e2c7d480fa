//! What a change of scale did, for people and for files.

use std::fmt;

use serde::Serialize;

use super::Extent;
use super::groups::Groups;
use super::measure::{Profile, layer_of};
use crate::float_graph::{FloatGraph, FloatNode, FloatOp, ValueId};

/// How a change of scale ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Outcome {
    /// The network has other scales, and computes the same over the calibration set up to rounding.
    Applied,
    /// No group had to be scaled.
    Unchanged,
    /// The scaled network computed something else; the original was kept.
    Undone {
        /// The first layer that differs by more than rounding.
        layer: String,
        /// Its largest difference, relative to its largest magnitude.
        deviation: f64,
    },
}

/// A node through which no factor passes, so that what it reads and makes keeps its scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The node's name.
    pub layer: String,
    /// What it computes.
    pub operation: &'static str,
}

impl Held {
    pub(super) fn of(node: &FloatNode) -> Self {
        let operation = match node.op {
            FloatOp::Pointwise { .. } => "a function that is not homogeneous",
            FloatOp::Multiply { .. } => "a product of two scaled values",
            FloatOp::ArgMax { .. } => "an index",
            _ => "other",
        };
        Self { layer: node.name.clone(), operation }
    }
}

/// Values that are scaled together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupReport {
    /// Names of the nodes that make them, in order.
    pub layers: Vec<String>,
    /// Number of classes, each of which has one factor: channels where each can be scaled on its own.
    pub classes: usize,
    /// Least and greatest of the factors.
    pub factors: (f64, f64),
    /// What the scaled elements were.
    pub before: Extent,
    /// What they are under the new scale.
    pub after: Extent,
}

impl GroupReport {
    /// Whether anything was scaled.
    #[must_use]
    pub fn is_scaled(&self) -> bool {
        self.factors != (1.0, 1.0)
    }
}

/// What a change of scale did. Extents under the new scale are given even if it was undone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TeleportReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The largest magnitude that scaled groups may have, if any was scaled for that.
    pub threshold: Option<f64>,
    /// Largest difference of the outputs before and after, relative to the largest output of the sample.
    pub deviation: f64,
    /// Arguments of all functions (the inputs of ReLUs, for one), before and after; nothing for a network without functions.
    pub functions: Option<(Extent, Extent)>,
    /// All groups whose scale is free, in the order of their first layers.
    pub groups: Vec<GroupReport>,
    /// Nodes through which no factor passes. The network's input and output keep their scales too.
    pub held: Vec<Held>,
}

impl TeleportReport {
    /// Bits by which a table for all functions' arguments gets shorter at the same step.
    #[must_use]
    pub fn saved_bits(&self) -> f64 {
        match self.functions {
            Some((before, after)) if after.span() > 0.0 => (before.span() / after.span()).log2(),
            _ => 0.0,
        }
    }
}

pub(super) fn functions(
    graph: &FloatGraph,
    (before, after): (&Profile, &Profile),
) -> Option<(Extent, Extent)> {
    let any = graph.nodes.iter().any(|node| matches!(node.op, FloatOp::Pointwise { .. }));
    any.then(|| (before.of_functions(graph), after.of_functions(graph)))
}

pub(super) fn groups(
    graph: &FloatGraph,
    groups: &Groups,
    (before, after): (&Profile, &Profile),
    factors: &[f64],
) -> Vec<GroupReport> {
    let report = |bundle: &super::Bundle| {
        let of_bundle = bundle.classes.iter().map(|&class| factors[class as usize]);
        GroupReport {
            layers: bundle.values.iter().map(|&value| layer_of(graph, ValueId(value))).collect(),
            classes: bundle.classes.len(),
            factors: of_bundle.fold((f64::INFINITY, 0.0), |(least, greatest), factor| {
                (least.min(factor), greatest.max(factor))
            }),
            before: before.of_classes(&bundle.classes),
            after: after.of_classes(&bundle.classes),
        }
    };
    groups.bundles.iter().map(report).collect()
}

impl fmt::Display for Extent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "[{:.4}, {:.4}]", self.min, self.max)
    }
}

impl fmt::Display for TeleportReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in self.groups.iter().filter(|group| group.is_scaled()) {
            let GroupReport { layers, classes, factors: (least, greatest), before, after } = group;
            let factors =
                if least == greatest { format!("{least}") } else { format!("{least} to {greatest}") };
            let (first, last) = (layers.first(), layers.last());
            let name = |layer: Option<&String>| layer.cloned().unwrap_or_default();
            let members = match layers.len() {
                1 => name(first),
                count => format!("{} to {} ({count} layers)", name(first), name(last)),
            };
            writeln!(formatter, "{members}: {classes} channels times {factors}, {before} became {after}")?;
        }
        let scaled = self.groups.iter().filter(|group| group.is_scaled()).count();
        write!(formatter, "{scaled} of {} groups scaled", self.groups.len())?;
        if let Some((before, after)) = self.functions {
            write!(formatter, "; functions' arguments {before} became {after}")?;
        }
        match &self.outcome {
            Outcome::Applied => write!(formatter, "; outputs differ by {:.1e}", self.deviation),
            Outcome::Unchanged => Ok(()),
            Outcome::Undone { layer, deviation } => {
                write!(formatter, "; undone: layer `{layer}` differs by {deviation:.1e}")
            }
        }
    }
}
