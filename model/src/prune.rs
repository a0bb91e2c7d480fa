//! Removes what the output does not depend on.

use crate::float_graph::{FloatGraph, ValueId};

/// The graph without nodes and values that the output does not need; the input always stays, as value 0.
pub(crate) fn prune(graph: FloatGraph) -> FloatGraph {
    let mut needed = vec![false; graph.values.len()];
    needed[graph.output.0] = true;
    for node in graph.nodes.iter().rev() {
        if needed[node.output.0] {
            node.op.inputs().iter().for_each(|input| needed[input.0] = true);
        }
    }
    needed[graph.input.0] = true;
    let mut renumbered = vec![ValueId(0); graph.values.len()];
    let mut values = Vec::new();
    for (old, value) in graph.values.into_iter().enumerate() {
        if needed[old] {
            renumbered[old] = ValueId(values.len());
            values.push(value);
        }
    }
    let mut nodes = graph.nodes;
    nodes.retain(|node| needed[node.output.0]);
    for node in &mut nodes {
        node.output = renumbered[node.output.0];
        node.op.inputs_mut().into_iter().for_each(|input| *input = renumbered[input.0]);
    }
    let (input, output) = (renumbered[graph.input.0], renumbered[graph.output.0]);
    FloatGraph { name: graph.name, values, nodes, input, output }
}
