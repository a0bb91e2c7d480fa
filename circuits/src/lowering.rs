//! The second pass: with every cell in its place, layers add tensors, claims and matrices to the circuit.

use zkloom_model::integer_graph::TensorId;
use zkloom_plonkish::claim::FoldBlinds;
use zkloom_plonkish::{
    AdviceColumn, CellRun, Circuit, Claim, FixedColumn, FixedValues, Interval, Matrix, Origin, Piece,
    TableSet, Tensor,
};

use crate::cost::Shape;
use crate::gadgets::requantise::{ACTIVATION_COORDINATE, GadgetColumns, lookups};
use crate::layout::{FOLD_BLINDS, LANE_COLUMNS, LANE_TENSOR_COLUMNS, Layout};
use crate::plan::{BlockContent, Part, Plan, activation_interval};
use crate::tables::split_into_sets;
use crate::views::Run;

/// Axis role of output channels; contracts the rows of every matrix.
pub const OUT_ROLE: u32 = 0;
/// Axis role of output positions.
pub const POSITION_ROLE: u32 = 1;
/// Rows at the end of each column that are random: one for each value that a proof shows of a tensor column, and three.
pub const BLINDING_ROWS: u32 = 4;
/// Degree of helpers with two fractions; there are no gates.
pub const MAX_DEGREE: u32 = 3;

/// Fixed column of the lookup selector.
const SELECTOR: u32 = 0;
/// Fixed column of the activation tables' tags.
const TAG: u32 = 1;
/// Fixed column that is one on table rows.
const TABLE_SELECTOR: u32 = 2;

/// The circuit under construction.
#[derive(Debug)]
pub struct Lowering<'a> {
    /// The first pass.
    pub plan: &'a Plan<'a>,
    /// Where everything lies.
    pub layout: &'a Layout,
    /// Whether matrices are committed without hiding.
    pub public_weights: bool,
    circuit: Circuit,
}

impl<'a> Lowering<'a> {
    /// A circuit with columns and lookups, and the network's input as its first tensor.
    pub fn new(plan: &'a Plan<'a>, layout: &'a Layout, shape: &Shape, public_weights: bool) -> Self {
        let circuit = frame(layout, shape.log_rows);
        let mut lowering = Self { plan, layout, public_weights, circuit };
        lowering.ranged_tensor(plan.graph.input);
        lowering
    }

    /// A tensor's cells, lane by lane.
    pub fn runs(&self, tensor: TensorId) -> Vec<Run> {
        self.plan.storage(tensor).map_or_else(Vec::new, |s| self.layout.runs(s.block, s.part))
    }

    /// A block's cells, lane by lane.
    pub fn block_runs(&self, block: usize, part: Part) -> Vec<Run> {
        self.layout.runs(block, part)
    }

    /// The block of a sum's bias.
    pub fn bias_block(&self, node: usize) -> Option<usize> {
        self.plan.blocks.iter().position(|block| block.content == BlockContent::Bias { node })
    }

    /// Interval of a tensor's cells.
    pub fn interval(&self, tensor: TensorId) -> Interval {
        let storage = self.plan.storage(tensor);
        let block = storage.and_then(|s| Some((self.plan.blocks.get(s.block)?, s.part)));
        match block {
            Some((block, Part::Accumulator)) => block.interval,
            Some((block, Part::Activation)) => activation_interval(block),
            None => Interval { min: 0, max: 0 },
        }
    }

    /// Adds a matrix; returns its index.
    pub fn matrix(&mut self, matrix: Matrix) -> u32 {
        self.circuit.matrices.push(matrix);
        self.circuit.matrices.len() as u32 - 1
    }

    /// Adds a claim; returns its index.
    pub fn claim(&mut self, claim: Claim) -> u32 {
        self.circuit.claims.push(claim);
        self.circuit.claims.len() as u32 - 1
    }

    /// Adds a tensor of activations or inputs, which the lanes' activation lookups range.
    pub fn ranged_tensor(&mut self, tensor: TensorId) {
        let pieces = self.runs(tensor).iter().map(|run| piece(run, lookup_origin(run))).collect();
        let (name, interval) = (self.plan.graph.tensor(tensor).name.clone(), self.interval(tensor));
        self.circuit.tensors.push(Tensor { name, interval, pieces });
    }

    /// Adds a tensor of accumulators, each run of which one claim computes.
    pub fn computed_tensor(&mut self, tensor: TensorId, claims: &[u32]) {
        if let Some(storage) = self.plan.storage(tensor) {
            self.block_tensor(storage.block, claims);
        }
    }

    /// Adds the accumulators of a block as a tensor, each run of which one claim computes.
    pub fn block_tensor(&mut self, block: usize, claims: &[u32]) {
        let Some(planned) = self.plan.blocks.get(block) else { return };
        let runs = self.block_runs(block, Part::Accumulator);
        let pieces =
            runs.iter().zip(claims).map(|(run, claim)| piece(run, Origin::Claim { claim: *claim })).collect();
        self.circuit.tensors.push(Tensor { name: planned.name.clone(), interval: planned.interval, pieces });
    }

    /// The circuit under construction, for what is no layer.
    pub fn circuit_mut(&mut self) -> &mut Circuit {
        &mut self.circuit
    }

    /// Adds the folds' random cells and the fixed columns.
    pub fn finish(mut self, table_sets: u32) -> (Circuit, FixedValues) {
        let folds = self.circuit.folds().len() as u32;
        self.circuit.fold_blinds.runs = fold_runs(self.layout, folds);
        let fixed = fixed(self.layout, table_sets, &mut self.circuit);
        (self.circuit, fixed)
    }
}

/// A circuit with the advice columns and lookups of a layout's lanes, and nothing else yet.
pub(crate) fn frame(layout: &Layout, log_rows: u32) -> Circuit {
    Circuit {
        log_rows,
        blinding_rows: BLINDING_ROWS,
        max_degree: MAX_DEGREE,
        advice: advice(layout.lanes),
        fixed: Vec::new(),
        gates: Vec::new(),
        table_sets: Vec::new(),
        lookups: (0..layout.lanes).flat_map(|lane| lookups(lane, columns(lane), layout.shift)).collect(),
        copies: Vec::new(),
        roles: vec!["out".to_owned(), "position".to_owned()],
        matrices: Vec::new(),
        claims: Vec::new(),
        publics: Vec::new(),
        externals: Vec::new(),
        fold_blinds: FoldBlinds { count: FOLD_BLINDS, runs: Vec::new() },
        tensors: Vec::new(),
    }
}

/// The random cells of so many folds, below all blocks.
pub(crate) fn fold_runs(layout: &Layout, folds: u32) -> Vec<CellRun> {
    let run = |fold| CellRun { column: 0, row: layout.rows.saturating_add(fold * FOLD_BLINDS) };
    (0..folds).map(run).collect()
}

/// The lookup that ranges a run of activations: each lane has two, the activation's is the second.
pub(crate) fn lookup_origin(run: &Run) -> Origin {
    Origin::Lookup { lookup: run.column / LANE_TENSOR_COLUMNS * 2 + 1, coordinate: ACTIVATION_COORDINATE }
}

pub(crate) fn piece(run: &Run, origin: Origin) -> Piece {
    Piece { column: run.column, offset: run.row, length: run.length, origin }
}

fn columns(lane: u32) -> GadgetColumns {
    let first = lane * LANE_COLUMNS;
    GadgetColumns {
        accumulator: first,
        activation: first + 1,
        remainder: first + 2,
        selector: SELECTOR,
        tag: TAG,
    }
}

fn advice(lanes: u32) -> Vec<AdviceColumn> {
    let lane = |lane: u32| {
        [("accumulator", true), ("activation", true), ("remainder", false)]
            .map(|(name, tensor)| AdviceColumn { name: format!("{name} {lane}"), tensor })
    };
    (0..lanes).flat_map(lane).collect()
}

/// Selector, tags and tables. One selector serves all table sets, which have equal length.
pub(crate) fn fixed(layout: &Layout, table_sets: u32, circuit: &mut Circuit) -> FixedValues {
    let rows = layout.blocks.iter().flat_map(|block| (0..block.height).map(|_| i64::from(block.tag)));
    let tags: Vec<i64> = rows.collect();
    let selector = tags.iter().map(|tag| i64::from(*tag != 0)).collect();
    let sets = split_into_sets(&layout.tables, table_sets);
    let height = sets.first().map_or(0, |set| set.tags.len());
    let mut names = vec!["selector".to_owned(), "tag".to_owned(), "table selector".to_owned()];
    let mut columns = vec![selector, tags, vec![1; height]];
    for (index, set) in sets.into_iter().enumerate() {
        let first = columns.len() as u32;
        let [arguments, results] = set.values;
        columns.extend([arguments, results, set.tags]);
        names.extend(["argument", "result", "tag"].map(|name| format!("table {name} {index}")));
        let (values, tag) = (vec![first, first + 1], first + 2);
        circuit.table_sets.push(TableSet { values, tag, selector: TABLE_SELECTOR });
    }
    circuit.fixed = names.into_iter().map(|name| FixedColumn { name }).collect();
    FixedValues { columns }
}
