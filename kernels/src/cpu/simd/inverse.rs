//! The inverse of one element.

use ark_ff::Field;

use super::{Element, Modulus};

/// The inverse; nothing for zero.
pub(crate) fn inverse<M: Modulus>(element: &Element<M>) -> Option<Element<M>> {
    element.inverse()
}
