//! A node with its attributes, as operator lowerings read it.

use super::error::ImportError;
use super::proto::{AttributeProto, NodeProto};

/// One node of the file.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    proto: &'a NodeProto,
}

impl<'a> Node<'a> {
    pub(super) fn new(proto: &'a NodeProto) -> Self {
        Self { proto }
    }

    /// The node's name; its first output's name where it has none.
    pub(super) fn name(&self) -> String {
        match self.proto.output.first() {
            Some(output) if self.proto.name.is_empty() => output.clone(),
            _ => self.proto.name.clone(),
        }
    }

    /// The operator.
    pub(super) fn operator(&self) -> &'a str {
        &self.proto.op_type
    }

    /// The operator with its domain, if that is not ONNX's own.
    pub(super) fn qualified_operator(&self) -> String {
        match self.proto.domain.as_str() {
            "" | "ai.onnx" => self.proto.op_type.clone(),
            domain => format!("{domain}.{}", self.proto.op_type),
        }
    }

    /// The name of input `index`, if it is there and not left out.
    pub(super) fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// How many inputs are given, left-out ones counted.
    pub(super) fn inputs(&self) -> usize {
        self.proto.input.len()
    }

    /// The outputs' names.
    pub(super) fn outputs(&self) -> &'a [String] {
        &self.proto.output
    }

    /// The attribute of that name.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.proto.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// An integer attribute, or its default.
    pub(super) fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    /// A finite float attribute, or its default.
    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, ImportError> {
        let value = self.attribute(name).map_or(default, |attribute| attribute.f);
        if value.is_finite() {
            Ok(value)
        } else {
            Err(self.unsupported(format!("the attribute {name} is {value}")))
        }
    }

    /// A text attribute, or its default.
    pub(super) fn text(&self, name: &str, default: &str) -> String {
        let text = |attribute: &AttributeProto| String::from_utf8_lossy(&attribute.s).into_owned();
        self.attribute(name).map_or_else(|| default.to_string(), text)
    }

    /// A list attribute.
    pub(super) fn integers(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// The error for a form of this node that is not supported.
    pub(super) fn unsupported(&self, reason: impl Into<String>) -> ImportError {
        let operator = self.qualified_operator();
        ImportError::UnsupportedForm { node: self.name(), operator, reason: reason.into() }
    }

    /// The error for shapes that do not fit.
    pub(super) fn shape_error(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Shape { node: self.name(), operator: self.qualified_operator(), reason: reason.into() }
    }
}
