//! Increasing functions move before maxima: a layer's result is looked up once anyway, and there the function costs nothing
//! more, while behind the maximum it would be a second lookup.

use super::Links;
use crate::float_graph::{FloatGraph, FloatOp, ValueId};
use crate::function::Function;

/// Moves each increasing function that follows maxima of a linear operation's result before them.
pub(super) fn advance(graph: &mut FloatGraph) {
    let mut links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        let mut at = index;
        // Each step moves the function one maximum ahead; the maximum takes its place.
        while let Some(before) = step(graph, &links, at) {
            exchange(graph, before, at);
            links = Links::of(graph);
            at = before;
        }
    }
}

/// The maximum that the function at `index` may move before.
fn step(graph: &FloatGraph, links: &Links, index: usize) -> Option<usize> {
    let FloatOp::Pointwise { input, function } = &graph.nodes[index].op else { return None };
    if !is_increasing(function) || links.readers[input.0] != 1 {
        return None;
    }
    let before = links.producers[input.0]?;
    let source = only_source(&graph.nodes[before].op)?;
    is_linear(graph, links, source).then_some(before)
}

/// The value that all candidates of a maximum come from, if it is one.
fn only_source(op: &FloatOp) -> Option<ValueId> {
    let FloatOp::Maximum { candidates } = op else { return None };
    let mut sources = candidates.iter().flat_map(|candidate| &candidate.pieces).map(|piece| piece.0);
    let first = sources.next()?;
    sources.all(|source| source == first).then_some(first)
}

/// Whether a value is a linear operation's result, or maxima of one, that a single node reads.
fn is_linear(graph: &FloatGraph, links: &Links, value: ValueId) -> bool {
    let readers = graph.nodes.iter().filter(|node| node.op.inputs().contains(&value)).count();
    if readers != 1 || graph.output == value {
        return false;
    }
    let Some(producer) = links.producers[value.0] else { return false };
    match &graph.nodes[producer].op {
        FloatOp::Linear { .. } | FloatOp::Convolution { .. } => true,
        op => only_source(op).is_some_and(|source| is_linear(graph, links, source)),
    }
}

/// Lets the node at `before` compute the function of what it read, and the one at `after` the maximum of that.
fn exchange(graph: &mut FloatGraph, before: usize, after: usize) {
    let between = graph.nodes[before].output;
    let Some(source) = only_source(&graph.nodes[before].op) else { return };
    let (first, second) = graph.nodes.split_at_mut(after);
    let (maximum, function) = (&mut first[before], &mut second[0]);
    std::mem::swap(&mut maximum.op, &mut function.op);
    std::mem::swap(&mut maximum.name, &mut function.name);
    maximum.op.inputs_mut().into_iter().for_each(|input| *input = source);
    function.op.inputs_mut().into_iter().for_each(|input| *input = between);
    graph.values[between.0].shape = graph.values[source.0].shape.clone();
}

/// Whether a greater argument never has a smaller value.
fn is_increasing(function: &Function) -> bool {
    match function {
        Function::Clamp { .. }
        | Function::Sigmoid
        | Function::Tanh
        | Function::Softplus
        | Function::Softsign
        | Function::Erf
        | Function::Exp => true,
        Function::LeakyRelu { slope } => *slope >= 0.0,
        Function::Elu { alpha } | Function::HardSigmoid { alpha, .. } => *alpha >= 0.0,
        Function::Affine { factor, .. } => *factor >= 0.0,
        Function::Chain(functions) => functions.iter().all(is_increasing),
        _ => false,
    }
}
