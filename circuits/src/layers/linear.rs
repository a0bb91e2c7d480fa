//! A dense layer: one matrix claim. The matrix has a row for each output channel, multiplied by the channel's multiplier, and
//! the bias as its last column; leading axes of the input are output positions.

use zkloom_model::integer_graph::{IntegerNode, TensorId, WeightMatrix};
use zkloom_plonkish::claim::PositionAxis;
use zkloom_plonkish::{Claim, ConstantOnes, IntegerMatrix, Matrix, Monomial, Relation, View};

use super::Layer;
use crate::error::CompileError;
use crate::lowering::{Lowering, OUT_ROLE, POSITION_ROLE};
use crate::plan::{Plan, WorstCase, element_count};
use crate::views::{Dimension, Run, run_views};

pub(super) struct Linear<'a> {
    pub node: &'a IntegerNode,
    pub input: TensorId,
    pub weights: &'a WeightMatrix,
    pub multipliers: &'a [i64],
    pub bias: &'a [i64],
}

impl Linear<'_> {
    fn positions(&self, lowering: &Lowering<'_>) -> u32 {
        let cells = lowering.plan.graph.tensor(self.node.output).elements();
        cells.checked_div(self.weights.rows).map_or(0, |positions| positions as u32)
    }
}

/// The product of a matrix and a tensor, for one claim.
pub(crate) struct Product {
    /// Index of the matrix.
    pub matrix: u32,
    /// Its rows.
    pub rows: u32,
    /// Its columns, without the bias.
    pub columns: u32,
    /// Output positions.
    pub positions: u32,
}

impl Product {
    /// The claim, between the cells of both tensors.
    pub(crate) fn claim(&self, name: &str, output: &[Run], input: &[Run]) -> Claim {
        let Self { matrix, rows, columns, positions } = *self;
        let views = |runs: &[Run], size: u32, ratio: Monomial| -> Vec<View> {
            let outer = Dimension { size: positions, ratio: Monomial::role(POSITION_ROLE, 1) };
            let inner = Dimension { size, ratio };
            let dimensions = if positions == 1 { vec![inner] } else { vec![outer, inner] };
            runs.iter().flat_map(|run| run_views(&dimensions, *run, 1)).collect()
        };
        let axes = match positions {
            1 => Vec::new(),
            count => vec![PositionAxis { count, ratio: Monomial::role(POSITION_ROLE, 1) }],
        };
        let input = views(input, columns, Monomial::fold(1));
        let ones = vec![ConstantOnes { column: columns, scale: Monomial::one(), axes }];
        let output = views(output, rows, Monomial::role(OUT_ROLE, 1));
        Claim { name: name.to_owned(), output, relation: Relation::Matrix { matrix, input, ones } }
    }
}

impl Layer for Linear<'_> {
    fn operator(&self) -> &'static str {
        "Linear"
    }

    fn plan(&self, plan: &mut Plan<'_>) -> Result<(), CompileError> {
        let interval = plan.readable(self.node, self.input)?;
        element_count(&self.node.name, self.weights.rows)?;
        element_count(&self.node.name, self.weights.columns)?;
        element_count(&self.node.name, self.weights.values.len())?;
        let mut worst = WorstCase::default();
        for (channel, (multiplier, bias)) in self.multipliers.iter().zip(self.bias).enumerate() {
            let row = self.weights.row(channel).iter();
            let factors = row.map(|weight| i128::from(*multiplier) * i128::from(*weight));
            worst.add(channel, *bias, factors.map(|factor| (factor, interval)));
        }
        plan.accumulators(self.node, worst, true)
    }

    fn matrix(&self) -> Result<Option<IntegerMatrix>, CompileError> {
        let columns = self.weights.columns + 1;
        let mut entries = Vec::with_capacity(self.weights.rows * columns);
        for (channel, (multiplier, bias)) in self.multipliers.iter().zip(self.bias).enumerate() {
            for weight in self.weights.row(channel) {
                let entry = multiplier.checked_mul(i64::from(*weight));
                let refuse = || CompileError::Weight { layer: self.node.name.clone(), channel };
                entries.push(entry.ok_or_else(refuse)?);
            }
            entries.push(*bias);
        }
        Ok(Some(IntegerMatrix { width: columns as u32, entries }))
    }

    fn lower(&self, lowering: &mut Lowering<'_>) {
        let positions = self.positions(lowering);
        let (rows, columns) = (self.weights.rows as u32, self.weights.columns as u32);
        let matrix = lowering.matrix(Matrix {
            name: self.node.name.clone(),
            rows,
            columns: columns + 1,
            public: lowering.public_weights,
            row_role: OUT_ROLE,
        });
        let (output, input) = (lowering.runs(self.node.output), lowering.runs(self.input));
        let product = Product { matrix, rows, columns, positions };
        let claim = lowering.claim(product.claim(&self.node.name, &output, &input));
        let pieces = output.len();
        lowering.computed_tensor(self.node.output, &vec![claim; pieces]);
    }
}
