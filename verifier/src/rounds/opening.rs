//! Rounds 6 to 8: the opening proof.

use ark_bn254::{Fr, G1Affine};

use crate::transcript::{Message, Transcript};

/// The opening proof: SHPLONK's two commitments and the correction of hiding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpeningMessage {
    /// Combination of the items' quotients.
    pub first: G1Affine,
    /// Quotient of their linearisation at u'.
    pub second: G1Affine,
    /// What hiding adds, without `[gamma]`.
    pub delta: G1Affine,
}

/// u', where the combined quotients are compared.
#[derive(Clone, Copy, Debug)]
pub struct ComparisonPoint(pub Fr);

/// Absorbs the first commitment and draws u'.
///
/// Soundness: the items' quotients are checked at u' only, so that it must come after their commitment.
pub fn absorb_first(first: &G1Affine, transcript: &mut impl Transcript) -> ComparisonPoint {
    let mut message = Message::new();
    message.point(first);
    transcript.absorb("pi1", &message);
    ComparisonPoint(transcript.challenge("u"))
}

/// Absorbs the rest, so that the transcript's end binds the whole proof (batch verification weighs proofs by it).
pub fn absorb_rest(opening: &OpeningMessage, transcript: &mut impl Transcript) {
    for (label, point) in [("pi2", &opening.second), ("delta", &opening.delta)] {
        let mut message = Message::new();
        message.point(point);
        transcript.absorb(label, &message);
    }
}
