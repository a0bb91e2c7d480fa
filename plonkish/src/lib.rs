//! Backend-neutral description of PLONKish circuits with linear claims, and a mock checker.
//!
//! A [`Circuit`] is the shape that prover and verifier share: columns, gates, lookups, views on tensor columns, and the
//! linear claims between tensors. It holds no witness and no commitment. Everything here is total: no input, however
//! malformed, makes it panic, since the verifier reads circuits from files that it does not trust.
//!
//! The reading order is [`circuit`], [`view`], [`claim`], [`lookup`], [`validate`], [`mock`].

#![forbid(unsafe_code)]

mod bounds;
pub mod circuit;
pub mod claim;
pub mod codec;
pub mod cost;
pub mod evaluator;
pub mod expression;
pub mod field;
pub mod lookup;
pub mod mock;
pub mod origin;
pub mod validate;
pub mod view;
pub mod witness;

pub use ark_bn254::Fr;
pub use circuit::{AdviceColumn, Circuit, Copy, ExternalVector, FixedColumn, Gate, PublicTensor};
pub use claim::{CellRun, Claim, ConstantOnes, FoldKind, Matrix, Relation};
pub use codec::{Decode, DecodeError, Encode, Reader, Writer};
pub use expression::{Column, Expression, Query};
pub use lookup::{Lookup, TableIndex, TableSet};
pub use origin::{Interval, Origin, Piece, Tensor};
pub use validate::CircuitError;
pub use view::{Assignment, Axis, Monomial, Segment, Variable, View};
pub use witness::{FixedValues, IntegerMatrix, Witness};
