//! Structured reference strings, key generation and the zkLoom prover, generic over the device.
//!
//! The prover never sees a layer or a model: it takes a circuit, the values that its key fixes, and a witness. The rounds
//! have the file names of their verifier halves in `zkloom-verifier`. All arithmetic is variable time.

#![forbid(unsafe_code)]

pub mod audit;
pub mod device;
pub mod error;
pub mod expand;
pub mod key;
pub mod lookup;
pub mod program;
pub mod prove;
pub mod randomness;
mod reciprocal;
pub mod rounds;
pub mod srs;

#[cfg(test)]
mod tests;

pub use audit::AuditError;
pub use device::Prover;
pub use error::ProveError;
pub use key::{KeyError, ProvingKey};
pub use prove::{Proved, ProverInput, Stage, Timing};
pub use srs::{Srs, SrsError};
