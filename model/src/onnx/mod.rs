//! Import from ONNX: the file's graph, lowered operator by operator to a [`FloatGraph`].
//!
//! The batch dimension is 1 or symbolic and disappears. Constants are folded; operators that move no value at
//! inference (Identity, Dropout, Flatten, ...) become names or reshapes. One row of the table in `ops` stands for
//! each supported operator.

mod constant;
mod error;
mod lowering;
mod node;
mod ops;
mod part;
mod proto;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

pub use error::{ImportError, UnsupportedOperator};
pub use write::{WriteError, write, write_bytes};

use crate::float_graph::FloatGraph;

/// The operator set versions of the default domain that import understands.
pub const OPSETS: std::ops::RangeInclusive<i64> = 9..=21;

/// The names of all supported operators, sorted.
#[must_use]
pub fn supported_operators() -> Vec<&'static str> {
    let mut names: Vec<&str> = ops::TABLE.iter().map(|row| row.0).collect();
    names.sort_unstable();
    names
}

/// What a file may leave open, and which part of it to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// A shape, with or without the batch dimension, whose sizes stand in for those that the file leaves symbolic. Sizes that the
    /// file states stay.
    pub input_shape: Option<Vec<usize>>,
    /// The tensor that is the output, an inner one of the graph too; what does not lead to it is left out, and need not be
    /// supported. Without it, the graph must have one output.
    pub output: Option<String>,
}

/// Reads an ONNX file.
///
/// # Errors
/// [`ImportError`]: unreadable, not ONNX, cut off, or a network that cannot be imported, with the node at fault;
/// unsupported operators are listed all at once.
pub fn import(path: impl AsRef<Path>) -> Result<FloatGraph, ImportError> {
    import_with(path, &ImportOptions::default())
}

/// Reads an ONNX file, with options.
///
/// # Errors
/// [`ImportError`], as for [`import`].
pub fn import_with(path: impl AsRef<Path>, options: &ImportOptions) -> Result<FloatGraph, ImportError> {
    let path = path.as_ref();
    let bytes =
        std::fs::read(path).map_err(|source| ImportError::Unreadable { path: path.to_path_buf(), source })?;
    let fallback = path.file_stem().map_or_else(|| "network".into(), |stem| stem.to_string_lossy());
    import_named(&bytes, &fallback, options)
}

/// Parses the bytes of an ONNX file.
///
/// # Errors
/// [`ImportError`], as for [`import`].
pub fn import_bytes(bytes: &[u8]) -> Result<FloatGraph, ImportError> {
    import_bytes_with(bytes, &ImportOptions::default())
}

/// Parses the bytes of an ONNX file, with options.
///
/// # Errors
/// [`ImportError`], as for [`import`].
pub fn import_bytes_with(bytes: &[u8], options: &ImportOptions) -> Result<FloatGraph, ImportError> {
    import_named(bytes, "network", options)
}

fn import_named(
    bytes: &[u8],
    fallback_name: &str,
    options: &ImportOptions,
) -> Result<FloatGraph, ImportError> {
    lowering::lower(&proto::decode(bytes)?, fallback_name, options)
}
