//! Pruning of single weights: layer after layer, each with the statistics of the network as it is then.

use super::allocate::{LEVELS, Point, allocate};
use super::layers::{Layer, parts, parts_mut, size};
use super::report::{output_error, reference};
use super::statistics::{Statistics, batches, statistics};
use super::{Allocation, Fallback, Method, Pattern, SparsifyError, Task, Treatment, obs, select};
use crate::float_graph::FloatGraph;

/// The network with the layers pruned; notes in them where the method falls back.
pub(super) fn prune(task: &Task, layers: &mut [Layer]) -> Result<FloatGraph, SparsifyError> {
    let mut graph = task.graph.clone();
    let sparsities = sparsities(task, layers)?;
    let open: Vec<usize> = (0..layers.len()).filter(|&at| layers[at].prunable()).collect();
    let wanted: Vec<(usize, bool)> =
        open.iter().map(|&at| (layers[at].node, note_width(task, &mut layers[at]))).collect();
    let mut open = open.into_iter();
    for batch in batches(&graph, &wanted) {
        let seen = match task.options.method {
            Method::Magnitude => Vec::new(),
            _ => statistics(&graph, task, batch)?,
        };
        for (index, at) in open.by_ref().take(batch.len()).enumerate() {
            one(&mut graph, task, &mut layers[at], (seen.get(index), sparsities[at]));
        }
    }
    Ok(graph)
}

/// Whether the layer's Hessian is wanted; notes in the layer if it is too wide for that.
pub(super) fn note_width(task: &Task, layer: &mut Layer) -> bool {
    if task.options.method != Method::Obs {
        return false;
    }
    let columns = parts(&task.graph.nodes[layer.node]).map_or(0, |parts| parts.weights.columns);
    let narrow = columns <= task.options.widest;
    if !narrow && layer.prunable() {
        layer.treatment = Treatment::FellBack(Fallback::Wide { columns, widest: task.options.widest });
    }
    narrow
}

fn one(graph: &mut FloatGraph, task: &Task, layer: &mut Layer, (seen, sparsity): (Option<&Statistics>, f64)) {
    let (options, pattern) = (task.options, task.options.pattern);
    let groups = parts(&graph.nodes[layer.node]).map_or(1, |parts| parts.groups());
    let Some((weights, bias)) = parts_mut(&mut graph.nodes[layer.node]) else { return };
    let given = weights.values.iter().filter(|&&weight| weight == 0.0).count();
    let more = match pattern {
        Pattern::Blocks { .. } => true,
        _ => select::target(sparsity, weights.values.len()) > given,
    };
    if !more {
        return;
    }
    if let Some(seen) = seen.filter(|seen| !seen.hessians.is_empty()) {
        match obs::prune((&mut *weights, bias), &seen.hessians, pattern, (sparsity, options.damping)) {
            Ok(()) => return,
            Err(reason) => layer.treatment = Treatment::FellBack(reason),
        }
    }
    let method = if options.method == Method::Magnitude { Method::Magnitude } else { Method::Wanda };
    let energy = seen.map_or(&[][..], |seen| &seen.energy);
    select::prune(weights, (groups, energy), (method, pattern), sparsity);
}

/// The sparsity of each layer; 0 for those that stay.
fn sparsities(task: &Task, layers: &[Layer]) -> Result<Vec<f64>, SparsifyError> {
    let (options, graph) = (task.options, task.graph);
    let uniform = options.allocation == Allocation::Uniform || options.pattern != Pattern::Unstructured;
    if uniform {
        let sparsity = |layer: &Layer| if layer.prunable() { options.sparsity } else { 0.0 };
        return Ok(layers.iter().map(sparsity).collect());
    }
    let open: Vec<usize> = (0..layers.len()).filter(|&at| layers[at].prunable()).collect();
    let wanted: Vec<(usize, bool)> = open.iter().map(|&at| (layers[at].node, false)).collect();
    let seen = match options.method {
        Method::Magnitude => Vec::new(),
        // Optimal brain surgery follows Wanda's errors, at a fraction of the work.
        _ => statistics(graph, task, &wanted)?,
    };
    let method = if options.method == Method::Magnitude { Method::Magnitude } else { Method::Wanda };
    let (mut curves, mut total) = (Vec::new(), 0.0);
    let reference = reference(task)?;
    let mut changed = graph.clone();
    for (index, &at) in open.iter().enumerate() {
        let node = layers[at].node;
        let before = (task.cost)(&size(graph, node));
        total += before;
        let groups = parts(&graph.nodes[node]).map_or(1, |parts| parts.groups());
        let energy = seen.get(index).map_or(&[][..], |seen: &Statistics| &seen.energy);
        let mut curve = vec![Point::default()];
        for level in LEVELS {
            changed.nodes[node] = graph.nodes[node].clone();
            if let Some((weights, _)) = parts_mut(&mut changed.nodes[node]) {
                select::prune(weights, (groups, energy), (method, Pattern::Unstructured), level);
            }
            let saving = before - (task.cost)(&size(&changed, node));
            curve.push(Point { level, saving, error: output_error(task, &reference, &changed)? });
        }
        changed.nodes[node] = graph.nodes[node].clone();
        curves.push(curve);
    }
    // What is zero already is saved already.
    let dense = |at: &usize| {
        let own = size(graph, layers[*at].node);
        (task.cost)(&super::LayerSize { nonzero: own.weights, ..own })
    };
    let full: f64 = open.iter().map(dense).sum();
    let levels = allocate(&curves, options.sparsity * full - (full - total));
    let mut sparsities = vec![0.0; layers.len()];
    open.iter().zip(levels).for_each(|(&at, level)| sparsities[at] = level);
    Ok(sparsities)
}
