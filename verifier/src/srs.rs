//! What a verifier must know of a structured reference string, and pins for itself: it is never taken from a key.

use ark_bn254::{G1Affine, G2Affine};
use ark_ec::AffineRepr;
use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};

use crate::group::{read_g2, read_uncompressed, uncompressed, write_g2};

/// Where a structured reference string comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrsKind {
    /// From a ceremony; secure if one participant was honest.
    Ceremony,
    /// Made locally from a known secret: anyone who saw it can forge proofs. For tests and development.
    Development,
}

/// The points that verification uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrsPin {
    /// Where it comes from.
    pub kind: SrsKind,
    /// `[1]_1`.
    pub one_g1: G1Affine,
    /// `[tau]_1`.
    pub tau_g1: G1Affine,
    /// `[gamma]_1`, the generator of hiding.
    pub gamma_g1: G1Affine,
    /// `[1]_2`.
    pub one_g2: G2Affine,
    /// `[tau]_2`.
    pub tau_g2: G2Affine,
    /// `[gamma]_2`.
    pub gamma_g2: G2Affine,
}

impl SrsPin {
    /// Blake3 of the encoding: kind and all points.
    pub fn identity(&self) -> [u8; 32] {
        *blake3::hash(&self.to_vec()).as_bytes()
    }

    /// Checks that both groups speak of the same tau and gamma, and that these are no secrets that everyone knows: a
    /// ceremony without any contribution has tau = gamma = 1, and every proof passes under it.
    pub fn is_consistent(&self) -> bool {
        use ark_ec::pairing::Pairing;
        let same = |in_g1: G1Affine, in_g2: G2Affine| {
            let sum = ark_bn254::Bn254::multi_pairing(
                [in_g1, (-self.one_g1.into_group()).into()],
                [self.one_g2, in_g2],
            );
            sum.0 == ark_ff::One::one()
        };
        let points = [self.one_g1, self.tau_g1, self.gamma_g1];
        let known = |a: G1Affine, b: G1Affine| a == b || a == -b;
        points.iter().all(|point| !point.is_zero())
            && !known(self.tau_g1, self.one_g1)
            && !known(self.gamma_g1, self.one_g1)
            && !known(self.tau_g1, self.gamma_g1)
            && same(self.tau_g1, self.tau_g2)
            && same(self.gamma_g1, self.gamma_g2)
    }
}

impl Encode for SrsPin {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&[u8::from(self.kind == SrsKind::Development)]);
        for point in [self.one_g1, self.tau_g1, self.gamma_g1] {
            writer.raw(&uncompressed(&point));
        }
        for point in [&self.one_g2, &self.tau_g2, &self.gamma_g2] {
            write_g2(writer, point);
        }
    }
}

impl Decode for SrsPin {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = if bool::decode(reader)? { SrsKind::Development } else { SrsKind::Ceremony };
        let pin = Self {
            kind,
            one_g1: read_uncompressed(reader)?,
            tau_g1: read_uncompressed(reader)?,
            gamma_g1: read_uncompressed(reader)?,
            one_g2: read_g2(reader)?,
            tau_g2: read_g2(reader)?,
            gamma_g2: read_g2(reader)?,
        };
        if pin.is_consistent() {
            Ok(pin)
        } else {
            Err(reader
                .invalid("the two groups speak of different secrets, or of secrets that everyone knows"))
        }
    }
}
