//! Tensors, intervals and the origin rule (protocol, section 2): every tensor cell has exactly one recorded reason why its
//! value is bounded, and the reasons form no cycle.

use crate::Circuit;
use crate::claim::Relation;
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
pub fn check_origins(
    circuit: &Circuit,
    fixed: &FixedValues,
    weights: &[IntegerMatrix],
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

/// The interval that a claim implies for its output, in wide integers.
fn check_claim(
    circuit: &Circuit,
    weights: &[IntegerMatrix],
    index: usize,
    claim: u32,
) -> Result<(), CircuitError> {
    let Some(tensor) = circuit.tensors.get(index) else { return Ok(()) };
    let claim = circuit
        .claims
        .get(claim as usize)
        .ok_or_else(|| refuse(tensor, format!("claim {claim} does not exist")))?;
    let hull = |views: &[crate::View]| -> Result<(i128, i128), CircuitError> {
        let mut range = (0_i128, 0_i128);
        for view in views {
            let source = input_interval(circuit, index, view).ok_or_else(|| {
                refuse(tensor, format!("claim `{}` reads cells without an earlier origin", claim.name))
            })?;
            let factor = i128::from(view.coefficient).saturating_mul(i128::from(cells_per_monomial(view)));
            let ends = [source.min, source.max].map(|end| i128::from(end).saturating_mul(factor));
            range = (range.0.min(ends[0]).min(ends[1]), range.1.max(ends[0]).max(ends[1]));
        }
        Ok(range)
    };
    let derived = match &claim.relation {
        Relation::Public { tensor: public } => {
            let interval = circuit.publics.get(*public as usize).map(|public| public.interval);
            let interval =
                interval.ok_or_else(|| refuse(tensor, format!("public tensor {public} does not exist")))?;
            (i128::from(interval.min), i128::from(interval.max))
        }
        // The producer of the commitment proves the interval; nothing can be derived here.
        Relation::External { .. } => return Ok(()),
        Relation::Matrix { matrix, input, .. } => {
            let (low, high) = hull(input)?;
            let rows = weights.get(*matrix as usize).map(|m| m.iter_rows());
            let mut range = (0, 0);
            for row in rows.ok_or_else(|| refuse(tensor, format!("matrix {matrix} has no values")))? {
                let (bias, entries) = row.split_last().map_or((0, row), |(last, rest)| (*last, rest));
                let bias = i128::from(bias);
                let mut ends = (bias, bias);
                for entry in entries {
                    let products = [low, high].map(|end| end.saturating_mul(i128::from(*entry)));
                    ends.0 = ends.0.saturating_add(products[0].min(products[1]));
                    ends.1 = ends.1.saturating_add(products[0].max(products[1]));
                }
                range = (ends.0.min(range.0), ends.1.max(range.1));
            }
            range
        }
        Relation::Linear { inputs } => {
            let mut range = (0_i128, 0_i128);
            for view in inputs {
                // Output + inputs = 0, so each input enters with the opposite sign.
                let (low, high) = hull(core::slice::from_ref(view))?;
                range = (range.0.saturating_sub(high), range.1.saturating_sub(low));
            }
            range
        }
        Relation::Product { left, right, length } => {
            let ((a, b), (c, d)) = (hull(left)?, hull(right)?);
            let products = [(a, c), (a, d), (b, c), (b, d)].map(|(x, y)| x.saturating_mul(y));
            let (low, high) = products
                .iter()
                .fold((0, 0), |(low, high), p| (p.min(&low).to_owned(), p.max(&high).to_owned()));
            (i128::saturating_mul(low, i128::from(*length)), i128::saturating_mul(high, i128::from(*length)))
        }
    };
    if i128::from(tensor.interval.min) <= derived.0 && derived.1 <= i128::from(tensor.interval.max) {
        return Ok(());
    }
    let Interval { min, max } = tensor.interval;
    Err(refuse(
        tensor,
        format!("claim `{}` implies {}..={}, declared is {min}..={max}", claim.name, derived.0, derived.1),
    ))
}

/// Bound on the cells of a view that bear the same monomial: axes without a ratio are sums.
fn cells_per_monomial(view: &crate::View) -> u64 {
    view.axes.iter().fold(1_u64, |product, axis| {
        let counts =
            axis.segments.iter().map(|s| if s.ratio.powers.is_empty() { u64::from(s.count) } else { 1 });
        let fold = crate::Variable::Fold {};
        let mut entries: Vec<u32> = axis.segments.iter().map(|s| s.scale.exponent(fold)).collect();
        entries.sort_unstable();
        let apart = axis.segments.iter().all(|s| s.ratio.exponent(fold) == 0)
            && entries.iter().zip(entries.iter().skip(1)).all(|(a, b)| a < b);
        let cells = if apart { counts.max().unwrap_or(0) } else { counts.fold(0, u64::saturating_add) };
        product.saturating_mul(cells)
    })
}

/// Interval of the earlier tensor that a view reads.
fn input_interval(circuit: &Circuit, before: usize, view: &crate::View) -> Option<Interval> {
    let last = view.reach()?;
    circuit.tensors.iter().take(before).find_map(|tensor| {
        let holds = |piece: &Piece| {
            piece.column == view.column
                && piece.offset <= view.offset
                && last < u64::from(piece.offset) + u64::from(piece.length)
        };
        tensor.pieces.iter().any(holds).then_some(tensor.interval)
    })
}
