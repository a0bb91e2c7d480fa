//! The second pass: with every cell in its place, blocks become tensors, claims and matrices of the circuit.

use zkloom_plonkish::claim::FoldBlinds;
use zkloom_plonkish::origin::claim_interval;
use zkloom_plonkish::{
    AdviceColumn, CellRun, Circuit, Claim, ConstantOnes, FixedColumn, FixedValues, IntegerMatrix, Interval,
    Matrix, Monomial, Origin, Piece, Relation, TableSet, Tensor, View,
};

use crate::error::CompileError;
use crate::gadgets::requantise::{ACTIVATION_COORDINATE, GadgetColumns, is_single_valued, lookups, reach};
use crate::layout::{FOLD_BLINDS, LANE_COLUMNS, LANE_TENSOR_COLUMNS, Layout};
use crate::patches::{Part, Patch};
use crate::plan::{Content, Plan, PlannedBlock, plonkish};
use crate::products::{
    ELEMENT_ROLE, GROUP_ROLE, OUT_ROLE, POSITION_ROLE, ProductShape, ROLES, bias_columns, group_axis,
    product_readings,
};
use crate::reading::{Along, ReadDimension, Reading, Run};
use crate::tables::split_into_sets;

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

/// Where the intervals of accumulators come from.
#[derive(Clone, Copy, Debug)]
pub enum Intervals<'w> {
    /// From the weights, by the origin rule; widened to powers of two where weights are private.
    Derived(&'w [IntegerMatrix]),
    /// From a description.
    Stated(&'w [Tensor]),
}

/// The circuit under construction.
#[derive(Debug)]
pub struct Lowering<'a> {
    plan: &'a Plan<'a>,
    layout: &'a Layout,
    intervals: Intervals<'a>,
    circuit: Circuit,
}

impl<'a> Lowering<'a> {
    /// All blocks as parts of a circuit.
    ///
    /// # Errors
    /// [`CompileError`] for accumulators that are too large.
    pub fn new(
        plan: &'a Plan<'a>,
        layout: &'a Layout,
        intervals: Intervals<'a>,
    ) -> Result<Self, CompileError> {
        let mut lowering = Self { plan, layout, intervals, circuit: frame(layout) };
        for (index, block) in plan.blocks.iter().enumerate() {
            lowering.block(index, block)?;
        }
        Ok(lowering)
    }

    fn block(&mut self, index: usize, block: &PlannedBlock) -> Result<(), CompileError> {
        let Some(claim) = self.claim_of(index, block)? else {
            let interval = plonkish(self.plan.graph.tensor(self.plan.graph.input).interval);
            self.ranged_tensor(index, &block.name, interval);
            return Ok(());
        };
        let interval = self.interval(block, &claim)?;
        self.circuit.claims.push(claim);
        let claim = self.circuit.claims.len() as u32 - 1;
        let runs = self.layout.runs(index, Part::Accumulator);
        let pieces = runs.iter().map(|run| piece(run, Origin::Claim { claim })).collect();
        self.circuit.tensors.push(Tensor { name: block.name.clone(), interval, pieces });
        if let Some(activated) = &block.activated {
            let table = self.layout.activation_table(block, index);
            let quotients = table.map_or(plonkish(activated.domain), |table| table.interval());
            let shift = self.layout.shift;
            if !is_single_valued(interval, quotients, shift) {
                return Err(out_of_range(&block.name, interval, reach(interval, quotients, shift)));
            }
            let image = table.map_or(quotients, |table| table.image());
            self.ranged_tensor(index, &activated.name, image);
        }
        Ok(())
    }

    /// The claim that computes a block's accumulators; nothing for the input.
    fn claim_of(&mut self, index: usize, block: &PlannedBlock) -> Result<Option<Claim>, CompileError> {
        let own = [Patch::whole(index as u32, Part::Accumulator, block.cells)];
        let name = block.name.clone();
        let claim = match &block.content {
            Content::Input => return Ok(None),
            Content::Product { node, inputs } => {
                let Some(node) = self.plan.graph.nodes.get(*node) else { return Ok(None) };
                let shape = ProductShape::of(self.plan.graph, node).packed(self.layout.choices.packing);
                let output = self.views(&own, &shape.output_reading(), block)?;
                let mut input = Vec::new();
                for (patches, reading) in inputs.iter().zip(product_readings(&shape)) {
                    input.extend(self.views(patches, &reading, block)?);
                }
                let matrix = self.matrix(&name, (shape.rows, shape.width()), false);
                let relation = Relation::Matrix { matrix, input, ones: vec![shape.ones()] };
                Claim { name, output, relation }
            }
            Content::Bias { .. } => {
                let columns = bias_columns(block.cells, self.layout.choices.packing);
                let rows = block.cells / columns;
                let dimensions = [(columns, GROUP_ROLE), (rows, OUT_ROLE)]
                    .map(|(size, role)| geometric(size, Monomial::role(role, 1)));
                let output = self.views(&own, &reading(dimensions.to_vec(), 1), block)?;
                let matrix = self.matrix(&name, (rows, columns), false);
                let ones = vec![ConstantOnes {
                    column: 0,
                    scale: Monomial::one(),
                    axes: group_axis(columns).into_iter().collect(),
                }];
                Claim { name, output, relation: Relation::Matrix { matrix, input: Vec::new(), ones } }
            }
            Content::Combination { patches } => {
                let elements = |coefficient| {
                    reading(vec![geometric(block.cells, Monomial::role(ELEMENT_ROLE, 1))], coefficient)
                };
                let output = self.views(&own, &elements(1), block)?;
                // Output + inputs = 0: the inputs enter with the opposite sign.
                let inputs = self.views(patches, &elements(-1), block)?;
                Claim { name, output, relation: Relation::Linear { inputs } }
            }
            Content::Counts { patches, outer, length, inner, .. } => {
                let dimensions = |middle: Monomial| {
                    vec![
                        geometric(*outer, Monomial::role(ELEMENT_ROLE, 1)),
                        geometric(*length, middle),
                        geometric(*inner, Monomial::role(POSITION_ROLE, 1)),
                    ]
                };
                let rows = reading(dimensions(Monomial::role(OUT_ROLE, 1)), 1);
                let output = self.views(&own, &rows, block)?;
                let input = self.views(patches, &reading(dimensions(Monomial::fold(1)), 1), block)?;
                let matrix = self.matrix(&name, (*length, *length), true);
                Claim { name, output, relation: Relation::Matrix { matrix, input, ones: Vec::new() } }
            }
        };
        Ok(Some(claim))
    }

    fn views(
        &self,
        patches: &[Patch],
        reading: &Reading,
        block: &PlannedBlock,
    ) -> Result<Vec<View>, CompileError> {
        let unsuitable =
            || CompileError::Access { layer: block.name.clone(), tensor: "its input".to_owned() };
        self.layout.views(patches, reading).ok_or_else(unsuitable)
    }

    /// Adds a matrix; `own` ones are the compiler's and hide nothing.
    fn matrix(&mut self, name: &str, (rows, columns): (u32, u32), own: bool) -> u32 {
        let (name, public) = (name.to_owned(), own || self.layout.choices.public_weights);
        self.circuit.matrices.push(Matrix { name, rows, columns, public, row_role: OUT_ROLE });
        self.circuit.matrices.len() as u32 - 1
    }

    /// The interval that the circuit states for a block's accumulators.
    fn interval(&self, block: &PlannedBlock, claim: &Claim) -> Result<Interval, CompileError> {
        let index = self.circuit.tensors.len();
        let weights = match self.intervals {
            Intervals::Stated(tensors) => {
                let stated = tensors.get(index).map(|tensor| tensor.interval);
                return Ok(stated.unwrap_or(Interval { min: 0, max: 0 }));
            }
            Intervals::Derived(weights) => weights,
        };
        let derived = claim_interval(&self.circuit, Some(weights), claim, index)?;
        let (low, high) = derived.unwrap_or((0, 0));
        let too_large = || CompileError::Range {
            layer: block.name.clone(),
            interval: format!("{low}..={high}"),
            reach: low.saturating_neg().max(high).to_string(),
        };
        let interval = zkloom_model::integer_graph::Interval {
            min: i64::try_from(low).map_err(|_| too_large())?,
            max: i64::try_from(high).map_err(|_| too_large())?,
        };
        // What the compiler itself contracts is no secret.
        let secret = matches!(block.content, Content::Product { .. } | Content::Bias { .. });
        let hidden = secret && !self.layout.choices.public_weights;
        let stated = plonkish(if hidden { interval.widened() } else { interval });
        let fits = is_single_valued(stated, Interval { min: 0, max: 0 }, 0);
        if fits { Ok(stated) } else { Err(too_large()) }
    }

    /// Adds a tensor of activations or inputs, which the lanes' activation lookups range.
    fn ranged_tensor(&mut self, block: usize, name: &str, interval: Interval) {
        let runs = self.layout.runs(block, Part::Activation);
        let pieces = runs.iter().map(|run| piece(run, lookup_origin(run))).collect();
        self.circuit.tensors.push(Tensor { name: name.to_owned(), interval, pieces });
    }

    /// The circuit under construction, for what is no block.
    pub fn circuit_mut(&mut self) -> &mut Circuit {
        &mut self.circuit
    }

    /// Adds the folds' random cells and the fixed columns.
    pub fn finish(mut self) -> (Circuit, FixedValues) {
        let folds = self.circuit.folds().len() as u32;
        self.circuit.fold_blinds.runs = fold_runs(self.layout, folds);
        let fixed = fixed(self.layout, &mut self.circuit);
        (self.circuit, fixed)
    }
}

fn out_of_range(layer: &str, interval: Interval, reach: i128) -> CompileError {
    let interval = format!("{}..={}", interval.min, interval.max);
    CompileError::Range { layer: layer.to_owned(), interval, reach: reach.to_string() }
}

fn geometric(size: u32, ratio: Monomial) -> ReadDimension {
    ReadDimension { size, along: Along::Geometric(ratio) }
}

fn reading(dimensions: Vec<ReadDimension>, coefficient: i64) -> Reading {
    Reading { dimensions, scale: Monomial::one(), coefficient, repeat: None }
}

/// A circuit with the advice columns and lookups of a layout's lanes, and nothing else yet.
fn frame(layout: &Layout) -> Circuit {
    let lanes = layout.choices.lanes;
    Circuit {
        log_rows: layout.choices.log_rows,
        blinding_rows: BLINDING_ROWS,
        max_degree: MAX_DEGREE,
        advice: advice(lanes),
        fixed: Vec::new(),
        gates: Vec::new(),
        table_sets: Vec::new(),
        lookups: (0..lanes).flat_map(|lane| lookups(lane, columns(lane), layout.shift)).collect(),
        copies: Vec::new(),
        roles: ROLES.map(str::to_owned).to_vec(),
        matrices: Vec::new(),
        claims: Vec::new(),
        publics: Vec::new(),
        externals: Vec::new(),
        fold_blinds: FoldBlinds { count: FOLD_BLINDS, runs: Vec::new() },
        tensors: Vec::new(),
    }
}

/// The random cells of so many folds, below all blocks.
fn fold_runs(layout: &Layout, folds: u32) -> Vec<CellRun> {
    let run = |fold| CellRun { column: 0, row: layout.rows.saturating_add(fold * FOLD_BLINDS) };
    (0..folds).map(run).collect()
}

/// The lookup that ranges a run of activations: each lane has two, the activation's is the second.
fn lookup_origin(run: &Run) -> Origin {
    Origin::Lookup { lookup: run.column / LANE_TENSOR_COLUMNS * 2 + 1, coordinate: ACTIVATION_COORDINATE }
}

fn piece(run: &Run, origin: Origin) -> Piece {
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
fn fixed(layout: &Layout, circuit: &mut Circuit) -> FixedValues {
    let rows = layout.blocks.iter().flat_map(|block| (0..block.height).map(|_| i64::from(block.tag)));
    let tags: Vec<i64> = rows.collect();
    let selector = tags.iter().map(|tag| i64::from(*tag != 0)).collect();
    let sets = split_into_sets(&layout.tables, layout.choices.table_sets);
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
