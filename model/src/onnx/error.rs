//! What can be wrong with an ONNX file.

use std::path::PathBuf;

use thiserror::Error;

/// A node whose operator is not in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedOperator {
    /// The node's name; its first output's name where it has none.
    pub node: String,
    /// The operator, with its domain if that is not ONNX's own.
    pub operator: String,
}

/// Why a model was not imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The operating system would not read it.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The bytes are no ONNX model.
    #[error("this is not an ONNX model ({reason}); export the network to ONNX first")]
    NotOnnx {
        /// What the decoder found.
        reason: String,
    },
    /// The file ends inside a field.
    #[error(
        "the ONNX file is cut off: it needs at least {needed} bytes and has {found}; copy or export it again"
    )]
    Truncated {
        /// Bytes needed.
        needed: u64,
        /// Bytes present.
        found: u64,
    },
    /// The model has no graph or does not say its operator set.
    #[error("the ONNX model has no {part}; the file is incomplete, export it again")]
    Incomplete {
        /// What is missing.
        part: &'static str,
    },
    /// An operator set outside [`super::OPSETS`].
    #[error("the model uses ONNX operator set {found}; export it with opset_version between 9 and 21")]
    Opset {
        /// The model's version.
        found: i64,
    },
    /// No input besides the initializers.
    #[error(
        "the network has no input; export it with its input as a graph input, not folded into a constant"
    )]
    NoInput,
    /// More than one input.
    #[error("the network has {} inputs ({}); only networks with one input are supported", names.len(), names.join(", "))]
    SeveralInputs {
        /// Their names.
        names: Vec<String>,
    },
    /// No output.
    #[error("the network has no output; export it with at least one graph output")]
    NoOutput,
    /// More than one output.
    #[error("the network has {} outputs ({}); name the one that is to be proved, or export it alone", names.len(), names.join(", "))]
    SeveralOutputs {
        /// Their names.
        names: Vec<String>,
    },
    /// No node makes the tensor that is to be the output.
    #[error("no node makes a tensor `{tensor}`; the network's outputs are {}", outputs.join(", "))]
    NoSuchTensor {
        /// The name given.
        tensor: String,
        /// The outputs that the file names.
        outputs: Vec<String>,
    },
    /// The output does not depend on the input.
    #[error("the output `{output}` does not depend on the input; there is nothing to prove")]
    ConstantOutput {
        /// Its name.
        output: String,
    },
    /// The input's element type is not float.
    #[error("the input `{input}` has elements of type {found}; export the network with a float32 input")]
    InputType {
        /// Its name.
        input: String,
        /// The type found.
        found: String,
    },
    /// The input's shape is not `[1 or symbolic, fixed, ..]`.
    #[error("the input `{input}` has shape {found}: {reason}")]
    InputShape {
        /// Its name.
        input: String,
        /// The shape found.
        found: String,
        /// What to do about it.
        reason: &'static str,
    },
    /// Operators that are not in the table: all of the model's at once.
    #[error("unsupported operators: {}; replace them or cut the network before them. Supported: {}", list(nodes), super::supported_operators().join(", "))]
    UnsupportedOperators {
        /// The nodes, in the file's order.
        nodes: Vec<UnsupportedOperator>,
    },
    /// A known operator in a form that is not supported.
    #[error("node `{node}` ({operator}): {reason}")]
    UnsupportedForm {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What is not supported, and what to do.
        reason: String,
    },
    /// Shapes that do not fit the operator.
    #[error("node `{node}` ({operator}): {reason}; the model is inconsistent, export it again")]
    Shape {
        /// The node.
        node: String,
        /// Its operator.
        operator: String,
        /// What does not fit.
        reason: String,
    },
    /// A name that nothing defines.
    #[error(
        "node `{node}` reads `{tensor}`, which is neither an initializer, nor the input, nor an earlier node's output; export the model again"
    )]
    MissingTensor {
        /// The reading node.
        node: String,
        /// The name.
        tensor: String,
    },
    /// A name that is defined twice.
    #[error(
        "`{tensor}` is defined twice (the second time by `{node}`); the model is invalid, export it again"
    )]
    DefinedTwice {
        /// The second node.
        node: String,
        /// The name.
        tensor: String,
    },
    /// A constant with elements of a type that is not supported where it stands.
    #[error(
        "the tensor `{tensor}` has elements of type {found}, {expected} is needed; convert the model's weights to float32"
    )]
    TensorType {
        /// The constant, or the node that holds it.
        tensor: String,
        /// The type found.
        found: String,
        /// The type needed.
        expected: &'static str,
    },
    /// A constant whose data do not fill its shape.
    #[error(
        "the tensor `{tensor}` of shape {shape:?} has {found} bytes or elements of data, {expected} are needed; the file is damaged, export it again"
    )]
    TensorLength {
        /// The constant, or the node that holds it.
        tensor: String,
        /// Its shape as the file says.
        shape: Vec<i64>,
        /// Elements or bytes needed; the largest machine word if that overflows.
        expected: u64,
        /// Elements or bytes found.
        found: u64,
    },
    /// A constant whose data are in another file.
    #[error(
        "the tensor `{tensor}` is stored in an external file; save the model as one file (onnx.save_model with save_as_external_data=False)"
    )]
    ExternalData {
        /// The constant.
        tensor: String,
    },
    /// A sparse constant.
    #[error("the tensor `{tensor}` is sparse; export the model with dense initializers")]
    SparseTensor {
        /// The constant.
        tensor: String,
    },
    /// NaN or infinity among the weights.
    #[error(
        "the tensor `{tensor}` has the value {value} at element {element}; the network was not trained or not saved properly"
    )]
    NotFinite {
        /// The constant.
        tensor: String,
        /// Row-major index.
        element: usize,
        /// NaN or an infinity.
        value: f32,
    },
}

fn list(nodes: &[UnsupportedOperator]) -> String {
    let names: Vec<String> =
        nodes.iter().map(|node| format!("{} (node `{}`)", node.operator, node.node)).collect();
    names.join(", ")
}
