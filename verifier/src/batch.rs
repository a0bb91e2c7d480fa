//! Many proofs under one structured reference string with one pairing check.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::PrimeField;

use crate::error::VerifyError;
use crate::group::{affine, linear_combination};
use crate::key::VerifyingKey;
use crate::proof::Proof;
use crate::rounds::statement::Statement;
use crate::srs::SrsPin;
use crate::transcript::{HashKind, HashTranscript, Transcript};
use crate::verify::Equation;

/// Checks many proofs, of the same circuit or of different ones. An error tells that at least one is wrong; which one,
/// [`crate::verify()`] tells.
///
/// Soundness: each whole equation is weighted by 128 bits of a hash of all complete transcripts, statements and keys
/// included, so that errors of different proofs cancel with negligible probability only.
pub fn verify_batch(pin: &SrsPin, proofs: &[(&VerifyingKey, &Statement, &Proof)]) -> Result<(), VerifyError> {
    let mut equations = Vec::with_capacity(proofs.len());
    let mut closings = Vec::with_capacity(32 * proofs.len());
    for (key, statement, proof) in proofs {
        let mut transcript = HashTranscript::new(key.hash());
        equations.push(Equation::new(key, pin, statement, proof, &mut transcript)?);
        closings.extend_from_slice(&transcript.closing());
    }
    let seed = HashKind::Blake3.hash(&[b"zkLoom v1 batch", &closings]);
    let weight = |index: usize| {
        let hash = HashKind::Blake3.hash(&[&seed, &(index as u64).to_be_bytes()]);
        let (low, _) = hash.split_at(16);
        Fr::from_be_bytes_mod_order(low)
    };
    let weights: Vec<Fr> = (0..equations.len()).map(weight).collect();
    let combine = |part: fn(&Equation) -> G1Affine| {
        let points: Vec<G1Affine> = equations.iter().map(part).collect();
        let sum: G1Projective = linear_combination(&points, &weights);
        affine(sum)
    };
    let total = Equation {
        sum: combine(|equation| equation.sum),
        second: combine(|equation| equation.second),
        delta: combine(|equation| equation.delta),
    };
    if total.holds(pin) { Ok(()) } else { Err(VerifyError::Invalid) }
}
