//! Round 4: the quotient, coset by coset.
//!
//! On the coset c H the vanishing polynomial is the constant c^N - 1, and the values there determine t modulo X^N - c^N,
//! which is `sum_i c^(iN) t_i`. As many cosets as pieces give a small Vandermonde system for the pieces.

use ark_bn254::Fr;
use ark_ff::{FftField, Field, One};
use zkloom_backends::Backend;
use zkloom_plonkish::Expression;
use zkloom_plonkish::field::root_of_unity;
use zkloom_verifier::identities::identities;
use zkloom_verifier::polynomial::{Opened, PolynomialId};
use zkloom_verifier::rounds::link::IdentityChallenge;
use zkloom_verifier::rounds::quotient::QuotientMessage;
use zkloom_verifier::rounds::trace::TraceChallenges;

use crate::device::{Committed, Polynomials, Prover};
use crate::error::ProveError;
use crate::program::{Compiled, InputRef, compile};
use crate::prove::{Conduct, Scene};
use crate::randomness::Blinding;

/// The vector behind a polynomial of the identities: the next row's running sum is the running sum, one row on.
fn vector(opened: &Opened) -> InputRef<Opened> {
    match *opened {
        Opened::Advice { column, rotation } => {
            InputRef { vector: Opened::Advice { column, rotation: 0 }, rotation }
        }
        Opened::Fixed { column, rotation } => {
            InputRef { vector: Opened::Fixed { column, rotation: 0 }, rotation }
        }
        Opened::NextRunningSum => InputRef { vector: Opened::RunningSum, rotation: 1 },
        other => InputRef { vector: other, rotation: 0 },
    }
}

impl<B: Backend> Prover<'_, B> {
    /// Runs the round.
    pub(crate) fn quotient(
        &self,
        trace: &TraceChallenges,
        alpha: IdentityChallenge,
        (random, polynomials): (&mut Blinding, &mut Polynomials<B::Scalars>),
        conduct: &mut impl Conduct<B>,
    ) -> Result<QuotientMessage, ProveError> {
        let mut weight = Fr::one();
        let mut weighted = Vec::new();
        for identity in identities(self.circuit(), trace.lookup) {
            weighted.push(identity.scale(weight));
            weight *= alpha.0;
        }
        let compiled = compile(&Expression::Sum(weighted), &vector);
        let shifts = self.coset_shifts();
        let mut remainders = Vec::with_capacity(shifts.len());
        for shift in &shifts {
            remainders.push(self.remainder(&compiled, *shift, polynomials)?);
        }
        let powers: Vec<Fr> = shifts.iter().map(|shift| shift.pow([self.circuit().rows() as u64])).collect();
        let mut pieces = Vec::with_capacity(shifts.len());
        for row in inverse_vandermonde(&powers) {
            let terms: Vec<_> = row.into_iter().zip(&remainders).collect();
            pieces.push(self.backend.combine(&terms)?);
        }
        conduct.quotient(&Scene { prover: self, polynomials }, &mut pieces);
        let hiding = random.scalars(pieces.len());
        let pairs: Vec<_> = pieces.iter().zip(hiding.iter().copied()).collect();
        let points = self.commit(&pairs)?;
        for (index, (coefficients, hiding)) in pieces.into_iter().zip(hiding).enumerate() {
            polynomials.insert(PolynomialId::Quotient(index), Committed { coefficients, hiding });
        }
        Ok(QuotientMessage { pieces: points })
    }

    /// Shifts whose N-th powers differ from each other and from one.
    fn coset_shifts(&self) -> Vec<Fr> {
        let pieces = self.circuit().max_degree.saturating_sub(1).max(1);
        let extra = pieces.next_power_of_two().trailing_zeros();
        // Beyond the field's two-adicity no larger subgroup exists; powers of the generator serve there.
        let step = root_of_unity(self.circuit().log_rows + extra).unwrap_or(Fr::GENERATOR);
        core::iter::successors(Some(Fr::GENERATOR), |shift| Some(*shift * step))
            .take(pieces as usize)
            .collect()
    }

    /// t modulo `X^N - shift^N`, from its values on one coset.
    fn remainder(
        &self,
        compiled: &Compiled<Opened>,
        shift: Fr,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<B::Scalars, ProveError> {
        let log_rows = self.circuit().log_rows;
        let mut values = Vec::with_capacity(compiled.inputs.len());
        for input in &compiled.inputs {
            let coefficients =
                self.coefficients(input, polynomials).ok_or_else(|| ProveError::WitnessShape {
                    what: format!("polynomials named {input:?}"),
                    expected: "one".to_owned(),
                    found: 0,
                })?;
            values.push(self.backend.coset_ntt(coefficients, log_rows, shift)?);
        }
        let inputs: Vec<&B::Scalars> = values.iter().collect();
        let sum = if inputs.is_empty() {
            self.backend.zeros(self.circuit().rows())?
        } else {
            self.backend.run(&compiled.program, &inputs, &compiled.constants)?
        };
        drop(values);
        let vanishing = shift.pow([self.circuit().rows() as u64]) - Fr::one();
        let scale = vanishing.inverse().unwrap_or_else(Fr::one);
        let mut quotient = self.backend.combine(&[(scale, &sum)])?;
        self.backend.inverse_coset_ntt(&mut quotient, shift)?;
        Ok(quotient)
    }

    fn coefficients<'p>(
        &'p self,
        opened: &Opened,
        polynomials: &'p Polynomials<B::Scalars>,
    ) -> Option<&'p B::Scalars> {
        let named = |id| polynomials.get(&id).map(|committed| &committed.coefficients);
        match *opened {
            Opened::Advice { column, .. } => named(PolynomialId::Advice(column)),
            Opened::Fixed { column, .. } => self.fixed_coefficients.get(column),
            Opened::Multiplicity(set) => named(PolynomialId::Multiplicity(set)),
            Opened::Helper(index) => named(PolynomialId::Helper(index)),
            Opened::RunningSum | Opened::NextRunningSum => named(PolynomialId::RunningSum),
            Opened::FirstRow | Opened::FirstBlindingRow | Opened::ActiveRows => {
                self.row_polynomials.get(opened)
            }
        }
    }
}

/// Rows of the inverse of the matrix `(k_i^j)`: piece j is `sum_i inverse[j][i] r_i`. The entry is coefficient j of the
/// Lagrange polynomial of point i.
fn inverse_vandermonde(points: &[Fr]) -> Vec<Vec<Fr>> {
    let count = points.len();
    let mut rows = vec![vec![Fr::from(0); count]; count];
    for (i, point) in points.iter().enumerate() {
        let (mut basis, mut scale) = (vec![Fr::one()], Fr::one());
        for (_, other) in points.iter().enumerate().filter(|(j, _)| *j != i) {
            scale *= *point - other;
            let mut next = vec![Fr::from(0); basis.len() + 1];
            for (power, value) in basis.iter().enumerate() {
                next[power + 1] += value;
                next[power] -= *value * other;
            }
            basis = next;
        }
        let inverse = scale.inverse().unwrap_or_else(Fr::one);
        for (row, value) in rows.iter_mut().zip(basis) {
            row[i] = value * inverse;
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vandermonde_inverse() {
        let points: Vec<Fr> = [3_u64, 5, 11].map(Fr::from).to_vec();
        let pieces: Vec<Fr> = [7_u64, 0, 13].map(Fr::from).to_vec();
        let remainders: Vec<Fr> = points
            .iter()
            .map(|k| pieces.iter().rev().fold(Fr::from(0), |sum, piece| sum * k + piece))
            .collect();
        for (row, piece) in inverse_vandermonde(&points).iter().zip(pieces) {
            assert_eq!(row.iter().zip(&remainders).map(|(a, b)| *a * b).sum::<Fr>(), piece);
        }
    }
}
