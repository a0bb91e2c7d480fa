//! Round 1: the trace is committed.

use ark_bn254::{Fr, G1Affine};
use zkloom_plonkish::Circuit;

use crate::identities::LookupChallenges;
use crate::transcript::{Message, Transcript};

/// Commitments to an advice column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdviceCommitment {
    /// Row form.
    pub row: G1Affine,
    /// Coefficient form, for tensor columns.
    pub coefficients: Option<G1Affine>,
}

/// Commitments to all advice columns and multiplicities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceMessage {
    /// Advice columns in key order.
    pub advice: Vec<AdviceCommitment>,
    /// Multiplicities of each table set.
    pub multiplicities: Vec<G1Affine>,
}

/// Challenges that depend on the whole trace.
#[derive(Clone, Debug)]
pub struct TraceChallenges {
    /// One for each axis role, theta.
    pub roles: Vec<Fr>,
    /// Compares tensors with public values and external vectors, theta_P.
    pub public: Fr,
    /// Weights claims, lambda.
    pub lambda: Fr,
    /// The lookup argument's x and gamma_l.
    pub lookup: LookupChallenges,
}

impl TraceMessage {
    /// Absorbs the message and draws.
    ///
    /// Soundness: the thetas contract tensors and the key's rows; had the prover known them, it could move two cells of an
    /// output against each other. lambda weights claims; known early, errors in two claims cancel. x and gamma_l evaluate
    /// the logUp identity of looked-up columns and multiplicities, both in this message; known early, a multiplicity can be
    /// solved for, or a tuple of one table made to collide with another's.
    pub fn absorb(&self, circuit: &Circuit, transcript: &mut impl Transcript) -> TraceChallenges {
        let mut message = Message::new();
        for column in &self.advice {
            message.point(&column.row).points(&column.coefficients);
        }
        message.points(&self.multiplicities);
        transcript.absorb("round1", &message);
        TraceChallenges {
            roles: circuit.roles.iter().map(|_| transcript.challenge("theta")).collect(),
            public: transcript.challenge("theta_P"),
            lambda: transcript.challenge("lambda"),
            lookup: LookupChallenges {
                point: transcript.challenge("x"),
                gamma: transcript.challenge("gamma_l"),
            },
        }
    }
}
