//! The zkLoom protocol: transcript, keys, proofs and their verification.
//!
//! This crate defines the protocol; the prover follows it. It has no unsafe code, no threads and no backend, it cannot
//! panic on any input, and it builds for `wasm32-unknown-unknown`. The protocol page in `docs/protocol.md` is the
//! normative text; the files in [`rounds`] have the names of its rounds.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use zkloom_plonkish::Decode;
//! use zkloom_verifier::{verify, Proof, SrsPin, Statement, VerifyingKey};
//! let pin = SrsPin::from_slice(&std::fs::read("srs.pin")?)?;
//! let key = VerifyingKey::from_slice(&std::fs::read("key")?)?;
//! let statement = Statement { publics: vec![vec![3, 5]], externals: vec![] };
//! let proof = Proof::from_bytes(&key, &std::fs::read("proof")?)?;
//! verify(&key, &pin, &statement, &proof)?;
//! # Ok(()) }
//! ```

#![forbid(unsafe_code)]

pub mod batch;
pub mod error;
pub mod group;
pub mod identities;
pub mod key;
pub mod linear;
pub mod openings;
pub mod polynomial;
pub mod proof;
pub mod rounds;
pub mod srs;
pub mod transcript;
pub mod verify;

pub use ark_bn254::{Fr, G1Affine, G2Affine};
pub use batch::verify_batch;
pub use error::VerifyError;
pub use key::VerifyingKey;
pub use polynomial::PolynomialId;
pub use proof::Proof;
pub use rounds::statement::Statement;
pub use srs::{SrsKind, SrsPin};
pub use transcript::{HashKind, Transcript};
pub use verify::{verify, verify_with};
