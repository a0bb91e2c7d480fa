//! Whether a circuit with its fixed values is what this compiler makes of *some* network of the stated architecture, checked
//! without the network's weights.
//!
//! [`audit`] makes columns, lookups, fixed values, tensors and claims again from the [`Layout`] and compares; what a layout
//! leaves open (which tensor a layer reads, the coefficients of a sum) it reads from the circuit and makes the rest again from
//! that. What passes has these properties, whatever the matrices' entries are:
//!
//! - A claim gives every accumulator as a linear function of tensors before it.
//! - Every activation is looked up together with its accumulator, on its row, in a table that is a function. The table's
//!   interval and the shift are small enough that `acc = q 2^s + rem` has at most one solution modulo the field's order, for any
//!   accumulator in the field ([`crate::gadgets::requantise`]).
//! - So each tensor is a function of the tensors before it, and the outputs are a function of the input and of the rows that
//!   the key commits to.
//!
//! Not visible here: that the committed rows are no longer than their matrices' columns, which all of this takes for granted
//! (longer ones would reach into what other layers read, or into random cells), and that their entries are small, so that
//! accumulators lie in their stated intervals.

mod claims;
mod nodes;

use thiserror::Error;
use zkloom_model::rounding::requantise;
use zkloom_plonkish::origin::check_public_origins;
use zkloom_plonkish::{Circuit, CircuitError, FixedValues, Interval};

use crate::compile::Compiled;
use crate::gadgets::requantise::reach;
use crate::layout::{Block, Layout, Source};
use crate::lowering::{fixed as fixed_values, fold_runs, frame};
use crate::plan::MAX_MAGNITUDE;
use crate::tables::{FIRST_FUNCTION_TAG, INPUT_TAG, RANGE_TAG, Table, TableContent, hull, total_rows};

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
    /// Layout and circuit do not belong together.
    #[error("the layout does not fit the circuit: {0}")]
    Layout(String),
    /// A block of rows is not as the compiler makes them.
    #[error("block `{block}`: {reason}")]
    Block {
        /// The block's name.
        block: String,
        /// What is wrong.
        reason: String,
    },
    /// A table is not as the compiler makes it.
    #[error("table {tag}: {reason}")]
    Table {
        /// The table's tag.
        tag: u32,
        /// What is wrong.
        reason: String,
    },
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
    /// A claim is not one that the compiler makes.
    #[error("claim `{claim}`: {reason}")]
    Claim {
        /// The claim's name.
        claim: String,
        /// What is wrong.
        reason: String,
    },
    /// A node of the network as the description lists it is not in the circuit.
    #[error("node `{node}`: {reason}")]
    Node {
        /// The node's name.
        node: String,
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
    check_blocks(layout)?;
    check_tables(layout, circuit)?;
    check_fixed(layout, circuit, fixed)?;
    check_public_origins(circuit, fixed)?;
    let layers = claims::check(layout, circuit)?;
    nodes::check(layout, &layers)
}

/// The table of a block's activation.
fn activation_table<'a>(layout: &'a Layout, block: &Block) -> Option<&'a Table> {
    layout.table(block.tag).filter(|table| matches!(table.content, TableContent::Clamp { .. }))
}

/// The input's block first, then accumulators with and without activation, and biases; all values far from the field's order.
fn check_blocks(layout: &Layout) -> Result<(), AuditError> {
    for (index, block) in layout.blocks.iter().enumerate() {
        let refuse =
            |reason: &str| AuditError::Block { block: block.name.clone(), reason: reason.to_owned() };
        let looked_up = activation_table(layout, block).is_some();
        let fits = match (block.accumulator, block.activation) {
            (Source::Empty {}, Source::Tensor { .. }) => index == 0 && block.tag == INPUT_TAG,
            (Source::Tensor { .. }, Source::Tensor { .. }) => index > 0 && looked_up,
            (Source::Tensor { .. } | Source::Bias { .. }, Source::Empty {}) => index > 0 && block.tag == 0,
            _ => false,
        };
        if !fits || block.cells == 0 {
            return Err(refuse(
                "its columns and its table are not those of an input, an accumulator or a bias",
            ));
        }
        let Interval { min, max } = block.interval;
        if min > max || reach(block.interval, quotients(block, layout.shift), layout.shift) >= MAX_MAGNITUDE {
            return Err(refuse(
                "its interval is empty or too large for one solution modulo the field's order",
            ));
        }
    }
    if layout.blocks.is_empty() { Err(AuditError::Layout("it has no input".to_owned())) } else { Ok(()) }
}

/// What a block's requantised accumulators can be, zero included.
fn quotients(block: &Block, shift: u32) -> Interval {
    let Interval { min, max } = block.interval;
    Interval { min: requantise(min, shift).min(0), max: requantise(max, shift).max(0) }
}

/// Tables as the compiler numbers them, each a function or a whole interval, and no longer than the table sets.
fn check_tables(layout: &Layout, circuit: &Circuit) -> Result<(), AuditError> {
    let input = layout.blocks.first().map_or(Interval { min: 0, max: 0 }, |block| block.interval);
    let mut functions = Vec::new();
    for (index, table) in layout.tables.iter().enumerate() {
        let tag = table.tag;
        let refuse = |reason: &str| Err(AuditError::Table { tag, reason: reason.to_owned() });
        let expected = match (index as u32 + RANGE_TAG, table.content) {
            (RANGE_TAG, _) => TableContent::Remainders { shift: layout.shift },
            (INPUT_TAG, _) => TableContent::Input { interval: input },
            (_, TableContent::Clamp { min, max, .. }) if min <= max => {
                let blocks = layout.blocks.iter().filter(|block| block.tag == tag);
                let Some(quotients) = blocks.map(|block| quotients(block, layout.shift)).reduce(hull) else {
                    return refuse("no layer looks it up");
                };
                TableContent::Clamp { quotients, min, max }
            }
            _ => return refuse("it is no function of this compiler"),
        };
        if tag != index as u32 + RANGE_TAG || table.content != expected {
            return refuse("its number, its function or its interval is not what its layers need");
        }
        if let TableContent::Clamp { min, max, .. } = expected {
            if functions.contains(&(min, max)) {
                return refuse("another table has the same function");
            }
            functions.push((min, max));
        }
    }
    if layout.tables.len() < (FIRST_FUNCTION_TAG - RANGE_TAG) as usize {
        return Err(AuditError::Layout("tables of remainders and inputs are missing".to_owned()));
    }
    check_shared_reach(layout)?;
    let capacity = (circuit.usable() as u64).saturating_mul(circuit.table_sets.len() as u64);
    if total_rows(&layout.tables) > capacity {
        return Err(AuditError::Layout(format!(
            "the tables are longer than the {capacity} rows of all sets"
        )));
    }
    Ok(())
}

/// A table that layers share has the hull of what they need, and a cell can use all of it.
fn check_shared_reach(layout: &Layout) -> Result<(), AuditError> {
    for block in &layout.blocks {
        let table = activation_table(layout, block);
        let reach = table.map(|table| reach(block.interval, table.interval(), layout.shift));
        if reach.is_some_and(|reach| reach >= MAX_MAGNITUDE) {
            let reason = "its table is too long for one solution modulo the field's order".to_owned();
            return Err(AuditError::Block { block: block.name.clone(), reason });
        }
    }
    Ok(())
}

/// Columns, lookups, and the value of every fixed cell.
fn check_fixed(layout: &Layout, circuit: &Circuit, fixed: &FixedValues) -> Result<(), AuditError> {
    let sets = circuit.table_sets.len();
    let height = total_rows(&layout.tables).div_ceil(sets.max(1) as u64).max(1) as usize;
    // Lengths first, so that a short file cannot ask for long columns.
    let columns = COLUMNS_BEFORE_SETS + COLUMNS_OF_SET * sets;
    if sets == 0 || fixed.columns.len() != columns {
        return Err(AuditError::Part { part: "fixed columns" });
    }
    for (column, values) in fixed.columns.iter().enumerate() {
        let expected = if column + 1 < COLUMNS_BEFORE_SETS { layout.rows as usize } else { height };
        if values.len() != expected {
            return Err(AuditError::Length { column, expected, found: values.len() });
        }
    }
    let mut expected = frame(layout, circuit.log_rows);
    let values = fixed_values(layout, sets as u32, &mut expected);
    let folds = fold_runs(layout, circuit.folds().len() as u32);
    let parts = [
        ("numbers of blinding rows", expected.blinding_rows == circuit.blinding_rows),
        ("degrees", expected.max_degree == circuit.max_degree),
        ("advice columns", expected.advice == circuit.advice),
        ("gates", expected.gates == circuit.gates),
        ("lookups", expected.lookups == circuit.lookups),
        ("copies", expected.copies == circuit.copies),
        ("axis roles", expected.roles == circuit.roles),
        ("fixed columns", expected.fixed == circuit.fixed),
        ("table sets", expected.table_sets == circuit.table_sets),
        ("random cells of folds", expected.fold_blinds.count == circuit.fold_blinds.count),
        ("random cells of folds", folds == circuit.fold_blinds.runs),
    ];
    if let Some((part, _)) = parts.into_iter().find(|(_, same)| !same) {
        return Err(AuditError::Part { part });
    }
    for (column, (wanted, given)) in values.columns.iter().zip(&fixed.columns).enumerate() {
        let cells = wanted.iter().zip(given).enumerate();
        if let Some((row, (expected, found))) = cells.into_iter().find(|(_, (wanted, given))| wanted != given)
        {
            let name = circuit.fixed.get(column).map_or_else(String::new, |column| column.name.clone());
            return Err(AuditError::Fixed { column, name, row, expected: *expected, found: *found });
        }
    }
    Ok(())
}
