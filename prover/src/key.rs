//! Key generation: commitments to fixed columns and to the rows of all matrices.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use zkloom_backends::{Backend, BackendError};
use zkloom_plonkish::origin::check_origins;
use zkloom_plonkish::{
    Circuit, CircuitError, Column, Decode, DecodeError, Encode, Expression, FixedValues, IntegerMatrix,
    Query, Reader, Writer,
};
use zkloom_verifier::{HashKind, VerifyError, VerifyingKey};

use crate::error::ProveError;
use crate::randomness::Blinding;
use crate::srs::{Srs, SrsError, check};

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
#[derive(Clone)]
pub struct ProvingKey {
    verifying: VerifyingKey,
    fixed: FixedValues,
    weights: Vec<IntegerMatrix>,
    hiding: Vec<Vec<Fr>>,
}

impl core::fmt::Debug for ProvingKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Weights and hiding scalars stay out of logs.
        f.debug_struct("ProvingKey").field("verifying", &self.verifying).finish_non_exhaustive()
    }
}

impl ProvingKey {
    /// The same key, its proofs bound to an application's hash; see [`VerifyingKey::with_context`].
    pub fn with_context(self, context: [u8; 32]) -> Self {
        Self { verifying: self.verifying.with_context(context), ..self }
    }

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

fn shape(what: String, expected: usize, found: usize) -> Result<(), KeyError> {
    let error = || KeyError::Shape { what, expected: expected.to_string(), found: found.to_string() };
    if expected == found { Ok(()) } else { Err(error()) }
}

/// As many fixed columns as the circuit has, and no values on blinding rows.
pub(crate) fn check_fixed_shapes(circuit: &Circuit, fixed: &FixedValues) -> Result<(), KeyError> {
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
    Ok(())
}

fn check_shapes(circuit: &Circuit, fixed: &FixedValues, weights: &[IntegerMatrix]) -> Result<(), KeyError> {
    check_fixed_shapes(circuit, fixed)?;
    shape("matrices".to_owned(), circuit.matrices.len(), weights.len())?;
    for (matrix, values) in circuit.matrices.iter().zip(weights) {
        let name = &matrix.name;
        shape(format!("columns of matrix `{name}`"), matrix.columns as usize, values.width as usize)?;
        shape(
            format!("entries of matrix `{name}`"),
            (u64::from(matrix.rows) * u64::from(matrix.columns)) as usize,
            values.entries.len(),
        )?;
    }
    Ok(())
}

/// Selectors are zero or one, table rows have a table's number, and nothing is read beyond the usable rows.
pub(crate) fn check_values(circuit: &Circuit, fixed: &FixedValues) -> Result<(), KeyError> {
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
    for set in &circuit.table_sets {
        for row in (0..fixed.rows()).filter(|row| fixed.get(set.selector, *row) == 1) {
            if fixed.get(set.tag, row) < 1 {
                return Err(KeyError::Shape {
                    what: format!("number of the table at row {row}"),
                    expected: "at least 1".to_owned(),
                    found: fixed.get(set.tag, row).to_string(),
                });
            }
        }
    }
    check_rotations(circuit, fixed)
}

/// On rows from which a rotation leaves the usable ones, gates and lookups are off: a prover chooses what stands there.
fn check_rotations(circuit: &Circuit, fixed: &FixedValues) -> Result<(), KeyError> {
    let refuse = |what: String, row: i64| KeyError::Shape {
        what: format!("{what} at row {row}, from which it reads beyond the usable rows"),
        expected: "switched off by a fixed column".to_owned(),
        found: "switched on".to_owned(),
    };
    let is_zero = |factor: &Expression<Query>, row: i64| match factor {
        Expression::Leaf(Query { column: Column::Fixed { index }, rotation: 0 }) => {
            fixed.get(*index, row as usize) == 0
        }
        _ => false,
    };
    for gate in &circuit.gates {
        let is_off = |row: i64| match &gate.polynomial {
            Expression::Product(factors) => factors.iter().any(|factor| is_zero(factor, row)),
            other => is_zero(other, row),
        };
        if let Some(row) = outside_rows(circuit, &[&gate.polynomial]).find(|row| !is_off(*row)) {
            return Err(refuse(format!("gate `{}`", gate.name), row));
        }
    }
    for lookup in &circuit.lookups {
        let parts: Vec<_> = lookup.tuple.iter().chain([&lookup.tag]).collect();
        let is_on = |row: &i64| fixed.get(lookup.selector, *row as usize) != 0;
        if let Some(row) = outside_rows(circuit, &parts).find(is_on) {
            return Err(refuse(format!("lookup `{}`", lookup.name), row));
        }
    }
    Ok(())
}

/// Usable rows from which some rotation of the expressions leaves the usable rows.
fn outside_rows(circuit: &Circuit, expressions: &[&Expression<Query>]) -> impl Iterator<Item = i64> + use<> {
    let (mut low, mut high) = (0_i64, 0_i64);
    for expression in expressions {
        expression.leaves(&mut |query| {
            if matches!(query.column, Column::Advice { .. }) {
                low = low.min(i64::from(query.rotation));
                high = high.max(i64::from(query.rotation));
            }
        });
    }
    let usable = circuit.usable() as i64;
    (0..-low).chain(usable - high..usable)
}

/// The SRS's powers and Lagrange points that a circuit needs, on the device, after a check that they belong to its pin.
pub(crate) fn checked_bases<B: Backend>(
    backend: &B,
    srs: &Srs,
    circuit: &Circuit,
) -> Result<(B::Bases, B::Bases), KeyError> {
    srs.check_length(circuit.srs_length())?;
    let lagrange = srs.lagrange(circuit.log_rows).ok_or_else(|| KeyError::Shape {
        what: "Lagrange points of the SRS".to_owned(),
        expected: format!("log size {}", circuit.log_rows),
        found: "none of that size".to_owned(),
    })?;
    let length = circuit.srs_length() as usize;
    let powers = srs.powers().get(..length).unwrap_or(srs.powers());
    let wrong = |what: &str| KeyError::Srs(SrsError::Inconsistent(what.to_owned()));
    if !check::are_powers(srs.pin(), powers)? {
        return Err(wrong("its points are not the powers of its own tau"));
    }
    let (powers, lagrange) = (backend.upload_bases(powers)?, backend.upload_bases(lagrange)?);
    if !check::are_lagrange(backend, &powers, &lagrange, circuit.rows())? {
        return Err(wrong(
            "its Lagrange points do not belong to its powers; delete the cache or import the SRS again",
        ));
    }
    Ok((powers, lagrange))
}

/// Commitments to the fixed columns, without hiding.
pub(crate) fn commit_fixed<B: Backend>(
    backend: &B,
    lagrange: &B::Bases,
    fixed: &FixedValues,
) -> Result<Vec<G1Affine>, BackendError> {
    let columns: Vec<&[i64]> = fixed.columns.iter().map(Vec::as_slice).collect();
    commit_integers(backend, lagrange, &columns, |_| G1Projective::default())
}

/// Commitments to the rows of a matrix, without hiding.
pub(crate) fn commit_rows<B: Backend>(
    backend: &B,
    powers: &B::Bases,
    rows: &[&[i64]],
) -> Result<Vec<G1Affine>, BackendError> {
    commit_integers(backend, powers, rows, |_| G1Projective::default())
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
    let (powers, lagrange) = checked_bases(backend, srs, &circuit)?;
    let fixed_points = commit_fixed(backend, &lagrange, &fixed)?;
    drop(lagrange);
    let context = [&circuit.digest()[..], &weights.to_vec()].concat();
    let mut random = Blinding::for_key(&context).map_err(KeyError::Randomness)?;
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
