//! The verification key.

use std::sync::OnceLock;

use ark_bn254::G1Affine;
use zkloom_plonkish::{Circuit, Decode, DecodeError, Encode, Reader, Writer};

use crate::error::VerifyError;
use crate::group::{read_points, write_points};
use crate::transcript::HashKind;

/// Most blinding rows of a circuit that a verifier accepts. It evaluates a Lagrange polynomial for each, so a key with
/// millions of them could keep it busy; proofs need about as many as opened rotations.
pub const MAX_BLINDING_ROWS: u32 = 1 << 12;

/// What a verifier holds of a circuit: its shape, the commitments to its fixed columns and to the rows of its matrices.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    circuit: Circuit,
    hash: HashKind,
    srs: [u8; 32],
    context: [u8; 32],
    fixed: Vec<G1Affine>,
    matrices: Vec<Vec<G1Affine>>,
    digest: OnceLock<[u8; 32]>,
}

impl VerifyingKey {
    /// Puts a key together and checks that its parts fit.
    pub fn new(
        circuit: Circuit,
        hash: HashKind,
        srs: [u8; 32],
        fixed: Vec<G1Affine>,
        matrices: Vec<Vec<G1Affine>>,
    ) -> Result<Self, VerifyError> {
        let wrong = |what: String| VerifyError::Key { what };
        circuit.validate().map_err(|error| wrong(error.to_string()))?;
        if circuit.blinding_rows > MAX_BLINDING_ROWS {
            let found = circuit.blinding_rows;
            return Err(wrong(format!(
                "the number of blinding rows is {found}, allowed are at most {MAX_BLINDING_ROWS}"
            )));
        }
        if fixed.len() != circuit.fixed.len() {
            return Err(wrong(format!(
                "{} commitments for {} fixed columns",
                fixed.len(),
                circuit.fixed.len()
            )));
        }
        if matrices.len() != circuit.matrices.len() {
            return Err(wrong(format!(
                "commitments for {} of {} matrices",
                matrices.len(),
                circuit.matrices.len()
            )));
        }
        for (matrix, rows) in circuit.matrices.iter().zip(&matrices) {
            if rows.len() != matrix.rows as usize {
                let count = rows.len();
                return Err(wrong(format!(
                    "{count} commitments for the {} rows of `{}`",
                    matrix.rows, matrix.name
                )));
            }
        }
        Ok(Self { circuit, hash, srs, context: [0; 32], fixed, matrices, digest: OnceLock::new() })
    }

    /// The circuit's shape.
    pub fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// Hash of the transcript.
    pub fn hash(&self) -> HashKind {
        self.hash
    }

    /// Identity of the structured reference string it was made with.
    pub fn srs(&self) -> [u8; 32] {
        self.srs
    }

    /// The same key, bound to a hash of whatever an application wants its proofs to be bound to: names and scales of public
    /// tensors, for instance. It changes the key's digest.
    pub fn with_context(self, context: [u8; 32]) -> Self {
        Self { context, digest: OnceLock::new(), ..self }
    }

    /// The application's hash; zeros if it binds nothing.
    pub fn context(&self) -> [u8; 32] {
        self.context
    }

    /// Commitments to the fixed columns, in key order.
    pub fn fixed(&self) -> &[G1Affine] {
        &self.fixed
    }

    /// Commitments to the rows of each matrix, in key order.
    pub fn matrices(&self) -> &[Vec<G1Affine>] {
        &self.matrices
    }

    /// Hash of the encoding, with the transcript's hash. Every proof is bound to it.
    pub fn digest(&self) -> [u8; 32] {
        *self.digest.get_or_init(|| self.hash.hash(&[&self.to_vec()]))
    }
}

impl Encode for VerifyingKey {
    fn encode(&self, writer: &mut Writer) {
        self.hash.encode(writer);
        writer.raw(&self.srs);
        writer.raw(&self.context);
        self.circuit.encode(writer);
        write_points(writer, &self.fixed);
        (self.matrices.len() as u32).encode(writer);
        self.matrices.iter().for_each(|rows| write_points(writer, rows));
    }
}

impl Decode for VerifyingKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let hash = HashKind::decode(reader)?;
        let srs = reader.array()?;
        let context = reader.array()?;
        let circuit = Circuit::decode(reader)?;
        let fixed = read_points(reader)?;
        let count = u32::decode(reader)? as usize;
        if count > reader.remaining() {
            return Err(reader.invalid("a key has more matrices than the data has bytes"));
        }
        let mut matrices = Vec::new();
        for _ in 0..count {
            matrices.push(read_points(reader)?);
        }
        Self::new(circuit, hash, srs, fixed, matrices)
            .map(|key| key.with_context(context))
            .map_err(|_| reader.invalid("the parts of the key do not fit together"))
    }
}
