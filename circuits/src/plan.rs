//! The first pass: which cells a network needs and how large their values can be, whatever the number of lanes.
//!
//! Each layer that computes accumulators gets a *block* of rows; an activation fills the activation cells of its accumulator's
//! block; a reshape is another name for the same cells. Intervals are worst cases over everything that the circuit allows,
//! which is wider than what the quantiser saw: activations reach their whole table, and accumulators of private weights are
//! widened to `-2^k ..= 2^k - 1`, so that neither intervals nor table lengths tell more about the weights than their size.

use zkloom_model::integer_graph::{Activation, IntegerGraph, IntegerNode, TensorId};
use zkloom_model::rounding::requantise;
use zkloom_plonkish::Interval;

use crate::error::CompileError;
use crate::layers::layer_of;
use crate::tables::{FIRST_FUNCTION_TAG, INPUT_TAG, MAX_SHIFT, RANGE_TAG, Table, TableContent, hull};

/// Elements of a tensor that a circuit can number.
pub const MAX_ELEMENTS: usize = 1 << 28;
/// Every integer in an equation that a proof shows modulo the field's order stays below this.
pub const MAX_MAGNITUDE: i128 = 1 << 62;

/// Which columns of a block hold a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The accumulator columns.
    Accumulator,
    /// The activation columns.
    Activation,
}

/// Where a tensor's cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Index of the block.
    pub block: usize,
    /// Which columns of it.
    pub part: Part,
}

/// An activation of a block's accumulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activated {
    /// The activation's tensor.
    pub tensor: TensorId,
    /// Applied to the requantised accumulator.
    pub function: Activation,
    /// What the requantised accumulators can be, zero included.
    pub quotients: Interval,
}

/// What a block's rows hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockContent {
    /// The network's input in the activation columns.
    Input,
    /// Accumulators, and where there is one, their activation.
    Accumulators {
        /// The accumulators' tensor.
        tensor: TensorId,
        /// The activation.
        activated: Option<Activated>,
    },
    /// The bias of a sum, in the accumulator columns.
    Bias {
        /// Index of the sum's node.
        node: usize,
    },
}

/// Rows for one tensor and its activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBlock {
    /// The tensor's name.
    pub name: String,
    /// Number of cells.
    pub cells: u32,
    /// What they hold.
    pub content: BlockContent,
    /// Every accumulator (or input value, or bias) lies in it.
    pub interval: Interval,
    /// The output channel whose accumulators reach farthest, for messages.
    pub channel: usize,
}

/// The worst case of a layer's accumulators.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorstCase {
    min: i128,
    max: i128,
    channel: usize,
}

impl WorstCase {
    /// Takes in one channel: `bias + sum factor * value` over the terms, each value in its interval or zero.
    pub fn add(&mut self, channel: usize, bias: i64, terms: impl Iterator<Item = (i128, Interval)>) {
        let (mut low, mut high) = (i128::from(bias), i128::from(bias));
        for (factor, interval) in terms {
            let ends =
                [interval.min.min(0), interval.max.max(0)].map(|end| factor.saturating_mul(i128::from(end)));
            low = low.saturating_add(ends[0].min(ends[1]));
            high = high.saturating_add(ends[0].max(ends[1]));
        }
        if low < self.min || high > self.max {
            self.channel = channel;
        }
        self.min = self.min.min(low);
        self.max = self.max.max(high);
    }

    /// The interval that the circuit states, with zero in it. `widen`: to powers of two, since weights are private.
    fn interval(&self, layer: &str, widen: bool) -> Result<Interval, CompileError> {
        let (mut min, mut max) = (self.min, self.max);
        if widen {
            let mut bound = 1_i128;
            while (min < -bound || max > bound - 1) && bound < MAX_MAGNITUDE {
                bound *= 2;
            }
            (min, max) = (min.min(-bound), max.max(bound - 1));
        }
        let reach = (-min).max(max);
        match (i64::try_from(min), i64::try_from(max)) {
            (Ok(min), Ok(max)) if reach < MAX_MAGNITUDE => Ok(Interval { min, max }),
            _ => Err(CompileError::Range {
                layer: layer.to_owned(),
                channel: self.channel,
                interval: format!("{min}..={max}"),
                reach: reach.to_string(),
            }),
        }
    }
}

/// The first pass over a network.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The network.
    pub graph: &'a IntegerGraph,
    /// Blocks in the order of their rows.
    pub blocks: Vec<PlannedBlock>,
    /// The shift of all requantisations, 0 if there is none.
    pub shift: u32,
    private_weights: bool,
    storage: Vec<Option<Storage>>,
    shifted: bool,
}

impl<'a> Plan<'a> {
    /// Walks the network.
    ///
    /// # Errors
    /// [`CompileError`] for what no choice of lanes and rows can cure: a damaged graph, accumulators that are read without
    /// an activation, several shifts, values that are too large.
    pub fn new(graph: &'a IntegerGraph, private_weights: bool) -> Result<Self, CompileError> {
        graph.check_structure()?;
        for tensor in &graph.tensors {
            element_count(&tensor.name, tensor.elements())?;
        }
        let storage = vec![None; graph.tensors.len()];
        let mut plan = Self { graph, blocks: Vec::new(), shift: 0, private_weights, storage, shifted: false };
        let input = graph.tensor(graph.input);
        let interval = Interval { min: input.interval.min, max: input.interval.max };
        plan.push(graph.input, BlockContent::Input, interval, 0)?;
        plan.define(graph.input, Storage { block: 0, part: Part::Activation });
        for (index, node) in graph.nodes.iter().enumerate() {
            layer_of(index, node).plan(&mut plan)?;
        }
        plan.check_requantisation()?;
        Ok(plan)
    }

    /// Where a tensor is; `None` before its layer was planned.
    pub fn storage(&self, tensor: TensorId) -> Option<Storage> {
        self.storage.get(tensor.0).copied().flatten()
    }

    /// Interval of the values that a layer may read: an input or an activation.
    ///
    /// # Errors
    /// [`CompileError::AccumulatorInput`].
    pub fn readable(&self, node: &IntegerNode, tensor: TensorId) -> Result<Interval, CompileError> {
        let refuse =
            || CompileError::AccumulatorInput { layer: node.name.clone(), tensor: self.name(tensor) };
        let storage = self.storage(tensor).filter(|storage| storage.part == Part::Activation);
        let block = storage.and_then(|storage| self.blocks.get(storage.block)).ok_or_else(refuse)?;
        Ok(activation_interval(block))
    }

    /// Gives a layer's accumulators a block.
    ///
    /// # Errors
    /// [`CompileError::Range`].
    pub fn accumulators(
        &mut self,
        node: &IntegerNode,
        worst: WorstCase,
        private: bool,
    ) -> Result<(), CompileError> {
        let interval = worst.interval(&node.name, private && self.private_weights)?;
        let content = BlockContent::Accumulators { tensor: node.output, activated: None };
        let block = self.push(node.output, content, interval, worst.channel)?;
        self.define(node.output, Storage { block, part: Part::Accumulator });
        Ok(())
    }

    /// Gives the bias of a sum a block, before the sum's own; returns the interval of its cells.
    ///
    /// # Errors
    /// [`CompileError::Range`].
    pub fn bias(&mut self, index: usize, node: &IntegerNode, bias: &[i64]) -> Result<Interval, CompileError> {
        let mut worst = WorstCase::default();
        for (element, value) in bias.iter().enumerate() {
            worst.add(element, *value, core::iter::empty());
        }
        let interval = worst.interval(&node.name, self.private_weights)?;
        self.push(node.output, BlockContent::Bias { node: index }, interval, worst.channel)?;
        Ok(interval)
    }

    /// Fills the activation cells beside an accumulator.
    ///
    /// # Errors
    /// [`CompileError::NotAccumulator`], [`CompileError::SharedAccumulator`], [`CompileError::MixedShifts`],
    /// [`CompileError::Shift`].
    pub fn activate(
        &mut self,
        node: &IntegerNode,
        input: TensorId,
        shift: u32,
        function: Activation,
    ) -> Result<(), CompileError> {
        let layer = node.name.clone();
        if shift > MAX_SHIFT {
            return Err(CompileError::Shift { layer, found: shift, max: MAX_SHIFT });
        }
        if self.shifted && shift != self.shift {
            return Err(CompileError::MixedShifts { layer, found: shift, expected: self.shift });
        }
        (self.shift, self.shifted) = (shift, true);
        let tensor = self.name(input);
        let storage = self.storage(input).filter(|storage| storage.part == Part::Accumulator);
        let block = storage.and_then(|storage| self.blocks.get_mut(storage.block));
        let (Some(storage), Some(block)) = (storage, block) else {
            return Err(CompileError::NotAccumulator { layer, tensor });
        };
        let Interval { min, max } = block.interval;
        let quotients = Interval { min: requantise(min, shift).min(0), max: requantise(max, shift).max(0) };
        match &mut block.content {
            BlockContent::Accumulators { activated: slot @ None, .. } => {
                *slot = Some(Activated { tensor: node.output, function, quotients });
            }
            _ => return Err(CompileError::SharedAccumulator { layer, tensor }),
        }
        self.define(node.output, Storage { part: Part::Activation, ..storage });
        Ok(())
    }

    /// Makes a tensor another name for the cells of `input`.
    pub fn alias(&mut self, output: TensorId, input: TensorId) {
        if let Some(storage) = self.storage(input) {
            self.define(output, storage);
        }
    }

    /// All tables: remainders, input values, and one for each function, which its layers share.
    pub fn tables(&self) -> Vec<Table> {
        let mut functions: Vec<(Activation, Interval)> = Vec::new();
        for activated in self.blocks.iter().filter_map(activation_of) {
            match functions.iter_mut().find(|(function, _)| *function == activated.function) {
                Some((_, quotients)) => *quotients = hull(*quotients, activated.quotients),
                None => functions.push((activated.function, activated.quotients)),
            }
        }
        let interval = self.blocks.first().map_or(Interval { min: 0, max: 0 }, |block| block.interval);
        let mut tables = vec![
            Table { tag: RANGE_TAG, content: TableContent::Remainders { shift: self.shift } },
            Table { tag: INPUT_TAG, content: TableContent::Input { interval } },
        ];
        let functions = (FIRST_FUNCTION_TAG..).zip(functions);
        tables.extend(functions.map(|(tag, (function, q))| Table::of_function(tag, function, q)));
        tables
    }

    fn name(&self, tensor: TensorId) -> String {
        self.graph.tensor(tensor).name.clone()
    }

    fn define(&mut self, tensor: TensorId, storage: Storage) {
        if let Some(slot) = self.storage.get_mut(tensor.0) {
            *slot = Some(storage);
        }
    }

    fn push(
        &mut self,
        tensor: TensorId,
        content: BlockContent,
        interval: Interval,
        channel: usize,
    ) -> Result<usize, CompileError> {
        let tensor = self.graph.tensor(tensor);
        let cells = element_count(&tensor.name, tensor.elements())?;
        let suffix = if matches!(content, BlockContent::Bias { .. }) { ".bias" } else { "" };
        let name = format!("{}{suffix}", tensor.name);
        self.blocks.push(PlannedBlock { name, cells, content, interval, channel });
        Ok(self.blocks.len() - 1)
    }

    /// The requantisation's condition: `acc = q 2^shift + rem` holds modulo the field's order for one pair of table values
    /// only, and then over the integers, since both sides stay far below the order.
    fn check_requantisation(&self) -> Result<(), CompileError> {
        for block in &self.blocks {
            let Some(activated) = activation_of(block) else { continue };
            let shared = self
                .tables()
                .into_iter()
                .find(|table| *table == Table::of_function(table.tag, activated.function, table.interval()));
            let quotients = shared.map_or(activated.quotients, |table| table.interval());
            crate::gadgets::requantise::check(block, quotients, self.shift)?;
        }
        Ok(())
    }
}

/// The activation of a block's accumulators.
pub fn activation_of(block: &PlannedBlock) -> Option<Activated> {
    match block.content {
        BlockContent::Accumulators { activated, .. } => activated,
        _ => None,
    }
}

/// What a block's activation cells can be: an activation has the whole range of its function, whichever of the layers that
/// share its table reaches it.
pub fn activation_interval(block: &PlannedBlock) -> Interval {
    match activation_of(block) {
        Some(Activated { function: Activation::Clamp { min, max }, .. }) => {
            Interval { min: min.min(max), max: max.max(min) }
        }
        None => block.interval,
    }
}

/// A number of elements that fits.
///
/// # Errors
/// [`CompileError::TensorSize`].
pub fn element_count(tensor: &str, elements: usize) -> Result<u32, CompileError> {
    let fits = (1..=MAX_ELEMENTS).contains(&elements);
    let count = u32::try_from(elements).ok().filter(|_| fits);
    count.ok_or_else(|| CompileError::TensorSize { tensor: tensor.to_owned(), elements, max: MAX_ELEMENTS })
}
