//! The first pass: which blocks of cells a network needs and how each is computed, whatever the number of lanes.
//!
//! A *block* is what the circuit computes: the input, the accumulators of a linear layer, a bias, or a sum of cells of earlier
//! blocks; its activation lies beside it. Every tensor of the network is held as patches of blocks ([`crate::patches`]). What only
//! moves or adds elements makes no block until something needs the sum itself: an activation, the network's output, or a reader
//! that the patches do not suit.

use zkloom_model::access::Access;
use zkloom_model::integer_graph::{
    Activation, IntegerGraph, IntegerNode, IntegerOp, Interval, TensorId, Term,
};

use crate::error::CompileError;
use crate::patches::{Part, Patch};
use crate::products::{MAX_POSITIONS, ProductShape, product_readings};
use crate::structure::{Structure, covers, quotients};
use crate::tables::{FIRST_FUNCTION_TAG, INPUT_TAG, MAX_SHIFT, RANGE_TAG, Table, TableContent, hull};

/// Elements of a tensor that a circuit can number.
pub const MAX_ELEMENTS: usize = 1 << 28;
/// Every integer in an equation that a proof shows modulo the field's order stays below this.
pub const MAX_MAGNITUDE: i128 = 1 << 62;
/// Largest kernel along one axis.
pub const MAX_KERNEL: usize = 4096;
/// Tensors of more patches get a block of their own.
pub const MAX_PATCHES: usize = 24;

/// An activation of a block's accumulators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activated {
    /// Name for messages.
    pub name: String,
    /// The node that asked for it.
    pub node: usize,
    /// Applied to the requantised accumulator.
    pub function: Activation,
    /// The requantised accumulators that the layer asks the table to have.
    pub domain: Interval,
    /// Whether accumulators may lead beyond the domain, so that such inputs are refused. The layer then shares its table with none
    /// that asks for more: it would prove what the network does not compute.
    pub restrictive: bool,
}

impl Activated {
    /// Whether two activations may be looked up in one table.
    fn shares(&self, other: &Self) -> bool {
        let alike = !self.restrictive && !other.restrictive || self.domain == other.domain;
        alike && self.restrictive == other.restrictive && self.function == other.function
    }
}

/// How a block's accumulators are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Not at all: the network's input stands in the activation columns.
    Input,
    /// By the matrix of a linear layer, from the patches of each product's input.
    Product {
        /// Index of the node.
        node: usize,
        /// One list for each product.
        inputs: Vec<Vec<Patch>>,
    },
    /// They are the bias of a sum, which a matrix of one column gives.
    Bias {
        /// Index of the sum's node.
        node: usize,
    },
    /// Sums of earlier cells.
    Combination {
        /// The cells; elements are the block's cells.
        patches: Vec<Patch>,
    },
    /// `2^shift` times the number of ones up to each index along the middle axis of a tensor seen as `[outer, length, inner]`.
    Counts {
        /// The tensor of zeros and ones.
        patches: Vec<Patch>,
        /// Outer indices.
        outer: u32,
        /// Length of the axis.
        length: u32,
        /// Inner indices.
        inner: u32,
        /// Counts from the axis's end instead of its start.
        from_end: bool,
    },
}

/// Rows for one tensor and its activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedBlock {
    /// Name for messages.
    pub name: String,
    /// The node that asked for it; nothing for the input.
    pub node: Option<usize>,
    /// Shape, row-major: lanes are cut at its rows where that costs little.
    pub shape: Vec<u32>,
    /// Number of cells.
    pub cells: u32,
    /// How the accumulators are computed.
    pub content: Content,
    /// The activation beside them.
    pub activated: Option<Activated>,
}

/// The first pass over a network.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The network, without weights.
    pub graph: &'a IntegerGraph,
    /// Blocks in the order of their rows.
    pub blocks: Vec<PlannedBlock>,
    /// The shift of all requantisations, 0 if there is none.
    pub shift: u32,
    /// Values of the functions that the compiler wrote out itself.
    pub(crate) written: usize,
    held: Vec<Vec<Patch>>,
    node: Option<usize>,
}

impl<'a> Plan<'a> {
    /// Walks the network.
    ///
    /// # Errors
    /// [`CompileError`] for what no choice of lanes and rows can cure: shifts that differ, tensors and values that are too
    /// large.
    pub fn new(structure: &'a Structure) -> Result<Self, CompileError> {
        let graph = structure.graph();
        let shift = common_shift(graph)?;
        let held = vec![Vec::new(); graph.tensors.len()];
        let mut plan = Self { graph, blocks: Vec::new(), shift, written: 0, held, node: None };
        let input = graph.tensor(graph.input);
        let block = plan.push(input.name.clone(), &sizes_of(&input.shape), Content::Input, None)?;
        plan.hold(graph.input, vec![plan.whole(block, Part::Activation)]);
        for (index, node) in graph.nodes.iter().enumerate() {
            plan.node = Some(index);
            plan.visit(index, node)?;
        }
        // The statement speaks of a tensor's own cells.
        plan.settle(graph.output)?;
        Ok(plan)
    }

    fn visit(&mut self, index: usize, node: &IntegerNode) -> Result<(), CompileError> {
        match &node.op {
            IntegerOp::Linear { .. } => self.linear(index, node)?,
            IntegerOp::Sum { terms, bias } => self.sum(index, node, (terms, bias))?,
            IntegerOp::Activate { input, function, domain, shift } => {
                let (name, function) = (self.graph.tensor(node.output).name.clone(), function.clone());
                let restrictive = !covers(*domain, quotients(self.graph.tensor(*input).interval, *shift));
                let activated = Activated { name, node: index, function, domain: *domain, restrictive };
                let block = self.activate(node.output, *input, activated)?;
                self.hold(node.output, vec![self.whole(block, Part::Activation)]);
            }
            IntegerOp::Maximum { left, right } => {
                let intervals = (self.graph.tensor(*left).interval, self.graph.tensor(*right).interval);
                let (left, right) = (self.held(*left).to_vec(), self.held(*right).to_vec());
                let shape = sizes_of(&self.graph.tensor(node.output).shape);
                let patches = self.maximum(&shape, (&left, &right), intervals)?;
                self.hold(node.output, patches);
            }
            IntegerOp::Multiply { left, right } => self.multiply(node.output, *left, *right)?,
            IntegerOp::ArgMax { input, length, inner, last } => {
                self.arg_max(node.output, *input, (*length, *inner, *last))?;
            }
            IntegerOp::Reshape { input } => self.hold(node.output, self.held(*input).to_vec()),
        }
        if self.held(node.output).len() > MAX_PATCHES { self.settle(node.output) } else { Ok(()) }
    }

    /// The patches that hold a tensor.
    pub fn held(&self, tensor: TensorId) -> &[Patch] {
        self.held.get(tensor.0).map_or(&[], Vec::as_slice)
    }

    /// The block whose cells in one part are a tensor, in order, if there is one.
    pub fn block_of(&self, tensor: TensorId) -> Option<(usize, Part)> {
        match self.held(tensor) {
            [patch] if patch.is_whole(self.cells(patch.block)) => Some((patch.block as usize, patch.part)),
            _ => None,
        }
    }

    pub(crate) fn hold(&mut self, tensor: TensorId, patches: Vec<Patch>) {
        if let Some(held) = self.held.get_mut(tensor.0) {
            *held = patches;
        }
    }

    fn cells(&self, block: u32) -> u32 {
        self.blocks.get(block as usize).map_or(0, |block| block.cells)
    }

    /// All cells of a block.
    pub(crate) fn whole(&self, block: u32, part: Part) -> Patch {
        Patch::whole(block, part, self.cells(block))
    }

    /// Index of the node that is being planned.
    pub(crate) fn current(&self) -> usize {
        self.node.unwrap_or(0)
    }

    /// Name of the node that is being planned.
    pub(crate) fn layer(&self) -> String {
        let node = self.node.and_then(|index| self.graph.nodes.get(index));
        node.map_or_else(String::new, |node| node.name.clone())
    }

    /// Adds a block; gives its index.
    pub(crate) fn push(
        &mut self,
        name: String,
        shape: &[u32],
        content: Content,
        activated: Option<Activated>,
    ) -> Result<u32, CompileError> {
        let elements = shape.iter().fold(1_usize, |product, size| product.saturating_mul(*size as usize));
        let cells = element_count(&name, elements)?;
        let (node, shape) = (self.node, shape.to_vec());
        self.blocks.push(PlannedBlock { name, node, shape, cells, content, activated });
        Ok(self.blocks.len() as u32 - 1)
    }

    /// Gives a tensor cells of its own, if it is not a block already.
    pub(crate) fn settle(&mut self, tensor: TensorId) -> Result<(), CompileError> {
        if self.block_of(tensor).is_some() {
            return Ok(());
        }
        let described = self.graph.tensor(tensor);
        let (name, shape) = (described.name.clone(), sizes_of(&described.shape));
        let content = Content::Combination { patches: self.held(tensor).to_vec() };
        let block = self.push(name, &shape, content, None)?;
        self.hold(tensor, vec![self.whole(block, Part::Accumulator)]);
        Ok(())
    }

    fn linear(&mut self, index: usize, node: &IntegerNode) -> Result<(), CompileError> {
        let shape = ProductShape::of(self.graph, node);
        if shape.positions.len() > MAX_POSITIONS {
            let (layer, found) = (node.name.clone(), shape.positions.len());
            return Err(CompileError::Positions { layer, found, max: MAX_POSITIONS });
        }
        if shape.largest_kernel() > MAX_KERNEL {
            let reason =
                format!("kernels of more than {MAX_KERNEL} elements along an axis are not supported");
            return Err(CompileError::Unprovable { layer: node.name.clone(), reason });
        }
        element_count(&node.name, (shape.width() as usize).saturating_mul(shape.rows as usize))?;
        let mut inputs = Vec::new();
        for (input, reading) in node.op.inputs().into_iter().zip(product_readings(&shape)) {
            if self.held(input).iter().any(|patch| reading.factor(patch).is_none()) {
                self.settle(input)?;
            }
            inputs.push(self.held(input).to_vec());
        }
        let name = self.graph.tensor(node.output).name.clone();
        let content = Content::Product { node: index, inputs };
        let block = self.push(name, &shape.output_dimensions(), content, None)?;
        self.hold(node.output, vec![self.whole(block, Part::Accumulator)]);
        Ok(())
    }

    /// Adds up what the terms read; a bias has cells of its own.
    fn sum(
        &mut self,
        index: usize,
        node: &IntegerNode,
        (terms, bias): (&[Term], &[i64]),
    ) -> Result<(), CompileError> {
        let mut patches = Vec::new();
        for term in terms.iter().filter(|term| term.coefficient != 0) {
            let tensor = self.graph.tensor(term.input);
            let shape = sizes_of(&tensor.shape);
            let mut read = read_through(self.held(term.input), &term.access, &shape);
            if read.is_none() {
                self.settle(term.input)?;
                read = read_through(self.held(term.input), &term.access, &shape);
            }
            let (layer, tensor) = (node.name.clone(), tensor.name.clone());
            for patch in read.ok_or(CompileError::Access { layer, tensor })? {
                let too_large = || CompileError::Weight { layer: node.name.clone(), channel: 0 };
                patches.push(patch.scaled(term.coefficient).ok_or_else(too_large)?);
            }
        }
        if !bias.is_empty() {
            let output = self.graph.tensor(node.output);
            let (name, shape) = (format!("{}.bias", output.name), sizes_of(&output.shape));
            let block = self.push(name, &shape, Content::Bias { node: index }, None)?;
            patches.push(self.whole(block, Part::Accumulator));
        }
        self.hold(node.output, patches);
        Ok(())
    }

    /// The block in which a tensor's activation lies: the tensor's own, if no other activation is there, or a new one.
    fn activate(
        &mut self,
        output: TensorId,
        input: TensorId,
        activated: Activated,
    ) -> Result<u32, CompileError> {
        if let Some((block, Part::Accumulator)) = self.block_of(input)
            && let Some(free) = self.blocks.get_mut(block).filter(|block| block.activated.is_none())
        {
            free.activated = Some(activated);
            return Ok(block as u32);
        }
        let (name, shape) =
            (format!("{} (accumulator)", activated.name), sizes_of(&self.graph.tensor(output).shape));
        // A tensor that is no block yet becomes this one.
        let content = Content::Combination { patches: self.held(input).to_vec() };
        self.push(name, &shape, content, Some(activated))
    }

    /// All tables: remainders, input values, and one for each function, which the layers that may share it do.
    pub fn tables(&self) -> Vec<Table> {
        let interval = plonkish(self.graph.tensor(self.graph.input).interval);
        let mut tables = vec![
            Table { tag: RANGE_TAG, content: TableContent::Remainders { shift: self.shift } },
            Table { tag: INPUT_TAG, content: TableContent::Input { interval } },
        ];
        let functions = (FIRST_FUNCTION_TAG..).zip(self.shared());
        tables.extend(functions.map(|(tag, users)| {
            let domains = users.iter().map(|user| {
                // Padding cells have accumulator zero.
                let Interval { min, max } = user.domain;
                zkloom_plonkish::Interval { min: min.min(0), max: max.max(0) }
            });
            let domain = domains.reduce(hull).unwrap_or(zkloom_plonkish::Interval { min: 0, max: 0 });
            let function = users.first().map(|user| &user.function);
            Table::of_function(tag, function.unwrap_or(&Activation::Clamp { min: 0, max: 0 }), domain)
        }));
        tables
    }

    /// Activations by the table that they share, in the order of the blocks.
    fn shared(&self) -> Vec<Vec<&Activated>> {
        let mut tables: Vec<Vec<&Activated>> = Vec::new();
        for activated in self.blocks.iter().filter_map(|block| block.activated.as_ref()) {
            match tables.iter_mut().find(|users| users.first().is_some_and(|user| user.shares(activated))) {
                Some(users) => users.push(activated),
                None => tables.push(vec![activated]),
            }
        }
        tables
    }

    /// Tag of the table that each block's rows are looked up in; 0 for none.
    pub fn tags(&self) -> Vec<u32> {
        let shared = self.shared();
        let tag = |block: &PlannedBlock| match &block.activated {
            Some(activated) => {
                let alike =
                    |users: &Vec<&Activated>| users.first().is_some_and(|user| user.shares(activated));
                shared.iter().position(alike).map_or(0, |position| FIRST_FUNCTION_TAG + position as u32)
            }
            None if block.content == Content::Input => INPUT_TAG,
            None => 0,
        };
        self.blocks.iter().map(tag).collect()
    }
}

/// The patches of a second tensor that reads one of shape `sizes` by `access`; nothing if some are no patches.
pub(crate) fn read_through(held: &[Patch], access: &Access, sizes: &[u32]) -> Option<Vec<Patch>> {
    let mut read = Vec::with_capacity(held.len());
    for patch in held {
        read.extend(patch.through(access, sizes)?);
    }
    Some(read)
}

/// The shift of all requantisations.
fn common_shift(graph: &IntegerGraph) -> Result<u32, CompileError> {
    let mut common = None;
    for node in &graph.nodes {
        let IntegerOp::Activate { shift, .. } = &node.op else { continue };
        let layer = || node.name.clone();
        if *shift > MAX_SHIFT {
            return Err(CompileError::Shift { layer: layer(), found: *shift, max: MAX_SHIFT });
        }
        match common {
            Some(expected) if expected != *shift => {
                return Err(CompileError::MixedShifts { layer: layer(), found: *shift, expected });
            }
            _ => common = Some(*shift),
        }
    }
    // Without a requantisation the compiler's own functions may take any.
    Ok(common.unwrap_or(0))
}

/// A shape in the compiler's numbers; one axis of one for a scalar.
pub(crate) fn sizes_of(shape: &[usize]) -> Vec<u32> {
    let sizes: Vec<u32> = shape.iter().map(|size| u32::try_from(*size).unwrap_or(u32::MAX)).collect();
    if sizes.is_empty() { vec![1] } else { sizes }
}

/// The same interval as circuits have it.
pub(crate) fn plonkish(interval: Interval) -> zkloom_plonkish::Interval {
    zkloom_plonkish::Interval { min: interval.min, max: interval.max }
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
