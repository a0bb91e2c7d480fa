//! Counting lookups: how often each table row is used.
//!
//! Cells are small integers, tuples are linear in them (with denominators that are powers of two), and in most tables one
//! coordinate alone tells the rows apart: then a lookup is a few integer operations and one read. What does not fit this takes
//! the slow way through field elements and a hash map, with the same result.

use ark_bn254::Fr;
use ark_ff::Zero;
use rayon::prelude::*;
use zkloom_plonkish::field::{from_integer, to_integer};
use zkloom_plonkish::{Circuit, Column, Expression, FixedValues, Lookup, Query, TableIndex, TableSet};

use crate::error::ProveError;
use crate::rounds::trace::DraftColumn;

/// Largest denominator of a tuple's coordinate, as log2.
const MAX_SHIFT: u32 = 32;

/// A linear expression over integers: `(constant + sum coefficient * cell) / 2^shift`.
#[derive(Debug)]
struct IntegerExpression {
    terms: Vec<(Query, i64)>,
    constant: i64,
    shift: u32,
}

impl IntegerExpression {
    /// The expression in this form, if it is linear with small coefficients.
    fn new(expression: &Expression<Query>) -> Option<Self> {
        let (mut terms, mut constant) = (Vec::new(), Fr::zero());
        collect(expression, from_integer(1), &mut terms, &mut constant)?;
        let small = |value: Fr| to_integer(value).filter(|value| value.unsigned_abs() < 1 << 40);
        let mut scale = from_integer(1);
        for shift in 0..=MAX_SHIFT {
            let scaled: Option<Vec<_>> =
                terms.iter().map(|(query, factor)| Some((*query, small(*factor * scale)?))).collect();
            if let (Some(terms), Some(constant)) = (scaled, small(constant * scale)) {
                return Some(Self { terms, constant, shift });
            }
            scale += scale;
        }
        None
    }

    /// Its value on a row; nothing if a cell is no small integer or the value is none.
    fn value(&self, row: usize, cells: &Cells<'_>) -> Option<i64> {
        let mut sum = i128::from(self.constant);
        for (query, coefficient) in &self.terms {
            sum += i128::from(*coefficient) * i128::from(cells.get(query, row)?);
        }
        let divisible = sum & ((1 << self.shift) - 1) == 0;
        i64::try_from(sum >> self.shift).ok().filter(|_| divisible)
    }
}

/// Adds `factor * expression` to a linear form; nothing if it is not linear.
fn collect(
    expression: &Expression<Query>,
    factor: Fr,
    terms: &mut Vec<(Query, Fr)>,
    constant: &mut Fr,
) -> Option<()> {
    match expression {
        Expression::Constant(value) => *constant += factor * value,
        Expression::Leaf(query) => terms.push((*query, factor)),
        Expression::Sum(parts) => {
            parts.iter().try_for_each(|part| collect(part, factor, terms, constant))?;
        }
        Expression::Product(factors) => {
            let (mut scale, mut variable) = (factor, None);
            for part in factors {
                match part {
                    Expression::Constant(value) => scale *= value,
                    other if variable.is_none() => variable = Some(other),
                    _ => return None,
                }
            }
            match variable {
                Some(part) => collect(part, scale, terms, constant)?,
                None => *constant += scale,
            }
        }
    }
    Some(())
}

/// The trace and the fixed columns.
struct Cells<'a> {
    advice: &'a [DraftColumn],
    fixed: &'a FixedValues,
    rows: usize,
}

impl Cells<'_> {
    fn row(&self, query: &Query, row: usize) -> usize {
        (row as i64 + i64::from(query.rotation)).rem_euclid(self.rows as i64) as usize
    }

    fn get(&self, query: &Query, row: usize) -> Option<i64> {
        let row = self.row(query, row);
        match query.column {
            Column::Fixed { index } => Some(self.fixed.get(index, row)),
            Column::Advice { index } => {
                let column = self.advice.get(index as usize)?;
                match column.integers.get(row) {
                    // Zero may stand for a cell that is a full field element.
                    Some(0) | None => to_integer(column.get(row)),
                    Some(value) => Some(*value),
                }
            }
        }
    }

    fn field(&self, query: &Query, row: usize) -> Fr {
        let row = self.row(query, row);
        match query.column {
            Column::Fixed { index } => from_integer(self.fixed.get(index, row)),
            Column::Advice { index } => {
                self.advice.get(index as usize).map_or_else(Fr::zero, |column| column.get(row))
            }
        }
    }
}

/// The rows of one table, told apart by one coordinate.
#[derive(Debug)]
struct DenseTable {
    tag: i64,
    key: usize,
    first: i64,
    /// Position in `rows` plus one, for each value of the key from `first`; zero for none.
    positions: Vec<u32>,
    /// Set and row.
    rows: Vec<(u32, u32)>,
}

/// Finds table rows.
#[derive(Debug)]
pub(crate) struct Tables {
    dense: Vec<DenseTable>,
    /// Present where some table has no coordinate that tells its rows apart.
    slow: Option<TableIndex>,
}

impl Tables {
    /// Indexes all sets.
    pub(crate) fn new(sets: &[TableSet], fixed: &FixedValues) -> Self {
        let mut tables: Vec<(i64, Vec<(u32, u32)>)> = Vec::new();
        for (set_index, set) in (0..).zip(sets) {
            for row in (0..fixed.rows()).filter(|row| fixed.get(set.selector, *row) != 0) {
                let (tag, entry) = (fixed.get(set.tag, row), (set_index, row as u32));
                match tables.iter_mut().rev().find(|(known, _)| *known == tag) {
                    Some((_, rows)) => rows.push(entry),
                    None => tables.push((tag, vec![entry])),
                }
            }
        }
        let arity = sets.iter().map(|set| set.values.len()).max().unwrap_or(0);
        let index = |(tag, rows): &(i64, Vec<(u32, u32)>)| {
            (0..arity).find_map(|key| DenseTable::new(*tag, key, rows, (sets, fixed)))
        };
        let dense: Option<Vec<DenseTable>> = tables.iter().map(index).collect();
        match dense {
            Some(dense) => Self { dense, slow: None },
            None => Self { dense: Vec::new(), slow: Some(TableIndex::new(sets, fixed)) },
        }
    }

    /// The set and row of a tuple, by the fast way.
    fn find(
        &self,
        tuple: &[i64],
        tag: i64,
        (sets, fixed): (&[TableSet], &FixedValues),
    ) -> Option<(usize, usize)> {
        let table = self.dense.iter().find(|table| table.tag == tag)?;
        let key = tuple.get(table.key).copied().unwrap_or(0);
        let offset = usize::try_from(key.checked_sub(table.first)?).ok()?;
        let position = table.positions.get(offset)?.checked_sub(1)?;
        let (set, row) = table.rows.get(position as usize)?;
        let arity = sets.iter().map(|set| set.values.len()).max().unwrap_or(0).max(tuple.len());
        let matches = (0..arity).all(|coordinate| {
            let wanted = tuple.get(coordinate).copied().unwrap_or(0);
            entry(sets, fixed, (*set, *row), coordinate) == wanted
        });
        matches.then_some((*set as usize, *row as usize))
    }
}

/// One coordinate of a table row.
fn entry(sets: &[TableSet], fixed: &FixedValues, (set, row): (u32, u32), coordinate: usize) -> i64 {
    let column = sets.get(set as usize).and_then(|set| set.values.get(coordinate));
    column.map_or(0, |column| fixed.get(*column, row as usize))
}

impl DenseTable {
    /// The table by its coordinate `key`; nothing if rows that differ agree in it, or its values are far apart.
    fn new(
        tag: i64,
        key: usize,
        rows: &[(u32, u32)],
        (sets, fixed): (&[TableSet], &FixedValues),
    ) -> Option<Self> {
        let arity = sets.iter().map(|set| set.values.len()).max().unwrap_or(0);
        let keys = || rows.iter().map(|row| entry(sets, fixed, *row, key));
        let (first, last) = (keys().min()?, keys().max()?);
        let length = usize::try_from(last.checked_sub(first)?).ok()?.checked_add(1)?;
        if length > 4 * rows.len() + 1024 {
            return None;
        }
        let mut positions = vec![0_u32; length];
        for (position, (value, row)) in (1..).zip(keys().zip(rows)) {
            let slot = positions.get_mut((value - first) as usize)?;
            let Some(known) = slot.checked_sub(1) else {
                *slot = position;
                continue;
            };
            let known = *rows.get(known as usize)?;
            let same =
                |coordinate| entry(sets, fixed, known, coordinate) == entry(sets, fixed, *row, coordinate);
            (0..arity).all(same).then_some(())?;
        }
        Some(Self { tag, key, first, positions, rows: rows.to_vec() })
    }
}

/// A lookup in integers.
struct FastLookup {
    tuple: Vec<IntegerExpression>,
    tag: IntegerExpression,
}

impl FastLookup {
    fn new(lookup: &Lookup) -> Option<Self> {
        let tuple = lookup.tuple.iter().map(IntegerExpression::new).collect::<Option<_>>()?;
        Some(Self { tuple, tag: IntegerExpression::new(&lookup.tag)? })
    }
}

/// Multiplicities of each table set, over usable rows. Fails at the first tuple that is in no table.
pub(crate) fn multiplicities(
    circuit: &Circuit,
    fixed: &FixedValues,
    tables: &Tables,
    advice: &[DraftColumn],
) -> Result<Vec<Vec<i64>>, ProveError> {
    let cells = Cells { advice, fixed, rows: circuit.rows() };
    let count = |lookup: &Lookup| count_lookup(circuit, tables, &cells, lookup);
    let counted: Vec<Result<Vec<Vec<u32>>, ProveError>> = circuit.lookups.par_iter().map(count).collect();
    let mut sums = vec![vec![0_i64; circuit.usable()]; circuit.table_sets.len()];
    for counts in counted {
        for (sum, counts) in sums.iter_mut().zip(counts?) {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += i64::from(count));
        }
    }
    Ok(sums)
}

/// How often one lookup uses each row of each set.
fn count_lookup(
    circuit: &Circuit,
    tables: &Tables,
    cells: &Cells<'_>,
    lookup: &Lookup,
) -> Result<Vec<Vec<u32>>, ProveError> {
    let mut counts = vec![vec![0_u32; circuit.usable()]; circuit.table_sets.len()];
    let fast = FastLookup::new(lookup).filter(|_| tables.slow.is_none());
    let sets = (circuit.table_sets.as_slice(), cells.fixed);
    let mut tuple = Vec::with_capacity(lookup.tuple.len());
    for row in (0..circuit.usable()).filter(|row| cells.fixed.get(lookup.selector, *row) != 0) {
        let found = match &fast {
            Some(fast) => {
                tuple.clear();
                tuple.extend(fast.tuple.iter().map_while(|part| part.value(row, cells)));
                let complete = tuple.len() == fast.tuple.len();
                let tag = fast.tag.value(row, cells).filter(|_| complete);
                tag.and_then(|tag| tables.find(&tuple, tag, sets))
            }
            None => find_slowly(circuit, tables, cells, lookup, row),
        };
        let (set, at) = found.ok_or_else(|| missing(lookup, row, cells))?;
        if let Some(count) = counts.get_mut(set).and_then(|set| set.get_mut(at)) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// The tuple and tag of a lookup on a row, as field elements.
fn tuple_of(lookup: &Lookup, row: usize, cells: &Cells<'_>) -> (Vec<Fr>, Fr) {
    let leaf = |query: &Query| Ok::<_, core::convert::Infallible>(cells.field(query, row));
    let value = |expression: &Expression<Query>| match expression.evaluate(&leaf) {
        Ok(value) => value,
    };
    (lookup.tuple.iter().map(value).collect(), value(&lookup.tag))
}

fn find_slowly(
    circuit: &Circuit,
    tables: &Tables,
    cells: &Cells<'_>,
    lookup: &Lookup,
    row: usize,
) -> Option<(usize, usize)> {
    let (tuple, tag) = tuple_of(lookup, row, cells);
    match &tables.slow {
        Some(index) => index.find(&tuple, tag).map(|found| (found.set, found.row)),
        None => {
            let tuple: Option<Vec<i64>> = tuple.into_iter().map(to_integer).collect();
            tables.find(&tuple?, to_integer(tag)?, (&circuit.table_sets, cells.fixed))
        }
    }
}

fn missing(lookup: &Lookup, row: usize, cells: &Cells<'_>) -> ProveError {
    let (tuple, tag) = tuple_of(lookup, row, cells);
    let show = |value: &Fr| to_integer(*value).map_or_else(|| value.to_string(), |small| small.to_string());
    let parts: Vec<String> = tuple.iter().chain([&tag]).map(show).collect();
    ProveError::Lookup { lookup: lookup.name.clone(), row, tuple: parts.join(", ") }
}

/// Multiplicities over cells that a function gives; for tests that change single cells.
#[cfg(test)]
pub(crate) fn multiplicities_of(
    circuit: &Circuit,
    fixed: &FixedValues,
    cell: &dyn Fn(usize, usize) -> Fr,
) -> Result<Vec<Vec<i64>>, ProveError> {
    let column = |index: usize| {
        let mut column = DraftColumn { integers: vec![0; circuit.rows()], ..DraftColumn::default() };
        (0..circuit.rows()).for_each(|row| column.set(row, cell(index, row)));
        column
    };
    let advice: Vec<DraftColumn> = (0..circuit.advice.len()).map(column).collect();
    multiplicities(circuit, fixed, &Tables::new(&circuit.table_sets, fixed), &advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two sets: table 1 is told apart by its first coordinate, table 2 by its second; `clash` makes table 2 need both.
    fn sets(clash: bool) -> (Vec<TableSet>, FixedValues) {
        let set = |first| TableSet { values: vec![first, first + 1], tag: first + 2, selector: 0 };
        let columns = vec![
            vec![1, 1, 1, 1],
            vec![-1, 0, 1, 7],
            vec![5, 5, 6, 3],
            vec![1, 1, 1, 2],
            vec![7, if clash { 8 } else { 7 }, 7, 7],
            vec![4, if clash { 4 } else { 6 }, 5, 5],
            vec![2, 2, 2, 2],
        ];
        (vec![set(1), set(4)], FixedValues { columns })
    }

    #[test]
    fn both_ways_find_the_same_rows() {
        for clash in [false, true] {
            let (sets, fixed) = sets(clash);
            let (tables, index) = (Tables::new(&sets, &fixed), TableIndex::new(&sets, &fixed));
            assert_eq!(tables.slow.is_some(), clash);
            for (a, b, tag) in (-3..10).flat_map(|a| (0..9).flat_map(move |b| (0..4).map(move |t| (a, b, t))))
            {
                let expected =
                    index.find(&[a, b].map(from_integer), from_integer(tag)).map(|row| (row.set, row.row));
                let found = match &tables.slow {
                    None => tables.find(&[a, b], tag, (&sets, &fixed)),
                    Some(slow) => {
                        let found = slow.find(&[a, b].map(from_integer), from_integer(tag));
                        found.map(|row| (row.set, row.row))
                    }
                };
                assert_eq!(found, expected, "({a}, {b}) in table {tag}");
            }
        }
    }

    #[test]
    fn linear_expressions_are_integers_over_a_power_of_two() {
        use ark_ff::Field;
        let column = |values: &[i64]| DraftColumn { integers: values.to_vec(), ..DraftColumn::default() };
        let mut advice = [column(&[24, 25, i64::MAX, 0]), column(&[8, 8, -i64::MAX, 0])];
        advice[0].set(3, from_integer(16).inverse().expect("not zero"));
        let fixed = FixedValues { columns: vec![] };
        let cells = Cells { advice: &advice, fixed: &fixed, rows: 4 };
        let leaf = |index| Expression::Leaf(Query::advice(index));
        let eighth = from_integer(8).inverse().expect("not zero");
        let expression = (leaf(0) - leaf(1)).scale(eighth);
        let form = IntegerExpression::new(&expression).expect("linear");
        assert_eq!(form.shift, 3);
        let values: Vec<_> = (0..4).map(|row| form.value(row, &cells)).collect();
        // 16 / 8; 17 / 8 is no integer; (2^63 - 1) 2 / 8 neither; a cell that is no integer.
        assert_eq!(values, [Some(2), None, None, None]);
        assert!(IntegerExpression::new(&(leaf(0) * leaf(1))).is_none());
        let third = from_integer(3).inverse().expect("not zero");
        assert!(IntegerExpression::new(&leaf(0).scale(third)).is_none());
        let constant = Expression::Product(vec![Expression::integer(3), Expression::integer(-2)]);
        assert_eq!(IntegerExpression::new(&constant).and_then(|form| form.value(0, &cells)), Some(-6));
    }
}
