//! The prover's halves of the rounds, under the file names of their verifier halves.

pub mod evaluations;
pub mod folds;
pub mod link;
pub mod opening;
pub mod quotient;
pub mod trace;
