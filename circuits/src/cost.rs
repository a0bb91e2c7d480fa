//! The cost model: how much work, memory and proof a number of lanes, rows and table sets means, and the choice of them.
//!
//! The unit of work is one entry of a multi-scalar multiplication with full-width scalars. Counts follow the protocol: what is
//! committed, what is transformed, what is opened. The model ranks shapes; it predicts ratios, not seconds.

use serde::Serialize;
use zkloom_plonkish::Circuit;
use zkloom_plonkish::validate::MAX_LOG_ROWS;

use crate::layout::{FOLD_BLINDS, LANE_COLUMNS, LANE_TENSOR_COLUMNS, height_of};
use crate::lowering::{BLINDING_ROWS, MAX_DEGREE};

/// Lanes among which the model chooses.
pub const LANE_CHOICES: [u32; 4] = [1, 2, 4, 8];
/// The most lanes that may be asked for.
pub const MAX_LANES: u32 = 64;

/// Relative costs of operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostConstants {
    /// An entry with a scalar of some 8 to 24 bits in a multi-scalar multiplication.
    pub small_entry: f64,
    /// One entry of a transform at one level of its log2 many.
    pub transform_level: f64,
    /// What a commitment costs beyond its entries: bucket sums, normalisation.
    pub commitment: f64,
    /// What a weight costs: one product with a challenge's power in the contraction.
    pub weight: f64,
}

impl CostConstants {
    /// A processor with vector kernels: fitted to the proofs of `benches/records/ladder-zen4-2core.json` and its ResNet-18.
    pub const CPU: Self =
        Self { small_entry: 0.05, transform_level: 0.004, commitment: 1500.0, weight: 0.003 };
    /// An accelerator that multiplies points fast and is bound by memory in transforms.
    pub const ACCELERATOR: Self =
        Self { small_entry: 0.12, transform_level: 0.035, commitment: 4096.0, weight: 0.005 };
}

impl Default for CostConstants {
    fn default() -> Self {
        Self::CPU
    }
}

/// The sizes that determine what a proof costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Columns have `2^log_rows` rows.
    pub log_rows: u32,
    /// Lanes of three columns each.
    pub lanes: u32,
    /// Table sets.
    pub table_sets: u32,
    /// Whether there are matrices, and with them the input fold.
    pub fold: bool,
    /// Entries of that fold without its random ones: the matrices' columns together.
    pub fold_length: u64,
    /// Matrix entries.
    pub weights: u64,
}

impl Shape {
    /// Columns of `2^log_rows` rows.
    fn rows(&self) -> u64 {
        1 << self.log_rows.min(63)
    }

    /// Helper columns: two fractions each, of two lookups for each lane and every table set but the first.
    pub fn helpers(&self) -> u64 {
        let fractions = 2 * u64::from(self.lanes) + u64::from(self.table_sets) - 1;
        fractions.div_ceil(u64::from(MAX_DEGREE) - 1)
    }

    /// Fixed columns: selector, tag, table selector, and three for each table set.
    pub fn fixed_columns(&self) -> u64 {
        3 + 3 * u64::from(self.table_sets)
    }

    /// Commitments in a proof, all rounds.
    pub fn group_elements(&self) -> u64 {
        let columns = u64::from(LANE_COLUMNS + LANE_TENSOR_COLUMNS) * u64::from(self.lanes);
        let round_2 = u64::from(self.fold) + self.helpers() + 1;
        let (link_and_symmetric, quotient, opening) = (2, u64::from(MAX_DEGREE) - 1, 3);
        columns + u64::from(self.table_sets) + round_2 + link_and_symmetric + quotient + opening
    }

    /// Field elements in a proof: every column at one point, the running sum at two; the link, v^ and y; and of the fold two
    /// values and X~(beta).
    pub fn field_elements(&self) -> u64 {
        let columns = u64::from(LANE_COLUMNS) * u64::from(self.lanes) + self.fixed_columns();
        let running_sum = 2;
        columns + u64::from(self.table_sets) + self.helpers() + running_sum + 3 + 3 * u64::from(self.fold)
    }

    /// Bytes of a proof with compressed points, without a file's header: exact.
    pub fn proof_bytes(&self) -> u64 {
        32 * (self.group_elements() + self.field_elements())
    }

    /// Work of a proof in full-width entries of multi-scalar multiplications.
    pub fn work(&self, constants: &CostConstants) -> f64 {
        let (w, sets, helpers) = (f64::from(self.lanes), f64::from(self.table_sets), self.helpers() as f64);
        let (rows, log, cosets) = (self.rows() as f64, f64::from(self.log_rows), f64::from(MAX_DEGREE) - 1.0);
        let columns = f64::from(LANE_COLUMNS) * w;
        // Both forms of two columns, remainders, multiplicities; helpers, running sum, link, symmetric part, quotient, openings.
        let small = constants.small_entry * (f64::from(LANE_COLUMNS + LANE_TENSOR_COLUMNS) * w + sets);
        let full = helpers + 3.0 + cosets + 2.0;
        // Every column to coefficients and to each coset; two transforms of twice the size for each tensor column.
        let rows_side = ((columns + sets + helpers + 2.0) * (1.0 + cosets) + cosets) * log;
        let linear_side = (f64::from(LANE_TENSOR_COLUMNS) * w * 4.0 + 2.0) * (log + 1.0);
        let fixed = constants.commitment * self.group_elements() as f64;
        let matrices = constants.weight * self.weights as f64 + self.fold_length as f64;
        (small + full + constants.transform_level * (rows_side + linear_side)) * rows + fixed + matrices
    }

    /// Peak memory of proving in bytes, beside the process itself. For each row: the trace as integers of 8 bytes; every column
    /// of the identities as coefficients and on one coset, and twelve vectors of the linear side (the two halves of each
    /// transform of twice the size, h, S and the quotient), of 32 bytes; powers of tau and Lagrange points of 64 bytes; and
    /// three eighths of all that for the scratch of transforms and what is freed vector by vector. Besides, 15 bytes for each
    /// weight (as the network has it, as the matrix has it, and on the device) and three vectors of the fold's length. Measured
    /// from LeNet-5 to MobileNet-v2, it is right within 5 %.
    pub fn memory_bytes(&self) -> u64 {
        let advice = u64::from(LANE_COLUMNS) * u64::from(self.lanes) + u64::from(self.table_sets);
        let opened = advice + self.fixed_columns() + self.helpers() + 1;
        let row = 8 * advice + 32 * (2 * opened + 12) + 2 * 64;
        let rows = row.saturating_mul(self.rows()) / 8 * 11;
        rows.saturating_add(15 * self.weights + 96 * self.fold_length)
    }
}

/// What a network asks for, whatever its shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Shape of each block.
    pub blocks: Vec<Vec<u32>>,
    /// Rows of all tables.
    pub table_rows: u64,
    /// Whether there are matrices.
    pub fold: bool,
    /// The matrices' columns together.
    pub fold_length: u64,
    /// Matrix entries.
    pub weights: u64,
}

/// Among which shapes to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Lanes, or `None` for the model's choice among [`LANE_CHOICES`].
    pub lanes: Option<u32>,
    /// Log2 of the rows, or `None` for the model's choice.
    pub log_rows: Option<u32>,
    /// Largest log2 of the rows.
    pub max_log_rows: u32,
    /// Most table sets.
    pub max_table_sets: u32,
    /// Most bytes of memory that proving may take, or `None` for no limit.
    pub max_memory: Option<u64>,
}

impl Limits {
    /// Largest log2 of the rows that may be chosen.
    pub fn top(&self) -> u32 {
        self.log_rows.unwrap_or(self.max_log_rows.min(MAX_LOG_ROWS))
    }
}

/// Rows before the blinding rows.
pub fn usable(log_rows: u32) -> u64 {
    (1_u64 << log_rows.min(40)).saturating_sub(u64::from(BLINDING_ROWS))
}

/// Rows in use in each lane, the random cells of the fold included.
pub fn needed_rows(demand: &Demand, lanes: u32) -> u64 {
    let heights = demand.blocks.iter().map(|shape| height_of(shape, lanes));
    heights.fold(0, u64::saturating_add) + u64::from(FOLD_BLINDS) * u64::from(demand.fold)
}

/// All shapes that hold the network.
pub fn candidates(demand: &Demand, limits: &Limits) -> Vec<Shape> {
    let lanes = limits.lanes.map_or_else(|| LANE_CHOICES.to_vec(), |lanes| vec![lanes]);
    let low = limits.log_rows.unwrap_or(3);
    let mut shapes = Vec::new();
    for lanes in lanes {
        let needed = needed_rows(demand, lanes);
        for log_rows in low..=limits.top() {
            let usable = usable(log_rows);
            let table_sets = demand.table_rows.div_ceil(usable.max(1));
            if usable < needed || table_sets > u64::from(limits.max_table_sets) {
                continue;
            }
            let table_sets = table_sets.max(1) as u32;
            let Demand { fold, fold_length, weights, .. } = *demand;
            let shape = Shape { log_rows, lanes, table_sets, fold, fold_length, weights };
            if limits.max_memory.is_some_and(|allowed| shape.memory_bytes() > allowed) {
                continue;
            }
            shapes.push(shape);
            if table_sets == 1 {
                // More rows only cost more.
                break;
            }
        }
    }
    shapes
}

/// Shapes whose work is within this factor of the least count as equally fast.
pub const EQUALLY_FAST: f64 = 1.1;

/// Of the shapes that hold the network and are about as fast as the fastest, the one with the smallest proof; `None` if the
/// limits are too narrow.
pub fn choose(demand: &Demand, limits: &Limits, constants: &CostConstants) -> Option<Shape> {
    let work = |shape: &Shape| shape.work(constants);
    let shapes = candidates(demand, limits);
    let least = shapes.iter().map(work).reduce(f64::min)?;
    let fast = shapes.into_iter().filter(|shape| work(shape) <= EQUALLY_FAST * least);
    fast.min_by(|a, b| a.proof_bytes().cmp(&b.proof_bytes()).then(work(a).total_cmp(&work(b))))
}

/// The shape of a compiled circuit, counted from the circuit itself.
pub fn shape_of(circuit: &Circuit) -> Shape {
    let (_, fold_length, _) = circuit.fold_segments();
    Shape {
        log_rows: circuit.log_rows,
        lanes: circuit.advice.len() as u32 / LANE_COLUMNS,
        table_sets: circuit.table_sets.len() as u32,
        fold: !circuit.folds().is_empty(),
        fold_length,
        weights: circuit.cost().matrix_entries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(activations: u32, table_rows: u64) -> Demand {
        Demand {
            blocks: vec![vec![activations]],
            table_rows,
            fold: true,
            fold_length: 1000,
            weights: 100_000,
        }
    }

    const FREE: Limits =
        Limits { lanes: None, log_rows: None, max_log_rows: 20, max_table_sets: 8, max_memory: None };

    #[test]
    fn proof_size_follows_the_protocol() {
        let shape =
            |lanes| Shape { log_rows: 10, lanes, table_sets: 1, fold: true, fold_length: 9, weights: 9 };
        for lanes in [1, 2, 4, 8] {
            // 6 w + 10 points; 3 w columns, w helpers, 6 fixed columns and 9 other values.
            assert_eq!(shape(lanes).group_elements(), 6 * u64::from(lanes) + 10);
            assert_eq!(shape(lanes).field_elements(), 4 * u64::from(lanes) + 15);
        }
    }

    #[test]
    fn every_choice_fits_and_none_is_much_faster_or_as_fast_and_smaller() {
        for activations in [10, 300, 5_000, 200_000] {
            for table_rows in [300, 3_000, 70_000] {
                let demand = demand(activations, table_rows);
                let chosen = choose(&demand, &FREE, &CostConstants::CPU).unwrap();
                assert!(needed_rows(&demand, chosen.lanes) <= usable(chosen.log_rows));
                assert!(table_rows <= u64::from(chosen.table_sets) * usable(chosen.log_rows));
                let work = |shape: &Shape| shape.work(&CostConstants::CPU);
                for other in candidates(&demand, &FREE) {
                    assert!(work(&chosen) <= EQUALLY_FAST * work(&other));
                    assert!(work(&other) > work(&chosen) || other.proof_bytes() >= chosen.proof_bytes());
                }
            }
        }
    }

    #[test]
    fn many_activations_take_more_lanes_than_few() {
        let lanes = |activations| {
            choose(&demand(activations, 2_000), &FREE, &CostConstants::CPU).map(|shape| shape.lanes)
        };
        assert_eq!(lanes(100), Some(1));
        assert!(lanes(1_000_000) > lanes(100));
    }

    #[test]
    fn limits_are_kept() {
        let fixed = Limits { lanes: Some(2), log_rows: Some(12), ..FREE };
        let shape = choose(&demand(100, 3_000), &fixed, &CostConstants::CPU).unwrap();
        assert_eq!((shape.lanes, shape.log_rows), (2, 12));
        let small = Limits { max_log_rows: 8, ..FREE };
        assert_eq!(choose(&demand(100_000, 100), &small, &CostConstants::CPU), None);
        assert_eq!(choose(&demand(10, 100_000), &small, &CostConstants::CPU), None);
        let least = candidates(&demand(100_000, 100), &FREE).iter().map(Shape::memory_bytes).min().unwrap();
        let allowed = |bytes| Limits { max_memory: Some(bytes), ..FREE };
        assert!(choose(&demand(100_000, 100), &allowed(least), &CostConstants::CPU).is_some());
        assert_eq!(choose(&demand(100_000, 100), &allowed(least - 1), &CostConstants::CPU), None);
    }

    #[test]
    fn more_of_anything_costs_more() {
        let base =
            Shape { log_rows: 12, lanes: 2, table_sets: 2, fold: true, fold_length: 100, weights: 1000 };
        let work = base.work(&CostConstants::CPU);
        for bigger in [
            Shape { log_rows: 13, ..base },
            Shape { lanes: 4, ..base },
            Shape { table_sets: 3, ..base },
            Shape { weights: 1_000_000, ..base },
        ] {
            assert!(bigger.work(&CostConstants::CPU) > work);
            assert!(bigger.memory_bytes() > base.memory_bytes());
        }
    }
}
