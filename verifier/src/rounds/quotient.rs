//! Round 4: the quotient of the row identities.

use ark_bn254::{Fr, G1Affine};

use crate::transcript::{Message, Transcript};

/// Pieces of the quotient: `t = sum_i X^(iN) t_i`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotientMessage {
    /// The pieces.
    pub pieces: Vec<G1Affine>,
}

/// z, where everything is opened.
#[derive(Clone, Copy, Debug)]
pub struct EvaluationPoint(pub Fr);

impl QuotientMessage {
    /// Absorbs the message and draws z.
    ///
    /// Soundness: identities of polynomials are checked at z (Schwartz-Zippel); it must come after the quotient and after
    /// S, or either could be made to fit at that one point.
    pub fn absorb(&self, transcript: &mut impl Transcript) -> EvaluationPoint {
        let mut message = Message::new();
        message.points(&self.pieces);
        transcript.absorb("round4", &message);
        EvaluationPoint(transcript.challenge("z"))
    }
}
