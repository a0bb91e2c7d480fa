//! The layers of a network that have weights to prune.

use std::collections::HashSet;

use super::{SparsifyError, SparsifyOptions, Treatment};
use crate::convolution::Convolution;
use crate::float_graph::{FloatGraph, FloatMatrix, FloatNode, FloatOp, ValueId};

/// What a layer's cost is computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSize<'a> {
    /// The node's name.
    pub name: &'a str,
    /// Weights in all.
    pub weights: usize,
    /// Weights other than zero.
    pub nonzero: usize,
    /// Elements of the result.
    pub outputs: usize,
    /// How often each weight is used for one sample.
    pub positions: usize,
}

/// A layer, and what becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// Index of its node.
    pub(super) node: usize,
    pub(super) name: String,
    pub(super) treatment: Treatment,
}

impl Layer {
    pub(super) fn prunable(&self) -> bool {
        matches!(self.treatment, Treatment::Pruned(_) | Treatment::FellBack(_))
    }
}

/// A layer's parts.
pub(super) struct Parts<'a> {
    pub(super) input: ValueId,
    /// Nothing for a linear layer.
    pub(super) geometry: Option<&'a Convolution>,
    pub(super) weights: &'a FloatMatrix,
}

impl Parts<'_> {
    pub(super) fn groups(&self) -> usize {
        self.geometry.map_or(1, |geometry| geometry.groups)
    }
}

/// The node as a layer, if it has weights.
pub(super) fn parts(node: &FloatNode) -> Option<Parts<'_>> {
    match &node.op {
        FloatOp::Linear { input, weights, .. } => Some(Parts { input: *input, geometry: None, weights }),
        FloatOp::Convolution { input, geometry, weights, .. } => {
            Some(Parts { input: *input, geometry: Some(geometry), weights })
        }
        _ => None,
    }
}

/// Its weights and bias, to change.
pub(super) fn parts_mut(node: &mut FloatNode) -> Option<(&mut FloatMatrix, &mut Vec<f32>)> {
    match &mut node.op {
        FloatOp::Linear { weights, bias, .. } | FloatOp::Convolution { weights, bias, .. } => {
            Some((weights, bias))
        }
        _ => None,
    }
}

/// A layer's size in a graph.
pub(super) fn size(graph: &FloatGraph, node: usize) -> LayerSize<'_> {
    let node = &graph.nodes[node];
    let outputs = graph.values[node.output.0].elements();
    let (weights, nonzero, rows) = parts(node).map_or((0, 0, 1), |parts| {
        let nonzero = parts.weights.values.iter().filter(|&&weight| weight != 0.0).count();
        (parts.weights.values.len(), nonzero, parts.weights.rows)
    });
    let positions = outputs.checked_div(rows).unwrap_or(0);
    LayerSize { name: &node.name, weights, nonzero, outputs, positions }
}

/// All layers in order, with those that stay as they are marked.
pub(super) fn layers(graph: &FloatGraph, options: &SparsifyOptions) -> Result<Vec<Layer>, SparsifyError> {
    let mut layers: Vec<Layer> = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let Some(parts) = parts(node) else { continue };
        // One weight for each output: a scale, not a product.
        let scales = parts.weights.columns == 1 && parts.groups() == parts.weights.rows;
        let treatment = if scales { Treatment::Scale } else { Treatment::Pruned(options.method) };
        layers.push(Layer { node: index, name: node.name.clone(), treatment });
    }
    let known: HashSet<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    if let Some(name) = options.excluded.iter().find(|name| !known.contains(name.as_str())) {
        let known = layers.iter().map(|layer| layer.name.clone()).collect();
        return Err(SparsifyError::UnknownLayer { name: name.clone(), known });
    }
    let products = |layer: &&mut Layer| layer.treatment != Treatment::Scale;
    if !options.ends {
        if let Some(last) = layers.iter_mut().rev().find(products) {
            last.treatment = Treatment::Last;
        }
        if let Some(first) = layers.iter_mut().find(products) {
            first.treatment = Treatment::First;
        }
    }
    for layer in layers.iter_mut().filter(|layer| options.excluded.contains(&layer.name)) {
        layer.treatment = Treatment::Excluded;
    }
    if layers.iter().any(Layer::prunable) { Ok(layers) } else { Err(nothing(graph, &layers)) }
}

pub(super) fn nothing(graph: &FloatGraph, layers: &[Layer]) -> SparsifyError {
    let list: Vec<String> =
        layers.iter().map(|layer| format!("`{}` {}", layer.name, layer.treatment)).collect();
    let layers = if list.is_empty() { "no layer has weights".into() } else { list.join(", ") };
    SparsifyError::NothingToPrune { name: graph.name.clone(), layers }
}
