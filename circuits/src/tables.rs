//! Lookup tables: what each contains, and how they are cut into table sets.
//!
//! Every table has a number, its tag, which stands in each of its rows and in the lookups that mean it. Tables lie one after
//! the other; what does not fit the rows of one table set goes on in the next, even in the middle of a table, since its rows
//! carry their tag everywhere.

use zkloom_model::integer_graph::Activation;
use zkloom_plonkish::{Interval, codec_enum, codec_struct};

/// Tag of the table of remainders.
pub const RANGE_TAG: u32 = 1;
/// Tag of the table of the network's input values.
pub const INPUT_TAG: u32 = 2;
/// Tag of the first activation table.
pub const FIRST_FUNCTION_TAG: u32 = 3;
/// Coordinates of a table row, without the tag.
pub const ARITY: usize = 2;
/// Largest shift: the range table has `2^shift` rows.
pub const MAX_SHIFT: u32 = 24;

/// What a table contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableContent {
    /// Remainders of the requantisation: `(r, 0)` for `-2^(shift-1) <= r < 2^(shift-1)`, and only zero for shift 0.
    Remainders {
        /// Requantisation divides by `2^shift`.
        shift: u32,
    },
    /// Values of the network's input: `(0, v)`.
    Input {
        /// The values.
        interval: Interval,
    },
    /// A clamp: `(q, max(min, min(max, q)))`.
    Clamp {
        /// The requantised values q, zero among them.
        quotients: Interval,
        /// Least result.
        min: i64,
        /// Greatest result.
        max: i64,
    },
}
codec_enum!(TableContent { 0 = Remainders { shift }, 1 = Input { interval }, 2 = Clamp { quotients, min, max } });

/// A table with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// The table's number, from 1.
    pub tag: u32,
    /// Its rows.
    pub content: TableContent,
}
codec_struct!(Table { tag, content });

impl Table {
    /// The table of an activation.
    pub fn of_function(tag: u32, function: Activation, quotients: Interval) -> Self {
        let Activation::Clamp { min, max } = function;
        Self { tag, content: TableContent::Clamp { quotients, min, max } }
    }

    /// Whether it is the table of a function.
    pub fn is_of(&self, function: Activation) -> bool {
        let Activation::Clamp { min: low, max: high } = function;
        matches!(self.content, TableContent::Clamp { min, max, .. } if (min, max) == (low, high))
    }

    /// The coordinate that runs through an interval: the first, or for the input the second.
    pub fn interval(&self) -> Interval {
        match self.content {
            TableContent::Remainders { shift } => remainders(shift),
            TableContent::Input { interval } => interval,
            TableContent::Clamp { quotients, .. } => quotients,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        let Interval { min, max } = self.interval();
        u64::try_from(i128::from(max) - i128::from(min) + 1).unwrap_or(u64::MAX)
    }

    /// The activation's value of padding cells, whose accumulator is zero: what the table's row for zero says.
    pub fn padding(&self) -> i64 {
        match self.content {
            TableContent::Remainders { .. } => 0,
            TableContent::Input { interval } => 0_i64.min(interval.max).max(interval.min),
            TableContent::Clamp { min, max, .. } => Activation::Clamp { min, max }.apply(0),
        }
    }

    /// All rows in order.
    pub fn entries(&self) -> impl Iterator<Item = [i64; ARITY]> + '_ {
        let Interval { min, max } = self.interval();
        (min..=max).map(|value| match self.content {
            TableContent::Remainders { .. } => [value, 0],
            TableContent::Input { .. } => [0, value],
            TableContent::Clamp { min, max, .. } => [value, Activation::Clamp { min, max }.apply(value)],
        })
    }
}

/// Remainders of a requantisation by `2^shift`. They are centred, so that dividing by the shift rounds halves up with no
/// rounding constant: `q = (acc - rem) / 2^shift = floor((acc + 2^(shift-1)) / 2^shift)`.
pub fn remainders(shift: u32) -> Interval {
    match shift {
        0 => Interval { min: 0, max: 0 },
        _ => {
            let half = 1_i64 << (shift.min(MAX_SHIFT) - 1);
            Interval { min: -half, max: half - 1 }
        }
    }
}

/// The least interval that contains both.
pub(crate) fn hull(a: Interval, b: Interval) -> Interval {
    Interval { min: a.min.min(b.min), max: a.max.max(b.max) }
}

/// Rows of all tables.
pub fn total_rows(tables: &[Table]) -> u64 {
    tables.iter().map(Table::rows).fold(0, u64::saturating_add)
}

/// The columns of one table set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetColumns {
    /// One column for each coordinate.
    pub values: [Vec<i64>; ARITY],
    /// The tags.
    pub tags: Vec<i64>,
}

/// Cuts the tables into `sets` sets of equal length. The last one is filled up by repeating its last row, so that all sets
/// share one selector column.
pub fn split_into_sets(tables: &[Table], sets: u32) -> Vec<SetColumns> {
    let height = total_rows(tables).div_ceil(u64::from(sets.max(1))).max(1) as usize;
    let mut all = vec![SetColumns::default(); sets as usize];
    let rows = tables.iter().flat_map(|table| table.entries().map(|entry| (entry, i64::from(table.tag))));
    let mut last = ([0; ARITY], 0);
    for (index, row) in rows.enumerate() {
        all.get_mut(index / height).into_iter().for_each(|set| set.push(row));
        last = row;
    }
    for set in &mut all {
        while set.tags.len() < height {
            set.push(last);
        }
    }
    all
}

impl SetColumns {
    fn push(&mut self, (entry, tag): ([i64; ARITY], i64)) {
        self.values.iter_mut().zip(entry).for_each(|(column, value)| column.push(value));
        self.tags.push(tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkloom_model::rounding::requantise;

    #[test]
    fn centred_remainders_are_the_rounding_rule() {
        for shift in 0..6 {
            let range = remainders(shift);
            for acc in -300_i64..300 {
                let rem = acc - (requantise(acc, shift) << shift);
                assert!(range.contains(rem), "{acc} by 2^{shift} leaves {rem}");
                // No other remainder of the range gives an integer quotient.
                let fits = (range.min..=range.max).filter(|r| (acc - r).rem_euclid(1 << shift) == 0).count();
                assert_eq!(fits, 1);
            }
        }
    }

    #[test]
    fn rows_and_padding() {
        let clamp = Table::of_function(3, Activation::Clamp { min: 2, max: 5 }, Interval { min: -3, max: 7 });
        assert_eq!(clamp.rows(), 11);
        assert_eq!(clamp.padding(), 2);
        assert!(clamp.entries().any(|entry| entry == [0, 2]) && clamp.entries().any(|entry| entry == [7, 5]));
        let input = Table { tag: 2, content: TableContent::Input { interval: Interval { min: 4, max: 6 } } };
        assert_eq!(input.padding(), 4);
        assert_eq!(input.entries().collect::<Vec<_>>(), [[0, 4], [0, 5], [0, 6]]);
        let range = Table { tag: 1, content: TableContent::Remainders { shift: 3 } };
        assert_eq!(range.rows(), 8);
        assert_eq!(range.entries().next(), Some([-4, 0]));
        let endless = Interval { min: i64::MIN, max: i64::MAX };
        assert_eq!(Table { tag: 2, content: TableContent::Input { interval: endless } }.rows(), u64::MAX);
    }

    #[test]
    fn sets_keep_every_row_and_have_equal_length() {
        let tables = [
            Table { tag: 1, content: TableContent::Remainders { shift: 3 } },
            Table::of_function(3, Activation::Clamp { min: 0, max: 9 }, Interval { min: -10, max: 12 }),
        ];
        for sets in 1..=8 {
            let columns = split_into_sets(&tables, sets);
            assert_eq!(columns.len(), sets as usize);
            let height = columns[0].tags.len();
            assert!(
                columns
                    .iter()
                    .all(|set| set.tags.len() == height && set.values.iter().all(|v| v.len() == height))
            );
            let mut found: Vec<_> = columns
                .iter()
                .flat_map(|s| (0..height).map(|i| (s.values[0][i], s.values[1][i], s.tags[i])))
                .collect();
            let mut wanted: Vec<_> =
                tables.iter().flat_map(|t| t.entries().map(|[a, b]| (a, b, i64::from(t.tag)))).collect();
            found.sort_unstable();
            found.dedup();
            wanted.sort_unstable();
            assert_eq!(found, wanted);
        }
    }
}
