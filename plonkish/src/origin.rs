//! Tensors, intervals and the origin rule (protocol, section 2): every tensor cell has exactly one recorded reason why its
//! value is bounded, and the reasons form no cycle.

use crate::Circuit;
use crate::bounds::Bounds;
use crate::codec_enum;
use crate::codec_struct;
use crate::expression::{Column, Expression, Query};
use crate::validate::CircuitError;
use crate::witness::{FixedValues, IntegerMatrix};

/// Integers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Smallest value.
    pub min: i64,
    /// Largest value.
    pub max: i64,
}
codec_struct!(Interval { min, max });

impl Interval {
    /// Whether a value lies in it.
    pub fn contains(&self, value: i64) -> bool {
        (self.min..=self.max).contains(&value)
    }

    /// Whether another interval lies in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.min <= other.min && other.max <= self.max
    }
}

/// Why the cells of a piece are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A lookup ranges the cells: its tuple's coordinate is the column itself, on every row of the piece.
    Lookup {
        /// Index of the lookup.
        lookup: u32,
        /// Coordinate of the tuple.
        coordinate: u32,
    },
    /// A claim makes them equal to public values, which the verifier ranges, or to an external vector, whose producer does,
    /// or to a linear function of tensors before this one.
    Claim {
        /// Index of the claim.
        claim: u32,
    },
}
codec_enum!(Origin { 0 = Lookup { lookup, coordinate }, 1 = Claim { claim } });

/// A contiguous run of a tensor's cells in one tensor column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Tensor column, numbered among tensor columns.
    pub column: u32,
    /// First row.
    pub offset: u32,
    /// Number of cells.
    pub length: u32,
    /// Why they are bounded.
    pub origin: Origin,
}
codec_struct!(Piece { column, offset, length, origin });

/// A tensor of the network in the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Name for messages.
    pub name: String,
    /// Every cell lies in it.
    pub interval: Interval,
    /// Where its cells are, in order.
    pub pieces: Vec<Piece>,
}
codec_struct!(Tensor { name, interval, pieces });

/// Checks the origin rule against the values that the key fixes: lookups really range what they are said to, and the
/// interval that a claim implies lies in the declared one.
///
/// # Errors
/// [`CircuitError::Origin`], naming the tensor.
pub fn check_origins(
    circuit: &Circuit,
    fixed: &FixedValues,
    weights: &[IntegerMatrix],
) -> Result<(), CircuitError> {
    check_with(circuit, fixed, Some(weights))
}

/// The part of [`check_origins`] that needs no matrices: lookups, coverage, the order of claims, and the intervals of all
/// claims but those of kind M, whose outputs' declared intervals are taken as stated.
///
/// # Errors
/// [`CircuitError::Origin`], naming the tensor.
pub fn check_public_origins(circuit: &Circuit, fixed: &FixedValues) -> Result<(), CircuitError> {
    check_with(circuit, fixed, None)
}

/// Lowest and highest value that a claim implies for the cells of its output, zero among them, when only the first `before`
/// tensors of the circuit are known; `weights` are the circuit's matrices. Nothing for an external vector, and for a matrix
/// where the weights are not given. This is what [`check_origins`] compares with a tensor's stated interval.
///
/// # Errors
/// [`CircuitError::Origin`], naming the claim: it reads cells without an origin, or speaks of parts that do not exist.
pub fn claim_interval(
    circuit: &Circuit,
    weights: Option<&[IntegerMatrix]>,
    claim: &crate::Claim,
    before: usize,
) -> Result<Option<(i128, i128)>, CircuitError> {
    let bounds = Bounds { circuit, weights, before };
    let refuse = |reason| CircuitError::Origin { tensor: claim.name.clone(), reason };
    bounds.of_claim(claim).map_err(refuse)
}

fn check_with(
    circuit: &Circuit,
    fixed: &FixedValues,
    weights: Option<&[IntegerMatrix]>,
) -> Result<(), CircuitError> {
    for (index, tensor) in circuit.tensors.iter().enumerate() {
        for piece in &tensor.pieces {
            match piece.origin {
                Origin::Lookup { lookup, coordinate } => {
                    check_lookup(circuit, fixed, tensor, piece, (lookup, coordinate))?;
                }
                Origin::Claim { claim } => {
                    check_coverage(circuit, tensor, piece, claim)?;
                    check_claim(circuit, weights, index, claim)?;
                }
            }
        }
    }
    Ok(())
}

fn refuse(tensor: &Tensor, reason: String) -> CircuitError {
    CircuitError::Origin { tensor: tensor.name.clone(), reason }
}

fn check_lookup(
    circuit: &Circuit,
    fixed: &FixedValues,
    tensor: &Tensor,
    piece: &Piece,
    (lookup, coordinate): (u32, u32),
) -> Result<(), CircuitError> {
    let missing = || refuse(tensor, format!("lookup {lookup} has no coordinate {coordinate}"));
    let lookup = circuit.lookups.get(lookup as usize).ok_or_else(missing)?;
    let expression = lookup.tuple.get(coordinate as usize).ok_or_else(missing)?;
    let advice = circuit.tensor_columns().nth(piece.column as usize);
    let expected = advice.map(|index| Expression::Leaf(Query::advice(index as u32)));
    if Some(expression) != expected.as_ref() {
        return Err(refuse(
            tensor,
            format!("lookup `{}` does not range the tensor's own column", lookup.name),
        ));
    }
    let ranges = coordinate_ranges(circuit, fixed, coordinate);
    for row in piece.offset..piece.offset.saturating_add(piece.length) {
        let row = row as usize;
        let tag = match &lookup.tag {
            Expression::Leaf(Query { column: Column::Fixed { index }, rotation: 0 }) => {
                fixed.get(*index, row)
            }
            Expression::Constant(value) => crate::field::to_integer(*value).unwrap_or(0),
            _ => {
                return Err(refuse(
                    tensor,
                    format!("the tag of lookup `{}` is not a fixed column", lookup.name),
                ));
            }
        };
        let range = ranges.iter().find(|(known, _)| *known == tag).map(|(_, range)| *range);
        let inside = range.is_some_and(|range| tensor.interval.covers(&range));
        if fixed.get(lookup.selector, row) != 1 || !inside {
            return Err(refuse(
                tensor,
                format!("lookup `{}` does not range row {row} (table {tag})", lookup.name),
            ));
        }
    }
    Ok(())
}

/// For each table, the interval of one coordinate.
fn coordinate_ranges(circuit: &Circuit, fixed: &FixedValues, coordinate: u32) -> Vec<(i64, Interval)> {
    let mut ranges: Vec<(i64, Interval)> = Vec::new();
    for set in &circuit.table_sets {
        for row in (0..fixed.rows()).filter(|row| fixed.get(set.selector, *row) != 0) {
            let value = set.values.get(coordinate as usize).map_or(0, |column| fixed.get(*column, row));
            let tag = fixed.get(set.tag, row);
            match ranges.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, range)) => {
                    range.min = range.min.min(value);
                    range.max = range.max.max(value);
                }
                None => ranges.push((tag, Interval { min: value, max: value })),
            }
        }
    }
    ranges
}

/// Every cell of the piece is an output cell of the claim, itself and not a multiple of it: `2 y = x` says nothing of the size
/// of y in the field.
fn check_coverage(circuit: &Circuit, tensor: &Tensor, piece: &Piece, claim: u32) -> Result<(), CircuitError> {
    let claim = circuit
        .claims
        .get(claim as usize)
        .ok_or_else(|| refuse(tensor, format!("claim {claim} does not exist")))?;
    let mut covered = vec![false; piece.length as usize];
    for view in claim.output.iter().filter(|view| view.column == piece.column && view.coefficient == 1) {
        if view.size() > circuit.usable() as u64 {
            return Err(refuse(tensor, format!("claim `{}` visits cells several times", claim.name)));
        }
        for row in view.rows() {
            let index = row.checked_sub(u64::from(piece.offset));
            if let Some(slot) = index.and_then(|index| covered.get_mut(index as usize)) {
                *slot = true;
            }
        }
    }
    match covered.iter().position(|done| !done) {
        None => Ok(()),
        Some(index) => {
            let row = piece.offset as usize + index;
            Err(refuse(
                tensor,
                format!("claim `{}` says nothing of row {row} of column {}", claim.name, piece.column),
            ))
        }
    }
}

/// The interval that a claim implies for its output lies in the declared one.
fn check_claim(
    circuit: &Circuit,
    weights: Option<&[IntegerMatrix]>,
    index: usize,
    claim: u32,
) -> Result<(), CircuitError> {
    let Some(tensor) = circuit.tensors.get(index) else { return Ok(()) };
    let missing = || refuse(tensor, format!("claim {claim} does not exist"));
    let claim = circuit.claims.get(claim as usize).ok_or_else(missing)?;
    let bounds = Bounds { circuit, weights, before: index };
    let derived = bounds.of_claim(claim).map_err(|reason| refuse(tensor, reason))?;
    // The producer of a commitment proves the interval, or the matrix is unknown; nothing can be derived here.
    let Some((low, high)) = derived else { return Ok(()) };
    let Interval { min, max } = tensor.interval;
    if i128::from(min) <= low && high <= i128::from(max) {
        return Ok(());
    }
    Err(refuse(tensor, format!("claim `{}` implies {low}..={high}, declared is {min}..={max}", claim.name)))
}
