//! NumPy's `.npy` arrays and `.npz` archives.

use std::io::{Cursor, Read};

use npyz::WriterBuilder;
use npyz::npz::NpzArchive;
use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar};

use super::DataError;

/// Shape and row-major elements.
pub(super) type Array = (Vec<usize>, Vec<f32>);

pub(super) const INPUT_NAMES: [&str; 4] = ["x", "inputs", "input", "data"];
pub(super) const LABEL_NAMES: [&str; 3] = ["y", "labels", "label"];

/// The inputs and, if there, the labels of an archive.
pub(super) fn archive(place: &str, bytes: &[u8]) -> Result<(Array, Option<Vec<i64>>), DataError> {
    let malformed = |reason: std::io::Error| DataError::Malformed {
        place: place.to_string(),
        format: "npz",
        reason: reason.to_string(),
    };
    let mut archive = NpzArchive::new(Cursor::new(bytes)).map_err(malformed)?;
    let mut names: Vec<String> = archive.array_names().map(String::from).collect();
    names.sort();
    let named = |candidates: &[&str]| {
        candidates.iter().find(|name| names.iter().any(|n| n == *name)).map(|n| n.to_string())
    };
    let labels = named(&LABEL_NAMES);
    let only = match names.as_slice() {
        [only] if labels.is_none() => Some(only.clone()),
        _ => None,
    };
    let inputs = named(&INPUT_NAMES).or(only);
    let inputs =
        inputs.ok_or_else(|| DataError::NoInputs { place: place.to_string(), found: names.clone() })?;
    let mut entry = |name: &str| {
        let mut contents = Vec::new();
        let mut file = archive
            .zip_archive()
            .by_name(&npyz::npz::file_name_from_array_name(name))
            .map_err(std::io::Error::from)?;
        file.read_to_end(&mut contents)?;
        Ok(contents)
    };
    let contents = entry(&inputs).map_err(malformed)?;
    let floats = floats(&format!("{place}, array `{inputs}`"), &contents)?;
    let labels = match labels {
        Some(name) => Some(integers(&format!("{place}, array `{name}`"), &entry(&name).map_err(malformed)?)?),
        None => None,
    };
    Ok((floats, labels))
}

/// A `.npy` file of 32-bit floats, row-major.
pub(super) fn to_bytes(shape: &[usize], values: &[f32]) -> std::io::Result<Vec<u8>> {
    let shape: Vec<u64> = shape.iter().map(|extent| *extent as u64).collect();
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
    let mut writer = options.writer(&mut bytes).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(bytes)
}

/// An array of floats or integers as 32-bit floats; one that is too large becomes infinite.
pub(super) fn floats(place: &str, bytes: &[u8]) -> Result<Array, DataError> {
    let (header, data) = header(place, bytes)?;
    let values = match element_type(&header) {
        Some((TypeChar::Float, 4)) => read::<f32, _>(place, header.clone(), data, |v| v)?,
        Some((TypeChar::Float, 8)) => read::<f64, _>(place, header.clone(), data, |v| v as f32)?,
        Some((TypeChar::Int, 1)) => read::<i8, _>(place, header.clone(), data, f32::from)?,
        Some((TypeChar::Int, 2)) => read::<i16, _>(place, header.clone(), data, f32::from)?,
        Some((TypeChar::Int, 4)) => read::<i32, _>(place, header.clone(), data, |v| v as f32)?,
        Some((TypeChar::Int, 8)) => read::<i64, _>(place, header.clone(), data, |v| v as f32)?,
        Some((TypeChar::Uint, 1)) => read::<u8, _>(place, header.clone(), data, f32::from)?,
        Some((TypeChar::Uint, 2)) => read::<u16, _>(place, header.clone(), data, f32::from)?,
        Some((TypeChar::Uint, 4)) => read::<u32, _>(place, header.clone(), data, |v| v as f32)?,
        Some((TypeChar::Uint, 8)) => read::<u64, _>(place, header.clone(), data, |v| v as f32)?,
        _ => return Err(wrong_type(place, &header)),
    };
    let shape: Vec<usize> = header.shape().iter().map(|&size| size as usize).collect();
    let values = if header.order() == Order::Fortran { row_major(&shape, &values) } else { values };
    Ok((shape, values))
}

/// A list of integers, as labels are.
fn integers(place: &str, bytes: &[u8]) -> Result<Vec<i64>, DataError> {
    let (header, data) = header(place, bytes)?;
    match element_type(&header) {
        Some((TypeChar::Int, 1)) => read::<i8, _>(place, header, data, i64::from),
        Some((TypeChar::Int, 2)) => read::<i16, _>(place, header, data, i64::from),
        Some((TypeChar::Int, 4)) => read::<i32, _>(place, header, data, i64::from),
        Some((TypeChar::Int, 8)) => read::<i64, _>(place, header, data, |v| v),
        Some((TypeChar::Uint, 1)) => read::<u8, _>(place, header, data, i64::from),
        Some((TypeChar::Uint, 2)) => read::<u16, _>(place, header, data, i64::from),
        Some((TypeChar::Uint, 4)) => read::<u32, _>(place, header, data, i64::from),
        // A label beyond 63 bits names no class of any network.
        Some((TypeChar::Uint, 8)) => {
            read::<u64, _>(place, header, data, |v| i64::try_from(v).unwrap_or(i64::MAX))
        }
        _ => Err(wrong_type(place, &header)),
    }
}

/// The header and the bytes after it, which are at least as many as the header announces.
fn header<'a>(place: &str, bytes: &'a [u8]) -> Result<(NpyHeader, &'a [u8]), DataError> {
    if announces_overflow(bytes) {
        return Err(DataError::Truncated {
            place: place.to_string(),
            expected: u64::MAX,
            found: bytes.len() as u64,
        });
    }
    let mut data = bytes;
    let header = NpyHeader::from_reader(&mut data).map_err(|error| DataError::Malformed {
        place: place.to_string(),
        format: "npy",
        reason: error.to_string(),
    })?;
    let Some((_, size)) = element_type(&header) else {
        return Err(wrong_type(place, &header));
    };
    let expected =
        header.shape().iter().try_fold(size, |bytes, &axis| bytes.checked_mul(axis)).unwrap_or(u64::MAX);
    if (data.len() as u64) < expected {
        return Err(DataError::Truncated { place: place.to_string(), expected, found: data.len() as u64 });
    }
    Ok((header, data))
}

/// Whether the header's numbers multiply beyond 64 bits: the header parser multiplies them unchecked.
fn announces_overflow(bytes: &[u8]) -> bool {
    let header = bytes.get(..bytes.len().min(1 << 16)).unwrap_or_default();
    let Some(start) = header.windows(5).position(|window| window == b"shape") else {
        return false;
    };
    let shape = header[start..].split(|&byte| byte == b')').next().unwrap_or_default();
    let numbers = shape.split(|byte| !byte.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let mut product = Some(1u64);
    for digits in numbers {
        let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
        product = product.zip(number).and_then(|(product, number)| product.checked_mul(number.max(1)));
    }
    product.is_none_or(|elements| elements.checked_mul(16).is_none())
}

fn element_type(header: &NpyHeader) -> Option<(TypeChar, u64)> {
    match header.dtype() {
        DType::Plain(plain) => Some((plain.type_char(), plain.size_field())),
        _ => None,
    }
}

fn wrong_type(place: &str, header: &NpyHeader) -> DataError {
    DataError::ElementType { place: place.to_string(), found: header.dtype().descr() }
}

fn read<T, U>(
    place: &str,
    header: NpyHeader,
    data: &[u8],
    convert: impl Fn(T) -> U,
) -> Result<Vec<U>, DataError>
where
    T: Deserialize,
{
    let malformed = |reason: String| DataError::Malformed { place: place.to_string(), format: "npy", reason };
    let elements =
        NpyFile::with_header(header, data).data::<T>().map_err(|error| malformed(error.to_string()))?;
    let converted = elements.map(|element| element.map(&convert));
    converted.collect::<Result<_, _>>().map_err(|error| malformed(error.to_string()))
}

/// Column-major elements (NumPy's Fortran order) in row-major order.
fn row_major(shape: &[usize], values: &[f32]) -> Vec<f32> {
    let mut sorted = vec![0.0; values.len()];
    for (flat, &value) in values.iter().enumerate() {
        let (mut rest, mut target, mut stride) = (flat, 0, values.len());
        for &size in shape {
            stride /= size;
            target += (rest % size) * stride;
            rest /= size;
        }
        sorted[target] = value;
    }
    sorted
}
