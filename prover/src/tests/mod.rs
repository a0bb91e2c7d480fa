//! Tests that need the prover's inside: forgeries, zero-knowledge ranks, mutations of every proof field.

mod early;
mod honest;
mod lattice;
mod sample;
mod teeth;
