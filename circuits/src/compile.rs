//! From an integer network to a circuit: plan, choose a shape, place, lower, check.

use zkloom_model::integer_graph::{IntegerGraph, TensorId};
use zkloom_plonkish::origin::check_origins;
use zkloom_plonkish::{
    Axis, Circuit, Claim, ExternalVector, FixedValues, IntegerMatrix, Monomial, PublicTensor, Relation,
    Variable, View, codec_struct,
};

use crate::cost::{CostConstants, Demand, Limits, MAX_LANES, Shape, choose, needed_rows, usable};
use crate::error::CompileError;
use crate::layers::layer_of;
use crate::layout::{Effect, Layout, NodeRecord};
use crate::lowering::Lowering;
use crate::plan::{BlockContent, Part, Plan, activation_of};
use crate::tables::{Table, TableContent, total_rows};
use crate::views::Run;

/// Identifier of the network's input in a statement.
pub const INPUT_IDENTIFIER: u32 = 0;
/// Identifier of the network's output in a statement.
pub const OUTPUT_IDENTIFIER: u32 = 1;

/// Who sees a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// The prover alone. Private inputs are ranged all the same.
    Private,
    /// Everyone: the statement holds its values, and the verifier checks their interval.
    Public,
    /// The prover alone, but the statement holds a commitment to it, starting at entry 0 of the committed vector.
    Committed,
}

/// Who can recompute the key's commitments to the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightVisibility {
    /// The model's owner alone: the commitments hide. Accumulator intervals are widened to powers of two.
    Private,
    /// Everyone who has the model.
    Public,
}

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompileOptions {
    /// Who sees the network's input.
    pub inputs: Visibility,
    /// Who sees the network's output.
    pub outputs: Visibility,
    /// Who sees the weights.
    pub weights: WeightVisibility,
    /// Number of lanes; `None` for the cost model's choice.
    pub lanes: Option<u32>,
    /// Log2 of the number of rows; `None` for the cost model's choice.
    pub log_rows: Option<u32>,
    /// Largest log2 of the number of rows that the cost model may choose.
    pub max_log_rows: u32,
    /// Most table sets that the cost model may choose.
    pub max_table_sets: u32,
    /// Relative costs for the choice.
    pub costs: CostConstants,
}

impl Default for CompileOptions {
    /// Private input and weights, public output, at most 2^22 rows and eight table sets, a CPU's costs.
    fn default() -> Self {
        Self {
            inputs: Visibility::Private,
            outputs: Visibility::Public,
            weights: WeightVisibility::Private,
            lanes: None,
            log_rows: None,
            max_log_rows: 22,
            max_table_sets: 8,
            costs: CostConstants::CPU,
        }
    }
}

/// A network as a circuit. It holds no weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// What prover and verifier share.
    pub circuit: Circuit,
    /// Values of the fixed columns.
    pub fixed: FixedValues,
    /// Where every tensor lies.
    pub layout: Layout,
}
codec_struct!(Compiled { circuit, fixed, layout });

/// Compiles a network.
///
/// The result passes [`Circuit::validate`] and [`check_origins`].
///
/// # Errors
/// [`CompileError`], naming layer, channel and interval: a damaged graph, values that are too large, rows or tables that do
/// not fit the limits.
pub fn compile(graph: &IntegerGraph, options: &CompileOptions) -> Result<Compiled, CompileError> {
    if let Some(found) = options.lanes.filter(|lanes| !(1..=MAX_LANES).contains(lanes)) {
        return Err(CompileError::Lanes { found, max: MAX_LANES });
    }
    let plan = Plan::new(graph, options.weights == WeightVisibility::Private)?;
    let weights = weights(graph)?;
    let shape = choose_shape(&plan, &weights, options)?;
    let mut layout = Layout::place(&plan, shape.lanes);
    let public_weights = options.weights == WeightVisibility::Public;
    let mut lowering = Lowering::new(&plan, &layout, &shape, public_weights);
    for (index, node) in graph.nodes.iter().enumerate() {
        layer_of(index, node).lower(&mut lowering);
    }
    let inputs = state(&mut lowering, graph.input, (INPUT_IDENTIFIER, options.inputs));
    let outputs = state(&mut lowering, graph.output, (OUTPUT_IDENTIFIER, options.outputs));
    let (circuit, fixed) = lowering.finish(shape.table_sets);
    let stated = [(inputs, graph.input), (outputs, graph.output)];
    let of = |kind| stated.iter().filter(move |(found, _)| *found == kind).map(|(_, tensor)| tensor.0 as u32);
    (layout.publics, layout.externals) =
        (of(Visibility::Public).collect(), of(Visibility::Committed).collect());
    layout.nodes = records(&plan, &layout);
    circuit.validate()?;
    check_origins(&circuit, &fixed, &weights)?;
    Ok(Compiled { circuit, fixed, layout })
}

/// The matrices that the key commits to, in the circuit's order: rows multiplied by their multipliers, the bias last.
///
/// # Errors
/// [`CompileError::Graph`] for a damaged graph, [`CompileError::Weight`] for an entry that does not fit 64 bits.
pub fn weights(graph: &IntegerGraph) -> Result<Vec<IntegerMatrix>, CompileError> {
    graph.check_structure()?;
    let matrices = graph.nodes.iter().enumerate().map(|(index, node)| layer_of(index, node).matrix());
    matrices.filter_map(Result::transpose).collect()
}

fn choose_shape(
    plan: &Plan<'_>,
    weights: &[IntegerMatrix],
    options: &CompileOptions,
) -> Result<Shape, CompileError> {
    let tables = plan.tables();
    let demand = Demand {
        cells: plan.blocks.iter().map(|block| block.cells).collect(),
        table_rows: total_rows(&tables),
        fold: !weights.is_empty(),
        fold_length: weights.iter().map(|matrix| u64::from(matrix.width)).sum(),
        weights: weights.iter().map(|matrix| matrix.entries.len() as u64).sum(),
    };
    let CompileOptions { lanes, log_rows, max_log_rows, max_table_sets, .. } = *options;
    let limits = Limits { lanes, log_rows, max_log_rows, max_table_sets };
    let refuse = || refusal(plan, &tables, &demand, &limits);
    choose(&demand, &limits, &options.costs).ok_or_else(refuse)
}

/// Why no shape holds the network: its tables, or else its rows.
fn refusal(plan: &Plan<'_>, tables: &[Table], demand: &Demand, limits: &Limits) -> CompileError {
    let usable = usable(limits.top());
    let capacity = usable * u64::from(limits.max_table_sets);
    if demand.table_rows <= capacity {
        let lanes = limits.lanes.unwrap_or(crate::cost::LANE_CHOICES.into_iter().fold(1, u32::max));
        let needed = needed_rows(demand, lanes);
        return CompileError::Rows { needed, lanes, log_rows: limits.top(), usable };
    }
    let input = tables.iter().find(|table| matches!(table.content, TableContent::Input { .. }));
    let width = |min: i64, max: i64| u64::try_from(i128::from(max) - i128::from(min) + 1).unwrap_or(u64::MAX);
    let longest = plan.blocks.iter().map(|block| {
        let interval = match (block.content, activation_of(block)) {
            (BlockContent::Input, _) => input.map(Table::interval),
            (_, activated) => activated.map(|activated| activated.quotients),
        };
        let rows = interval.map_or(0, |interval| width(interval.min, interval.max));
        let interval = interval.map_or_else(String::new, |i| format!("{}..={}", i.min, i.max));
        (rows, interval, block)
    });
    let (rows, interval, layer, channel) = longest
        .max_by_key(|(rows, ..)| *rows)
        .map_or((0, String::new(), String::new(), 0), |(rows, interval, block)| {
            (rows, interval, block.name.clone(), block.channel)
        });
    let (total, max_sets, log_rows) = (demand.table_rows, limits.max_table_sets, limits.top());
    CompileError::Tables { layer, channel, interval, rows, total, max_sets, log_rows, capacity }
}

/// Compares a tensor with public values or with a commitment, if it is not private.
fn state(
    lowering: &mut Lowering<'_>,
    tensor: TensorId,
    (identifier, visibility): (u32, Visibility),
) -> Visibility {
    let runs = lowering.runs(tensor);
    let length = runs.iter().map(|run| run.length).sum();
    let (name, interval) = (lowering.plan.graph.tensor(tensor).name.clone(), lowering.interval(tensor));
    let circuit = lowering.circuit_mut();
    let relation = match visibility {
        Visibility::Private => return visibility,
        Visibility::Public => {
            circuit.publics.push(PublicTensor { identifier, name: name.clone(), length, interval });
            Relation::Public { tensor: circuit.publics.len() as u32 - 1 }
        }
        Visibility::Committed => {
            circuit.externals.push(ExternalVector { identifier, name: name.clone(), length, offset: 0 });
            Relation::External { vector: circuit.externals.len() as u32 - 1 }
        }
    };
    let claim = Claim { name, output: stated_views(&runs), relation };
    lowering.claim(claim);
    visibility
}

/// Views of a tensor's cells, each with the power of the public challenge that belongs to its index.
pub(crate) fn stated_views(runs: &[Run]) -> Vec<View> {
    let public = |exponent| Monomial::power(Variable::Public {}, exponent);
    let view = |run: &Run| View {
        column: run.column,
        offset: run.row,
        coefficient: 1,
        scale: public(run.start),
        axes: vec![Axis::dense(run.length, 1, public(1))],
    };
    runs.iter().map(view).collect()
}

/// What each node became.
fn records(plan: &Plan<'_>, layout: &Layout) -> Vec<NodeRecord> {
    let record = |(index, node): (usize, &zkloom_model::integer_graph::IntegerNode)| {
        let block =
            plan.storage(node.output).and_then(|s| Some((s.part, plan.blocks.get(s.block)?, s.block)));
        let layer = layer_of(index, node);
        let computes =
            !node.op.inputs().iter().any(|input| plan.storage(*input) == plan.storage(node.output));
        let (rows, effect) = match block {
            Some((Part::Accumulator, block, at)) if computes => {
                let height = |at: usize| layout.blocks.get(at).map_or(0, |block| block.height);
                let bias = plan.blocks.iter().position(|b| b.content == BlockContent::Bias { node: index });
                (height(at) + bias.map_or(0, height), Effect::Accumulate { interval: block.interval })
            }
            Some((Part::Activation, block, at)) if computes => {
                let tag = layout.blocks.get(at).map_or(0, |block| block.tag);
                let quotients = activation_of(block).map_or(block.interval, |activated| activated.quotients);
                (0, Effect::Activate { interval: block.interval, quotients, tag })
            }
            _ => (0, Effect::Alias {}),
        };
        let shape = plan.graph.tensor(node.output).shape.iter().map(|size| *size as u64).collect();
        NodeRecord { name: node.name.clone(), operator: layer.operator().to_owned(), shape, rows, effect }
    };
    plan.graph.nodes.iter().enumerate().map(record).collect()
}
