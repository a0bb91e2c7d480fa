//! Constants of the model: initializers and what is computed from them at import.

use super::error::ImportError;
use super::proto::{DataLocation, DataType, TensorProto};

/// Row-major elements of one of the two kinds that import needs.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    /// Weights and bounds.
    Floats(Vec<f32>),
    /// Shapes, axes and indices.
    Integers(Vec<i64>),
}

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    /// The name for messages.
    pub(super) name: String,
    /// Shape as ONNX sees it; empty for a scalar.
    pub(super) shape: Vec<usize>,
    /// As many elements as the shape says.
    pub(super) elements: Elements,
}

impl Constant {
    /// Reads a tensor message; `fallback` names it if it has no name of its own.
    pub(super) fn from_proto(tensor: &TensorProto, fallback: &str) -> Result<Self, ImportError> {
        let name = if tensor.name.is_empty() { fallback.to_string() } else { tensor.name.clone() };
        if tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty() {
            return Err(ImportError::ExternalData { tensor: name });
        }
        let length = |expected: Option<usize>, found: usize| {
            let expected = expected.map_or(u64::MAX, |expected| expected as u64);
            ImportError::TensorLength {
                tensor: name.clone(),
                shape: tensor.dims.clone(),
                expected,
                found: found as u64,
            }
        };
        let sizes = tensor.dims.iter().map(|&size| usize::try_from(size).ok());
        let shape = sizes.collect::<Option<Vec<usize>>>().ok_or_else(|| length(None, 0))?;
        let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        let raw = &tensor.raw_data;
        let elements = match DataType::try_from(tensor.data_type) {
            Ok(DataType::Float) if raw.is_empty() => Elements::Floats(tensor.float_data.clone()),
            Ok(DataType::Float) => Elements::Floats(raw_elements(raw, f32::from_le_bytes)),
            Ok(DataType::Double) if raw.is_empty() => {
                Elements::Floats(tensor.double_data.iter().map(|&value| value as f32).collect())
            }
            Ok(DataType::Double) => {
                Elements::Floats(raw_elements(raw, |bytes| f64::from_le_bytes(bytes) as f32))
            }
            Ok(DataType::Int64) if raw.is_empty() => Elements::Integers(tensor.int64_data.clone()),
            Ok(DataType::Int64) => Elements::Integers(raw_elements(raw, i64::from_le_bytes)),
            Ok(DataType::Int32) if raw.is_empty() => {
                Elements::Integers(tensor.int32_data.iter().map(|&value| i64::from(value)).collect())
            }
            Ok(DataType::Int32) => {
                Elements::Integers(raw_elements(raw, |bytes| i64::from(i32::from_le_bytes(bytes))))
            }
            Ok(DataType::Bool) => Elements::Integers(bools(tensor)),
            _ => {
                let (found, expected) = (type_name(tensor.data_type), "float32, float64, int32 or int64");
                return Err(ImportError::TensorType { tensor: name, found, expected });
            }
        };
        let constant = Self { name: name.clone(), shape, elements };
        // Raw data must fill its elements exactly: a last element cut in two would be dropped silently.
        let width = match DataType::try_from(tensor.data_type) {
            Ok(DataType::Double | DataType::Int64) => 8,
            Ok(DataType::Bool) => 1,
            _ => 4,
        };
        let bytes = count.and_then(|count| count.checked_mul(width));
        if !raw.is_empty() && bytes != Some(raw.len()) {
            return Err(length(bytes, raw.len()));
        }
        if count != Some(constant.count()) {
            return Err(length(count, constant.count()));
        }
        Ok(constant)
    }

    /// Number of elements.
    pub(super) fn count(&self) -> usize {
        match &self.elements {
            Elements::Floats(values) => values.len(),
            Elements::Integers(values) => values.len(),
        }
    }

    /// The elements as floats, NaN and infinity refused.
    pub(super) fn finite(&self) -> Result<&[f32], ImportError> {
        let values = self.floats()?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(element) => {
                Err(ImportError::NotFinite { tensor: self.name.clone(), element, value: values[element] })
            }
        }
    }

    /// The elements as floats.
    pub(super) fn floats(&self) -> Result<&[f32], ImportError> {
        match &self.elements {
            Elements::Floats(values) => Ok(values),
            Elements::Integers(_) => Err(self.wrong_type("integer", "float32")),
        }
    }

    /// The elements as integers.
    pub(super) fn integers(&self) -> Result<&[i64], ImportError> {
        match &self.elements {
            Elements::Integers(values) => Ok(values),
            Elements::Floats(_) => Err(self.wrong_type("float", "an integer type")),
        }
    }

    fn wrong_type(&self, found: &str, expected: &'static str) -> ImportError {
        ImportError::TensorType { tensor: self.name.clone(), found: found.into(), expected }
    }
}

/// The ONNX name of an element type.
pub(super) fn type_name(data_type: i32) -> String {
    match DataType::try_from(data_type) {
        Ok(known) => known.as_str_name().to_lowercase(),
        Err(_) => format!("number {data_type}"),
    }
}

fn raw_elements<const WIDTH: usize, T>(raw: &[u8], read: impl Fn([u8; WIDTH]) -> T) -> Vec<T> {
    raw.as_chunks::<WIDTH>().0.iter().map(|bytes| read(*bytes)).collect()
}

fn bools(tensor: &TensorProto) -> Vec<i64> {
    if tensor.raw_data.is_empty() {
        tensor.int32_data.iter().map(|&value| i64::from(value != 0)).collect()
    } else {
        tensor.raw_data.iter().map(|&value| i64::from(value != 0)).collect()
    }
}
