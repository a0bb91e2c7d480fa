//! Why a proof is not accepted.

use zkloom_plonkish::DecodeError;

/// A proof that is not accepted, or inputs that do not fit together. None of these depends on secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The key was made with another structured reference string than the one the verifier trusts.
    #[error("the key belongs to the structured reference string {key}, the verifier trusts {pinned}")]
    OtherSrs {
        /// Identity in the key, in hexadecimal.
        key: String,
        /// Identity of the pinned one.
        pinned: String,
    },
    /// The statement has another shape than the key's.
    #[error("the statement has {found} {what}, the key expects {expected}")]
    StatementShape {
        /// What is counted.
        what: String,
        /// What the key expects.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A public value is outside the interval that the key allows.
    #[error("public tensor `{tensor}`: value {value} at position {index} is outside {min}..={max}")]
    PublicRange {
        /// Name of the tensor.
        tensor: String,
        /// Position in it.
        index: usize,
        /// The value.
        value: i64,
        /// Smallest allowed value.
        min: i64,
        /// Largest allowed value.
        max: i64,
    },
    /// The bytes are no proof for this key.
    #[error("the proof cannot be read: {0}")]
    Encoding(#[from] DecodeError),
    /// The proof has another shape than the key's.
    #[error("the proof has {found} {what}, the key expects {expected}")]
    ProofShape {
        /// What is counted.
        what: &'static str,
        /// What the key expects.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// Opening points coincide or are degenerate, which happens to an honest proof with negligible probability.
    #[error("degenerate challenge: {what}")]
    Degenerate {
        /// Which condition failed.
        what: &'static str,
    },
    /// The key is inconsistent; it was not made by key generation.
    #[error("the key is inconsistent: {what}")]
    Key {
        /// What is wrong.
        what: String,
    },
    /// The pairing equation does not hold: the proof is wrong for this key and statement.
    #[error("the proof is not valid for this key and these public values")]
    Invalid,
}
