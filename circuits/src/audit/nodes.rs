//! The list of nodes that a description shows to people: it says what the circuit has.

use std::collections::BTreeMap;

use super::claims::Made;
use super::{AuditError, quotients};
use crate::layout::{Effect, Layout, NodeRecord, Source};

/// Checks that the nodes are the circuit's layers, one by one: operator, size, rows, intervals and tables.
pub(super) fn check(layout: &Layout, made: &BTreeMap<usize, Made>) -> Result<(), AuditError> {
    let blocks = || layout.blocks.iter().enumerate();
    let mut accumulators = blocks().filter(|(_, block)| matches!(block.accumulator, Source::Tensor { .. }));
    let mut activations: Vec<_> =
        blocks().filter(|(index, block)| *index > 0 && block.activation != Source::Empty {}).collect();
    for node in &layout.nodes {
        let size = node.shape.iter().try_fold(1_u64, |product, extent| product.checked_mul(*extent));
        let fits = match node.effect {
            Effect::Alias {} => {
                let known = blocks().any(|(_, block)| Some(u64::from(block.cells)) == size);
                known && node.operator == "Reshape" && node.rows == 0
            }
            Effect::Accumulate { interval } => accumulators.next().is_some_and(|(index, block)| {
                let height = |index: usize| layout.blocks.get(index).map_or(0, |block| block.height);
                let (operator, bias) = match made.get(&index) {
                    Some(Made::Sum { bias }) => ("Sum", *bias),
                    _ => ("Linear", None),
                };
                let rows = block.height.saturating_add(bias.map_or(0, height));
                let shown = (node.operator.as_str(), node.rows, interval, size);
                shown == (operator, rows, block.interval, Some(u64::from(block.cells)))
            }),
            Effect::Activate { interval, quotients: shown, tag } => {
                let position = activations.iter().position(|(_, block)| {
                    (block.tag, block.interval, Some(u64::from(block.cells))) == (tag, interval, size)
                        && quotients(block, layout.shift) == shown
                });
                position.map(|position| activations.remove(position)).is_some()
                    && node.operator == "Activate"
                    && node.rows == 0
            }
        };
        if !fits {
            return Err(refuse(node));
        }
    }
    if accumulators.next().is_some() || !activations.is_empty() {
        return Err(AuditError::Layout("its list of nodes leaves layers out".to_owned()));
    }
    Ok(())
}

fn refuse(node: &NodeRecord) -> AuditError {
    let reason = "operator, shape, interval or table are not those of a layer of the circuit".to_owned();
    AuditError::Node { node: node.name.clone(), reason }
}
