//! Round 5: the values in the clear.

use ark_bn254::Fr;
use zkloom_backends::Backend;
use zkloom_plonkish::FoldKind;
use zkloom_verifier::openings::Points;
use zkloom_verifier::polynomial::PolynomialId;
use zkloom_verifier::rounds::evaluations::{EvaluationPlan, Evaluations};

use crate::device::{Polynomials, Prover};
use crate::error::ProveError;

impl<B: Backend> Prover<'_, B> {
    /// Every value but y, which depends on the others.
    pub(crate) fn evaluations(
        &self,
        plan: &EvaluationPlan,
        points: &Points,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<Evaluations, ProveError> {
        let one = |id: PolynomialId, point: Fr| -> Result<Fr, ProveError> {
            let fixed = match id {
                PolynomialId::Fixed(index) => self.fixed_coefficients.get(index),
                _ => polynomials.get(&id).map(|committed| &committed.coefficients),
            };
            let coefficients = fixed.ok_or_else(|| ProveError::WitnessShape {
                what: format!("polynomials named {id:?}"),
                expected: "one".to_owned(),
                found: 0,
            })?;
            Ok(self.backend.evaluate(&[coefficients], point)?.first().copied().unwrap_or_default())
        };
        let column = |id: PolynomialId, rotations: &[i32]| {
            rotations.iter().map(|rotation| one(id, points.rotated(*rotation))).collect::<Result<Vec<_>, _>>()
        };
        let columns = |name: fn(usize) -> PolynomialId, plan: &[Vec<i32>]| {
            plan.iter()
                .enumerate()
                .map(|(index, rotations)| column(name(index), rotations))
                .collect::<Result<Vec<_>, _>>()
        };
        let pair = |exists: bool, id: PolynomialId, second: Fr| {
            if exists { Ok::<_, ProveError>(Some([one(id, points.z)?, one(id, second)?])) } else { Ok(None) }
        };
        let many = |name: fn(usize) -> PolynomialId, count: usize| {
            (0..count).map(|index| one(name(index), points.z)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Evaluations {
            advice: columns(PolynomialId::Advice, &plan.advice)?,
            multiplicities: many(PolynomialId::Multiplicity, plan.multiplicities)?,
            helpers: many(PolynomialId::Helper, plan.helpers)?,
            running_sum: pair(plan.running_sum, PolynomialId::RunningSum, points.next)?,
            fixed: columns(PolynomialId::Fixed, &plan.fixed)?,
            link: one(PolynomialId::Link, points.z)?,
            input_fold: pair(plan.input_fold, PolynomialId::Fold(FoldKind::Input), points.inverse)?,
            left_fold: pair(plan.product_folds, PolynomialId::Fold(FoldKind::Left), points.inverse)?,
            symmetric: Fr::default(),
        })
    }
}
