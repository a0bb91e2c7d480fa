//! Where every tensor lies: lanes, blocks of rows, and the sources of their values.
//!
//! All lanes have the same rows. A block with n cells takes `height = ceil(n / lanes)` rows of each lane; lane j holds its
//! cells `j * height ..`, as many as there are, and padding below. Blocks lie one after the other, and after them the random
//! cells of the folds.

use zkloom_plonkish::{Circuit, Interval, codec_enum, codec_struct};

use crate::plan::{BlockContent, Part, Plan, activation_of};
use crate::tables::{INPUT_TAG, Table};
use crate::views::Run;

/// Random cells at the end of each fold (protocol, section 6).
pub const FOLD_BLINDS: u32 = 3;
/// Largest shift of a requantisation.
const MAX_SHIFT: u32 = 24;
/// Advice columns of a lane: accumulators, activations, remainders.
pub const LANE_COLUMNS: u32 = 3;
/// Of these, tensor columns: accumulators, activations.
pub const LANE_TENSOR_COLUMNS: u32 = 2;

/// Where the values of a block's column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nothing: zeros.
    Empty {},
    /// A tensor of the graph.
    Tensor {
        /// Its index.
        index: u32,
    },
    /// The bias of a sum.
    Bias {
        /// Index of its node.
        node: u32,
    },
}
codec_enum!(Source { 0 = Empty {}, 1 = Tensor { index }, 2 = Bias { node } });

/// Rows that hold one tensor, and its activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The tensor's name.
    pub name: String,
    /// First row.
    pub row: u32,
    /// Rows in each lane.
    pub height: u32,
    /// Cells in all lanes.
    pub cells: u32,
    /// Values of the accumulator columns.
    pub accumulator: Source,
    /// Values of the activation columns.
    pub activation: Source,
    /// Tag of the table that the rows are looked up in; 0 for rows without lookups.
    pub tag: u32,
    /// Accumulators (or biases) lie in it; for the input, its values.
    pub interval: Interval,
}
codec_struct!(Block { name, row, height, cells, accumulator, activation, tag, interval });

impl Block {
    /// Index of lane `lane`'s first cell in the tensor, and the number of its cells.
    pub fn share(&self, lane: u32) -> (u32, u32) {
        let start = u64::from(lane) * u64::from(self.height);
        let start = start.min(u64::from(self.cells)) as u32;
        (start, self.height.min(self.cells - start))
    }
}

/// What a node of the graph became, for reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// The node's name.
    pub name: String,
    /// The operation.
    pub operator: String,
    /// Shape of the output.
    pub shape: Vec<u64>,
    /// Rows in each lane that the node adds.
    pub rows: u32,
    /// What it does to values.
    pub effect: Effect,
}
codec_struct!(NodeRecord { name, operator, shape, rows, effect });

/// What a node does to values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Gives cells another name.
    Alias {},
    /// Computes accumulators.
    Accumulate {
        /// Their interval.
        interval: Interval,
    },
    /// Requantises and applies a function.
    Activate {
        /// Interval of the accumulators.
        interval: Interval,
        /// Interval of the requantised accumulators.
        quotients: Interval,
        /// Tag of the table.
        tag: u32,
    },
}
codec_enum!(Effect {
    0 = Alias {},
    1 = Accumulate { interval },
    2 = Activate { interval, quotients, tag },
});

/// Where everything lies; enough to fill the trace from the graph's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Name of the network.
    pub network: String,
    /// Number of lanes.
    pub lanes: u32,
    /// Requantisation divides by `2^shift`.
    pub shift: u32,
    /// Blocks in the order of their rows.
    pub blocks: Vec<Block>,
    /// Rows of all blocks in each lane; the random cells of the folds follow.
    pub rows: u32,
    /// The lookup tables.
    pub tables: Vec<Table>,
    /// The graph's nodes, for reports.
    pub nodes: Vec<NodeRecord>,
    /// For each public tensor of the circuit, the tensor of the graph.
    pub publics: Vec<u32>,
    /// For each external vector of the circuit, the tensor of the graph.
    pub externals: Vec<u32>,
}
codec_struct!(Layout { network, lanes, shift, blocks, rows, tables, nodes, publics, externals });

/// Rows that blocks of these numbers of cells take in each lane.
pub fn height_of(cells: impl IntoIterator<Item = u32>, lanes: u32) -> u64 {
    cells.into_iter().map(|cells| u64::from(cells.div_ceil(lanes.max(1)))).sum()
}

impl Layout {
    /// Places a plan's blocks in so many lanes. The plan's rows must fit 32 bits.
    pub fn place(plan: &Plan<'_>, lanes: u32) -> Self {
        let tables = plan.tables();
        let mut row = 0;
        let mut blocks = Vec::with_capacity(plan.blocks.len());
        for planned in &plan.blocks {
            let height = planned.cells.div_ceil(lanes.max(1));
            let tensor = |index: usize| Source::Tensor { index: index as u32 };
            let (accumulator, activation) = match planned.content {
                BlockContent::Input => (Source::Empty {}, tensor(plan.graph.input.0)),
                BlockContent::Accumulators { tensor: id, activated } => {
                    (tensor(id.0), activated.map_or(Source::Empty {}, |activated| tensor(activated.tensor.0)))
                }
                BlockContent::Bias { node } => (Source::Bias { node: node as u32 }, Source::Empty {}),
            };
            let tag = match planned.content {
                BlockContent::Input => INPUT_TAG,
                _ => activation_of(planned).map_or(0, |activated| {
                    let table = tables.iter().find(|table| table.is_of(activated.function));
                    table.map_or(0, |table| table.tag)
                }),
            };
            let (name, cells, interval) = (planned.name.clone(), planned.cells, planned.interval);
            blocks.push(Block { name, row, height, cells, accumulator, activation, tag, interval });
            row += height;
        }
        Self {
            network: plan.graph.name.clone(),
            lanes,
            shift: plan.shift,
            blocks,
            rows: row,
            tables,
            nodes: Vec::new(),
            publics: Vec::new(),
            externals: Vec::new(),
        }
    }

    /// Checks that a layout from a file fits its circuit, so that filling the trace stays inside the columns.
    ///
    /// # Errors
    /// The first contradiction, in words.
    pub fn check(&self, circuit: &Circuit) -> Result<(), String> {
        let columns = u64::from(self.lanes) * u64::from(LANE_COLUMNS);
        if self.lanes == 0 || columns != circuit.advice.len() as u64 {
            return Err(format!("{} lanes for {} advice columns", self.lanes, circuit.advice.len()));
        }
        // A network without activations requantises nothing and has no shift.
        let requantises = |block: &Block| block.tag != 0 && !matches!(block.accumulator, Source::Empty {});
        let least = u32::from(self.blocks.iter().any(requantises));
        if !(least..=MAX_SHIFT).contains(&self.shift) {
            return Err(format!("the shift is {}, allowed is {least} to {MAX_SHIFT}", self.shift));
        }
        let mut end = 0_u64;
        for block in &self.blocks {
            if u64::from(block.row) != end || block.height != block.cells.div_ceil(self.lanes) {
                return Err(format!("block `{}` is not where the blocks before it end", block.name));
            }
            end += u64::from(block.height);
        }
        if end != u64::from(self.rows) || end > circuit.usable() as u64 {
            return Err(format!("{} rows, the blocks take {end} of {}", self.rows, circuit.usable()));
        }
        let (publics, externals) = (self.publics.len(), self.externals.len());
        if publics != circuit.publics.len() || externals != circuit.externals.len() {
            return Err(format!(
                "{publics} public and {externals} committed tensors, the circuit has others"
            ));
        }
        Ok(())
    }

    /// The cells of a block in the accumulator or activation columns, lane by lane; lanes without cells are left out.
    pub fn runs(&self, block: usize, part: Part) -> Vec<Run> {
        let Some(block) = self.blocks.get(block) else { return Vec::new() };
        let run = |lane: u32| {
            let (start, length) = block.share(lane);
            let column = lane * LANE_TENSOR_COLUMNS + u32::from(part == Part::Activation);
            Run { column, row: block.row, start, length }
        };
        (0..self.lanes).map(run).filter(|run| run.length > 0).collect()
    }

    /// The table with a tag.
    pub fn table(&self, tag: u32) -> Option<&Table> {
        self.tables.iter().find(|table| table.tag == tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::TableContent;
    use zkloom_plonkish::{Decode, Encode};

    fn block(cells: u32, lanes: u32) -> Block {
        Block {
            name: "b".into(),
            row: 3,
            height: cells.div_ceil(lanes),
            cells,
            accumulator: Source::Empty {},
            activation: Source::Tensor { index: 0 },
            tag: 2,
            interval: Interval { min: -1, max: 1 },
        }
    }

    #[test]
    fn shares_follow_one_another() {
        for lanes in 1..9 {
            for cells in 1..40 {
                let block = block(cells, lanes);
                let mut next = 0;
                for lane in 0..lanes {
                    let (start, length) = block.share(lane);
                    assert!(length <= block.height);
                    assert!(start == next || length == 0);
                    next = start + length;
                }
                assert_eq!(next, cells);
            }
        }
    }

    #[test]
    fn layouts_survive_encoding() {
        let interval = Interval { min: -3, max: 4 };
        let record = |effect| NodeRecord {
            name: "n".into(),
            operator: "O".into(),
            shape: vec![2, 3],
            rows: 1,
            effect,
        };
        let layout = Layout {
            network: "net".into(),
            lanes: 2,
            shift: 8,
            blocks: vec![block(5, 2)],
            rows: 3,
            tables: vec![
                Table { tag: 1, content: TableContent::Remainders { shift: 8 } },
                Table { tag: 2, content: TableContent::Input { interval } },
                Table { tag: 3, content: TableContent::Clamp { quotients: interval, min: 0, max: 9 } },
            ],
            nodes: vec![
                record(Effect::Alias {}),
                record(Effect::Accumulate { interval }),
                record(Effect::Activate { interval, quotients: interval, tag: 3 }),
            ],
            publics: vec![4],
            externals: vec![0],
        };
        assert_eq!(Layout::from_slice(&layout.to_vec()), Ok(layout.clone()));
        assert_eq!(layout.runs(0, Part::Activation).len(), 2);
        assert_eq!(layout.runs(9, Part::Activation), []);
        assert_eq!(layout.table(3).map(Table::rows), Some(8));
    }
}
