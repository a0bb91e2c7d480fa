//! The ONNX messages and their decoder. The one file that names the library they come from.

pub use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
    tensor_proto::DataLocation, tensor_proto::DataType,
    tensor_shape_proto::dimension::Value as DimensionValue, type_proto::Value as TypeValue,
};
#[cfg(test)]
pub use tract_onnx::pb::{
    OperatorSetIdProto, TensorShapeProto, TypeProto, tensor_shape_proto::Dimension, type_proto,
};

use tract_onnx::prelude::Framework;

use super::ImportError;

/// Decodes a model file's bytes.
pub(super) fn decode(bytes: &[u8]) -> Result<ModelProto, ImportError> {
    check_framing(bytes)?;
    // The framework object only carries the decoder here: its operator table is never consulted.
    let framework = tract_onnx::Onnx::default();
    let decoded = framework.proto_model_for_read(&mut &bytes[..]);
    decoded.map_err(|error| ImportError::NotOnnx { reason: format!("{error:#}") })
}

/// Walks the outermost fields, to tell a file that is cut off from one that never was a model.
fn check_framing(bytes: &[u8]) -> Result<(), ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Truncated { needed: 1, found: 0 });
    }
    let not_onnx = |reason: String| ImportError::NotOnnx { reason };
    let mut position = 0;
    while position < bytes.len() {
        let start = position;
        let cut = |needed: usize| ImportError::Truncated { needed: needed as u64, found: bytes.len() as u64 };
        let tag = varint(bytes, &mut position).ok_or_else(|| cut(bytes.len() + 1))?;
        // Field numbers and wire types of ModelProto: 0 a varint, 2 a length and as many bytes.
        match (tag >> 3, tag & 7) {
            (1 | 5, 0) => {
                varint(bytes, &mut position).ok_or_else(|| cut(bytes.len() + 1))?;
            }
            (2..=4 | 6..=8 | 14..=26, 2) => {
                let length = varint(bytes, &mut position).ok_or_else(|| cut(bytes.len() + 1))?;
                let end = usize::try_from(length).ok().and_then(|length| position.checked_add(length));
                let end = end.ok_or_else(|| not_onnx(format!("impossible length at byte {start}")))?;
                if end > bytes.len() {
                    // Arbitrary bytes can look like a first field too: a model begins with its version.
                    return Err(if start == 0 {
                        not_onnx("its first field is cut off".into())
                    } else {
                        cut(end)
                    });
                }
                position = end;
            }
            _ => return Err(not_onnx(format!("no field of a model begins at byte {start}"))),
        }
    }
    Ok(())
}

fn varint(bytes: &[u8], position: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*position)?;
        *position += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    // An overlong number: let it stand, its field will not make sense.
    Some(u64::MAX)
}
