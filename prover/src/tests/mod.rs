//! Tests that need the prover's inside: forgeries, zero-knowledge ranks, mutations of every proof field.

mod early;
mod export;
mod gadget;
mod honest;
mod lattice;
mod rules;
mod sample;
mod setup;
mod tampering;
mod teeth;
mod zero_knowledge;
