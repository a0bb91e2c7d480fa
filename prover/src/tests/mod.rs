//! Tests that need the prover's inside: forgeries, zero-knowledge ranks, mutations of every proof field.

mod honest;
mod sample;
