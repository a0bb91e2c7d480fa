//! Removes what computes nothing, and views of views.

use super::Links;
use crate::float_graph::{FloatGraph, FloatOp, FloatTerm, ValueId};
use crate::function::Function;

/// Turns what computes nothing into reshapes, and removes those that keep the shape.
pub(super) fn remove(graph: &mut FloatGraph) {
    let mut same: Vec<ValueId> = (0..graph.values.len()).map(ValueId).collect();
    let links = Links::of(graph);
    for index in 0..graph.nodes.len() {
        graph.nodes[index].op.inputs_mut().into_iter().for_each(|input| *input = same[input.0]);
        if let Some(op) = plainer(graph, &links, index) {
            graph.nodes[index].op = op;
        }
        let node = &graph.nodes[index];
        let FloatOp::Reshape { input } = node.op else { continue };
        let output = node.output;
        if graph.values[input.0].shape != graph.values[output.0].shape {
            continue;
        }
        same[output.0] = input;
        // The value keeps the later name: what came before was an intermediate result.
        if links.readers[input.0] == 1 && input != graph.input {
            graph.values[input.0].name = graph.values[output.0].name.clone();
        }
    }
    graph.output = same[graph.output.0];
}

/// A plainer operation for the same result, if there is one.
fn plainer(graph: &FloatGraph, links: &Links, index: usize) -> Option<FloatOp> {
    let node = &graph.nodes[index];
    let elements = graph.values[node.output.0].elements();
    match &node.op {
        FloatOp::Pointwise { input, function } if is_identity(function) => {
            Some(FloatOp::Reshape { input: *input })
        }
        FloatOp::Sum { terms, bias } if bias.is_empty() => match terms.as_slice() {
            [FloatTerm { input, coefficient: 1.0, access }]
                if graph.values[input.0].elements() == elements && access.is_identity(elements) =>
            {
                Some(FloatOp::Reshape { input: *input })
            }
            _ => None,
        },
        FloatOp::Maximum { candidates } => match candidates.as_slice() {
            [only] => {
                let term = |(input, access): &(ValueId, _)| FloatTerm {
                    input: *input,
                    coefficient: 1.0,
                    access: Clone::clone(access),
                };
                Some(FloatOp::Sum { terms: only.pieces.iter().map(term).collect(), bias: Vec::new() })
            }
            _ => None,
        },
        FloatOp::Reshape { input } => match links.producers[input.0].map(|index| &graph.nodes[index].op) {
            Some(FloatOp::Reshape { input }) => Some(FloatOp::Reshape { input: *input }),
            _ => None,
        },
        _ => None,
    }
}

fn is_identity(function: &Function) -> bool {
    match function {
        Function::Clamp { min: None, max: None } => true,
        Function::Affine { factor, shift } => (*factor, *shift) == (1.0, 0.0),
        Function::Chain(functions) => functions.iter().all(is_identity),
        _ => false,
    }
}
