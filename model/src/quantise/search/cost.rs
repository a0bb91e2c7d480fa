//! What a proof of an integer network is predicted to cost, without knowing how it is proved.

use crate::integer_graph::{Activation, IntegerGraph, IntegerOp, Interval};

/// Predicts what a proof of a network costs, in any unit; less is better. A function or closure will do.
pub trait ProvingCost {
    /// The cost of a proof of the network.
    fn cost(&self, graph: &IntegerGraph) -> f64;
}

impl<F: Fn(&IntegerGraph) -> f64> ProvingCost for F {
    fn cost(&self, graph: &IntegerGraph) -> f64 {
        self(graph)
    }
}

/// The simplest prediction: a price for each row of a lookup table and for each element that is requantised. Layers with the same
/// function share a table; there is one of `2^shift` rows for remainders, and one for the input's values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TableCost {
    /// Price of a table row.
    pub row: f64,
    /// Price of a requantised element.
    pub element: f64,
}

impl Default for TableCost {
    fn default() -> Self {
        Self { row: 1.0, element: 1.0 }
    }
}

impl TableCost {
    /// Rows of all tables of the network.
    #[must_use]
    pub fn rows(graph: &IntegerGraph) -> u64 {
        let zero = Interval { min: 0, max: 0 };
        let mut tables: Vec<(&Activation, Interval)> = Vec::new();
        for node in &graph.nodes {
            let IntegerOp::Activate { function, domain, .. } = &node.op else { continue };
            let domain = domain.hull(zero);
            match tables.iter_mut().find(|table| table.0 == function) {
                Some(table) => table.1 = table.1.hull(domain),
                None => tables.push((function, domain)),
            }
        }
        let functions = tables.into_iter().map(|(_, domain)| length(domain));
        let remainders = 1u64 << graph.shift.min(63);
        let input = graph.tensors.get(graph.input.0).map_or(0, |tensor| length(tensor.interval));
        functions.chain([remainders, input]).fold(0, u64::saturating_add)
    }
}

impl ProvingCost for TableCost {
    fn cost(&self, graph: &IntegerGraph) -> f64 {
        let requantised = graph.nodes.iter().filter(|node| matches!(node.op, IntegerOp::Activate { .. }));
        let elements = requantised.map(|node| graph.tensors.get(node.output.0).map_or(0, |t| t.elements()));
        self.row * Self::rows(graph) as f64 + self.element * elements.sum::<usize>() as f64
    }
}

fn length(interval: Interval) -> u64 {
    interval.max.abs_diff(interval.min).saturating_add(1)
}
