//! Requantise and activate: three cells, two lookups, no gate.
//!
//! On a row with an accumulator `acc`, a remainder `rem` and an activation `act`:
//!
//! 1. `(rem, 0)` stands in the table of remainders, `-2^(s-1) ..= 2^(s-1) - 1`;
//! 2. `((acc - rem) 2^(-s), act)` stands in the table of the layer's activation, whose rows are `(q, f(q))`.
//!
//! So there is a q of the table with `acc = q 2^s + rem` modulo the field's order. With `|acc| <= A` from the accumulator's
//! origin and [`is_single_valued`], both sides are smaller than half the order and the equation holds over the integers; the remainder's
//! interval then leaves one q, `floor((acc + 2^(s-1)) / 2^s)`, and `act = f(q)`. For arbitrary field elements in the cells the
//! activation is single-valued.

use zkloom_plonkish::field::{batch_invert, from_integer};
use zkloom_plonkish::{Expression, Interval, Lookup, Query};

use crate::plan::MAX_MAGNITUDE;
use crate::tables::RANGE_TAG;

/// The columns that the gadget reads on one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GadgetColumns {
    /// Advice column of the accumulators.
    pub accumulator: u32,
    /// Advice column of the activations.
    pub activation: u32,
    /// Advice column of the remainders.
    pub remainder: u32,
    /// Fixed column that is one on rows that are looked up.
    pub selector: u32,
    /// Fixed column with the tag of each row's activation table.
    pub tag: u32,
}

/// Coordinate of the activation lookup that is the activation itself.
pub const ACTIVATION_COORDINATE: u32 = 1;

/// The two lookups of a lane: remainders, then activations.
pub fn lookups(lane: u32, columns: GadgetColumns, shift: u32) -> [Lookup; 2] {
    let leaf = |index| Expression::Leaf(Query::advice(index));
    let mut inverse = [from_integer(1 << shift.min(62))];
    batch_invert(&mut inverse);
    let quotient = (leaf(columns.accumulator) - leaf(columns.remainder)).scale(inverse[0]);
    [
        Lookup {
            name: format!("remainder, lane {lane}"),
            selector: columns.selector,
            tuple: vec![leaf(columns.remainder)],
            tag: Expression::integer(i64::from(RANGE_TAG)),
        },
        Lookup {
            name: format!("activation, lane {lane}"),
            selector: columns.selector,
            tuple: vec![quotient, leaf(columns.activation)],
            tag: Expression::Leaf(Query::fixed(columns.tag)),
        },
    ]
}

/// Bound on every integer in the gadget's equation. Shifts are at most [`crate::tables::MAX_SHIFT`].
pub fn reach(accumulators: Interval, quotients: Interval, shift: u32) -> i128 {
    let magnitude = |interval: Interval| i128::from(interval.min).abs().max(i128::from(interval.max).abs());
    magnitude(accumulators) + ((magnitude(quotients) + 1) << shift)
}

/// Whether the gadget's equation has one solution: `A + max|q| 2^s + 2^s` below 2^62, hence below half the field's order.
pub fn is_single_valued(accumulators: Interval, quotients: Interval, shift: u32) -> bool {
    reach(accumulators, quotients, shift) < MAX_MAGNITUDE
}

/// The remainder that belongs to an accumulator and its quotient.
pub fn remainder(accumulator: i64, quotient: i64, shift: u32) -> i64 {
    accumulator.wrapping_sub(quotient.wrapping_shl(shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_counts_accumulator_quotient_and_remainder() {
        let quotients = Interval { min: -(1 << 52), max: 0 };
        // A + 2^52 2^8 + 2^8 < 2^62
        let room = (1_i64 << 62) - (1 << 60) - (1 << 8);
        let within = |bound: i64| is_single_valued(Interval { min: -bound, max: bound }, quotients, 8);
        assert!(within(room - 1) && !within(room));
    }

    #[test]
    fn lookups_have_degree_one() {
        let columns = GadgetColumns { accumulator: 0, activation: 1, remainder: 2, selector: 0, tag: 1 };
        for lookup in lookups(0, columns, 9) {
            assert!(lookup.tuple.iter().chain([&lookup.tag]).all(|part| part.degree() <= 1));
        }
    }
}
