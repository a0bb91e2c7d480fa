//! Fills the trace from the integer interpreter's values.

use zkloom_model::integer_graph::{IntegerGraph, IntegerOp};
use zkloom_model::rounding::requantise;
use zkloom_plonkish::Witness;
use zkloom_plonkish::field::from_integer;

use crate::compile::Compiled;
use crate::error::WitnessError;
use crate::gadgets::requantise::remainder;
use crate::layout::{Block, LANE_COLUMNS, Source};
use crate::tables::{Table, TableContent};

impl Compiled {
    /// The witness for one input (row-major, without batch), computed with the graph that was compiled.
    ///
    /// Committed tensors are taken to be the whole committed vectors; where they are part of longer ones, put these in
    /// [`Witness::externals`].
    ///
    /// # Errors
    /// [`WitnessError`]: an input of another length or outside its interval, or a graph that is not the compiled one as far
    /// as sizes and tables show it (other weights of the same shape give a witness that no proof can be made from).
    pub fn witness(&self, graph: &IntegerGraph, input: &[i64]) -> Result<Witness, WitnessError> {
        let values = graph.run(input)?;
        let mut advice =
            vec![vec![0; self.layout.rows as usize]; (self.layout.lanes * LANE_COLUMNS) as usize];
        for block in &self.layout.blocks {
            let accumulators = self.source(graph, &values, block, block.accumulator)?;
            let activations = self.source(graph, &values, block, block.activation)?;
            let mut fill = BlockFill { advice: &mut advice, block, lanes: self.layout.lanes };
            fill.column(0, &accumulators, 0);
            let Some(table) = self.layout.table(block.tag) else { continue };
            check_table(block, table, self.layout.shift, (&accumulators, &activations))?;
            fill.column(1, &activations, table.padding());
            fill.column(2, &remainders(&accumulators, self.layout.shift), 0);
        }
        let tensor = |index: &u32| values.get(*index as usize).cloned().unwrap_or_default();
        let publics = self.layout.publics.iter().map(tensor).collect();
        let field = |index: &u32| tensor(index).into_iter().map(from_integer).collect();
        let externals = self.layout.externals.iter().map(field).collect();
        Ok(Witness { advice, publics, externals })
    }

    /// Values of a block's column; empty where it has none.
    fn source(
        &self,
        graph: &IntegerGraph,
        values: &[Vec<i64>],
        block: &Block,
        source: Source,
    ) -> Result<Vec<i64>, WitnessError> {
        let (tensor, found) = match source {
            Source::Empty {} => return Ok(Vec::new()),
            Source::Tensor { index } => (index, values.get(index as usize).cloned().unwrap_or_default()),
            Source::Bias { node } => match graph.nodes.get(node as usize) {
                Some(node) => match &node.op {
                    IntegerOp::Sum { bias, .. } => (node.output.0 as u32, bias.clone()),
                    _ => (node.output.0 as u32, Vec::new()),
                },
                None => (u32::MAX, Vec::new()),
            },
        };
        if found.len() == block.cells as usize {
            return Ok(found);
        }
        let (graph, expected, found) = (graph.name.clone(), block.cells, found.len());
        Err(WitnessError::OtherGraph { graph, tensor, expected, found })
    }
}

fn remainders(accumulators: &[i64], shift: u32) -> Vec<i64> {
    accumulators.iter().map(|acc| remainder(*acc, requantise(*acc, shift), shift)).collect()
}

/// Writes one block.
struct BlockFill<'a> {
    advice: &'a mut [Vec<i64>],
    block: &'a Block,
    lanes: u32,
}

impl BlockFill<'_> {
    /// Cuts `values` over the lanes' columns number `offset`; the rows that are left get `padding`.
    fn column(&mut self, offset: u32, values: &[i64], padding: i64) {
        let rows = self.block.row as usize..(self.block.row + self.block.height) as usize;
        for lane in 0..self.lanes {
            let column = self.advice.get_mut((lane * LANE_COLUMNS + offset) as usize);
            let Some(target) = column.and_then(|column| column.get_mut(rows.clone())) else { continue };
            let (start, length) = self.block.share(lane);
            let share = values.get(start as usize..(start + length) as usize).unwrap_or(&[]);
            target.fill(padding);
            target.iter_mut().zip(share).for_each(|(cell, value)| *cell = *value);
        }
    }
}

/// Every looked-up value has a row in its table.
fn check_table(
    block: &Block,
    table: &Table,
    shift: u32,
    (accumulators, activations): (&[i64], &[i64]),
) -> Result<(), WitnessError> {
    let interval = table.interval();
    let looked_up = |(acc, act): (Option<&i64>, &i64)| match table.content {
        TableContent::Input { .. } => *act,
        _ => requantise(acc.copied().unwrap_or(0), shift),
    };
    let accumulators = accumulators.iter().map(Some).chain(core::iter::repeat(None));
    for (element, value) in accumulators.zip(activations).map(looked_up).enumerate() {
        if !interval.contains(value) {
            let (layer, min, max) = (block.name.clone(), interval.min, interval.max);
            return Err(WitnessError::OutOfTable { layer, element, value, min, max });
        }
    }
    Ok(())
}
