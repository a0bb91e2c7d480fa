//! Layers and gadgets: lowers an integer network to a PLONKish circuit and fills its witness.
//!
//! [`compile()`] turns a [`zkloom_model::integer_graph::IntegerGraph`] into a [`Compiled`]: the circuit that prover and verifier
//! share, the values of its fixed columns, and the [`Layout`] that says which tensor lies where. [`Compiled::witness`] fills
//! the trace for one input. Nothing here knows a backend, a transcript or a proof.
//!
//! How a network becomes a circuit:
//!
//! - There are `w` *lanes* of three advice columns each: accumulators, activations (both tensor columns) and remainders. What is
//!   computed makes *blocks*: a block is cut into `w` equal runs, one for each lane, on the same rows of all lanes; an
//!   accumulator and its activation share lane and row ([`plan`], [`layout`]).
//! - Requantisation and activation are two lookups on these rows, and no gate ([`gadgets::requantise`], [`tables`]). Maxima,
//!   products of tensors and indices of the largest element are sums and such lookups.
//! - Linear layers are claims between cells and take no rows ([`products`]); what only moves or adds elements is nothing but a
//!   description of where they lie ([`patches`]), which claims read through ([`reading`]).
//! - Lanes and rows are chosen by a cost model ([`cost`]).
//! - All of this is a function of the network without its weights, so that anyone can make it again ([`structure`], [`audit()`]).
//!
//! The reading order is [`compile`](mod@compile), [`plan`], [`patches`], [`products`], [`reading`], [`gadgets::requantise`],
//! [`layout`], [`witness`].

#![forbid(unsafe_code)]

pub mod audit;
pub mod compile;
pub mod cost;
pub mod error;
mod functions;
pub mod gadgets;
pub mod layout;
mod lowering;
pub mod patches;
pub mod plan;
pub mod products;
pub mod radix;
pub mod reading;
pub mod report;
pub mod structure;
pub mod tables;
pub mod witness;

pub use audit::{AuditError, audit};
pub use compile::{CompileOptions, Compiled, Visibility, WeightVisibility, compile};
pub use error::{CompileError, WitnessError};
pub use layout::Layout;
pub use report::{CompileReport, LayerReport};
