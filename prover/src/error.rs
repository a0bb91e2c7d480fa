//! Why a proof could not be made.

use zkloom_backends::BackendError;
use zkloom_verifier::VerifyError;

/// Failure of proving. No partial proof ever leaves the prover.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The device failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The witness has another shape than the circuit.
    #[error("the witness has {found} {what}, the circuit expects {expected}")]
    WitnessShape {
        /// What is counted.
        what: String,
        /// What the circuit expects.
        expected: String,
        /// What was given.
        found: usize,
    },
    /// A looked-up tuple is in no table, so no proof exists.
    #[error("lookup `{lookup}` fails at row {row}: ({tuple}) is not in its table")]
    Lookup {
        /// The lookup.
        lookup: String,
        /// The row.
        row: usize,
        /// The tuple, the table's number last.
        tuple: String,
    },
    /// The public values or commitments do not fit the circuit.
    #[error("the statement is refused: {0}")]
    Statement(VerifyError),
    /// The finished proof does not verify: the witness violates a gate or a claim, or a device computed wrongly.
    #[error(
        "the finished proof does not verify ({0}); it was discarded. The witness violates the circuit, or the device is faulty"
    )]
    SelfCheck(VerifyError),
    /// A challenge fell on a degenerate value; trying again helps.
    #[error("{0}; try again")]
    Degenerate(VerifyError),
    /// The operating system gave no randomness.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
}
