//! The one identity of the linear side (protocol, section 4): which functional of each tensor column it takes.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use zkloom_plonkish::claim::PositionAxis;
use zkloom_plonkish::evaluator::ViewEvaluator;
use zkloom_plonkish::field::{from_integer, geometric};
use zkloom_plonkish::view::UnknownVariable;
use zkloom_plonkish::{
    Assignment, Axis, Circuit, ConstantOnes, FoldKind, Monomial, Relation, Variable, View,
};

use crate::rounds::folds::FoldChallenges;
use crate::rounds::trace::TraceChallenges;

/// A functional on one column, times a field element.
#[derive(Clone, Debug)]
pub struct LinearTerm {
    /// Factor.
    pub scalar: Fr,
    /// Column: tensor columns in key order, external vectors after them.
    pub column: usize,
    /// The functional.
    pub view: View,
}

/// All coefficients of the one identity.
#[derive(Clone, Debug)]
pub struct LinearForm {
    /// The functionals E_j, term by term.
    pub terms: Vec<LinearTerm>,
    /// Factor of the mask claim: coefficient N of column 0 is zero.
    pub mask: Fr,
    /// K without the folds' values: `- sum_f mu^f pub_f(beta) - sum_l lambda^l const_l`.
    pub constant: Fr,
    /// Values of the views' variables.
    pub assignment: Assignment,
    columns: usize,
    rows: u64,
}

/// What a fold is, as a functional of the trace and a public part, at the value `beta` of its variable.
#[derive(Clone, Debug, Default)]
pub struct FoldForm {
    /// Functionals with their factors.
    pub terms: Vec<(Fr, View)>,
    /// The public part at beta.
    pub public: Fr,
}

/// Values of the views' variables at the trace's challenges and a value of the folds' variable.
pub fn assignment(trace: &TraceChallenges, fold: Fr) -> Assignment {
    Assignment { roles: trace.roles.clone(), fold, public: trace.public }
}

fn positions(axes: &[PositionAxis], assignment: &Assignment) -> Result<Fr, UnknownVariable> {
    axes.iter().try_fold(Fr::one(), |product, axis| {
        Ok(product * geometric(axis.ratio.value(assignment)?, u64::from(axis.count)))
    })
}

/// The public part of one matrix input, without `lambda^l beta^(o_l)`: the sum over its constant-one columns.
fn constant_ones(ones: &[ConstantOnes], assignment: &Assignment) -> Result<Fr, UnknownVariable> {
    ones.iter().try_fold(Fr::zero(), |sum, one| {
        let entry = assignment.fold.pow([u64::from(one.column)]) * one.scale.value(assignment)?;
        Ok(sum + entry * positions(&one.axes, assignment)?)
    })
}

/// Fold `kind` at `beta`, where `powers[l]` is `lambda^l` of claim l counted from 0 (so it starts with lambda itself).
pub fn fold_form(
    circuit: &Circuit,
    kind: FoldKind,
    powers: &[Fr],
    assignment: &Assignment,
) -> Result<FoldForm, UnknownVariable> {
    let (offsets, _, _) = circuit.fold_segments();
    let mut form = FoldForm::default();
    for ((claim, offset), lambda) in circuit.claims.iter().zip(offsets).zip(powers) {
        let start = assignment.fold.pow([offset.unwrap_or(0)]);
        let (views, scalar) = match (&claim.relation, kind) {
            (Relation::Matrix { input, ones, .. }, FoldKind::Input) => {
                form.public += *lambda * start * constant_ones(ones, assignment)?;
                (input, *lambda * start)
            }
            (Relation::Product { left, .. }, FoldKind::Left) => (left, *lambda * start),
            (Relation::Product { right, .. }, FoldKind::Right) => (right, start),
            _ => continue,
        };
        form.terms.extend(views.iter().map(|view| (scalar, view.clone())));
    }
    if let Some((run, start)) = blind_run(circuit, kind) {
        form.terms.push((assignment.fold.pow([start]), run));
    }
    Ok(form)
}

/// The random cells of a fold as a view, and the first of the entries that they are.
pub fn blind_run(circuit: &Circuit, kind: FoldKind) -> Option<(View, u64)> {
    let position = circuit.folds().iter().position(|fold| *fold == kind)?;
    let run = circuit.fold_blinds.runs.get(position)?;
    let count = circuit.fold_blinds.count;
    let view = View {
        column: run.column,
        offset: run.row,
        coefficient: 1,
        scale: Monomial::one(),
        axes: vec![Axis::dense(count, 1, Monomial::fold(1))],
    };
    Some((view, circuit.fold_length(kind).saturating_sub(u64::from(count))))
}

/// The external vector's part of a claim: minus its entries, numbered by powers of the public challenge.
fn external_view(circuit: &Circuit, vector: usize) -> Option<View> {
    let external = circuit.externals.get(vector)?;
    Some(View {
        column: 0,
        offset: external.offset,
        coefficient: -1,
        scale: Monomial::one(),
        axes: vec![Axis::dense(external.length, 1, Monomial::power(Variable::Public {}, 1))],
    })
}

/// Powers `base^1 .. base^count`.
pub fn powers(base: Fr, count: usize) -> Vec<Fr> {
    core::iter::successors(Some(base), |power| Some(*power * base)).take(count).collect()
}

impl LinearForm {
    /// Collects the claims weighted by powers of lambda, the folds by powers of mu, and the mask claim.
    ///
    /// Soundness: lambda was drawn after the trace was committed and mu after the folds, so that the sum of all claims and
    /// fold checks vanishes only if each of them does; lambda and mu start at power one, since the folds' random entries
    /// carry lambda^0 and a prover knows them in advance.
    pub fn new(
        circuit: &Circuit,
        trace: &TraceChallenges,
        folds: &FoldChallenges,
        publics: &[Vec<i64>],
    ) -> Result<Self, UnknownVariable> {
        let assignment = assignment(trace, folds.beta);
        let lambdas = powers(trace.lambda, circuit.claims.len());
        let tensor_columns = circuit.tensor_columns().count();
        let (mut terms, mut constant) = (Vec::new(), Fr::zero());
        for (claim, lambda) in circuit.claims.iter().zip(&lambdas) {
            let mut add = |view: &View, column: usize| {
                terms.push(LinearTerm { scalar: *lambda, column, view: view.clone() });
            };
            claim.output.iter().for_each(|view| add(view, view.column as usize));
            match &claim.relation {
                Relation::Linear { inputs } => inputs.iter().for_each(|view| add(view, view.column as usize)),
                Relation::External { vector } => {
                    let column = tensor_columns + *vector as usize;
                    external_view(circuit, *vector as usize).iter().for_each(|view| add(view, column));
                }
                Relation::Public { tensor } => {
                    let values = publics.get(*tensor as usize).map_or(&[][..], Vec::as_slice);
                    constant += *lambda * horner(values, trace.public);
                }
                Relation::Matrix { .. } | Relation::Product { .. } => {}
            }
        }
        let kinds = circuit.folds();
        let mus = powers(folds.mu, kinds.len() + 1);
        for (kind, mu) in kinds.iter().zip(&mus) {
            let form = fold_form(circuit, *kind, &lambdas, &assignment)?;
            constant -= *mu * form.public;
            terms.extend(form.terms.into_iter().map(|(scalar, view)| LinearTerm {
                scalar: *mu * scalar,
                column: view.column as usize,
                view,
            }));
        }
        let mask = mus.last().copied().unwrap_or(folds.mu);
        let columns = tensor_columns + circuit.externals.len();
        Ok(Self { terms, mask, constant, assignment, columns, rows: circuit.rows() as u64 })
    }

    /// Number of columns it speaks of.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// `E_j(point)` for each column j.
    pub fn at(&self, point: Fr) -> Result<Vec<Fr>, UnknownVariable> {
        let mut values = vec![Fr::zero(); self.columns];
        let mut evaluator = ViewEvaluator::new(&self.assignment, point);
        for term in &self.terms {
            let value = term.scalar * evaluator.view(&term.view)?;
            if let Some(slot) = values.get_mut(term.column) {
                *slot += value;
            }
        }
        if let Some(first) = values.first_mut() {
            *first += self.mask * point.pow([self.rows]);
        }
        Ok(values)
    }
}

/// `sum_i base^i value_i`
fn horner(values: &[i64], base: Fr) -> Fr {
    values.iter().rev().fold(Fr::zero(), |sum, value| sum * base + from_integer(*value))
}
