//! How much of each operation a round does, and how long that takes at measured rates.

use serde::Serialize;
use zkloom_circuits::cost::Shape;
use zkloom_model::integer_graph::{IntegerGraph, IntegerOp};
use zkloom_plonkish::{Circuit, Relation, View};
use zkloom_prover::Stage;

use super::probe::Rates;

/// A stage's predicted time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageEstimate {
    /// `witness`, or the name of a [`Stage`].
    pub stage: String,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// What of a circuit decides how long a proof of it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    shape: Shape,
    /// Part of the rows that blocks take.
    fill: f64,
    /// Bits of the remainders.
    shift: f64,
    /// Cells that the folds' views visit.
    contracted: f64,
    /// Cells that all views are written out to.
    expanded: f64,
    /// Rows of all matrices.
    matrix_rows: f64,
    /// Segments of all views.
    segments: f64,
    /// Multiply-accumulates of the network.
    multiply_accumulates: f64,
    /// Cells of the trace.
    cells: f64,
}

/// Cells that a view visits, those that it visits several times once.
fn written_cells(view: &View) -> f64 {
    let axes = view.axes.iter().filter(|axis| axis.segments.iter().any(|segment| segment.step > 0));
    axes.map(|axis| axis.segments.iter().map(|s| f64::from(s.count)).sum::<f64>()).product()
}

fn segments(views: &[View]) -> usize {
    views.iter().flat_map(|view| &view.axes).map(|axis| axis.segments.len()).sum()
}

impl Work {
    /// Counts.
    pub fn of(circuit: &Circuit, graph: &IntegerGraph, shape: Shape, shift: u32) -> Self {
        let (mut contracted, mut expanded, mut found) = (0.0, 0.0, 0);
        for claim in &circuit.claims {
            let (folded, linear): ([&[View]; 2], &[View]) = match &claim.relation {
                Relation::Matrix { input, .. } => ([input, &[]], &[]),
                Relation::Product { left, right, .. } => ([left, right], &[]),
                Relation::Linear { inputs } => ([&[], &[]], inputs),
                Relation::Public { .. } | Relation::External { .. } => ([&[], &[]], &[]),
            };
            for views in folded.into_iter().chain([linear, &claim.output]) {
                expanded += views.iter().map(written_cells).sum::<f64>();
                found += segments(views);
            }
            contracted += folded.iter().copied().flatten().map(|view| view.size() as f64).sum::<f64>();
        }
        let macs = graph.nodes.iter().map(|node| match &node.op {
            IntegerOp::Linear { products, .. } => {
                let outputs = graph.tensor(node.output).elements() as f64;
                products.iter().map(|product| outputs * product.weights.columns as f64).sum()
            }
            _ => 0.0,
        });
        let cost = circuit.cost();
        Self {
            shape,
            fill: cost.tensor_rows as f64 / circuit.rows() as f64,
            shift: f64::from(shift),
            contracted,
            expanded,
            matrix_rows: cost.matrix_rows as f64,
            segments: found as f64,
            multiply_accumulates: macs.sum(),
            cells: cost.tensor_cells as f64,
        }
    }

    /// Time of every stage at these rates, in order.
    pub fn stages(&self, rates: &Rates) -> Vec<StageEstimate> {
        let stage = |stage: Stage| {
            let seconds = match stage {
                Stage::Trace => self.trace(rates),
                Stage::Contraction => rates.matrix_entry * self.shape.weights as f64,
                Stage::Folds => self.folds(rates),
                Stage::Link => self.link(rates),
                Stage::Quotient => self.quotient(rates),
                Stage::Evaluations => self.evaluations(rates),
                Stage::Opening => self.opening(rates),
                Stage::SelfCheck => self.self_check(rates),
            };
            StageEstimate { stage: stage.name().to_owned(), seconds }
        };
        let witness = StageEstimate { stage: "witness".to_owned(), seconds: self.witness(rates) };
        core::iter::once(witness).chain(Stage::ALL.map(stage)).collect()
    }

    fn rows(&self) -> f64 {
        (1_u64 << self.shape.log_rows) as f64
    }

    fn lanes(&self) -> f64 {
        f64::from(self.shape.lanes)
    }

    fn sets(&self) -> f64 {
        f64::from(self.shape.table_sets)
    }

    fn helpers(&self) -> f64 {
        self.shape.helpers() as f64
    }

    /// Columns that the prover commits to before the quotient, the folds' and the link's aside.
    fn committed(&self) -> f64 {
        3.0 * self.lanes() + self.sets() + self.helpers() + 1.0
    }

    /// Running the network, and filling the trace.
    fn witness(&self, rates: &Rates) -> f64 {
        rates.host_multiply * (WITNESS_CELL * self.cells + WITNESS_MAC * self.multiply_accumulates)
    }

    /// Both forms of accumulators and activations, the remainders, the multiplicities; each to coefficients.
    fn trace(&self, rates: &Rates) -> f64 {
        let bits = |bits: f64| rates.byte_entry + (rates.wide_entry - rates.byte_entry) * (bits - 8.0) / 12.0;
        let lane = 2.0 * bits(ACCUMULATOR_BITS) + 2.0 * rates.byte_entry + bits(self.shift.max(2.0));
        let commitments = self.fill * self.lanes() * lane + self.sets() * rates.byte_entry;
        let columns = 3.0 * self.lanes() + self.sets();
        let counting = rates.host_multiply * 2.0 * self.lanes() * self.fill * COUNTED_LOOKUP;
        self.rows() * (commitments + columns * (rates.transform + 2.0 * rates.combine) + counting)
    }

    /// The fold; helpers of two fractions each, and the running sum.
    fn folds(&self, rates: &Rates) -> f64 {
        let fold = rates.contract * self.contracted + rates.full_entry * self.shape.fold_length as f64;
        let fractions = 2.0 * rates.combine + rates.invert + FRACTION_MULTIPLICATIONS * rates.multiply;
        let column = fractions + rates.full_entry + rates.transform;
        fold + self.rows() * (self.helpers() + 1.0) * column
    }

    /// S: two transforms of twice the length for each tensor column, one product, and the way back; h.
    fn link(&self, rates: &Rates) -> f64 {
        let factors = 2.0 * self.lanes() + 1.0;
        let longest = self.rows().max(self.shape.fold_length as f64);
        let double = 2.0 * longest;
        let transforms = double * rates.double_transform * (2.0 * factors + 2.0);
        let products = double * factors * (2.0 * rates.multiply + rates.combine);
        let link = self.rows() * (4.0 * self.lanes() * rates.combine + rates.transform);
        let commitments = (self.rows() + longest) * rates.full_entry;
        transforms + products + link + commitments + rates.expand * self.expanded
    }

    /// Every column on two cosets, the identities there, and the way back.
    fn quotient(&self, rates: &Rates) -> f64 {
        let columns = self.committed() + self.shape.fixed_columns() as f64 + 3.0;
        let identities = LOOKUP_MULTIPLICATIONS * 2.0 * self.lanes() + 8.0 * self.sets();
        let coset =
            columns * (rates.transform + rates.combine) + identities * rates.multiply + rates.transform;
        let commitments = 2.0 * rates.full_entry;
        self.rows() * (2.0 * coset + commitments)
    }

    /// Every opened column at z, and the combination of the one identity.
    fn evaluations(&self, rates: &Rates) -> f64 {
        let opened = self.committed() + 1.0 + self.shape.fixed_columns() as f64;
        let identity = (2.0 * self.lanes() + 2.0) * rates.combine;
        self.rows() * (opened * rates.evaluate + identity)
            + rates.evaluate * 2.0 * self.shape.fold_length as f64
    }

    /// All items combined by their points, divided, and combined again; two commitments.
    fn opening(&self, rates: &Rates) -> f64 {
        let identity = 2.0 * (2.0 * self.lanes() + 2.0) + 2.0 * self.lanes();
        let columns = self.committed() + self.shape.fixed_columns() as f64 + 4.0;
        let divisions = 11.0;
        let fold = rates.full_entry.min(rates.divide) * self.shape.fold_length as f64;
        let vectors = (identity + columns + 14.0) * rates.combine + divisions * rates.divide;
        self.rows() * (vectors + 2.0 * rates.full_entry) + fold
    }

    /// The verifier, on one thread.
    fn self_check(&self, rates: &Rates) -> f64 {
        rates.host_multiply * (CHECK + CHECK_MATRIX_ROW * self.matrix_rows + CHECK_SEGMENT * self.segments)
    }
}

/// Bits of a usual accumulator.
const ACCUMULATOR_BITS: f64 = 16.0;
/// Multiplications in a gate program for the two fractions of a helper.
const FRACTION_MULTIPLICATIONS: f64 = 8.0;
/// Multiplications in a gate program for a lookup's part of the identities.
const LOOKUP_MULTIPLICATIONS: f64 = 5.0;
/// What no operation of a device is, in multiplications on one thread of the processor: a cell of the trace, a multiply-accumulate
/// of the network, a lookup that is counted, a verification, one matrix row and one segment of a view in it. Fitted to the
/// proofs of `benches/records/ladder-zen4-2core.json`; together they are some tenth of a proof.
const WITNESS_CELL: f64 = 2.0;
const WITNESS_MAC: f64 = 0.006;
const COUNTED_LOOKUP: f64 = 0.5;
const CHECK: f64 = 2e5;
const CHECK_MATRIX_ROW: f64 = 250.0;
const CHECK_SEGMENT: f64 = 30.0;
