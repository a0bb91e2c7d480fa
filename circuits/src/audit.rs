//! Whether a circuit with its fixed values is what this compiler makes of the architecture that its layout states, checked
//! without the network's weights: [`audit`] compiles the architecture again and compares.
//!
//! The only thing that it takes from the circuit is the interval that is stated for each accumulator, which depends on weights;
//! these must be small enough for the requantisation to have one solution. What passes has these properties, whatever the
//! matrices' entries are:
//!
//! - A claim gives every accumulator as a linear function of tensors before it, as the architecture says.
//! - Every activation is looked up together with its accumulator, on its row, in a table that is a function. The table's
//!   interval and the shift are small enough that `acc = q 2^s + rem` has at most one solution modulo the field's order, for any
//!   accumulator in the field ([`crate::gadgets::requantise`]).
//! - So each tensor is a function of the tensors before it, and the outputs are a function of the input and of the rows that
//!   the key commits to.
//!
//! Not visible here: that the committed rows are no longer than their matrices' columns, which all of this takes for granted
//! (longer ones would reach into what other layers read, or into random cells), and that their entries are small, so that
//! accumulators lie in their stated intervals.

use thiserror::Error;
use zkloom_plonkish::origin::check_public_origins;
use zkloom_plonkish::{Circuit, CircuitError, FixedValues};

use crate::compile::{Compiled, rebuild};
use crate::error::CompileError;
use crate::layout::Layout;
use crate::tables::total_rows;

/// Fixed columns before those of the table sets: selector, tag, table selector.
const COLUMNS_BEFORE_SETS: usize = 3;
/// Fixed columns of a table set: argument, result, tag.
const COLUMNS_OF_SET: usize = 3;

/// How a description differs from what the compiler makes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuditError {
    /// The circuit breaks a rule of circuits.
    #[error("the described circuit is refused: {0}")]
    Circuit(#[from] CircuitError),
    /// The architecture has no circuit.
    #[error("no circuit can be made of the described architecture: {0}")]
    Compile(#[from] CompileError),
    /// Layout and circuit do not belong together.
    #[error("the layout does not fit the circuit: {0}")]
    Layout(String),
    /// A part of the circuit is not the one that the layout gives.
    #[error("the circuit's {part} are not those that the layout gives")]
    Part {
        /// Which part.
        part: &'static str,
    },
    /// A fixed column has another length than the layout gives.
    #[error("fixed column {column} has {found} values, the layout gives {expected}")]
    Length {
        /// Index of the column.
        column: usize,
        /// Values by the layout.
        expected: usize,
        /// Values in the description.
        found: usize,
    },
    /// A fixed cell has another value than the layout gives.
    #[error("fixed column {column} (`{name}`), row {row}: {found}, the layout gives {expected}")]
    Fixed {
        /// Index of the column.
        column: usize,
        /// Its name.
        name: String,
        /// The row.
        row: usize,
        /// Value by the layout.
        expected: i64,
        /// Value in the description.
        found: i64,
    },
    /// A tensor's cells, interval or origin are not as the compiler makes them.
    #[error("tensor `{tensor}`: {reason}")]
    Tensor {
        /// The tensor's name.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
}

/// Checks a description; see the [module](self) for what then holds.
///
/// # Errors
/// [`AuditError`], naming the first thing that differs.
pub fn audit(compiled: &Compiled) -> Result<(), AuditError> {
    let Compiled { circuit, fixed, layout } = compiled;
    circuit.validate()?;
    layout.check(circuit).map_err(AuditError::Layout)?;
    check_sizes(layout, circuit, fixed)?;
    let (expected, values) = rebuild(layout, &circuit.tensors)?;
    check_fixed(&values, fixed, &expected)?;
    check_tensors(&expected, circuit)?;
    check_parts(&expected, circuit)?;
    check_public_origins(circuit, fixed)?;
    Ok(())
}

/// Sizes first: what is made again is no larger than what the description holds, so that a short file cannot ask for much.
fn check_sizes(layout: &Layout, circuit: &Circuit, fixed: &FixedValues) -> Result<(), AuditError> {
    let sets = circuit.table_sets.len();
    let height = total_rows(&layout.tables).div_ceil(sets.max(1) as u64).max(1);
    if sets == 0 || fixed.columns.len() != COLUMNS_BEFORE_SETS + COLUMNS_OF_SET * sets {
        return Err(AuditError::Part { part: "fixed columns" });
    }
    for (column, values) in fixed.columns.iter().enumerate() {
        let expected = if column + 1 < COLUMNS_BEFORE_SETS { u64::from(layout.rows) } else { height };
        if values.len() as u64 != expected {
            let expected = usize::try_from(expected).unwrap_or(usize::MAX);
            return Err(AuditError::Length { column, expected, found: values.len() });
        }
    }
    Ok(())
}

/// Every fixed cell.
fn check_fixed(expected: &FixedValues, found: &FixedValues, circuit: &Circuit) -> Result<(), AuditError> {
    if expected.columns.len() != found.columns.len() {
        return Err(AuditError::Part { part: "fixed columns" });
    }
    for (column, (wanted, given)) in expected.columns.iter().zip(&found.columns).enumerate() {
        if wanted.len() != given.len() {
            return Err(AuditError::Length { column, expected: wanted.len(), found: given.len() });
        }
        if let Some(row) = wanted.iter().zip(given).position(|(wanted, given)| wanted != given) {
            let name = circuit.fixed.get(column).map_or_else(String::new, |column| column.name.clone());
            let (expected, found) = (expected.get(column as u32, row), found.get(column as u32, row));
            return Err(AuditError::Fixed { column, name, row, expected, found });
        }
    }
    Ok(())
}

/// Every tensor: its name, cells, interval and origin.
fn check_tensors(expected: &Circuit, found: &Circuit) -> Result<(), AuditError> {
    if expected.tensors.len() != found.tensors.len() {
        return Err(AuditError::Part { part: "tensors" });
    }
    match expected.tensors.iter().zip(&found.tensors).find(|(wanted, given)| wanted != given) {
        None => Ok(()),
        Some((wanted, _)) => {
            let reason = "its cells, interval or origin are not those that the architecture gives".to_owned();
            Err(AuditError::Tensor { tensor: wanted.name.clone(), reason })
        }
    }
}

/// Everything else.
fn check_parts(expected: &Circuit, found: &Circuit) -> Result<(), AuditError> {
    let parts = [
        ("numbers of blinding rows", expected.blinding_rows == found.blinding_rows),
        ("degrees", expected.max_degree == found.max_degree),
        ("advice columns", expected.advice == found.advice),
        ("gates", expected.gates == found.gates),
        ("lookups", expected.lookups == found.lookups),
        ("copies", expected.copies == found.copies),
        ("axis roles", expected.roles == found.roles),
        ("fixed columns", expected.fixed == found.fixed),
        ("table sets", expected.table_sets == found.table_sets),
        ("matrices", expected.matrices == found.matrices),
        ("claims", expected.claims == found.claims),
        ("public tensors", expected.publics == found.publics),
        ("committed tensors", expected.externals == found.externals),
        ("random cells of folds", expected.fold_blinds == found.fold_blinds),
        ("numbers", expected == found),
    ];
    match parts.into_iter().find(|(_, same)| !same) {
        Some((part, _)) => Err(AuditError::Part { part }),
        None => Ok(()),
    }
}
