//! What a reader of a verification key can check without knowing a weight: that its fixed columns are the ones that a
//! description states.
//!
//! A key holds only commitments to fixed columns. Whoever makes a key and proves under it could commit to a table with two
//! rows for one argument, or switch a lookup off, and then prove two outputs for one input. Fixed columns do not depend on
//! weights, so everyone can have their values and make the commitments again: there is no hiding in them.

use zkloom_backends::{Backend, BackendError};
use zkloom_plonkish::origin::check_public_origins;
use zkloom_plonkish::{Circuit, FixedValues, IntegerMatrix};
use zkloom_verifier::VerifyingKey;

use crate::key::{KeyError, check_fixed_shapes, check_values, checked_bases, commit_fixed, commit_rows};
use crate::srs::Srs;

/// Why a key is not the key of the described fixed columns.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The key was made for another structured reference string.
    #[error("the key was made with the SRS {}, the one given is {}; give the key's own", hex(.wanted), hex(.found))]
    OtherSrs {
        /// Identity in the key.
        wanted: [u8; 32],
        /// Identity of the one given.
        found: [u8; 32],
    },
    /// A commitment is not the one of the described values.
    #[error(
        "fixed column {index} (`{name}`): the key commits to other values than the description states; do not use this key"
    )]
    Fixed {
        /// Index of the column.
        index: usize,
        /// Its name.
        name: String,
    },
    /// A commitment to a row of a matrix that everyone knows is not the one of its values.
    #[error(
        "matrix {index} (`{name}`), row {row}: the key commits to other values than the architecture gives; do not use this key"
    )]
    Matrix {
        /// Index of the matrix.
        index: usize,
        /// Its name.
        name: String,
        /// The row.
        row: usize,
    },
    /// Circuit, values or SRS break a rule of key generation.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl From<BackendError> for AuditError {
    fn from(error: BackendError) -> Self {
        Self::Key(error.into())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks the rules of key generation that need no matrices: sizes, selectors, tags, rotations, origins. Intervals of matrix
/// products are taken as declared.
///
/// # Errors
/// [`KeyError::Circuit`] and [`KeyError::Shape`], naming column and row, or the tensor.
pub fn check_rules(circuit: &Circuit, fixed: &FixedValues) -> Result<(), KeyError> {
    circuit.validate()?;
    check_fixed_shapes(circuit, fixed)?;
    check_values(circuit, fixed)?;
    Ok(check_public_origins(circuit, fixed)?)
}

/// Checks that a key's commitments to fixed columns are those of `fixed`, under the rules of [`check_rules`], and that those to
/// the rows of matrices that everyone `known`s (with their index in the circuit) are those of their entries, with an SRS whose
/// points are checked against its pin. `srs` must hold the Lagrange points of the circuit's rows.
///
/// # Errors
/// [`AuditError`], naming what differs.
pub fn check_fixed<B: Backend>(
    backend: &B,
    srs: &Srs,
    key: &VerifyingKey,
    fixed: &FixedValues,
    known: &[(usize, IntegerMatrix)],
) -> Result<(), AuditError> {
    let (wanted, found) = (key.srs(), srs.pin().identity());
    if wanted != found {
        return Err(AuditError::OtherSrs { wanted, found });
    }
    let circuit = key.circuit();
    check_rules(circuit, fixed)?;
    let (powers, lagrange) = checked_bases(backend, srs, circuit)?;
    let points = commit_fixed(backend, &lagrange, fixed)?;
    // As many on both sides: the key's own check and `check_fixed_shapes` count them.
    let differs = key.fixed().iter().zip(&points).position(|(held, made)| held != made);
    let name = |index: usize| circuit.fixed.get(index).map_or_else(String::new, |column| column.name.clone());
    if let Some(index) = differs {
        return Err(AuditError::Fixed { index, name: name(index) });
    }
    known.iter().try_for_each(|(index, matrix)| check_matrix(backend, &powers, key, (*index, matrix)))
}

/// Every row of a matrix that has nothing to hide.
fn check_matrix<B: Backend>(
    backend: &B,
    powers: &B::Bases,
    key: &VerifyingKey,
    (index, matrix): (usize, &IntegerMatrix),
) -> Result<(), AuditError> {
    let differs = |row: usize| {
        let name = key.circuit().matrices.get(index).map_or_else(String::new, |matrix| matrix.name.clone());
        AuditError::Matrix { index, name, row }
    };
    let rows: Vec<&[i64]> = matrix.iter_rows().collect();
    let held = key.matrices().get(index).map_or(&[][..], Vec::as_slice);
    let points = commit_rows(backend, powers, &rows)?;
    if held.len() != points.len() {
        return Err(differs(held.len().min(points.len())));
    }
    held.iter().zip(&points).position(|(held, made)| held != made).map_or(Ok(()), |row| Err(differs(row)))
}
