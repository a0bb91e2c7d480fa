//! Fills the trace: linear layers from the integer network's values, everything else from the cells before it.

use rayon::prelude::*;
use zkloom_model::integer_graph::{IntegerGraph, IntegerOp, TensorId};
use zkloom_model::rounding::requantise;
use zkloom_plonkish::Witness;
use zkloom_plonkish::field::from_integer;

use crate::compile::{Compiled, Visibility};
use crate::error::WitnessError;
use crate::gadgets::requantise::remainder;
use crate::layout::{Block, LANE_COLUMNS};
use crate::patches::{Part, Patch};
use crate::plan::{Content, Plan, PlannedBlock};
use crate::tables::Table;

/// Accumulators and activations of one block; empty where it has none.
#[derive(Clone, Debug, Default)]
struct Cells {
    accumulators: Vec<i64>,
    activations: Vec<i64>,
}

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
        let plan =
            Plan::new(&self.layout.structure).map_err(|error| WitnessError::Layout(error.to_string()))?;
        let mut cells: Vec<Cells> = Vec::with_capacity(plan.blocks.len());
        for (index, block) in plan.blocks.iter().enumerate() {
            let filled = self.cells(graph, (&values, &cells), &plan, (index, block))?;
            cells.push(filled);
        }
        let lanes = self.layout.choices.lanes;
        let columns = (0..lanes * LANE_COLUMNS).into_par_iter();
        let advice = columns.map(|column| self.column(column, &cells)).collect();
        let tensor = |id: TensorId| values.get(id.0).cloned().unwrap_or_default();
        let stated = |kind| self.layout.stated(kind).into_iter().map(tensor);
        let publics = stated(Visibility::Public).collect();
        let field = |values: Vec<i64>| values.into_iter().map(from_integer).collect();
        let externals = stated(Visibility::Committed).map(field).collect();
        Ok(Witness { advice, publics, externals })
    }

    /// The cells of one block.
    fn cells(
        &self,
        graph: &IntegerGraph,
        (values, before): (&[Vec<i64>], &[Cells]),
        plan: &Plan<'_>,
        (index, block): (usize, &PlannedBlock),
    ) -> Result<Cells, WitnessError> {
        let node_of = |node: usize| graph.nodes.get(node);
        let accumulators = match &block.content {
            Content::Input => {
                let activations =
                    self.sized(graph, graph.input, values.get(graph.input.0).cloned(), block)?;
                return Ok(Cells { accumulators: Vec::new(), activations });
            }
            Content::Product { node, .. } => {
                let output = node_of(*node).map_or(TensorId(usize::MAX), |node| node.output);
                self.sized(graph, output, values.get(output.0).cloned(), block)?
            }
            Content::Bias { node } => {
                let bias = node_of(*node).and_then(|node| match &node.op {
                    IntegerOp::Sum { bias, .. } => Some(bias.clone()),
                    _ => None,
                });
                let output = node_of(*node).map_or(TensorId(usize::MAX), |node| node.output);
                self.sized(graph, output, bias, block)?
            }
            Content::Combination { patches } => combine(patches, before, block.cells as usize),
            Content::Counts { patches, length, inner, from_end, .. } => {
                let ones = combine(patches, before, block.cells as usize);
                counts(&ones, (*length as usize, *inner as usize), *from_end, 1 << plan.shift)
            }
        };
        let Some(table) = self.layout.activation_table(block, index) else {
            return Ok(Cells { accumulators, activations: Vec::new() });
        };
        let activations = activate(block, &accumulators, table, self.layout.shift)?;
        Ok(Cells { accumulators, activations })
    }

    /// Values of another number than the block's cells are those of another graph.
    fn sized(
        &self,
        graph: &IntegerGraph,
        tensor: TensorId,
        values: Option<Vec<i64>>,
        block: &PlannedBlock,
    ) -> Result<Vec<i64>, WitnessError> {
        let values = values.unwrap_or_default();
        if values.len() == block.cells as usize {
            return Ok(values);
        }
        let (graph, found) = (graph.name.clone(), values.len());
        let tensor = u32::try_from(tensor.0).unwrap_or(u32::MAX);
        Err(WitnessError::OtherGraph { graph, tensor, expected: block.cells, found })
    }

    /// One advice column: every block's share of one lane; the rows that are left are zero, or what zero is mapped to.
    fn column(&self, column: u32, cells: &[Cells]) -> Vec<i64> {
        let (lane, kind) = (column / LANE_COLUMNS, column % LANE_COLUMNS);
        let mut rows = vec![0_i64; self.layout.rows as usize];
        for (block, cells) in self.layout.blocks.iter().zip(cells) {
            let target = rows.get_mut(block.row as usize..(block.row + block.height) as usize);
            let Some(target) = target else { continue };
            let table = self.layout.table(block.tag);
            match (kind, table) {
                (0, _) => fill(target, share(block, lane, &cells.accumulators)),
                (1, Some(table)) => {
                    target.fill(table.padding());
                    fill(target, share(block, lane, &cells.activations));
                }
                (2, Some(_)) => {
                    let shift = self.layout.shift;
                    let accumulators = share(block, lane, &cells.accumulators);
                    for (cell, acc) in target.iter_mut().zip(accumulators) {
                        *cell = remainder(*acc, requantise(*acc, shift), shift);
                    }
                }
                _ => {}
            }
        }
        rows
    }
}

fn share<'v>(block: &Block, lane: u32, values: &'v [i64]) -> &'v [i64] {
    let (start, length) = block.share(lane);
    values.get(start as usize..(start + length) as usize).unwrap_or(&[])
}

fn fill(target: &mut [i64], values: &[i64]) {
    target.iter_mut().zip(values).for_each(|(cell, value)| *cell = *value);
}

/// Sums of cells of earlier blocks.
fn combine(patches: &[Patch], before: &[Cells], cells: usize) -> Vec<i64> {
    let mut sums = vec![0_i64; cells];
    for patch in patches {
        let Some(source) = before.get(patch.block as usize) else { continue };
        let source = match patch.part {
            Part::Accumulator => &source.accumulators,
            Part::Activation => &source.activations,
        };
        patch.for_each(|element, cell| {
            if let (Some(sum), Some(value)) = (sums.get_mut(element), source.get(cell)) {
                // The compiler has checked that intervals, and with them honest values, stay far below 64 bits.
                *sum = sum.wrapping_add(patch.coefficient.wrapping_mul(*value));
            }
        });
    }
    sums
}

/// `step` times the number of ones up to (or from) each index of the middle axis.
fn counts(ones: &[i64], (length, inner): (usize, usize), from_end: bool, step: i64) -> Vec<i64> {
    let mut counts = vec![0; ones.len()];
    let groups =
        ones.chunks_exact((length * inner).max(1)).zip(counts.chunks_exact_mut((length * inner).max(1)));
    for (ones, counts) in groups {
        for position in 0..inner {
            let mut count = 0;
            for index in 0..length {
                let index = if from_end { length - 1 - index } else { index };
                let at = index * inner + position;
                count += ones.get(at).copied().unwrap_or(0) * step;
                counts.iter_mut().skip(at).take(1).for_each(|cell| *cell = count);
            }
        }
    }
    counts
}

/// The results of a block's table. Every requantised accumulator has a row in it.
fn activate(
    block: &PlannedBlock,
    accumulators: &[i64],
    table: &Table,
    shift: u32,
) -> Result<Vec<i64>, WitnessError> {
    let interval = table.interval();
    let result = |(element, acc): (usize, &i64)| {
        let value = requantise(*acc, shift);
        if interval.contains(value) {
            return Ok(table.result(value));
        }
        let (layer, min, max) = (block.name.clone(), interval.min, interval.max);
        Err(WitnessError::OutOfTable { layer, element, value, min, max })
    };
    accumulators.par_iter().enumerate().map(result).collect()
}
