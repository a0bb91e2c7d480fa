//! Key generation: commitments to fixed columns and to the rows of all matrices.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use zkloom_backends::{Backend, BackendError};
use zkloom_plonkish::origin::check_origins;
use zkloom_plonkish::{
    Circuit, CircuitError, Decode, DecodeError, Encode, FixedValues, IntegerMatrix, Reader, Writer,
};
use zkloom_verifier::{HashKind, VerifyError, VerifyingKey};

use crate::error::ProveError;
use crate::randomness::Blinding;
use crate::srs::{Srs, SrsError};

/// Rows committed in one call to the device.
const BATCH: usize = 64;

/// Why a key cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The circuit breaks a rule.
    #[error("the circuit is refused: {0}")]
    Circuit(#[from] CircuitError),
    /// The structured reference string does not fit.
    #[error(transparent)]
    Srs(#[from] SrsError),
    /// The values have another shape than the circuit.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// Which values.
        what: String,
        /// What the circuit expects.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The device failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// No randomness.
    #[error(transparent)]
    Randomness(ProveError),
    /// The parts do not make a key.
    #[error(transparent)]
    Key(#[from] VerifyError),
}

/// What a prover holds: the verification key, the values behind it, and the hiding of private rows.
#[derive(Clone, Debug)]
pub struct ProvingKey {
    verifying: VerifyingKey,
    fixed: FixedValues,
    weights: Vec<IntegerMatrix>,
    hiding: Vec<Vec<Fr>>,
}

impl ProvingKey {
    /// The public part.
    pub fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Values of the fixed columns.
    pub fn fixed(&self) -> &FixedValues {
        &self.fixed
    }

    /// The matrices, in key order.
    pub fn weights(&self) -> &[IntegerMatrix] {
        &self.weights
    }

    /// Hiding scalars of each matrix's rows; zero for public ones.
    pub(crate) fn hiding(&self) -> &[Vec<Fr>] {
        &self.hiding
    }
}

impl Encode for ProvingKey {
    fn encode(&self, writer: &mut Writer) {
        self.verifying.encode(writer);
        self.fixed.encode(writer);
        self.weights.encode(writer);
        self.hiding.encode(writer);
    }
}

impl Decode for ProvingKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = Self {
            verifying: VerifyingKey::decode(reader)?,
            fixed: FixedValues::decode(reader)?,
            weights: Vec::decode(reader)?,
            hiding: Vec::decode(reader)?,
        };
        let rows = key.hiding.iter().map(Vec::len);
        if check_shapes(key.verifying.circuit(), &key.fixed, &key.weights).is_err()
            || !rows.eq(key.weights.iter().map(IntegerMatrix::rows))
        {
            return Err(reader.invalid("the values of the proving key do not fit its circuit"));
        }
        Ok(key)
    }
}

fn check_shapes(circuit: &Circuit, fixed: &FixedValues, weights: &[IntegerMatrix]) -> Result<(), KeyError> {
    let shape = |what: String, expected: usize, found: usize| {
        let same = expected == found;
        let error = || KeyError::Shape { what, expected: expected.to_string(), found: found.to_string() };
        if same { Ok(()) } else { Err(error()) }
    };
    shape("fixed columns".to_owned(), circuit.fixed.len(), fixed.columns.len())?;
    for (column, values) in circuit.fixed.iter().zip(&fixed.columns) {
        // Selectors and tables must be off on blinding rows, so values there are not even accepted.
        if values.len() > circuit.usable() {
            return Err(KeyError::Shape {
                what: format!("rows of fixed column `{}`", column.name),
                expected: format!("at most {}", circuit.usable()),
                found: values.len().to_string(),
            });
        }
    }
    shape("matrices".to_owned(), circuit.matrices.len(), weights.len())?;
    for (matrix, values) in circuit.matrices.iter().zip(weights) {
        let name = &matrix.name;
        shape(format!("columns of matrix `{name}`"), matrix.columns as usize, values.width as usize)?;
        shape(
            format!("entries of matrix `{name}`"),
            (matrix.rows * matrix.columns) as usize,
            values.entries.len(),
        )?;
    }
    Ok(())
}

/// Selectors are zero or one, table rows have a table's number.
fn check_values(circuit: &Circuit, fixed: &FixedValues) -> Result<(), KeyError> {
    let selectors = circuit.lookups.iter().map(|lookup| lookup.selector);
    for column in selectors.chain(circuit.table_sets.iter().map(|set| set.selector)) {
        let values = fixed.columns.get(column as usize).map_or(&[][..], Vec::as_slice);
        if let Some(row) = values.iter().position(|value| !(0..=1).contains(value)) {
            return Err(KeyError::Shape {
                what: format!("selector column {column} at row {row}"),
                expected: "0 or 1".to_owned(),
                found: values.get(row).copied().unwrap_or(0).to_string(),
            });
        }
    }
    Ok(())
}

/// Makes a key. `srs` must hold the Lagrange points of the circuit's rows (see [`Srs::ensure_lagrange`]).
pub fn generate<B: Backend>(
    backend: &B,
    srs: &Srs,
    circuit: Circuit,
    values: (FixedValues, Vec<IntegerMatrix>),
    hash: HashKind,
) -> Result<ProvingKey, KeyError> {
    let (fixed, weights) = values;
    circuit.validate()?;
    check_shapes(&circuit, &fixed, &weights)?;
    check_values(&circuit, &fixed)?;
    check_origins(&circuit, &fixed, &weights)?;
    srs.check_length(circuit.srs_length())?;
    let lagrange = srs.lagrange(circuit.log_rows).ok_or_else(|| KeyError::Shape {
        what: "Lagrange points of the SRS".to_owned(),
        expected: format!("log size {}", circuit.log_rows),
        found: "none of that size".to_owned(),
    })?;

    let lagrange = backend.upload_bases(lagrange)?;
    let columns: Vec<&[i64]> = fixed.columns.iter().map(Vec::as_slice).collect();
    let fixed_points = commit_integers(backend, &lagrange, &columns, |_| G1Projective::default())?;
    drop(lagrange);
    let longest = circuit.matrices.iter().map(|matrix| matrix.columns as usize).max().unwrap_or(0);
    let powers = backend.upload_bases(srs.powers().get(..longest).unwrap_or(srs.powers()))?;
    let mut random = Blinding::for_key(&circuit.digest()).map_err(KeyError::Randomness)?;
    let (mut hiding, mut matrices) = (Vec::new(), Vec::new());
    for (matrix, values) in circuit.matrices.iter().zip(&weights) {
        let count = values.rows();
        let scalars = if matrix.public { vec![Fr::from(0); count] } else { random.scalars(count) };
        let rows: Vec<&[i64]> = values.iter_rows().collect();
        let hide = |index: usize| match scalars.get(index) {
            Some(scalar) if !matrix.public => srs.pin().gamma_g1 * scalar,
            _ => G1Projective::default(),
        };
        matrices.push(commit_integers(backend, &powers, &rows, hide)?);
        hiding.push(scalars);
    }
    let verifying = VerifyingKey::new(circuit, hash, srs.pin().identity(), fixed_points, matrices)?;
    Ok(ProvingKey { verifying, fixed, weights, hiding })
}

/// Commitments to integer vectors, each with what `hide` adds.
fn commit_integers<B: Backend>(
    backend: &B,
    bases: &B::Bases,
    vectors: &[&[i64]],
    hide: impl Fn(usize) -> G1Projective,
) -> Result<Vec<G1Affine>, BackendError> {
    let mut points = Vec::with_capacity(vectors.len());
    for chunk in vectors.chunks(BATCH) {
        let uploaded =
            chunk.iter().map(|vector| backend.upload_integers(vector)).collect::<Result<Vec<_>, _>>()?;
        let sums = backend.msm_integers(bases, &uploaded.iter().collect::<Vec<_>>())?;
        for sum in sums {
            points.push(sum + hide(points.len()));
        }
    }
    Ok(G1Projective::normalize_batch(&points))
}
