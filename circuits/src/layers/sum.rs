//! A weighted sum of tensors of equal size, element by element: one linear claim for each lane. Equal tensors are cut alike,
//! so the cells that belong together lie in one lane.
//!
//! A bias cannot stand in a linear claim. It becomes a tensor of its own, in accumulator columns, that a matrix claim fixes: a
//! matrix with a row for each element and nothing but the bias column.

use zkloom_model::integer_graph::{IntegerNode, TensorId};
use zkloom_plonkish::{Claim, ConstantOnes, IntegerMatrix, Matrix, Monomial, Relation, View};

use super::Layer;
use crate::error::CompileError;
use crate::lowering::{Lowering, OUT_ROLE};
use crate::plan::{Plan, WorstCase};
use crate::views::{Dimension, Run, run_views};

pub(super) struct Sum<'a> {
    pub index: usize,
    pub node: &'a IntegerNode,
    pub terms: &'a [(TensorId, i64)],
    pub bias: &'a [i64],
}

/// Views of one run, its first cell with monomial one.
pub(crate) fn views(run: Run, coefficient: i64) -> Vec<View> {
    let dimension = Dimension { size: run.length, ratio: Monomial::role(OUT_ROLE, 1) };
    run_views(&[dimension], Run { start: 0, ..run }, coefficient)
}

/// The claim that the cells of a bias tensor are the one column of a matrix, given by index and rows.
pub(crate) fn bias_claim(name: &str, (matrix, rows): (u32, u32), runs: &[Run]) -> Claim {
    let dimension = [Dimension { size: rows, ratio: Monomial::role(OUT_ROLE, 1) }];
    let ones = vec![ConstantOnes { column: 0, scale: Monomial::one(), axes: Vec::new() }];
    let output = runs.iter().flat_map(|run| run_views(&dimension, *run, 1)).collect();
    let relation = Relation::Matrix { matrix, input: Vec::new(), ones };
    Claim { name: name.to_owned(), output, relation }
}

impl Sum<'_> {
    /// Fixes the bias tensor; returns its runs.
    fn lower_bias(&self, lowering: &mut Lowering<'_>) -> Vec<Run> {
        let Some(block) = lowering.bias_block(self.index) else { return Vec::new() };
        let runs = lowering.block_runs(block, crate::plan::Part::Accumulator);
        let name = format!("{}.bias", self.node.name);
        let rows = self.bias.len() as u32;
        let matrix = lowering.matrix(Matrix {
            name: name.clone(),
            rows,
            columns: 1,
            public: lowering.public_weights,
            row_role: OUT_ROLE,
        });
        let claim = lowering.claim(bias_claim(&name, (matrix, rows), &runs));
        lowering.block_tensor(block, &vec![claim; runs.len()]);
        runs
    }
}

impl Layer for Sum<'_> {
    fn operator(&self) -> &'static str {
        "Sum"
    }

    fn plan(&self, plan: &mut Plan<'_>) -> Result<(), CompileError> {
        let mut terms = Vec::with_capacity(self.terms.len() + 1);
        for (tensor, coefficient) in self.terms {
            terms.push((i128::from(*coefficient), plan.readable(self.node, *tensor)?));
            // Its negative stands in the claim.
            if coefficient.checked_neg().is_none() {
                return Err(CompileError::Weight { layer: self.node.name.clone(), channel: 0 });
            }
        }
        if !self.bias.is_empty() {
            terms.push((1, plan.bias(self.index, self.node, self.bias)?));
        }
        let mut worst = WorstCase::default();
        worst.add(0, 0, terms.into_iter());
        // The coefficients stand in the claims, and the bias's interval is widened already.
        plan.accumulators(self.node, worst, false)
    }

    fn matrix(&self) -> Result<Option<IntegerMatrix>, CompileError> {
        let matrix = IntegerMatrix { width: 1, entries: self.bias.to_vec() };
        Ok((!self.bias.is_empty()).then_some(matrix))
    }

    fn lower(&self, lowering: &mut Lowering<'_>) {
        let bias = self.lower_bias(lowering);
        let terms: Vec<(Vec<Run>, i64)> =
            self.terms.iter().map(|(tensor, coefficient)| (lowering.runs(*tensor), *coefficient)).collect();
        let mut claims = Vec::new();
        for (lane, run) in lowering.runs(self.node.output).into_iter().enumerate() {
            let mut inputs = Vec::new();
            for (runs, coefficient) in terms.iter().map(|(runs, c)| (runs, *c)).chain([(&bias, 1)]) {
                inputs.extend(
                    runs.get(lane).into_iter().flat_map(|run| views(*run, coefficient.saturating_neg())),
                );
            }
            let name = format!("{}, lane {lane}", self.node.name);
            claims.push(lowering.claim(Claim {
                name,
                output: views(run, 1),
                relation: Relation::Linear { inputs },
            }));
        }
        lowering.computed_tensor(self.node.output, &claims);
    }
}
