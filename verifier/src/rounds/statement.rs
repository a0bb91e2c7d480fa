//! Round 0: what the proof is about.

use ark_bn254::G1Affine;
use zkloom_plonkish::Circuit;
use zkloom_plonkish::field::{from_integer, to_bytes};

use crate::error::VerifyError;
use crate::group::uncompressed;
use crate::key::VerifyingKey;
use crate::transcript::{Message, Transcript};

/// Version of the protocol, absorbed first.
pub const PROTOCOL_VERSION: u32 = 1;

/// Public values and external commitments, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Values of each public tensor.
    pub publics: Vec<Vec<i64>>,
    /// Commitment of each external vector.
    pub externals: Vec<G1Affine>,
}

impl Statement {
    /// Checks shape and intervals.
    ///
    /// Soundness: cells that equal public values have their interval from this check alone (origin rule); without it a
    /// value that differs by a multiple of the field's order from a small one would pass for it.
    pub fn check(&self, circuit: &Circuit) -> Result<(), VerifyError> {
        let shape = |what: String, expected: usize, found: usize| {
            if expected == found {
                Ok(())
            } else {
                Err(VerifyError::StatementShape { what, expected, found })
            }
        };
        shape("public tensors".to_owned(), circuit.publics.len(), self.publics.len())?;
        shape("external commitments".to_owned(), circuit.externals.len(), self.externals.len())?;
        for (public, values) in circuit.publics.iter().zip(&self.publics) {
            shape(
                format!("values of public tensor `{}`", public.name),
                public.length as usize,
                values.len(),
            )?;
            let interval = public.interval;
            if let Some((index, value)) =
                values.iter().enumerate().find(|(_, value)| !interval.contains(**value))
            {
                return Err(VerifyError::PublicRange {
                    tensor: public.name.clone(),
                    index,
                    value: *value,
                    min: interval.min,
                    max: interval.max,
                });
            }
        }
        Ok(())
    }

    /// Absorbs protocol version, SRS identity, key digest, public tensors, external commitments.
    ///
    /// Soundness: every later challenge depends on the key and on all public values, so none of them can be chosen to
    /// fit. theta_P in particular compares a tensor with public values and external vectors, and must come after both.
    pub fn absorb(&self, key: &VerifyingKey, transcript: &mut impl Transcript) {
        let mut message = Message::new();
        message.item(&PROTOCOL_VERSION.to_be_bytes()).item(&key.srs()).item(&key.digest());
        let circuit = key.circuit();
        for (public, values) in circuit.publics.iter().zip(&self.publics) {
            let mut bytes = public.identifier.to_be_bytes().to_vec();
            bytes.extend((values.len() as u64).to_be_bytes());
            values.iter().for_each(|value| bytes.extend(to_bytes(from_integer(*value))));
            message.item(&bytes);
        }
        for (external, commitment) in circuit.externals.iter().zip(&self.externals) {
            let mut bytes = external.identifier.to_be_bytes().to_vec();
            bytes.extend(u64::from(external.length).to_be_bytes());
            bytes.extend(uncompressed(commitment));
            message.item(&bytes);
        }
        transcript.absorb("statement", &message);
    }
}
