//! The mock checker: evaluates every gate, lookup and claim on a witness and names what fails, where, with the cells around.

use std::collections::HashMap;

use ark_bn254::Fr;
use ark_ff::Zero;

use crate::Circuit;
use crate::claim::{Claim, Relation};
use crate::expression::{Column, Expression, Query};
use crate::field::{from_integer, to_integer};
use crate::lookup::TableIndex;
use crate::view::{Monomial, Variable, View};
use crate::witness::{FixedValues, IntegerMatrix, Witness};

/// One constraint that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A gate is not zero.
    Gate {
        /// The gate.
        gate: String,
        /// The row.
        row: usize,
        /// Its value there.
        value: String,
        /// Cells that it reads, in words.
        cells: Vec<String>,
    },
    /// A tuple is not in its table.
    Lookup {
        /// The lookup.
        lookup: String,
        /// The row.
        row: usize,
        /// The tuple, the table's number last.
        tuple: Vec<String>,
        /// Cells that it reads, in words.
        cells: Vec<String>,
    },
    /// A claim does not hold at one output cell.
    Claim {
        /// The claim.
        claim: String,
        /// The output cell's column (among tensor columns) and row, where one is known.
        cell: Option<(u32, u64)>,
        /// Output minus what it should be.
        difference: String,
    },
    /// A public value is outside its interval.
    Public {
        /// The tensor.
        tensor: String,
        /// Position.
        index: usize,
        /// The value.
        value: i64,
    },
    /// A tensor cell is outside the interval that the circuit states.
    Interval {
        /// The tensor.
        tensor: String,
        /// Tensor column.
        column: u32,
        /// Row.
        row: usize,
        /// The value.
        value: i64,
    },
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Gate { gate, row, value, cells } => {
                write!(f, "gate `{gate}` is {value} at row {row}; {}", cells.join(", "))
            }
            Self::Lookup { lookup, row, tuple, cells } => {
                write!(
                    f,
                    "lookup `{lookup}` at row {row}: ({}) is in no table; {}",
                    tuple.join(", "),
                    cells.join(", ")
                )
            }
            Self::Claim { claim, cell, difference } => match cell {
                Some((column, row)) => {
                    write!(f, "claim `{claim}` is off by {difference} at row {row} of tensor column {column}")
                }
                None => write!(f, "claim `{claim}` is off by {difference} at a cell that its output lacks"),
            },
            Self::Public { tensor, index, value } => {
                write!(f, "public tensor `{tensor}`: value {value} at {index} is outside its interval")
            }
            Self::Interval { tensor, column, row, value } => {
                write!(
                    f,
                    "tensor `{tensor}`: {value} at row {row} of tensor column {column} is outside its interval"
                )
            }
        }
    }
}

/// What a check needs.
#[derive(Clone, Copy, Debug)]
pub struct MockChecker<'a> {
    /// The circuit; it must be valid.
    pub circuit: &'a Circuit,
    /// Fixed values.
    pub fixed: &'a FixedValues,
    /// Matrices in key order.
    pub weights: &'a [IntegerMatrix],
}

fn show(value: Fr) -> String {
    to_integer(value).map_or_else(|| value.to_string(), |small| small.to_string())
}

impl MockChecker<'_> {
    /// All failures, at most `limit` of them; an empty list means that the witness satisfies the circuit.
    pub fn check(&self, witness: &Witness, limit: usize) -> Vec<Failure> {
        let mut failures = Vec::new();
        self.check_gates(witness, &mut failures, limit);
        self.check_lookups(witness, &mut failures, limit);
        self.check_intervals(witness, &mut failures);
        self.check_claims(witness, &mut failures, limit);
        failures.truncate(limit);
        failures
    }

    fn cell(&self, witness: &Witness, query: &Query, row: usize) -> i64 {
        let rows = self.circuit.rows().max(1) as i64;
        let row = (row as i64 + i64::from(query.rotation)).rem_euclid(rows) as usize;
        match query.column {
            Column::Advice { index } => witness.get(index, row),
            Column::Fixed { index } => self.fixed.get(index, row),
        }
    }

    fn value(&self, witness: &Witness, expression: &Expression<Query>, row: usize) -> Fr {
        let leaf =
            |query: &Query| Ok::<_, core::convert::Infallible>(from_integer(self.cell(witness, query, row)));
        match expression.evaluate(&leaf) {
            Ok(value) => value,
        }
    }

    fn cells(&self, witness: &Witness, expressions: &[&Expression<Query>], row: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for expression in expressions {
            expression.leaves(&mut |query| {
                if !seen.contains(query) {
                    seen.push(*query);
                }
            });
        }
        let name = |query: &Query| {
            let name = match query.column {
                Column::Advice { index } => {
                    self.circuit.advice.get(index as usize).map(|column| &column.name)
                }
                Column::Fixed { index } => self.circuit.fixed.get(index as usize).map(|column| &column.name),
            };
            let rotation =
                if query.rotation == 0 { String::new() } else { format!("[{:+}]", query.rotation) };
            format!("{}{rotation} = {}", name.map_or("?", String::as_str), self.cell(witness, query, row))
        };
        seen.iter().map(name).collect()
    }

    fn check_gates(&self, witness: &Witness, failures: &mut Vec<Failure>, limit: usize) {
        for gate in &self.circuit.gates {
            for row in 0..self.circuit.usable() {
                let value = self.value(witness, &gate.polynomial, row);
                if value.is_zero() {
                    continue;
                }
                let cells = self.cells(witness, &[&gate.polynomial], row);
                failures.push(Failure::Gate { gate: gate.name.clone(), row, value: show(value), cells });
                if failures.len() >= limit {
                    return;
                }
            }
        }
    }

    fn check_lookups(&self, witness: &Witness, failures: &mut Vec<Failure>, limit: usize) {
        let index = TableIndex::new(&self.circuit.table_sets, self.fixed);
        for lookup in &self.circuit.lookups {
            for row in (0..self.circuit.usable()).filter(|row| self.fixed.get(lookup.selector, *row) != 0) {
                let tuple: Vec<Fr> = lookup.tuple.iter().map(|part| self.value(witness, part, row)).collect();
                let tag = self.value(witness, &lookup.tag, row);
                if index.find(&tuple, tag).is_some() {
                    continue;
                }
                let parts: Vec<_> = lookup.tuple.iter().chain([&lookup.tag]).collect();
                failures.push(Failure::Lookup {
                    lookup: lookup.name.clone(),
                    row,
                    tuple: tuple.iter().chain([&tag]).map(|value| show(*value)).collect(),
                    cells: self.cells(witness, &parts, row),
                });
                if failures.len() >= limit {
                    return;
                }
            }
        }
    }

    fn check_intervals(&self, witness: &Witness, failures: &mut Vec<Failure>) {
        let columns: Vec<usize> = self.circuit.tensor_columns().collect();
        for tensor in &self.circuit.tensors {
            for piece in &tensor.pieces {
                let advice = columns.get(piece.column as usize).map_or(u32::MAX, |index| *index as u32);
                for row in (piece.offset..piece.offset.saturating_add(piece.length)).map(|row| row as usize) {
                    let value = witness.get(advice, row);
                    if !tensor.interval.contains(value) {
                        let tensor = tensor.name.clone();
                        failures.push(Failure::Interval { tensor, column: piece.column, row, value });
                    }
                }
            }
        }
        for (public, values) in self.circuit.publics.iter().zip(&witness.publics) {
            for (index, value) in
                values.iter().enumerate().filter(|(_, value)| !public.interval.contains(**value))
            {
                failures.push(Failure::Public { tensor: public.name.clone(), index, value: *value });
            }
        }
    }

    fn check_claims(&self, witness: &Witness, failures: &mut Vec<Failure>, limit: usize) {
        for claim in &self.circuit.claims {
            let mut sums = ClaimSums::default();
            self.add_output(witness, claim, &mut sums);
            self.add_relation(witness, claim, &mut sums);
            let mut wrong: Vec<_> =
                sums.differences.iter().filter(|(_, difference)| !difference.is_zero()).collect();
            wrong.sort_by_key(|(monomial, _)| sums.cells.get(*monomial).copied());
            for (monomial, difference) in wrong {
                let cell = sums.cells.get(monomial).copied();
                failures.push(Failure::Claim {
                    claim: claim.name.clone(),
                    cell,
                    difference: show(*difference),
                });
                if failures.len() >= limit {
                    return;
                }
            }
        }
    }

    fn tensor_value(&self, witness: &Witness, column: u32, row: u64) -> Fr {
        let advice =
            self.circuit.tensor_columns().nth(column as usize).map_or(u32::MAX, |index| index as u32);
        from_integer(witness.get(advice, row as usize))
    }

    fn add_output(&self, witness: &Witness, claim: &Claim, sums: &mut ClaimSums) {
        for view in &claim.output {
            for cell in view.cells() {
                let value =
                    self.tensor_value(witness, view.column, cell.row) * from_integer(view.coefficient);
                sums.cells.insert(cell.monomial.clone(), (view.column, cell.row));
                sums.add(cell.monomial, value);
            }
        }
    }

    /// Cells of fold views, by fold entry: (monomial of the rest, value).
    fn fold_cells(&self, witness: &Witness, views: &[View]) -> HashMap<u32, Vec<(Monomial, Fr)>> {
        let mut entries: HashMap<u32, Vec<(Monomial, Fr)>> = HashMap::new();
        for view in views {
            for cell in view.cells() {
                let value =
                    self.tensor_value(witness, view.column, cell.row) * from_integer(view.coefficient);
                let entry = cell.monomial.exponent(Variable::Fold {});
                entries.entry(entry).or_default().push((cell.monomial.without(Variable::Fold {}), value));
            }
        }
        entries
    }

    fn add_relation(&self, witness: &Witness, claim: &Claim, sums: &mut ClaimSums) {
        match &claim.relation {
            Relation::Linear { inputs } => {
                for view in inputs {
                    for cell in view.cells() {
                        let value = self.tensor_value(witness, view.column, cell.row)
                            * from_integer(view.coefficient);
                        sums.add(cell.monomial, value);
                    }
                }
            }
            Relation::Public { tensor } => {
                let values = witness.publics.get(*tensor as usize).map_or(&[][..], Vec::as_slice);
                for (power, value) in (0..).zip(values) {
                    sums.add(Monomial::power(Variable::Public {}, power), -from_integer(*value));
                }
            }
            Relation::External { vector } => {
                let external = self.circuit.externals.get(*vector as usize);
                let (offset, length) = external.map_or((0, 0), |e| (e.offset as usize, e.length));
                let values = witness.externals.get(*vector as usize).map_or(&[][..], Vec::as_slice);
                for power in 0..length {
                    let value = values.get(offset + power as usize).copied().unwrap_or_else(Fr::zero);
                    sums.add(Monomial::power(Variable::Public {}, power), -value);
                }
            }
            Relation::Product { left, right, .. } => {
                let rights = self.fold_cells(witness, right);
                for (entry, lefts) in self.fold_cells(witness, left) {
                    for (row, a) in &lefts {
                        for (column, b) in rights.get(&entry).map_or(&[][..], Vec::as_slice) {
                            sums.add(row.times(column), -*a * b);
                        }
                    }
                }
            }
            Relation::Matrix { matrix, input, ones } => {
                self.add_matrix(witness, *matrix, (input, ones), sums)
            }
        }
    }

    fn add_matrix(
        &self,
        witness: &Witness,
        matrix: u32,
        (input, ones): (&[View], &[crate::ConstantOnes]),
        sums: &mut ClaimSums,
    ) {
        let mut cells = self.fold_cells(witness, input);
        for one in ones.iter().flat_map(crate::ConstantOnes::by_column) {
            let mut positions = vec![one.scale.clone()];
            for axis in &one.axes {
                let run = |base: &Monomial| {
                    (0..axis.count).map(|i| base.times(&axis.ratio.raised(i))).collect::<Vec<_>>()
                };
                positions = positions.iter().flat_map(run).collect();
            }
            let entry = cells.entry(one.column).or_default();
            entry.extend(positions.into_iter().map(|monomial| (monomial, from_integer(1))));
        }
        let role = self.circuit.matrices.get(matrix as usize).map_or(0, |m| m.row_role);
        let Some(values) = self.weights.get(matrix as usize) else { return };
        for (index, row) in (0..).zip(values.iter_rows()) {
            for (column, weight) in (0_u32..).zip(row).filter(|(_, weight)| **weight != 0) {
                for (position, value) in cells.get(&column).map_or(&[][..], Vec::as_slice) {
                    sums.add(Monomial::role(role, index).times(position), -from_integer(*weight) * value);
                }
            }
        }
    }
}

/// Output minus relation, monomial by monomial.
#[derive(Default)]
struct ClaimSums {
    differences: HashMap<Monomial, Fr>,
    cells: HashMap<Monomial, (u32, u64)>,
}

impl ClaimSums {
    fn add(&mut self, monomial: Monomial, value: Fr) {
        *self.differences.entry(monomial).or_insert_with(Fr::zero) += value;
    }
}
