//! Counting lookups: how often each table row is used.

use ark_bn254::Fr;
use zkloom_plonkish::field::{from_integer, to_integer};
use zkloom_plonkish::{Circuit, Column, Expression, FixedValues, Query, TableIndex};

use crate::error::ProveError;

/// Reads a cell of the trace as a field element.
pub type CellReader<'a> = dyn Fn(usize, usize) -> Fr + 'a;

/// Multiplicities of each table set, over usable rows. Fails at the first tuple that is in no table.
pub fn multiplicities(
    circuit: &Circuit,
    fixed: &FixedValues,
    index: &TableIndex,
    cell: &CellReader<'_>,
) -> Result<Vec<Vec<i64>>, ProveError> {
    let mut counts = vec![vec![0_i64; circuit.usable()]; circuit.table_sets.len()];
    let rows = circuit.rows() as i64;
    for lookup in &circuit.lookups {
        for row in (0..circuit.usable()).filter(|row| fixed.get(lookup.selector, *row) != 0) {
            let leaf = |query: &Query| {
                let row = (row as i64 + i64::from(query.rotation)).rem_euclid(rows) as usize;
                Ok::<_, core::convert::Infallible>(match query.column {
                    Column::Advice { index } => cell(index as usize, row),
                    Column::Fixed { index } => from_integer(fixed.get(index, row)),
                })
            };
            let value = |expression: &Expression<Query>| match expression.evaluate(&leaf) {
                Ok(value) => value,
            };
            let tuple: Vec<Fr> = lookup.tuple.iter().map(value).collect();
            let tag = value(&lookup.tag);
            let found = index.find(&tuple, tag).ok_or_else(|| missing(&lookup.name, row, &tuple, tag))?;
            if let Some(count) = counts.get_mut(found.set).and_then(|set| set.get_mut(found.row)) {
                *count += 1;
            }
        }
    }
    Ok(counts)
}

fn missing(lookup: &str, row: usize, tuple: &[Fr], tag: Fr) -> ProveError {
    let show = |value: &Fr| to_integer(*value).map_or_else(|| value.to_string(), |small| small.to_string());
    let parts: Vec<String> = tuple.iter().chain([&tag]).map(show).collect();
    ProveError::Lookup { lookup: lookup.to_owned(), row, tuple: parts.join(", ") }
}
