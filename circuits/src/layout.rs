//! Where every block lies: lanes, rows and tables. A layout follows from the network's structure and a few choices; files hold
//! only these.
//!
//! All lanes have the same rows. A block with n cells takes `height` rows of each lane, at least `n / lanes`; lane j holds its
//! cells `j * height ..`, as many as there are, and padding below. Blocks lie one after the other, and after them the random
//! cells of the folds. The height is rounded up to whole rows or channels of the tensor where that wastes little: lanes that are
//! cut there need fewer views.

use zkloom_model::integer_graph::TensorId;
use zkloom_plonkish::{Circuit, Decode, DecodeError, Encode, Reader, Writer, codec_struct};

use crate::compile::Visibility;
use crate::error::CompileError;
use crate::patches::{Part, Patch};
use crate::plan::{Plan, PlannedBlock};
use crate::reading::{Reading, Run};
use crate::structure::Structure;
use crate::tables::Table;
use zkloom_plonkish::View;

/// Random cells at the end of each fold (protocol, section 6).
pub const FOLD_BLINDS: u32 = 3;
/// Advice columns of a lane: accumulators, activations, remainders.
pub const LANE_COLUMNS: u32 = 3;
/// Of these, tensor columns: accumulators, activations.
pub const LANE_TENSOR_COLUMNS: u32 = 2;
/// A block may be padded by one part in so many for the sake of whole rows.
const PADDING_DIVISOR: u64 = 64;

/// Rows of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// First row.
    pub row: u32,
    /// Rows in each lane.
    pub height: u32,
    /// Cells in all lanes.
    pub cells: u32,
    /// Tag of the table that the rows are looked up in; 0 for rows without lookups.
    pub tag: u32,
}

impl Block {
    /// Index of lane `lane`'s first cell, and the number of its cells.
    pub fn share(&self, lane: u32) -> (u32, u32) {
        let start = u64::from(lane) * u64::from(self.height);
        let start = start.min(u64::from(self.cells)) as u32;
        (start, self.height.min(self.cells - start))
    }
}

/// Rows that a block of this shape takes in each of so many lanes.
pub fn height_of(shape: &[u32], lanes: u32) -> u64 {
    let cells: u64 = shape.iter().map(|size| u64::from(*size)).product();
    let least = cells.div_ceil(u64::from(lanes.max(1)));
    let (mut height, mut grain) = (least, 1_u64);
    for size in shape.iter().rev() {
        grain = grain.saturating_mul(u64::from(*size).max(1));
        let rounded = least.next_multiple_of(grain);
        if (rounded - least) * PADDING_DIVISOR <= least {
            height = rounded;
        }
    }
    height
}

/// What is chosen besides the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choices {
    /// Number of lanes.
    pub lanes: u32,
    /// Log2 of the number of rows.
    pub log_rows: u32,
    /// Number of table sets.
    pub table_sets: u32,
    /// Who sees the input.
    pub inputs: Visibility,
    /// Who sees the output.
    pub outputs: Visibility,
    /// Whether matrices are committed without hiding.
    pub public_weights: bool,
    /// How many entries of the input fold one row of a key's matrices is worth ([`crate::products`]); 0 leaves rows as they are.
    pub packing: u32,
}
codec_struct!(Choices { lanes, log_rows, table_sets, inputs, outputs, public_weights, packing });

/// Where everything lies; with the network's values enough to fill the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The network without weights.
    pub structure: Structure,
    /// What was chosen.
    pub choices: Choices,
    /// Requantisation divides by `2^shift`.
    pub shift: u32,
    /// Blocks in the order of their rows, as [`Plan`] has them.
    pub blocks: Vec<Block>,
    /// Rows of all blocks in each lane; the random cells of the folds follow.
    pub rows: u32,
    /// The lookup tables.
    pub tables: Vec<Table>,
}

impl Layout {
    /// Places a structure's blocks.
    ///
    /// # Errors
    /// [`CompileError`] if the network has no plan, or its rows cannot be numbered.
    pub fn place(structure: Structure, choices: Choices) -> Result<Self, CompileError> {
        let plan = Plan::new(&structure)?;
        let (tables, tags) = (plan.tables(), plan.tags());
        let (mut row, mut blocks) = (0_u32, Vec::with_capacity(plan.blocks.len()));
        for (planned, tag) in plan.blocks.iter().zip(tags) {
            let height = height_of(&planned.shape, choices.lanes);
            let refuse = || CompileError::Rows {
                needed: u64::from(row) + height,
                lanes: choices.lanes,
                log_rows: choices.log_rows,
                usable: crate::cost::usable(choices.log_rows),
            };
            let height = u32::try_from(height).map_err(|_| refuse())?;
            blocks.push(Block { row, height, cells: planned.cells, tag });
            row = row.checked_add(height).ok_or_else(refuse)?;
        }
        let shift = plan.shift;
        Ok(Self { structure, choices, shift, blocks, rows: row, tables })
    }

    /// Name of the network.
    pub fn network(&self) -> &str {
        &self.structure.graph().name
    }

    /// Number of lanes.
    pub fn lanes(&self) -> u32 {
        self.choices.lanes
    }

    /// The tensors whose values a statement holds, or commits to, as `kind` says.
    pub fn stated(&self, kind: Visibility) -> Vec<TensorId> {
        let graph = self.structure.graph();
        let stated = [(self.choices.inputs, graph.input), (self.choices.outputs, graph.output)];
        stated.into_iter().filter(|(found, _)| *found == kind).map(|(_, tensor)| tensor).collect()
    }

    /// Checks that a layout fits a circuit, so that filling the trace stays inside the columns.
    ///
    /// # Errors
    /// The first contradiction, in words.
    pub fn check(&self, circuit: &Circuit) -> Result<(), String> {
        let Choices { lanes, log_rows, table_sets, .. } = self.choices;
        let columns = u64::from(lanes) * u64::from(LANE_COLUMNS);
        if lanes == 0 || columns != circuit.advice.len() as u64 {
            return Err(format!("{lanes} lanes for {} advice columns", circuit.advice.len()));
        }
        if log_rows != circuit.log_rows || u64::from(self.rows) > circuit.usable() as u64 {
            return Err(format!("{} of 2^{log_rows} rows, the circuit has {}", self.rows, circuit.usable()));
        }
        if table_sets as usize != circuit.table_sets.len() {
            return Err(format!("{table_sets} table sets, the circuit has {}", circuit.table_sets.len()));
        }
        let (publics, externals) =
            (self.stated(Visibility::Public).len(), self.stated(Visibility::Committed).len());
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
        (0..self.choices.lanes).map(run).filter(|run| run.length > 0).collect()
    }

    /// The views of a tensor that patches hold, under a reading; nothing where the reading does not suit a patch.
    pub fn views(&self, patches: &[Patch], reading: &Reading) -> Option<Vec<View>> {
        let mut views = Vec::new();
        for patch in patches {
            let factored = reading.factor(patch)?;
            for run in self.runs(patch.block as usize, patch.part) {
                factored.views(&run, &mut views);
            }
        }
        Some(views)
    }

    /// The table with a tag.
    pub fn table(&self, tag: u32) -> Option<&Table> {
        self.tables.iter().find(|table| table.tag == tag)
    }

    /// The table that a block's activation is looked up in.
    pub fn activation_table(&self, planned: &PlannedBlock, block: usize) -> Option<&Table> {
        planned.activated.as_ref()?;
        self.blocks.get(block).and_then(|block| self.table(block.tag))
    }
}

impl Encode for Layout {
    fn encode(&self, writer: &mut Writer) {
        self.structure.encode(writer);
        self.choices.encode(writer);
    }
}

impl Decode for Layout {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let structure = Structure::decode(reader)?;
        let choices = Choices::decode(reader)?;
        if !(1..=crate::cost::MAX_LANES).contains(&choices.lanes) {
            return Err(reader.invalid("the number of lanes is not supported"));
        }
        Self::place(structure, choices).map_err(|_| reader.invalid("the network's structure has no layout"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_one_another() {
        for lanes in 1..9 {
            for shape in
                [vec![1], vec![7], vec![40], vec![3, 13], vec![16, 8, 8], vec![5, 1, 2], vec![64, 3, 3]]
            {
                let cells = shape.iter().product::<u32>();
                let height = height_of(&shape, lanes) as u32;
                let block = Block { row: 3, height, cells, tag: 2 };
                let mut next = 0;
                for lane in 0..lanes {
                    let (start, length) = block.share(lane);
                    assert!(length <= block.height);
                    assert!(start == next || length == 0);
                    next = start + length;
                }
                assert_eq!(next, cells);
                assert!(u64::from(height) <= u64::from(cells.div_ceil(lanes)) * 65 / 64);
            }
        }
    }

    #[test]
    fn lanes_are_cut_at_channels_where_that_is_cheap() {
        assert_eq!(height_of(&[64, 32, 32], 8), 8192);
        assert_eq!(height_of(&[3, 32, 32], 8), 384);
        assert_eq!(height_of(&[10, 10, 10], 3), 334);
        assert_eq!(height_of(&[66, 8, 8], 8), 528);
    }
}
