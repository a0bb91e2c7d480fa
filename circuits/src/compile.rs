//! From an integer network to a circuit: plan, choose a shape, place, lower, check.

use zkloom_model::integer_graph::{IntegerGraph, IntegerOp, TensorId};
use zkloom_plonkish::origin::check_origins;
use zkloom_plonkish::{
    Axis, Circuit, Claim, Decode, DecodeError, Encode, ExternalVector, FixedValues, IntegerMatrix, Monomial,
    PublicTensor, Reader, Relation, Tensor, Variable, View, Writer, codec_struct,
};

use crate::cost::{CostConstants, Demand, Limits, MAX_LANES, Shape, choose, needed_rows, usable};
use crate::error::CompileError;
use crate::layout::{Choices, FOLD_BLINDS, Layout};
use crate::lowering::{Intervals, Lowering};
use crate::plan::{Content, Plan};
use crate::products::{ProductShape, bias_columns};
use crate::reading::Run;
use crate::structure::Structure;
use crate::tables::{Table, total_rows};

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

impl Encode for Visibility {
    fn encode(&self, writer: &mut Writer) {
        let code: u8 = match self {
            Self::Private => 0,
            Self::Public => 1,
            Self::Committed => 2,
        };
        code.encode(writer);
    }
}

impl Decode for Visibility {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(Self::Private),
            1 => Ok(Self::Public),
            2 => Ok(Self::Committed),
            _ => Err(reader.invalid("unknown visibility")),
        }
    }
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
    /// Memory that proving may take by the cost model's prediction, in bytes; `None` for no limit.
    pub max_memory: Option<u64>,
    /// Entries of the input fold that one row of a key's matrices is worth ([`crate::products`]); `None` for the most at which
    /// proving hardly takes longer, 0 for a row of each output channel.
    pub packing: Option<u32>,
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
            max_memory: None,
            packing: None,
            costs: CostConstants::CPU,
        }
    }
}

/// A network as a circuit. It holds no weights.
#[derive(Clone, Debug, PartialEq)]
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
/// [`CompileError`], naming layer and interval: a damaged graph, values that are too large, rows or tables that do not fit the
/// limits.
pub fn compile(graph: &IntegerGraph, options: &CompileOptions) -> Result<Compiled, CompileError> {
    if let Some(found) = options.lanes.filter(|lanes| !(1..=MAX_LANES).contains(lanes)) {
        return Err(CompileError::Lanes { found, max: MAX_LANES });
    }
    let public_weights = options.weights == WeightVisibility::Public;
    let structure = Structure::of(graph, !public_weights)?;
    let plan = Plan::new(&structure)?;
    let shape = choose_shape(&plan, options)?;
    let packing = options.packing.unwrap_or_else(|| choose_packing(&plan, &shape, &options.costs));
    let weights = matrices(&plan, graph, packing)?;
    let choices = Choices {
        lanes: shape.lanes,
        log_rows: shape.log_rows,
        table_sets: shape.table_sets,
        inputs: options.inputs,
        outputs: options.outputs,
        public_weights,
        packing,
    };
    let layout = Layout::place(structure.clone(), choices)?;
    let (circuit, fixed) = lower(&plan, &layout, Intervals::Derived(&weights))?;
    circuit.validate()?;
    check_origins(&circuit, &fixed, &weights)?;
    Ok(Compiled { circuit, fixed, layout })
}

/// The circuit of a layout, with the intervals that a description states for accumulators.
pub(crate) fn rebuild(layout: &Layout, stated: &[Tensor]) -> Result<(Circuit, FixedValues), CompileError> {
    let plan = Plan::new(&layout.structure)?;
    lower(&plan, layout, Intervals::Stated(stated))
}

fn lower(
    plan: &Plan<'_>,
    layout: &Layout,
    intervals: Intervals<'_>,
) -> Result<(Circuit, FixedValues), CompileError> {
    let mut lowering = Lowering::new(plan, layout, intervals)?;
    let graph = plan.graph;
    let tensors = [
        (graph.input, INPUT_IDENTIFIER, layout.choices.inputs),
        (graph.output, OUTPUT_IDENTIFIER, layout.choices.outputs),
    ];
    for (tensor, identifier, visibility) in tensors {
        state(&mut lowering, (plan, layout), tensor, (identifier, visibility));
    }
    Ok(lowering.finish())
}

fn matrices(plan: &Plan<'_>, graph: &IntegerGraph, packing: u32) -> Result<Vec<IntegerMatrix>, CompileError> {
    let mut matrices = Vec::new();
    for block in &plan.blocks {
        match &block.content {
            Content::Product { node, .. } => {
                let Some(node) = graph.nodes.get(*node) else { continue };
                matrices.push(ProductShape::of(graph, node).packed(packing).matrix(node)?);
            }
            Content::Bias { node } => {
                let Some(IntegerOp::Sum { bias, .. }) = graph.nodes.get(*node).map(|node| &node.op) else {
                    continue;
                };
                matrices.push(bias_matrix(bias, bias_columns(block.cells, packing)));
            }
            Content::Counts { length, from_end, .. } => {
                matrices.push(counting_matrix(plan.shift, *length, *from_end));
            }
            Content::Input | Content::Combination { .. } => {}
        }
    }
    Ok(matrices)
}

/// Rows and columns of all matrices, in the circuit's order.
fn matrix_sizes(plan: &Plan<'_>, packing: u32) -> Vec<(u32, u32)> {
    let of_block = |block: &crate::plan::PlannedBlock| match &block.content {
        Content::Product { node, .. } => {
            let shape = ProductShape::of(plan.graph, plan.graph.nodes.get(*node)?).packed(packing);
            Some((shape.rows, shape.width()))
        }
        Content::Bias { .. } => {
            let columns = bias_columns(block.cells, packing);
            Some((block.cells / columns, columns))
        }
        Content::Counts { length, .. } => Some((*length, *length)),
        Content::Input | Content::Combination { .. } => None,
    };
    plan.blocks.iter().filter_map(of_block).collect()
}

/// Entries of the input fold without its random ones.
fn fold_length(sizes: &[(u32, u32)]) -> u64 {
    sizes.iter().map(|(_, columns)| u64::from(*columns)).sum()
}

/// A bias as a matrix: its values in column order, so that value `i` stands in column `i / rows`.
fn bias_matrix(bias: &[i64], columns: u32) -> IntegerMatrix {
    let (rows, width) = (bias.len() / columns.max(1) as usize, columns as usize);
    let entry = |index: usize| bias.get(index % width * rows + index / width).copied().unwrap_or(0);
    IntegerMatrix { width: columns, entries: (0..rows * width).map(entry).collect() }
}

/// The matrix that counts the ones up to each index, or from each index on, in units of `2^shift`.
fn counting_matrix(shift: u32, length: u32, from_end: bool) -> IntegerMatrix {
    let step = 1_i64 << shift;
    let counted = |row: u32, column: u32| if from_end { column >= row } else { column <= row };
    let row = |row: u32| (0..length).map(move |column| if counted(row, column) { step } else { 0 });
    IntegerMatrix { width: length, entries: (0..length).flat_map(row).collect() }
}

impl Compiled {
    /// The matrices that the key commits to, in the circuit's order: multiplied weights with the biases last, biases of sums, and
    /// the compiler's own. `graph` is the network that was compiled.
    ///
    /// # Errors
    /// [`CompileError`] for a damaged graph, and for an entry that does not fit 64 bits.
    pub fn weights(&self, graph: &IntegerGraph) -> Result<Vec<IntegerMatrix>, CompileError> {
        let structure = Structure::of(graph, false)?;
        matrices(&Plan::new(&structure)?, graph, self.layout.choices.packing)
    }

    /// The matrices that follow from the layout alone, with their index in the circuit: the compiler's own. A key commits to their
    /// rows without hiding, so everyone can make these commitments again; an audit does.
    ///
    /// # Errors
    /// [`CompileError`] for a layout without a plan.
    pub fn own_matrices(&self) -> Result<Vec<(usize, IntegerMatrix)>, CompileError> {
        let plan = Plan::new(&self.layout.structure)?;
        let of_matrix = |block: &crate::plan::PlannedBlock| match block.content {
            Content::Product { .. } | Content::Bias { .. } => Some(None),
            Content::Counts { length, from_end, .. } => {
                Some(Some(counting_matrix(plan.shift, length, from_end)))
            }
            Content::Input | Content::Combination { .. } => None,
        };
        let matrices = plan.blocks.iter().filter_map(of_matrix).enumerate();
        Ok(matrices.filter_map(|(index, matrix)| Some((index, matrix?))).collect())
    }
}

/// Most of the work of a proof that packed rows may add.
const PACKING_SHARE: f64 = 0.02;
/// Values among which the packing is chosen.
const PACKINGS: [u32; 6] = [1024, 256, 64, 16, 4, 1];

/// The largest packing whose fold is no longer than a column and adds little work.
fn choose_packing(plan: &Plan<'_>, shape: &Shape, costs: &CostConstants) -> u32 {
    let longest = (1_u64 << shape.log_rows).saturating_sub(u64::from(FOLD_BLINDS));
    let allowed = shape.fold_length + (PACKING_SHARE * shape.work(costs)) as u64;
    let fits = |packing: &u32| fold_length(&matrix_sizes(plan, *packing)) <= allowed.min(longest);
    PACKINGS.into_iter().find(fits).unwrap_or(0)
}

fn choose_shape(plan: &Plan<'_>, options: &CompileOptions) -> Result<Shape, CompileError> {
    let tables = plan.tables();
    let sizes = matrix_sizes(plan, options.packing.unwrap_or(0));
    let demand = Demand {
        blocks: plan.blocks.iter().map(|block| block.shape.clone()).collect(),
        table_rows: total_rows(&tables),
        fold: !sizes.is_empty(),
        fold_length: fold_length(&sizes),
        weights: sizes.iter().map(|(rows, columns)| u64::from(*rows) * u64::from(*columns)).sum(),
    };
    let CompileOptions { lanes, log_rows, max_log_rows, max_table_sets, max_memory, .. } = *options;
    let limits = Limits { lanes, log_rows, max_log_rows, max_table_sets, max_memory };
    let refuse = || refusal(plan, &tables, &demand, &limits);
    choose(&demand, &limits, &options.costs).ok_or_else(refuse)
}

/// Why no shape holds the network: its tables, its rows, or the memory.
fn refusal(plan: &Plan<'_>, tables: &[Table], demand: &Demand, limits: &Limits) -> CompileError {
    let usable = usable(limits.top());
    let capacity = usable * u64::from(limits.max_table_sets);
    if let Some(allowed) = limits.max_memory {
        let unlimited = Limits { max_memory: None, ..*limits };
        let least = crate::cost::candidates(demand, &unlimited).iter().map(Shape::memory_bytes).min();
        if let Some(needed) = least {
            return CompileError::Memory { needed, allowed };
        }
    }
    if demand.table_rows <= capacity {
        let lanes = limits.lanes.unwrap_or(crate::cost::LANE_CHOICES.into_iter().fold(1, u32::max));
        let needed = needed_rows(demand, lanes);
        return CompileError::Rows { needed, lanes, log_rows: limits.top(), usable };
    }
    let longest = tables.iter().max_by_key(|table| table.rows());
    let (rows, interval, tag) = longest.map_or((0, String::new(), 0), |table| {
        let interval = table.interval();
        (table.rows(), format!("{}..={}", interval.min, interval.max), table.tag)
    });
    let layer = plan.blocks.iter().zip(plan.tags()).find(|(_, found)| *found == tag);
    let layer = layer.map(|(block, _)| block);
    let layer = layer.map_or_else(|| "the remainders".to_owned(), |block| block.name.clone());
    let (total, max_sets, log_rows) = (demand.table_rows, limits.max_table_sets, limits.top());
    CompileError::Tables { layer, interval, rows, total, max_sets, log_rows, capacity }
}

/// Compares a tensor with public values or with a commitment, if it is not private.
fn state(
    lowering: &mut Lowering<'_>,
    (plan, layout): (&Plan<'_>, &Layout),
    tensor: TensorId,
    (identifier, visibility): (u32, Visibility),
) {
    let Some((block, part)) = plan.block_of(tensor) else { return };
    let runs = layout.runs(block, part);
    let length = runs.iter().map(|run| run.length).sum();
    let name = plan.graph.tensor(tensor).name.clone();
    let column = runs.first().map_or(0, |run| run.column);
    let row = runs.first().map_or(0, |run| run.row);
    let circuit = lowering.circuit_mut();
    let holds =
        |known: &&Tensor| known.pieces.iter().any(|piece| (piece.column, piece.offset) == (column, row));
    let interval = circuit.tensors.iter().find(holds).map(|known| known.interval);
    let interval = interval.unwrap_or(zkloom_plonkish::Interval { min: 0, max: 0 });
    let relation = match visibility {
        Visibility::Private => return,
        Visibility::Public => {
            circuit.publics.push(PublicTensor { identifier, name: name.clone(), length, interval });
            Relation::Public { tensor: circuit.publics.len() as u32 - 1 }
        }
        Visibility::Committed => {
            circuit.externals.push(ExternalVector { identifier, name: name.clone(), length, offset: 0 });
            Relation::External { vector: circuit.externals.len() as u32 - 1 }
        }
    };
    circuit.claims.push(Claim { name, output: stated_views(&runs), relation });
}

/// Views of a tensor's cells, each with the power of the public challenge that belongs to its index.
fn stated_views(runs: &[Run]) -> Vec<View> {
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
