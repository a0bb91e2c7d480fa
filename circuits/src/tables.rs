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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Any function, by its values: `(q, values[q - first])`, outside the value at the nearer end.
    Values {
        /// The requantised values q, zero among them.
        quotients: Interval,
        /// Argument of the first value.
        first: i64,
        /// The values, at least one.
        values: Vec<i64>,
    },
}
codec_enum!(TableContent {
    0 = Remainders { shift },
    1 = Input { interval },
    2 = Clamp { quotients, min, max },
    3 = Values { quotients, first, values },
});

/// A table with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The table's number, from 1.
    pub tag: u32,
    /// Its rows.
    pub content: TableContent,
}
codec_struct!(Table { tag, content });

impl Table {
    /// The table of an activation.
    pub fn of_function(tag: u32, function: &Activation, quotients: Interval) -> Self {
        let content = match function {
            Activation::Clamp { min, max } => TableContent::Clamp { quotients, min: *min, max: *max },
            Activation::Table { first, values } => {
                let values = values.iter().map(|value| i64::from(*value)).collect();
                TableContent::Values { quotients, first: *first, values }
            }
        };
        Self { tag, content }
    }

    /// The coordinate that runs through an interval: the first, or for the input the second.
    pub fn interval(&self) -> Interval {
        match self.content {
            TableContent::Remainders { shift } => remainders(shift),
            TableContent::Input { interval } => interval,
            TableContent::Clamp { quotients, .. } | TableContent::Values { quotients, .. } => quotients,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        let Interval { min, max } = self.interval();
        u64::try_from(i128::from(max) - i128::from(min) + 1).unwrap_or(u64::MAX)
    }

    /// The function's value for a requantised accumulator; for the other tables, zero.
    pub fn result(&self, q: i64) -> i64 {
        match &self.content {
            TableContent::Remainders { .. } | TableContent::Input { .. } => 0,
            TableContent::Clamp { min, max, .. } => q.min(*max).max(*min),
            TableContent::Values { first, values, .. } => {
                let last = values.len().saturating_sub(1);
                let index = usize::try_from(q.saturating_sub(*first)).unwrap_or(0).min(last);
                values.get(index).copied().unwrap_or(0)
            }
        }
    }

    /// Results of all rows: what an activation cell that is looked up here can be.
    pub fn image(&self) -> Interval {
        match &self.content {
            TableContent::Remainders { .. } => Interval { min: 0, max: 0 },
            TableContent::Input { interval } => *interval,
            TableContent::Clamp { quotients, .. } => {
                Interval { min: self.result(quotients.min), max: self.result(quotients.max) }
            }
            TableContent::Values { quotients, .. } => {
                let ends = [self.result(quotients.min), self.result(quotients.max)];
                let start = Interval { min: ends[0].min(ends[1]), max: ends[0].max(ends[1]) };
                self.entries_inside()
                    .fold(start, |range, value| hull(range, Interval { min: value, max: value }))
            }
        }
    }

    /// Values that a table of values lists for arguments in its interval.
    fn entries_inside(&self) -> impl Iterator<Item = i64> + '_ {
        let (first, values) = match &self.content {
            TableContent::Values { first, values, .. } => (*first, values.as_slice()),
            _ => (0, &[][..]),
        };
        let interval = self.interval();
        // A file may state any first argument, even one beside the largest integer.
        let arguments = (0_i64..).map_while(move |index| first.checked_add(index));
        arguments.zip(values).filter(move |(q, _)| interval.contains(*q)).map(|(_, value)| *value)
    }

    /// The activation's value of padding cells, whose accumulator is zero: what the table's row for zero says.
    pub fn padding(&self) -> i64 {
        match self.content {
            TableContent::Input { interval } => 0_i64.min(interval.max).max(interval.min),
            _ => self.result(0),
        }
    }

    /// All rows in order.
    pub fn entries(&self) -> impl Iterator<Item = [i64; ARITY]> + '_ {
        let Interval { min, max } = self.interval();
        (min..=max).map(|value| match self.content {
            TableContent::Input { .. } => [0, value],
            _ => [value, self.result(value)],
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
        let clamp =
            Table::of_function(3, &Activation::Clamp { min: 2, max: 5 }, Interval { min: -3, max: 7 });
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
    fn tables_of_values_are_flat_outside() {
        let function = Activation::Table { first: -2, values: vec![5, 1, 0, 7] };
        let table = Table::of_function(4, &function, Interval { min: -4, max: 3 });
        let results: Vec<i64> = table
            .entries()
            .map(|[q, f]| {
                assert_eq!(f, function.apply(q));
                f
            })
            .collect();
        assert_eq!(results, [5, 5, 5, 1, 0, 7, 7, 7]);
        assert_eq!((table.image(), table.padding()), (Interval { min: 0, max: 7 }, 0));
        let narrow = Table::of_function(4, &function, Interval { min: -1, max: 0 });
        assert_eq!(narrow.image(), Interval { min: 0, max: 1 });
    }

    #[test]
    fn tables_beside_the_largest_integers() {
        for first in [i64::MAX, i64::MAX - 1, i64::MAX - 3, i64::MIN] {
            let function = Activation::Table { first, values: vec![5, -1, 7] };
            for quotients in [
                Interval { min: 0, max: 3 },
                Interval { min: i64::MAX - 2, max: i64::MAX },
                Interval { min: i64::MIN, max: i64::MIN + 2 },
                Interval { min: i64::MIN, max: i64::MAX },
            ] {
                let table = Table::of_function(3, &function, quotients);
                let image = table.image();
                for q in [quotients.min, quotients.max, 0, first] {
                    let inside = !quotients.contains(q) || image.contains(table.result(q));
                    assert!(inside, "{first}: {q} gives {}", table.result(q));
                    assert_eq!(table.result(q), function.apply(q));
                }
                let model = zkloom_model::integer_graph::Interval { min: quotients.min, max: quotients.max };
                let of_model = function.image(model);
                assert_eq!((of_model.min, of_model.max), (image.min, image.max));
            }
        }
    }

    #[test]
    fn sets_keep_every_row_and_have_equal_length() {
        let tables = [
            Table { tag: 1, content: TableContent::Remainders { shift: 3 } },
            Table::of_function(3, &Activation::Clamp { min: 0, max: 9 }, Interval { min: -10, max: 12 }),
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
