//! Constant, and what does nothing at inference: Identity and Dropout.

use std::rc::Rc;

use super::super::constant::{Constant, Elements};
use super::super::error::ImportError;
use super::super::lowering::{Binding, Lowering};
use super::super::node::Node;

pub(super) fn constant(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let made = |shape, elements| Constant { name: node.name(), shape, elements };
    let constant = if let Some(tensor) = node.attribute("value").and_then(|attribute| attribute.t.as_ref()) {
        Constant::from_proto(tensor, &node.name())?
    } else if let Some(attribute) = node.attribute("value_float") {
        made(vec![], Elements::Floats(vec![attribute.f]))
    } else if let Some(attribute) = node.attribute("value_floats") {
        made(vec![attribute.floats.len()], Elements::Floats(attribute.floats.clone()))
    } else if let Some(attribute) = node.attribute("value_int") {
        made(vec![], Elements::Integers(vec![attribute.i]))
    } else if let Some(attribute) = node.attribute("value_ints") {
        made(vec![attribute.ints.len()], Elements::Integers(attribute.ints.clone()))
    } else {
        return Err(node.unsupported("its value is neither a dense tensor nor numbers"));
    };
    lowering.bind(node, Binding::Constant(Rc::new(constant)))
}

pub(super) fn identity(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let operand = lowering.operand(node, 0)?;
    lowering.bind(node, operand)
}

pub(super) fn dropout(lowering: &mut Lowering, node: &Node) -> Result<(), ImportError> {
    let training = lowering.constant(node, 2)?;
    if let Some(training) = training
        && training.integers()?.iter().any(|&mode| mode != 0)
    {
        return Err(node.unsupported("it is in training mode; export the network in evaluation mode"));
    }
    identity(lowering, node)
}
