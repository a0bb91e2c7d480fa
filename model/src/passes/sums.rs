//! Sums that read sums read through them: moves of moves are one move, scaled terms join with their factors.

use super::Links;
use crate::access::{Access, AccessAxis};
use crate::float_graph::{FloatGraph, FloatOp, FloatTerm};

/// The most pairs that two moves are compared on.
const MOST_PAIRS: usize = 1 << 22;

/// Lets each sum read through sums of one term. A longer sum stays a value of its own, because chains of residual sums would
/// otherwise grow with the depth.
pub(super) fn merge(graph: &mut FloatGraph) {
    let links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        let FloatOp::Sum { terms, bias } = &graph.nodes[index].op else { continue };
        let (mut merged, mut bias): (Vec<FloatTerm>, Vec<f32>) = (Vec::new(), bias.clone());
        let elements = graph.values[graph.nodes[index].output.0].elements();
        for term in terms {
            let term = through(graph, &links, term, elements, &mut bias);
            match merged.iter_mut().find(|other| (other.input, &other.access) == (term.input, &term.access)) {
                Some(other) => other.coefficient += term.coefficient,
                None => merged.push(term),
            }
        }
        graph.nodes[index].op = FloatOp::Sum { terms: merged, bias };
    }
}

/// The term with the operations before it taken in, as far as that goes; their biases go into `bias`.
fn through(
    graph: &FloatGraph,
    links: &Links,
    term: &FloatTerm,
    elements: usize,
    bias: &mut Vec<f32>,
) -> FloatTerm {
    let mut term = term.clone();
    while let Some(producer) = links.producers[term.input.0] {
        let middle = graph.values[term.input.0].elements();
        match &graph.nodes[producer].op {
            FloatOp::Reshape { input } => term.input = *input,
            FloatOp::Sum { terms, bias: inner } => {
                let [before] = terms.as_slice() else { break };
                let coefficient = term.coefficient * before.coefficient;
                let composed = composed((&term.access, elements), (&before.access, middle));
                let (Some(access), true) = (composed, coefficient.is_finite()) else { break };
                if !inner.is_empty() {
                    bias.resize(elements, 0.0);
                    term.access.for_each(|to, from| bias[to] += term.coefficient * inner[from]);
                }
                term = FloatTerm { input: before.input, coefficient, access };
            }
            _ => break,
        }
    }
    term
}

/// `outer` after `inner`, which fills `middle` elements, as one access, where that is easily found.
fn composed((outer, elements): (&Access, usize), (inner, middle): (&Access, usize)) -> Option<Access> {
    if inner.is_identity(middle) {
        return Some(outer.clone());
    }
    if elements == middle && outer.is_identity(middle) {
        return Some(inner.clone());
    }
    if middle.max(outer.pairs()).max(inner.pairs()) > MOST_PAIRS || inner.pairs() != middle {
        return None;
    }
    let mut source = vec![None; middle];
    inner.for_each(|to, from| source[to] = Some(from));
    let source: Vec<usize> = source.into_iter().collect::<Option<_>>()?;
    let start = source[outer.input_start];
    let axis = |axis: &AccessAxis| {
        let next = if axis.count > 1 { source[outer.input_start + axis.input_stride] } else { start };
        Some(AccessAxis { input_stride: next.checked_sub(start)?, ..*axis })
    };
    let axes = outer.axes.iter().map(axis).collect::<Option<Vec<_>>>()?;
    let access = Access { output_start: outer.output_start, input_start: start, axes };
    let mut found = Vec::with_capacity(outer.pairs());
    access.for_each(|_, from| found.push(from));
    let mut position = 0;
    let mut same = true;
    outer.for_each(|_, middle| {
        same &= found[position] == source[middle];
        position += 1;
    });
    same.then(|| access.simplified())
}
