//! A proving key on a device, and the commitments that all rounds make.

use std::collections::HashMap;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::Zero;
use zkloom_backends::{Backend, Direction};
use zkloom_plonkish::Circuit;
use zkloom_verifier::polynomial::{Opened, PolynomialId};

use crate::error::ProveError;
use crate::key::{KeyError, ProvingKey};
use crate::lookup::Tables;
use crate::srs::Srs;

/// A key made resident on a device; it makes any number of proofs.
pub struct Prover<'a, B: Backend> {
    pub(crate) backend: &'a B,
    pub(crate) key: &'a ProvingKey,
    pub(crate) srs: &'a Srs,
    pub(crate) powers: B::Bases,
    pub(crate) lagrange: B::Bases,
    pub(crate) lagrange_points: &'a [G1Affine],
    /// Row values of the fixed columns.
    pub(crate) fixed_values: Vec<B::Scalars>,
    /// Their coefficients.
    pub(crate) fixed_coefficients: Vec<B::Scalars>,
    /// Lagrange polynomials that the identities use, in coefficients.
    pub(crate) row_polynomials: HashMap<Opened, B::Scalars>,
    pub(crate) matrices: Vec<B::Integers>,
    pub(crate) tables: Tables,
}

impl<B: Backend> core::fmt::Debug for Prover<'_, B> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Prover").field("backend", &self.backend.capabilities().name).finish_non_exhaustive()
    }
}

/// A committed polynomial: its coefficients and the scalar that hides its commitment.
#[derive(Debug)]
pub(crate) struct Committed<S> {
    pub(crate) coefficients: S,
    pub(crate) hiding: Fr,
}

/// Every polynomial of a proof so far, by name.
pub(crate) type Polynomials<S> = HashMap<PolynomialId, Committed<S>>;

impl<'a, B: Backend> Prover<'a, B> {
    /// Uploads what every proof needs.
    pub fn new(backend: &'a B, srs: &'a Srs, key: &'a ProvingKey) -> Result<Self, KeyError> {
        let circuit = key.verifying().circuit();
        srs.check_length(circuit.srs_length())?;
        if srs.pin().identity() != key.verifying().srs() {
            let hex = |bytes: [u8; 32]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            return Err(KeyError::Key(zkloom_verifier::VerifyError::OtherSrs {
                key: hex(key.verifying().srs()),
                pinned: hex(srs.pin().identity()),
            }));
        }
        let lagrange_points = srs.lagrange(circuit.log_rows).ok_or_else(|| KeyError::Shape {
            what: "Lagrange points of the SRS".to_owned(),
            expected: format!("log size {}", circuit.log_rows),
            found: "none of that size".to_owned(),
        })?;
        let length = circuit.srs_length() as usize;
        let mut fixed_values = Vec::new();
        for values in &key.fixed().columns {
            let mut padded = values.clone();
            padded.resize(circuit.rows(), 0);
            fixed_values.push(backend.widen(&backend.upload_integers(&padded)?)?);
        }
        let mut fixed_coefficients = Vec::new();
        for values in &fixed_values {
            fixed_coefficients.push(interpolate(backend, values)?);
        }
        Ok(Self {
            powers: backend.upload_bases(srs.powers().get(..length).unwrap_or(srs.powers()))?,
            lagrange: backend.upload_bases(lagrange_points)?,
            lagrange_points,
            fixed_values,
            fixed_coefficients,
            row_polynomials: row_polynomials(backend, circuit)?,
            matrices: key
                .weights()
                .iter()
                .map(|matrix| backend.upload_integers(&matrix.entries))
                .collect::<Result<_, _>>()?,
            tables: Tables::new(&circuit.table_sets, key.fixed()),
            backend,
            key,
            srs,
        })
    }

    /// The circuit of its key.
    pub fn circuit(&self) -> &'a Circuit {
        self.key.verifying().circuit()
    }

    /// `scalar * [gamma]_1`
    pub(crate) fn hide(&self, scalar: Fr) -> G1Projective {
        self.srs.pin().gamma_g1 * scalar
    }

    /// Commitments to polynomials given by coefficients.
    pub(crate) fn commit(&self, polynomials: &[(&B::Scalars, Fr)]) -> Result<Vec<G1Affine>, ProveError> {
        self.commit_over(&self.powers, polynomials)
    }

    /// Commitments to polynomials given by their values on all rows.
    pub(crate) fn commit_rows(&self, columns: &[(&B::Scalars, Fr)]) -> Result<Vec<G1Affine>, ProveError> {
        self.commit_over(&self.lagrange, columns)
    }

    fn commit_over(
        &self,
        bases: &B::Bases,
        vectors: &[(&B::Scalars, Fr)],
    ) -> Result<Vec<G1Affine>, ProveError> {
        let sums = self.backend.msm(bases, &vectors.iter().map(|(vector, _)| *vector).collect::<Vec<_>>())?;
        let hidden: Vec<G1Projective> =
            sums.into_iter().zip(vectors).map(|(sum, (_, hiding))| sum + self.hide(*hiding)).collect();
        Ok(G1Projective::normalize_batch(&hidden))
    }

    /// Combination of named polynomials, with its hiding scalar.
    pub(crate) fn combine(
        &self,
        polynomials: &Polynomials<B::Scalars>,
        terms: &[(Fr, PolynomialId)],
    ) -> Result<Committed<B::Scalars>, ProveError> {
        self.combine_with(polynomials, &[], terms)
    }

    /// Combination of combinations and named polynomials, with its hiding scalar.
    pub(crate) fn combine_with(
        &self,
        polynomials: &Polynomials<B::Scalars>,
        known: &[(Fr, &Committed<B::Scalars>)],
        terms: &[(Fr, PolynomialId)],
    ) -> Result<Committed<B::Scalars>, ProveError> {
        let mut parts = Vec::with_capacity(known.len() + terms.len());
        let mut hiding = Fr::zero();
        for (scalar, committed) in known {
            parts.push((*scalar, &committed.coefficients));
            hiding += *scalar * committed.hiding;
        }
        for (scalar, id) in terms {
            // Fixed columns live with the key; every other polynomial was made in this proof.
            let fixed = match id {
                PolynomialId::Fixed(index) => self.fixed_coefficients.get(*index),
                _ => None,
            };
            match (fixed, polynomials.get(id)) {
                (Some(coefficients), _) => parts.push((*scalar, coefficients)),
                (None, Some(committed)) => {
                    parts.push((*scalar, &committed.coefficients));
                    hiding += *scalar * committed.hiding;
                }
                (None, None) => {
                    return Err(ProveError::WitnessShape {
                        what: format!("polynomials named {id:?}"),
                        expected: "one".to_owned(),
                        found: 0,
                    });
                }
            }
        }
        Ok(Committed { coefficients: self.backend.combine(&parts)?, hiding })
    }
}

/// Coefficients of the polynomial with these values on all rows.
pub(crate) fn interpolate<B: Backend>(
    backend: &B,
    values: &B::Scalars,
) -> Result<B::Scalars, zkloom_backends::BackendError> {
    backend.transformed(values, Direction::Inverse)
}

/// Coefficients of the Lagrange polynomials of row 0 and of the first blinding row, and of the sum over usable rows.
fn row_polynomials<B: Backend>(
    backend: &B,
    circuit: &Circuit,
) -> Result<HashMap<Opened, B::Scalars>, zkloom_backends::BackendError> {
    let (rows, usable) = (circuit.rows(), circuit.usable());
    let column = |test: &dyn Fn(usize) -> bool| {
        let values: Vec<i64> = (0..rows).map(|row| i64::from(test(row))).collect();
        interpolate(backend, &backend.widen(&backend.upload_integers(&values)?)?)
    };
    Ok(HashMap::from([
        (Opened::FirstRow, column(&|row| row == 0)?),
        (Opened::FirstBlindingRow, column(&|row| row == usable)?),
        (Opened::ActiveRows, column(&|row| row < usable)?),
    ]))
}
