//! The rounds, one file each: what is sent, how it is absorbed, which challenges follow. The prover's halves have the same
//! file names.

pub mod evaluations;
pub mod folds;
pub mod link;
pub mod opening;
pub mod quotient;
pub mod statement;
pub mod trace;
