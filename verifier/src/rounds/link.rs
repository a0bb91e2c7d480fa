//! Round 3: the link of the two forms and the polynomial S of the one identity.

use ark_bn254::{Fr, G1Affine};

use crate::transcript::{Message, Transcript};

/// What is sent in round 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMessage {
    /// The link polynomial h.
    pub link: G1Affine,
    /// S.
    pub symmetric: G1Affine,
    /// `sum_f mu^f fold_f(beta)`, where a fold exists.
    pub fold_value: Option<Fr>,
    /// `sum_j g^j a^_j(beta)`: the coefficient forms, read at beta.
    pub column_value: Fr,
}

/// alpha, which weights the row identities.
#[derive(Clone, Copy, Debug)]
pub struct IdentityChallenge(pub Fr);

impl LinkMessage {
    /// Absorbs the message and draws alpha.
    ///
    /// Soundness: alpha weights the row identities, whose columns are all committed by now; known before the helpers, an
    /// error in one identity could be balanced by one in another.
    pub fn absorb(&self, transcript: &mut impl Transcript) -> IdentityChallenge {
        let mut message = Message::new();
        message.point(&self.link).point(&self.symmetric);
        self.fold_value.iter().for_each(|value| {
            message.scalar(*value);
        });
        message.scalar(self.column_value);
        transcript.absorb("round3", &message);
        IdentityChallenge(transcript.challenge("alpha"))
    }
}
