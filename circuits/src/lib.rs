//! Layers and gadgets: lowers an integer network to a PLONKish circuit and fills its witness.
//!
//! [`compile()`] turns a [`zkloom_model::integer_graph::IntegerGraph`] into a [`Compiled`]: the circuit that prover and verifier
//! share, the values of its fixed columns, and the [`Layout`] that says which tensor lies where. [`Compiled::witness`] fills
//! the trace for one input. Nothing here knows a backend, a transcript or a proof.
//!
//! How a network becomes a circuit:
//!
//! - There are `w` *lanes* of three advice columns each: accumulators, activations (both tensor columns) and remainders. Every
//!   tensor is cut into `w` equal runs, one for each lane, on the same rows of all lanes; an accumulator and its activation
//!   share lane and row ([`layout`]).
//! - Requantisation and activation are two lookups on these rows, and no gate ([`gadgets::requantise`], [`tables`]).
//! - Linear layers and sums are claims between views of the tensor columns and take no rows ([`layers`], [`views`]).
//! - Lanes and rows are chosen by a cost model ([`cost`]).
//!
//! The reading order is [`compile`](mod@compile), [`plan`], [`layers`], [`gadgets::requantise`], [`layout`], [`witness`].

#![forbid(unsafe_code)]

pub mod audit;
pub mod compile;
pub mod cost;
pub mod error;
pub mod gadgets;
pub mod layers;
pub mod layout;
mod lowering;
pub mod plan;
pub mod report;
pub mod tables;
pub mod views;
pub mod witness;

pub use audit::{AuditError, audit};
pub use compile::{CompileOptions, Compiled, Visibility, WeightVisibility, compile, weights};
pub use error::{CompileError, WitnessError};
pub use layout::Layout;
pub use report::{CompileReport, LayerReport};
