//! Lookups into tagged tables, and the index that finds a tuple's row.

use std::collections::HashMap;

use ark_bn254::Fr;

use crate::codec_struct;
use crate::expression::{Expression, Query};
use crate::field::{from_integer, to_integer};
use crate::witness::FixedValues;

/// Tables that share one group of columns, one after the other. The tag column holds each row's table number (from 1), the
/// selector is one on table rows and zero elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSet {
    /// Fixed columns of the coordinates.
    pub values: Vec<u32>,
    /// Fixed column of the table numbers.
    pub tag: u32,
    /// Fixed column that is one on table rows.
    pub selector: u32,
}
codec_struct!(TableSet { values, tag, selector });

/// A lookup: on every row where the selector is one, the tuple stands in the table with the tag's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    /// Name for messages.
    pub name: String,
    /// Fixed column, zero or one.
    pub selector: u32,
    /// Coordinates, of degree at most one; missing ones are zero.
    pub tuple: Vec<Expression<Query>>,
    /// The table's number, of degree at most one.
    pub tag: Expression<Query>,
}
codec_struct!(Lookup { name, selector, tuple, tag });

/// A row of a table set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRow {
    /// Which set.
    pub set: usize,
    /// Which row.
    pub row: usize,
}

/// Finds the table row of a tuple. The first row wins where a table repeats itself.
#[derive(Debug)]
pub struct TableIndex {
    rows: HashMap<Vec<i64>, TableRow>,
    arity: usize,
}

impl TableIndex {
    /// Indexes all sets. Columns that do not exist or end early count as zero.
    pub fn new(sets: &[TableSet], fixed: &FixedValues) -> Self {
        let arity = sets.iter().map(|set| set.values.len()).max().unwrap_or(0);
        let mut rows = HashMap::new();
        for (set_index, set) in sets.iter().enumerate() {
            for row in 0..fixed.rows() {
                if fixed.get(set.selector, row) == 0 {
                    continue;
                }
                let mut key: Vec<i64> = set.values.iter().map(|column| fixed.get(*column, row)).collect();
                key.resize(arity, 0);
                key.push(fixed.get(set.tag, row));
                rows.entry(key).or_insert(TableRow { set: set_index, row });
            }
        }
        Self { rows, arity }
    }

    /// The row of a tuple of field elements, tag last. Table entries are small integers, so a tuple with a coordinate that
    /// is none cannot be in a table.
    pub fn find(&self, tuple: &[Fr], tag: Fr) -> Option<TableRow> {
        let mut key = Vec::with_capacity(self.arity + 1);
        for value in tuple {
            key.push(to_integer(*value)?);
        }
        key.resize(self.arity, 0);
        key.push(to_integer(tag)?);
        self.rows.get(&key).copied()
    }
}

impl Lookup {
    /// The tuple with `arity` coordinates and the tag, as expressions.
    pub fn padded(&self, arity: usize) -> Vec<Expression<Query>> {
        let mut all = self.tuple.clone();
        all.resize(arity, Expression::Constant(from_integer(0)));
        all.push(self.tag.clone());
        all
    }
}
