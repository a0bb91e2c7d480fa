//! Pruning of whole channels. Elements that can only go together form classes: a channel of a convolution, an output of a linear
//! layer, and all that residual sums, pools, views and depthwise convolutions tie to it. A class goes with the rows that make it
//! and the columns that read it; the network then computes what it would with the class's elements set to zero.

use std::collections::BTreeMap;

use super::allocate::{LEVELS, Point, allocate};
use super::layers::{Layer, nothing, parts, parts_mut, size};
use super::rebuild::{Places, rebuild};
use super::report::{output_error, reference};
use super::statistics::{batches, statistics};
use super::weights::note_width;
use super::{Allocation, Fallback, Method, SparsifyError, Task, Treatment, obs};
use crate::float_graph::{FloatGraph, FloatOp};

/// Sets of elements that go together.
struct Classes {
    /// Number of the first element of each value.
    starts: Vec<usize>,
    parents: Vec<usize>,
}

impl Classes {
    fn find(&mut self, element: usize) -> usize {
        let mut root = element;
        while self.parents[root] != root {
            let above = self.parents[root];
            self.parents[root] = self.parents[above];
            root = self.parents[root];
        }
        root
    }

    fn tie(&mut self, left: usize, right: usize) {
        let (left, right) = (self.find(left), self.find(right));
        let (low, high) = (left.min(right), left.max(right));
        self.parents[high] = low;
    }

    /// Ties all elements of a list that is not empty.
    fn tie_all(&mut self, mut elements: impl Iterator<Item = usize>) {
        if let Some(first) = elements.next() {
            elements.for_each(|element| self.tie(first, element));
        }
    }

    fn of(graph: &FloatGraph) -> Self {
        let mut total = 0;
        let start = |value: &crate::float_graph::FloatValue| {
            let start = total;
            total += value.elements();
            start
        };
        let starts = graph.values.iter().map(start).collect();
        let mut classes = Self { starts, parents: (0..total).collect() };
        for node in &graph.nodes {
            classes.node(graph, &node.op, node.output.0);
        }
        classes
    }

    fn node(&mut self, graph: &FloatGraph, op: &FloatOp, output: usize) {
        let to = self.starts[output];
        let elements = graph.values[output].elements();
        match op {
            FloatOp::Linear { input, weights, .. } => {
                let from = self.starts[input.0];
                let positions = elements / weights.rows;
                for (start, length) in [(to, weights.rows), (from, weights.columns)] {
                    for at in 0..length {
                        self.tie_all((0..positions).map(|position| start + position * length + at));
                    }
                }
            }
            FloatOp::Convolution { input, geometry, weights, .. } => {
                let (from, shape) = (self.starts[input.0], &graph.values[input.0].shape);
                let channels = shape[0];
                let in_plane = graph.values[input.0].elements() / channels;
                let out_plane = elements / weights.rows;
                (0..channels).for_each(|at| self.tie_all(from + at * in_plane..from + (at + 1) * in_plane));
                (0..weights.rows).for_each(|at| self.tie_all(to + at * out_plane..to + (at + 1) * out_plane));
                // Groups stay equally wide: of several, one goes as a whole.
                if geometry.groups > 1 {
                    let (ins, outs) = (channels / geometry.groups, weights.rows / geometry.groups);
                    for group in 0..geometry.groups {
                        let read = (group * ins..(group + 1) * ins).map(|at| from + at * in_plane);
                        let made = (group * outs..(group + 1) * outs).map(|at| to + at * out_plane);
                        self.tie_all(read.chain(made));
                    }
                }
            }
            FloatOp::Sum { terms, .. } => {
                for term in terms {
                    let from = self.starts[term.input.0];
                    term.access.for_each(|at, own| self.tie(to + at, from + own));
                }
            }
            FloatOp::Maximum { candidates } => {
                for (input, access) in candidates.iter().flat_map(|candidate| &candidate.pieces) {
                    let from = self.starts[input.0];
                    access.for_each(|at, own| self.tie(to + at, from + own));
                }
            }
            FloatOp::Multiply { .. } | FloatOp::Pointwise { .. } | FloatOp::Reshape { .. } => {
                for input in op.inputs() {
                    let from = self.starts[input.0];
                    (0..elements).for_each(|at| self.tie(to + at, from + at));
                }
            }
            FloatOp::ArgMax { .. } => {}
        }
    }

    /// The class of each element of a value.
    fn roots(&mut self, graph: &FloatGraph, value: usize) -> Vec<usize> {
        let start = self.starts[value];
        (start..start + graph.values[value].elements()).map(|element| self.find(element)).collect()
    }
}

/// The classes that may go, and where they stand.
pub(super) struct Plan {
    /// Class of each element of each value.
    roots: Vec<Vec<usize>>,
    /// Along which axis each value gets shorter.
    axes: Vec<usize>,
    /// Classes that are made by the same layers, with those layers' nodes.
    pub(super) bundles: Vec<(Vec<usize>, Vec<usize>)>,
}

impl Plan {
    /// Marks of the elements of some classes, for each value.
    pub(super) fn gone(&self, classes: &[usize]) -> Vec<Vec<bool>> {
        let mut sorted = classes.to_vec();
        sorted.sort_unstable();
        let marks = |roots: &Vec<usize>| {
            roots.iter().map(|root| sorted.binary_search(root).is_ok()).collect::<Vec<bool>>()
        };
        self.roots.iter().map(marks).collect()
    }

    /// The graph without some classes, and where the other elements are in it.
    pub(super) fn without(&self, graph: &FloatGraph, classes: &[usize]) -> (FloatGraph, Places) {
        let places = Places::new(&self.gone(classes));
        (rebuild(graph, &places, &self.axes), places)
    }
}

/// Finds the classes; notes in layers of which none can go.
pub(super) fn plan(graph: &FloatGraph, layers: &mut [Layer]) -> Plan {
    let mut classes = Classes::of(graph);
    let roots: Vec<Vec<usize>> = (0..graph.values.len()).map(|id| classes.roots(graph, id)).collect();
    // For each class the layers that make it; nothing once it must stay.
    let mut makers: BTreeMap<usize, Option<Vec<usize>>> = BTreeMap::new();
    for (at, layer) in layers.iter().enumerate() {
        let mut own = roots[graph.nodes[layer.node].output.0].clone();
        own.sort_unstable();
        own.dedup();
        for root in own {
            let entry = makers.entry(root).or_insert_with(|| Some(Vec::new()));
            let stays = !layer.prunable() && layer.treatment != Treatment::Scale;
            match entry {
                Some(list) if !stays => list.push(at),
                _ => *entry = None,
            }
        }
    }
    fixed(graph, |value| roots[value].iter().for_each(|root| drop(makers.insert(*root, None))));
    let axes = axes(graph, &roots, &mut makers);
    let mut bundles: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (root, layers) in makers {
        if let Some(layers) = layers {
            bundles.entry(layers).or_default().push(root);
        }
    }
    // A single class is all there is: something must be left.
    bundles.retain(|makers, classes| classes.len() > 1 && makers.iter().any(|&at| layers[at].prunable()));
    for (at, layer) in layers.iter_mut().enumerate().filter(|(_, layer)| layer.prunable()) {
        if !bundles.keys().any(|makers| makers.contains(&at)) {
            layer.treatment = Treatment::Tied;
        }
    }
    Plan { roots, axes, bundles: bundles.into_iter().map(|(layers, classes)| (classes, layers)).collect() }
}

/// Calls `stay` with each value whose elements must all stay.
fn fixed(graph: &FloatGraph, mut stay: impl FnMut(usize)) {
    stay(graph.input.0);
    stay(graph.output.0);
    for node in &graph.nodes {
        match &node.op {
            FloatOp::ArgMax { input, .. } => {
                stay(input.0);
                stay(node.output.0);
            }
            FloatOp::Pointwise { function, .. } if function.apply(0.0) != 0.0 => stay(node.output.0),
            _ => {}
        }
    }
}

/// The axis along which the most classes of each value are whole slices; classes that are not must stay, and so must a class that
/// is all of a value.
fn axes(
    graph: &FloatGraph,
    roots: &[Vec<usize>],
    makers: &mut BTreeMap<usize, Option<Vec<usize>>>,
) -> Vec<usize> {
    let mut chosen = vec![0; graph.values.len()];
    for (id, value) in graph.values.iter().enumerate() {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        roots[id].iter().for_each(|root| *counts.entry(*root).or_default() += 1);
        counts.retain(|root, _| matches!(makers.get(root), Some(Some(_))));
        let mut best: Option<(usize, Vec<usize>)> = None;
        for axis in 0..value.shape.len() {
            let inner: usize = value.shape[axis + 1..].iter().product();
            let size = value.shape[axis];
            let mut met: BTreeMap<usize, Vec<bool>> = BTreeMap::new();
            for (at, root) in roots[id].iter().enumerate().filter(|(_, root)| counts.contains_key(root)) {
                met.entry(*root).or_insert_with(|| vec![false; size])[at / inner % size] = true;
            }
            let whole = |(root, met): (usize, Vec<bool>)| {
                let indices = met.iter().filter(|&&met| met).count();
                (indices < size && indices * (value.elements() / size) == counts[&root]).then_some(root)
            };
            let whole: Vec<usize> = met.into_iter().filter_map(whole).collect();
            if best.as_ref().is_none_or(|(_, other)| whole.len() > other.len()) {
                best = Some((axis, whole));
            }
        }
        let Some((axis, whole)) = best else { continue };
        chosen[id] = axis;
        for root in counts.keys().filter(|root| whole.binary_search(root).is_err()) {
            makers.insert(*root, None);
        }
    }
    chosen
}

/// The network without the channels that matter least.
pub(super) fn prune(
    task: &Task,
    layers: &mut [Layer],
) -> Result<(FloatGraph, Option<Places>), SparsifyError> {
    let (graph, options) = (task.graph, task.options);
    let plan = plan(graph, layers);
    if plan.bundles.is_empty() {
        return Err(nothing(graph, layers));
    }
    let scores = scores(task, layers, &plan)?;
    // In each bundle the least important first.
    let mut orders: Vec<Vec<usize>> = Vec::new();
    for (classes, _) in &plan.bundles {
        let mut order = classes.clone();
        order.sort_by(|left, right| scores[left].total_cmp(&scores[right]).then(left.cmp(right)));
        orders.push(order);
    }
    let levels = match options.allocation {
        Allocation::Uniform => vec![options.sparsity; orders.len()],
        Allocation::ByError => by_error(task, layers, &plan, &orders)?,
    };
    let removed: Vec<usize> =
        orders.iter().zip(levels).flat_map(|(order, level)| part(order, level)).copied().collect();
    let changed = match options.method {
        Method::Obs => compensated(task, layers, &plan, &removed)?,
        _ => graph.clone(),
    };
    let (pruned, places) = plan.without(&changed, &removed);
    Ok((pruned, Some(places)))
}

/// The network with the layers that read the classes making up for them.
fn compensated(
    task: &Task,
    layers: &mut [Layer],
    plan: &Plan,
    removed: &[usize],
) -> Result<FloatGraph, SparsifyError> {
    let mut changed = task.graph.clone();
    let gone = plan.gone(removed);
    let mut readers = Vec::new();
    for (at, layer) in layers.iter_mut().enumerate() {
        let Some(parts) = parts(&task.graph.nodes[layer.node]) else { continue };
        let open = !matches!(layer.treatment, Treatment::Excluded | Treatment::Scale);
        let columns = columns_gone(&parts, &gone[parts.input.0], task.graph.values[parts.input.0].shape[0]);
        if open && columns.contains(&true) && note_width(task, layer) {
            readers.push((at, columns));
        }
    }
    let wanted: Vec<(usize, bool)> = readers.iter().map(|&(at, _)| (layers[at].node, true)).collect();
    let mut readers = readers.into_iter();
    for batch in batches(task.graph, &wanted) {
        let seen = statistics(task.graph, task, batch)?;
        for ((at, gone), seen) in readers.by_ref().take(batch.len()).zip(seen) {
            let Some((weights, bias)) = parts_mut(&mut changed.nodes[layers[at].node]) else { continue };
            let result = obs::compensate((weights, bias), &seen.hessians, &gone, task.options.damping);
            if let (Err(reason), true) = (result, layers[at].prunable()) {
                layers[at].treatment = Treatment::FellBack(reason);
            }
        }
    }
    Ok(changed)
}

/// For each column of each group whether what it reads is gone.
fn columns_gone(parts: &super::layers::Parts, gone: &[bool], channels: usize) -> Vec<bool> {
    let (columns, groups) = (parts.weights.columns, parts.groups());
    if parts.geometry.is_none() {
        return gone[..columns].to_vec();
    }
    let (per_group, plane) = (channels / groups, gone.len() / channels);
    let kernel = columns / per_group;
    let column = |at: usize| gone[(at / columns * per_group + at % columns / kernel) * plane];
    (0..groups * columns).map(column).collect()
}

/// The first classes of the order; one at least is left.
fn part(order: &[usize], level: f64) -> &[usize] {
    let count = (level * order.len() as f64).round() as usize;
    &order[..count.min(order.len() - 1)]
}

fn by_error(
    task: &Task,
    layers: &[Layer],
    plan: &Plan,
    orders: &[Vec<usize>],
) -> Result<Vec<f64>, SparsifyError> {
    let cost = |graph: &FloatGraph| -> f64 {
        layers.iter().map(|layer| (task.cost)(&size(graph, layer.node))).sum()
    };
    let (before, reference) = (cost(task.graph), reference(task)?);
    let mut curves = Vec::new();
    for order in orders {
        let mut curve = vec![Point::default()];
        for level in LEVELS {
            let (changed, _) = plan.without(task.graph, part(order, level));
            let saving = before - cost(&changed);
            curve.push(Point { level, saving, error: output_error(task, &reference, &changed)? });
        }
        curves.push(curve);
    }
    let most: f64 = curves.iter().filter_map(|curve| curve.last()).map(|point| point.saving).sum();
    Ok(allocate(&curves, task.options.sparsity * most))
}

/// How much each class matters: the norm of the rows that make it, or what the layers that read it make of it.
fn scores(task: &Task, layers: &[Layer], plan: &Plan) -> Result<BTreeMap<usize, f64>, SparsifyError> {
    let mut scores: BTreeMap<usize, f64> =
        plan.bundles.iter().flat_map(|bundle| bundle.0.iter().map(|&class| (class, 0.0))).collect();
    let energies = energies(task, layers)?;
    for (at, layer) in layers.iter().enumerate() {
        let node = &task.graph.nodes[layer.node];
        let Some(parts) = parts(node) else { continue };
        let values = match energies.get(at) {
            None => rows(&parts),
            Some(energies) => columns(&parts, energies, task.graph.values[parts.input.0].shape[0]),
        };
        let value = if energies.is_empty() { node.output.0 } else { parts.input.0 };
        let total: f64 = values.iter().sum::<f64>() / values.len() as f64;
        let linear = parts.geometry.is_none();
        let plane = if linear { 1 } else { plan.roots[value].len() / values.len() };
        for (index, score) in values.iter().enumerate() {
            if let Some(sum) = scores.get_mut(&plan.roots[value][index * plane]) {
                *sum += if total > 0.0 { score / total } else { 0.0 };
            }
        }
    }
    Ok(scores)
}

/// For each layer the energy of each column's input; with optimal brain surgery, what the others cannot make up for. Nothing for
/// magnitudes.
fn energies(task: &Task, layers: &[Layer]) -> Result<Vec<Vec<f64>>, SparsifyError> {
    let options = task.options;
    if options.method == Method::Magnitude {
        return Ok(Vec::new());
    }
    let columns = |node: usize| parts(&task.graph.nodes[node]).map_or(0, |parts| parts.weights.columns);
    let hessian = |node: usize| options.method == Method::Obs && columns(node) <= options.widest;
    let wanted: Vec<(usize, bool)> = layers.iter().map(|layer| (layer.node, hessian(layer.node))).collect();
    let mut energies = Vec::with_capacity(layers.len());
    for batch in batches(task.graph, &wanted) {
        for (&(node, _), seen) in batch.iter().zip(statistics(task.graph, task, batch)?) {
            let unique = match seen.hessians.as_slice() {
                [] => Err(Fallback::NoInput),
                hessians => obs::unique_energy(hessians, columns(node), options.damping),
            };
            energies.push(unique.unwrap_or(seen.energy));
        }
    }
    Ok(energies)
}

/// Squared norm of each row.
fn rows(parts: &super::layers::Parts) -> Vec<f64> {
    let square = |row: &[f32]| row.iter().map(|&weight| f64::from(weight).powi(2)).sum();
    parts.weights.values.chunks(parts.weights.columns).map(square).collect()
}

/// For each channel, or column of a linear layer, that is read: the energy of what the weights make of it.
fn columns(parts: &super::layers::Parts, energy: &[f64], channels: usize) -> Vec<f64> {
    let (columns, groups) = (parts.weights.columns, parts.groups());
    let linear = parts.geometry.is_none();
    let (per_group, count) = if linear { (columns, columns) } else { (channels / groups, channels) };
    let kernel = columns / per_group;
    let mut energies = vec![0.0; count];
    for (row, weights) in parts.weights.values.chunks(columns).enumerate() {
        let group = row / (parts.weights.rows / groups);
        for (column, &weight) in weights.iter().enumerate() {
            let energy = energy[group * columns + column] * f64::from(weight).powi(2);
            energies[group * per_group + column / kernel] += energy;
        }
    }
    energies
}
