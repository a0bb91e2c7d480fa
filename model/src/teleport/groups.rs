//! Which elements must be scaled alike: union-find over all elements of all values.
//!
//! Two elements are tied where a node passes one on as the other, or reads both with one weight. An element is held at its scale
//! where a node is not positively homogeneous in it, and at the network's two ends. What remains are classes of elements:
//! each may be multiplied by a positive factor of its own, whatever the factors of the others, if the weights between make up
//! for it.

use super::Held;
use crate::convolution::Convolution;
use crate::float_graph::{FloatGraph, FloatNode, FloatOp, ValueId};
use crate::function::Function;

/// Classes of elements, and the values that they tie together.
pub(super) struct Groups {
    /// For each value and element, its class; nothing where the scale is held.
    classes: Vec<Vec<Option<u32>>>,
    /// Number of classes.
    pub(super) count: usize,
    /// Values that share classes, directly or through others: each list holds all of the values of its classes.
    pub(super) bundles: Vec<Bundle>,
    /// The nodes that hold scales.
    pub(super) held: Vec<Held>,
}

/// Values that share classes, with these classes.
pub(super) struct Bundle {
    /// Indices of the values, ascending.
    pub(super) values: Vec<usize>,
    /// The classes, ascending.
    pub(super) classes: Vec<u32>,
}

impl Groups {
    /// The classes of a graph that passed [`FloatGraph::check_structure`].
    pub(super) fn of(graph: &FloatGraph) -> Self {
        let mut ties = Ties::of(graph);
        for node in &graph.nodes {
            ties.node(graph, node);
        }
        let (classes, count) = ties.classes(graph);
        let bundles = bundles(&classes, count);
        Self { classes, count, bundles, held: ties.held }
    }

    /// The class of an element; nothing where its scale is held.
    pub(super) fn class(&self, value: ValueId, element: usize) -> Option<usize> {
        self.classes.get(value.0).and_then(|classes| *classes.get(element)?).map(|class| class as usize)
    }

    /// The classes of a value's elements.
    pub(super) fn of_value(&self, value: ValueId) -> &[Option<u32>] {
        self.classes.get(value.0).map_or(&[], Vec::as_slice)
    }

    /// The factor of an element, given that of each class.
    pub(super) fn factor(&self, factors: &[f64], value: ValueId, element: usize) -> f64 {
        self.class(value, element).and_then(|class| factors.get(class).copied()).unwrap_or(1.0)
    }
}

/// Union-find over elements; node 0 stands for everything whose scale is held.
struct Ties {
    parents: Vec<u32>,
    /// The node of each value's first element.
    starts: Vec<usize>,
    held: Vec<Held>,
}

/// The element that stands for all that are held.
const HELD: usize = 0;

impl Ties {
    fn of(graph: &FloatGraph) -> Self {
        let (mut starts, mut next) = (Vec::with_capacity(graph.values.len()), 1usize);
        for value in &graph.values {
            starts.push(next);
            next = next.saturating_add(value.elements());
        }
        // A network of billions of elements would not be calibrated either; it is held as a whole.
        let parents = u32::try_from(next).map_or_else(|_| Vec::new(), |next| (0..next).collect());
        let mut ties = Self { parents, starts, held: Vec::new() };
        ties.hold(graph, graph.input);
        ties.hold(graph, graph.output);
        ties
    }

    fn at(&self, value: ValueId, element: usize) -> usize {
        self.starts[value.0] + element
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parents[at] as usize != at {
            let above = self.parents[at] as usize;
            self.parents[at] = self.parents[above];
            at = above;
        }
        at
    }

    /// The lesser index becomes the root, so that what is held stays the root of its class.
    fn tie(&mut self, left: usize, right: usize) {
        if self.parents.is_empty() {
            return;
        }
        let (left, right) = (self.root(left), self.root(right));
        self.parents[left.max(right)] = left.min(right) as u32;
    }

    fn is_held(&mut self, at: usize) -> bool {
        self.parents.is_empty() || self.root(at) == HELD
    }

    fn hold(&mut self, graph: &FloatGraph, value: ValueId) {
        for element in 0..graph.values[value.0].elements() {
            self.tie(HELD, self.at(value, element));
        }
    }

    fn node(&mut self, graph: &FloatGraph, node: &FloatNode) {
        let output = node.output;
        let elements = graph.values[output.0].elements();
        match &node.op {
            FloatOp::Linear { input, weights, .. } => {
                self.tie_periods(graph, *input, weights.columns);
                self.tie_periods(graph, output, weights.rows);
            }
            FloatOp::Convolution { input, .. } => {
                self.tie_channels(graph, *input);
                self.tie_channels(graph, output);
            }
            FloatOp::Sum { terms, .. } => {
                for term in terms {
                    term.access.for_each(|to, from| self.tie(self.at(output, to), self.at(term.input, from)));
                }
            }
            FloatOp::Maximum { candidates } => {
                for (input, access) in candidates.iter().flat_map(|candidate| &candidate.pieces) {
                    access.for_each(|to, from| self.tie(self.at(output, to), self.at(*input, from)));
                }
            }
            FloatOp::Reshape { input } => self.tie_all(output, *input, elements),
            FloatOp::Pointwise { input, function } if homogeneous(function) => {
                self.tie_all(output, *input, elements);
            }
            FloatOp::Pointwise { .. } | FloatOp::ArgMax { .. } => self.hold_node(graph, node),
            FloatOp::Multiply { left, right } => self.multiply(graph, node, (*left, *right)),
        }
    }

    fn tie_all(&mut self, output: ValueId, input: ValueId, elements: usize) {
        for element in 0..elements {
            self.tie(self.at(output, element), self.at(input, element));
        }
    }

    /// Ties elements a multiple of `period` apart: one weight reads, or one row makes, all of them.
    fn tie_periods(&mut self, graph: &FloatGraph, value: ValueId, period: usize) {
        for element in period.max(1)..graph.values[value.0].elements() {
            self.tie(self.at(value, element), self.at(value, element - period.max(1)));
        }
    }

    /// Ties the elements of each channel.
    fn tie_channels(&mut self, graph: &FloatGraph, value: ValueId) {
        let plane = graph.values[value.0].shape.iter().skip(1).product::<usize>().max(1);
        for element in (0..graph.values[value.0].elements()).filter(|element| element % plane > 0) {
            self.tie(self.at(value, element), self.at(value, element - 1));
        }
    }

    /// A product is scaled as one factor is where the other one's scale is held; otherwise all three are held.
    fn multiply(&mut self, graph: &FloatGraph, node: &FloatNode, (left, right): (ValueId, ValueId)) {
        let mut through = true;
        for element in 0..graph.values[node.output.0].elements() {
            let [output, left, right] = [node.output, left, right].map(|value| self.at(value, element));
            if self.is_held(left) {
                self.tie(output, right);
            } else if self.is_held(right) {
                self.tie(output, left);
            } else {
                through = false;
                [output, left, right].into_iter().for_each(|at| self.tie(HELD, at));
            }
        }
        if !through {
            self.held.push(Held::of(node));
        }
    }

    fn hold_node(&mut self, graph: &FloatGraph, node: &FloatNode) {
        self.hold(graph, node.output);
        node.op.inputs().into_iter().for_each(|input| self.hold(graph, input));
        self.held.push(Held::of(node));
    }

    /// Each element's class, numbered in the order of the values.
    fn classes(&mut self, graph: &FloatGraph) -> (Vec<Vec<Option<u32>>>, usize) {
        let mut numbers = vec![u32::MAX; self.parents.len()];
        let mut count = 0u32;
        let mut classes = Vec::with_capacity(graph.values.len());
        for (value, start) in graph.values.iter().zip(self.starts.clone()) {
            let mut of_value = vec![None; value.elements()];
            for (element, class) in of_value.iter_mut().enumerate() {
                if self.is_held(start + element) {
                    continue;
                }
                let root = self.root(start + element);
                if numbers[root] == u32::MAX {
                    numbers[root] = count;
                    count += 1;
                }
                *class = Some(numbers[root]);
            }
            classes.push(of_value);
        }
        (classes, count as usize)
    }
}

/// The connected components of values and classes.
fn bundles(classes: &[Vec<Option<u32>>], count: usize) -> Vec<Bundle> {
    // For each class the bundle's first class, by union-find.
    let mut parents: Vec<u32> = (0..count as u32).collect();
    fn root(parents: &mut [u32], mut at: u32) -> u32 {
        while parents[at as usize] != at {
            parents[at as usize] = parents[parents[at as usize] as usize];
            at = parents[at as usize];
        }
        at
    }
    for of_value in classes {
        let mut present = of_value.iter().flatten();
        let Some(&first) = present.next() else { continue };
        for &class in present {
            let (left, right) = (root(&mut parents, first), root(&mut parents, class));
            parents[left.max(right) as usize] = left.min(right);
        }
    }
    let mut bundles: Vec<Bundle> = Vec::new();
    let mut numbers = vec![usize::MAX; count];
    for class in 0..count as u32 {
        let root = root(&mut parents, class) as usize;
        if numbers[root] == usize::MAX {
            numbers[root] = bundles.len();
            bundles.push(Bundle { values: Vec::new(), classes: Vec::new() });
        }
        bundles[numbers[root]].classes.push(class);
    }
    for (value, of_value) in classes.iter().enumerate() {
        if let Some(&class) = of_value.iter().flatten().next() {
            bundles[numbers[root(&mut parents, class) as usize]].values.push(value);
        }
    }
    bundles
}

/// Whether `f(s x) = s f(x)` for positive `s`.
pub(crate) fn homogeneous(function: &Function) -> bool {
    match function {
        Function::Clamp { min, max: None } => min.is_none_or(|min| min == 0.0),
        Function::Clamp { min: None, max } => max.is_none_or(|max| max == 0.0),
        Function::LeakyRelu { .. } | Function::Abs => true,
        Function::Affine { shift, .. } => *shift == 0.0,
        Function::ThresholdedRelu { threshold } => *threshold == 0.0,
        Function::Chain(functions) | Function::Total(functions) => functions.iter().all(homogeneous),
        _ => false,
    }
}

/// The first element of a channel of a value, or of a convolution's rows' results.
pub(super) fn channel_start(graph: &FloatGraph, value: ValueId, channel: usize) -> usize {
    channel * graph.values[value.0].shape.iter().skip(1).product::<usize>()
}

/// Calls `visit(row, channel, weight)` for every weight of a convolution, in the order of the matrix.
pub(crate) fn each_weight(
    geometry: &Convolution,
    weights: &crate::float_graph::FloatMatrix,
    channels: usize,
    mut visit: impl FnMut(usize, usize, f64),
) {
    let (per_group, rows) = (channels / geometry.groups, weights.rows / geometry.groups);
    let kernel: usize = geometry.windows.iter().map(|window| window.kernel).product();
    for row in 0..weights.rows {
        for (column, &weight) in weights.row(row).iter().enumerate() {
            visit(row, row / rows * per_group + column / kernel, f64::from(weight));
        }
    }
}
