//! Round 5: the values in the clear.

use ark_bn254::Fr;
use zkloom_backends::Backend;
use zkloom_plonkish::FoldKind;
use zkloom_verifier::openings::Points;
use zkloom_verifier::polynomial::PolynomialId;
use zkloom_verifier::rounds::evaluations::{EvaluationPlan, Evaluations};

use crate::device::{Polynomials, Prover};
use crate::error::ProveError;

/// Values that are asked for first and made together: one call of the device for each point.
#[derive(Default)]
struct Requests {
    /// Each point with the polynomials to evaluate there.
    points: Vec<(Fr, Vec<PolynomialId>)>,
}

/// Where a value will lie: number of the point, number of the polynomial there.
#[derive(Clone, Copy)]
struct Place(usize, usize);

impl Requests {
    fn ask(&mut self, id: PolynomialId, point: Fr) -> Place {
        let known = self.points.iter().position(|(other, _)| *other == point);
        let index = known.unwrap_or_else(|| {
            self.points.push((point, Vec::new()));
            self.points.len() - 1
        });
        match self.points.get_mut(index) {
            Some((_, ids)) => {
                ids.push(id);
                Place(index, ids.len() - 1)
            }
            None => Place(index, 0),
        }
    }

    /// A value for each rotation of each column.
    fn columns(
        &mut self,
        name: fn(usize) -> PolynomialId,
        plan: &[Vec<i32>],
        points: &Points,
    ) -> Vec<Vec<Place>> {
        let column = |(index, rotations): (usize, &Vec<i32>)| {
            rotations.iter().map(|rotation| self.ask(name(index), points.rotated(*rotation))).collect()
        };
        plan.iter().enumerate().map(column).collect()
    }
}

impl<B: Backend> Prover<'_, B> {
    /// Every value but y, which depends on the others.
    pub(crate) fn evaluations(
        &self,
        plan: &EvaluationPlan,
        points: &Points,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<Evaluations, ProveError> {
        let mut requests = Requests::default();
        let advice = requests.columns(PolynomialId::Advice, &plan.advice, points);
        let fixed = requests.columns(PolynomialId::Fixed, &plan.fixed, points);
        let multiplicities: Vec<Place> = (0..plan.multiplicities)
            .map(|index| requests.ask(PolynomialId::Multiplicity(index), points.z))
            .collect();
        let helpers: Vec<Place> =
            (0..plan.helpers).map(|index| requests.ask(PolynomialId::Helper(index), points.z)).collect();
        let mut pair = |exists: bool, id: PolynomialId, second: Fr| {
            exists.then(|| [requests.ask(id, points.z), requests.ask(id, second)])
        };
        let running_sum = pair(plan.running_sum, PolynomialId::RunningSum, points.next);
        let input_fold = pair(plan.input_fold, PolynomialId::Fold(FoldKind::Input), points.inverse);
        let left_fold = pair(plan.product_folds, PolynomialId::Fold(FoldKind::Left), points.inverse);
        let link = requests.ask(PolynomialId::Link, points.z);

        let values = self.evaluate(&requests, polynomials)?;
        let value =
            |place: Place| values.get(place.0).and_then(|at| at.get(place.1)).copied().unwrap_or_default();
        let all = |places: Vec<Place>| places.into_iter().map(value).collect::<Vec<Fr>>();
        Ok(Evaluations {
            advice: advice.into_iter().map(all).collect(),
            multiplicities: all(multiplicities),
            helpers: all(helpers),
            running_sum: running_sum.map(|pair| pair.map(value)),
            fixed: fixed.into_iter().map(all).collect(),
            link: value(link),
            input_fold: input_fold.map(|pair| pair.map(value)),
            left_fold: left_fold.map(|pair| pair.map(value)),
            symmetric: Fr::default(),
        })
    }

    /// The values at each point, in the order of the requests.
    fn evaluate(
        &self,
        requests: &Requests,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<Vec<Vec<Fr>>, ProveError> {
        let coefficients = |id: &PolynomialId| {
            let found = match id {
                PolynomialId::Fixed(index) => self.fixed_coefficients.get(*index),
                _ => polynomials.get(id).map(|committed| &committed.coefficients),
            };
            found.ok_or_else(|| ProveError::WitnessShape {
                what: format!("polynomials named {id:?}"),
                expected: "one".to_owned(),
                found: 0,
            })
        };
        let at_point = |(point, ids): &(Fr, Vec<PolynomialId>)| {
            let vectors = ids.iter().map(coefficients).collect::<Result<Vec<_>, _>>()?;
            Ok(self.backend.evaluate(&vectors, *point)?)
        };
        requests.points.iter().map(at_point).collect()
    }
}
