//! Round 2: folds of the matrix inputs and products, and the lookup argument's helpers and running sum.

use ark_bn254::{Fr, G1Affine};

use crate::transcript::{Message, Transcript};

/// Commitments of round 2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoldMessage {
    /// Folds that exist, in the order input, left, right.
    pub folds: Vec<G1Affine>,
    /// Helpers.
    pub helpers: Vec<G1Affine>,
    /// Running sum, where there are lookups.
    pub running_sum: Option<G1Affine>,
}

/// Challenges that depend on the folds.
#[derive(Clone, Copy, Debug)]
pub struct FoldChallenges {
    /// Where folds are compared with the trace, and where the link opens the coefficient forms.
    pub beta: Fr,
    /// Weights folds and the mask claim.
    pub mu: Fr,
    /// Combines tensor columns in the link, g.
    pub link: Fr,
}

impl FoldMessage {
    /// Absorbs the message and draws.
    ///
    /// Soundness: a fold is compared with the view's polynomial at beta and weighted by mu; both come after its
    /// commitment, otherwise one wrong entry could be balanced by another. g combines the tensor columns of the link, whose
    /// both forms are committed since round 1, so that a difference in one column cannot hide behind another's.
    pub fn absorb(&self, transcript: &mut impl Transcript) -> FoldChallenges {
        let mut message = Message::new();
        message.points(&self.folds).points(&self.helpers).points(&self.running_sum);
        transcript.absorb("round2", &message);
        FoldChallenges {
            beta: transcript.challenge("beta"),
            mu: transcript.challenge("mu"),
            link: transcript.challenge("g"),
        }
    }
}
