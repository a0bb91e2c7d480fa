//! The Fiat-Shamir transcript (protocol, section 5, "Encoding").
//!
//! `state := H(protocol string)`; absorbing hashes the state with a labelled list; a challenge is 64 bytes of hash reduced
//! modulo the field's order, after which the state moves on. Labels are shorter than any ASCII letter's code, so that no
//! absorbed message can be mistaken for a challenge.

use ark_bn254::{Fr, G1Affine};
use ark_ff::PrimeField;
use sha3::Digest;
use zkloom_plonkish::field::to_bytes;
use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};

use crate::group::uncompressed;

/// The hash of a transcript, chosen when a key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    /// Keccak-256, cheap on Ethereum-like chains.
    Keccak256,
    /// Blake3, fast everywhere else.
    Blake3,
}

impl HashKind {
    /// The string that starts every transcript.
    pub fn protocol(self) -> &'static str {
        match self {
            Self::Keccak256 => "zkLoom v1 row-mode KZG BN254 Keccak-256",
            Self::Blake3 => "zkLoom v1 row-mode KZG BN254 Blake3",
        }
    }

    /// Hash of the concatenation of the parts.
    pub fn hash(self, parts: &[&[u8]]) -> [u8; 32] {
        match self {
            Self::Keccak256 => {
                let mut hasher = sha3::Keccak256::new();
                parts.iter().for_each(|part| hasher.update(part));
                hasher.finalize().into()
            }
            Self::Blake3 => {
                let mut hasher = blake3::Hasher::new();
                parts.iter().for_each(|part| {
                    hasher.update(part);
                });
                *hasher.finalize().as_bytes()
            }
        }
    }
}

impl Encode for HashKind {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&[match self {
            Self::Keccak256 => 0,
            Self::Blake3 => 1,
        }]);
    }
}

impl Decode for HashKind {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(reader)? {
            0 => Ok(Self::Keccak256),
            1 => Ok(Self::Blake3),
            _ => Err(reader.invalid("unknown transcript hash")),
        }
    }
}

/// A message of one round, as the list of items that is hashed.
#[derive(Debug, Default)]
pub struct Message {
    count: u32,
    bytes: Vec<u8>,
}

impl Message {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a point.
    pub fn point(&mut self, point: &G1Affine) -> &mut Self {
        self.item(&uncompressed(point))
    }

    /// Adds points.
    pub fn points<'a>(&mut self, points: impl IntoIterator<Item = &'a G1Affine>) -> &mut Self {
        points.into_iter().for_each(|point| {
            self.point(point);
        });
        self
    }

    /// Adds a field element.
    pub fn scalar(&mut self, scalar: Fr) -> &mut Self {
        self.item(&to_bytes(scalar))
    }

    /// Adds bytes that are one item.
    pub fn item(&mut self, bytes: &[u8]) -> &mut Self {
        self.count = self.count.wrapping_add(1);
        self.bytes.extend_from_slice(bytes);
        self
    }
}

/// Hashes what the prover sends and draws what the verifier would answer. Prover and verifier run the same calls in the
/// same order; each challenge is bound to everything absorbed before it.
pub trait Transcript {
    /// Absorbs a labelled message.
    fn absorb(&mut self, label: &'static str, message: &Message);

    /// Draws a challenge.
    fn challenge(&mut self, name: &'static str) -> Fr;

    /// Hash of everything so far, for batching.
    fn closing(&self) -> [u8; 32];
}

/// The transcript of real proofs.
#[derive(Clone, Debug)]
pub struct HashTranscript {
    hash: HashKind,
    state: [u8; 32],
}

impl HashTranscript {
    /// Starts with the protocol's name.
    pub fn new(hash: HashKind) -> Self {
        Self { hash, state: hash.hash(&[hash.protocol().as_bytes()]) }
    }
}

impl Transcript for HashTranscript {
    fn absorb(&mut self, label: &'static str, message: &Message) {
        let length = [label.len() as u8];
        let parts: [&[u8]; 5] =
            [&self.state, &length, label.as_bytes(), &message.count.to_be_bytes(), &message.bytes];
        self.state = self.hash.hash(&parts);
    }

    fn challenge(&mut self, name: &'static str) -> Fr {
        let draw = |index: u8| self.hash.hash(&[&self.state, name.as_bytes(), &[index]]);
        let (high, low, next) = (draw(0), draw(1), draw(2));
        let mut wide = [0; 64];
        let (left, right) = wide.split_at_mut(32);
        left.copy_from_slice(&high);
        right.copy_from_slice(&low);
        self.state = next;
        Fr::from_be_bytes_mod_order(&wide)
    }

    fn closing(&self) -> [u8; 32] {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_absorbed_changes_every_later_challenge() {
        let run = |label: &'static str, scalars: &[u64], hash| {
            let mut transcript = HashTranscript::new(hash);
            let mut message = Message::new();
            scalars.iter().for_each(|v| {
                message.scalar(Fr::from(*v));
            });
            transcript.absorb(label, &message);
            (transcript.challenge("a"), transcript.challenge("a"), transcript.closing())
        };
        let base = run("x", &[1, 2], HashKind::Keccak256);
        assert_eq!(base, run("x", &[1, 2], HashKind::Keccak256));
        assert_ne!(base.0, base.1);
        for other in [
            run("y", &[1, 2], HashKind::Keccak256),
            run("x", &[1, 3], HashKind::Keccak256),
            run("x", &[1], HashKind::Keccak256),
            run("x", &[1, 2], HashKind::Blake3),
        ] {
            assert_ne!(base.0, other.0);
            assert_ne!(base.2, other.2);
        }
    }

    #[test]
    fn keccak_is_the_original_padding() {
        let empty = HashKind::Keccak256.hash(&[]);
        assert_eq!(empty[..4], [0xc5, 0xd2, 0x46, 0x01]);
    }
}
