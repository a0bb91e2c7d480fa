//! The verifier: replays the transcript, combines all commitments into one point, checks one pairing equation.

use std::collections::HashMap;

use ark_bn254::{Bn254, Fr, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ec::pairing::Pairing;
use ark_ff::{One, Zero};

use crate::error::VerifyError;
use crate::group::{affine, linear_combination};
use crate::key::VerifyingKey;
use crate::linear::{LinearForm, powers};
use crate::openings::{
    Challenges, Item, OpeningInputs, Points, distinct_points, interpolate, items, vanishing, weights,
};
use crate::polynomial::PolynomialId;
use crate::proof::Proof;
use crate::rounds::evaluations::EvaluationPlan;
use crate::rounds::opening::{absorb_first, absorb_rest};
use crate::rounds::statement::Statement;
use crate::srs::SrsPin;
use crate::transcript::{HashTranscript, Transcript};

/// Checks a proof. `Ok` means that the key's circuit holds for the statement.
pub fn verify(
    key: &VerifyingKey,
    pin: &SrsPin,
    statement: &Statement,
    proof: &Proof,
) -> Result<(), VerifyError> {
    verify_with(key, pin, statement, proof, &mut HashTranscript::new(key.hash()))
}

/// Checks a proof with a given transcript. The transcript must be fresh, and the one that the key names, for the answer
/// to mean anything; [`verify`] sees to that.
pub fn verify_with(
    key: &VerifyingKey,
    pin: &SrsPin,
    statement: &Statement,
    proof: &Proof,
    transcript: &mut impl Transcript,
) -> Result<(), VerifyError> {
    let equation = Equation::new(key, pin, statement, proof, transcript)?;
    if equation.holds(pin) { Ok(()) } else { Err(VerifyError::Invalid) }
}

/// `e(sum, [1]_2) = e(second, [tau]_2) e(delta, [gamma]_2)`
pub(crate) struct Equation {
    /// F_nu + u' pi_2.
    pub(crate) sum: G1Affine,
    /// pi_2.
    pub(crate) second: G1Affine,
    /// delta.
    pub(crate) delta: G1Affine,
}

impl Equation {
    pub(crate) fn holds(&self, pin: &SrsPin) -> bool {
        let left = [self.sum, (-self.second.into_group()).into(), (-self.delta.into_group()).into()];
        Bn254::multi_pairing(left, [pin.one_g2, pin.tau_g2, pin.gamma_g2]).0.is_one()
    }

    /// Runs all rounds.
    pub(crate) fn new(
        key: &VerifyingKey,
        pin: &SrsPin,
        statement: &Statement,
        proof: &Proof,
        transcript: &mut impl Transcript,
    ) -> Result<Self, VerifyError> {
        let circuit = key.circuit();
        if key.srs() != pin.identity() {
            let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(VerifyError::OtherSrs { key: hex(key.srs()), pinned: hex(pin.identity()) });
        }
        let plan = EvaluationPlan::new(circuit);
        statement.check(circuit)?;
        proof.check_shape(circuit, &plan)?;

        statement.absorb(key, transcript);
        let challenges = Challenges {
            trace: proof.trace.absorb(circuit, transcript),
            folds: proof.folds.absorb(transcript),
            identity: proof.link.absorb(transcript),
            point: proof.quotient.absorb(transcript),
        };
        let nu = proof.evaluations.absorb(transcript);
        let u = absorb_first(&proof.opening.first, transcript);
        absorb_rest(&proof.opening, transcript);

        let form = LinearForm::new(circuit, &challenges.trace, &challenges.folds, &statement.publics)
            .map_err(|error| VerifyError::Key { what: error.to_string() })?;
        let points = Points::new(circuit, &challenges.folds, challenges.point)?;
        let inputs = OpeningInputs {
            circuit,
            challenges: &challenges,
            form: &form,
            fold_value: proof.link.fold_value,
            column_value: proof.link.column_value,
            evaluations: &proof.evaluations,
        };
        let items = items(&inputs, &plan, &points)?;
        let all = distinct_points(&items, &points)?;
        if all.contains(&u.0) {
            return Err(VerifyError::Degenerate { what: "u' is an opening point" });
        }
        let weights = weights(&items, &all, nu.0, u.0);
        let mut sum = Combination::default();
        for (item, weight) in items.iter().zip(&weights) {
            sum.add_item(item, *weight, u.0)?;
        }
        sum.add_point(proof.opening.first, -vanishing(all, u.0));
        sum.add_point(proof.opening.second, u.0);
        let sum = sum.resolve(key, pin, statement, proof, &challenges)?;
        Ok(Self { sum, second: proof.opening.second, delta: proof.opening.delta })
    }
}

/// A linear combination of named polynomials, points, and `[1]_1`.
#[derive(Default)]
struct Combination {
    named: HashMap<PolynomialId, Fr>,
    points: Vec<G1Affine>,
    scalars: Vec<Fr>,
    one: Fr,
}

impl Combination {
    fn add_item(&mut self, item: &Item, weight: Fr, u: Fr) -> Result<(), VerifyError> {
        for (scalar, id) in &item.terms {
            *self.named.entry(*id).or_insert_with(Fr::zero) += weight * scalar;
        }
        self.one -= weight * interpolate(&item.openings, u)?;
        Ok(())
    }

    fn add_point(&mut self, point: G1Affine, scalar: Fr) {
        self.points.push(point);
        self.scalars.push(scalar);
    }

    /// Replaces names by commitments and sums up.
    fn resolve(
        mut self,
        key: &VerifyingKey,
        pin: &SrsPin,
        statement: &Statement,
        proof: &Proof,
        challenges: &Challenges,
    ) -> Result<G1Affine, VerifyError> {
        let missing = || VerifyError::Key { what: "an opened polynomial has no commitment".to_owned() };
        for (id, scalar) in core::mem::take(&mut self.named) {
            if let PolynomialId::Contraction(matrix) = id {
                // Row mode: the contraction is known as a combination of the key's rows; the prover sends nothing.
                let rows = key.matrices().get(matrix).ok_or_else(missing)?;
                let theta = contraction_challenge(key, challenges, matrix).ok_or_else(missing)?;
                let weights = core::iter::once(Fr::one()).chain(powers(theta, rows.len().saturating_sub(1)));
                for (row, weight) in rows.iter().zip(weights) {
                    self.add_point(*row, scalar * weight);
                }
            } else {
                let point = commitment(key, statement, proof, id).ok_or_else(missing)?;
                self.add_point(point, scalar);
            }
        }
        let one = self.one;
        self.add_point(pin.one_g1, one);
        let sum: G1Projective = linear_combination(&self.points, &self.scalars);
        Ok(affine(sum))
    }
}

/// The challenge that contracts a matrix's rows.
pub fn contraction_challenge(key: &VerifyingKey, challenges: &Challenges, matrix: usize) -> Option<Fr> {
    let role = key.circuit().matrices.get(matrix)?.row_role;
    challenges.trace.roles.get(role as usize).copied()
}

/// The commitment of a polynomial that is not a contraction.
fn commitment(
    key: &VerifyingKey,
    statement: &Statement,
    proof: &Proof,
    id: PolynomialId,
) -> Option<G1Affine> {
    let tensor_columns = || proof.trace.advice.iter().filter_map(|column| column.coefficients);
    match id {
        PolynomialId::Advice(index) => proof.trace.advice.get(index).map(|column| column.row),
        PolynomialId::Coefficients(index) => {
            tensor_columns().chain(statement.externals.iter().copied()).nth(index)
        }
        PolynomialId::Multiplicity(index) => proof.trace.multiplicities.get(index).copied(),
        PolynomialId::Helper(index) => proof.folds.helpers.get(index).copied(),
        PolynomialId::RunningSum => proof.folds.running_sum,
        PolynomialId::Fold(kind) => {
            let position = key.circuit().folds().iter().position(|fold| *fold == kind)?;
            proof.folds.folds.get(position).copied()
        }
        PolynomialId::Contraction(_) => None,
        PolynomialId::Link => Some(proof.link.link),
        PolynomialId::Symmetric => Some(proof.link.symmetric),
        PolynomialId::Quotient(index) => proof.quotient.pieces.get(index).copied(),
        PolynomialId::Fixed(index) => key.fixed().get(index).copied(),
    }
}
