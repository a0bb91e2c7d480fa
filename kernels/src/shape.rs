//! Checks of lengths and arguments, shared by the kernels of all devices. They run before any work and never panic.

use crate::geometry::{Coordinate, GeometricBox};
use crate::program::{Operand, Operation, Program};

/// Largest transform size that BN254's scalar field has roots of unity for, as log2.
pub const MAX_LOG_SIZE: u32 = 28;

/// Arguments that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A vector has an unsuitable length.
    #[error("{operation}: length {found} does not fit, expected {expected}")]
    Length {
        /// The operation.
        operation: &'static str,
        /// What was asked for, in words or digits.
        expected: String,
        /// The length given.
        found: usize,
    },
    /// An argument other than a length is unsuitable.
    #[error("{operation}: {reason}")]
    Argument {
        /// The operation.
        operation: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Shorthand for the result of a check.
pub type Result<T> = core::result::Result<T, ShapeError>;

fn length<T>(operation: &'static str, expected: impl Into<String>, found: usize) -> Result<T> {
    Err(ShapeError::Length { operation, expected: expected.into(), found })
}

fn argument<T>(operation: &'static str, reason: impl Into<String>) -> Result<T> {
    Err(ShapeError::Argument { operation, reason: reason.into() })
}

/// `start .. start + len` lies inside a vector of `total` entries.
pub fn range(operation: &'static str, start: usize, len: usize, total: usize) -> Result<()> {
    match start.checked_add(len) {
        Some(end) if end <= total => Ok(()),
        end => length(
            operation,
            format!("{len} entries from {start} to end within {total}"),
            end.unwrap_or(usize::MAX),
        ),
    }
}

/// At most `most` entries.
pub fn at_most(operation: &'static str, found: usize, most: usize) -> Result<()> {
    if found <= most { Ok(()) } else { length(operation, format!("at most {most}"), found) }
}

/// A transform's length; returns its log2.
pub fn transform(operation: &'static str, len: usize) -> Result<u32> {
    if !len.is_power_of_two() || len.ilog2() > MAX_LOG_SIZE {
        return length(operation, format!("a power of two up to 2^{MAX_LOG_SIZE}"), len);
    }
    Ok(len.ilog2())
}

/// A transform's size, given as log2, and the shift of its coset.
pub fn coset(operation: &'static str, log_size: u32, shift_is_zero: bool) -> Result<()> {
    if log_size > MAX_LOG_SIZE {
        return argument(operation, format!("log size {log_size} is above {MAX_LOG_SIZE}"));
    }
    if shift_is_zero {
        return argument(operation, "zero is no coset shift");
    }
    Ok(())
}

/// A gate program and its inputs; returns the number of rows.
pub fn program(
    operation: &'static str,
    program: &Program,
    input_lengths: &[usize],
    constants: usize,
) -> Result<usize> {
    if input_lengths.len() != program.inputs as usize {
        return length(operation, format!("{} input vectors", program.inputs), input_lengths.len());
    }
    if constants != program.constants as usize {
        return length(operation, format!("{} constants", program.constants), constants);
    }
    let Some(&rows) = input_lengths.first() else {
        return argument(operation, "a program without inputs has no number of rows");
    };
    if let Some(&other) = input_lengths.iter().find(|&&other| other != rows) {
        return length(operation, format!("{rows}, the first input's length"), other);
    }
    for (index, step) in program.operations.iter().enumerate() {
        let (Operation::Add(a, b) | Operation::Subtract(a, b) | Operation::Multiply(a, b)) = *step;
        for operand in [a, b] {
            check_operand(operation, program, operand, index)?;
        }
    }
    match program.output {
        None => argument(operation, "the program has no output"),
        Some(output) => check_operand(operation, program, output, program.operations.len()).map(|()| rows),
    }
}

fn check_operand(operation: &'static str, program: &Program, operand: Operand, before: usize) -> Result<()> {
    let (what, index, limit) = match operand {
        Operand::Result(index) => ("result", index, before),
        Operand::Input { index, .. } => ("input", index, program.inputs as usize),
        Operand::Constant(index) => ("constant", index, program.constants as usize),
    };
    if (index as usize) < limit {
        return Ok(());
    }
    argument(operation, format!("operation {before} reads {what} {index}, but only {limit} exist there"))
}

/// Every entry of every box has the coordinate below `len`.
pub fn boxes(
    operation: &'static str,
    boxes: &[GeometricBox],
    coordinate: Coordinate,
    len: usize,
) -> Result<()> {
    for (index, geometric) in boxes.iter().enumerate() {
        if let Some((_, highest)) = geometric.extent(coordinate)
            && highest >= len
        {
            let expected = format!("box {index} to end within {len} entries ({coordinate:?})");
            return length(operation, expected, highest.saturating_add(1));
        }
    }
    Ok(())
}

/// A row-major matrix of `rows` rows and `width` columns that is added to a target from `offset`.
pub fn matrix(
    operation: &'static str,
    target: usize,
    offset: usize,
    entries: usize,
    shape: [usize; 2],
) -> Result<()> {
    let [rows, width] = shape;
    if rows.checked_mul(width) != Some(entries) {
        return length(operation, format!("a matrix of {rows} x {width} entries"), entries);
    }
    range(operation, offset, width, target)
}
