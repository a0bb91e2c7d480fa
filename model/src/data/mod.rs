//! Inputs and calibration sets from `.npy`, `.npz` and `.json` files.

mod json;
mod numpy;

use std::path::{Path, PathBuf};

use thiserror::Error;

/// An array of floats with optional labels, as a file holds it. Which axes are samples is decided when the
/// network's input shape is known: [`Dataset::samples`].
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Shape of the whole array, row-major.
    pub shape: Vec<usize>,
    /// The elements; all finite when made by [`Dataset::load`] or [`Dataset::new`].
    pub values: Vec<f32>,
    /// The class of each sample, if the file has them.
    pub labels: Option<Vec<i64>>,
}

/// Why a data file cannot be used.
#[derive(Debug, Error)]
pub enum DataError {
    /// The operating system would not read it.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The name's extension is none of the known ones.
    #[error("{}: unknown kind of data file; use a name that ends in .npy, .npz or .json", path.display())]
    UnknownExtension {
        /// The file.
        path: PathBuf,
    },
    /// The bytes are not what the extension says.
    #[error("{place} is not a valid {format} file: {reason}")]
    Malformed {
        /// The file, with the array's name for `.npz`.
        place: String,
        /// Which format was expected.
        format: &'static str,
        /// What the parser found.
        reason: String,
    },
    /// The header announces more data than there is.
    #[error(
        "{place} is cut off: its header announces {expected} bytes of data, {found} are there; copy it again"
    )]
    Truncated {
        /// The file, with the array's name for `.npz`.
        place: String,
        /// Bytes announced.
        expected: u64,
        /// Bytes present.
        found: u64,
    },
    /// An element type that is neither float32, float64 nor an integer.
    #[error("{place} holds elements of type {found}; convert them to float32, float64 or an integer type")]
    ElementType {
        /// The file, with the array's name for `.npz`.
        place: String,
        /// The type found.
        found: String,
    },
    /// A `.npz` archive without a recognised array, or a JSON object without a recognised key.
    #[error("{place} has no array for the inputs (found: {found:?}); name it x, inputs, input or data")]
    NoInputs {
        /// The file.
        place: String,
        /// The names that are there.
        found: Vec<String>,
    },
    /// Not a number.
    #[error(
        "{place}: the value at index {index:?} is {value}; inputs must be finite numbers within float32's range"
    )]
    NotFinite {
        /// The file or array.
        place: String,
        /// Position, one number for each axis.
        index: Vec<usize>,
        /// NaN or an infinity.
        value: f32,
    },
    /// Nested lists of different lengths or depths.
    #[error("{place}: the list at {index:?} {reason}; every sample needs the same shape")]
    Ragged {
        /// The file.
        place: String,
        /// Position of the list.
        index: Vec<usize>,
        /// How it differs.
        reason: String,
    },
    /// No element at all.
    #[error("{place} holds no sample (its shape is {shape:?})")]
    Empty {
        /// The file or array.
        place: String,
        /// The array's shape.
        shape: Vec<usize>,
    },
    /// The array is neither one sample nor a list of samples of the network's shape.
    #[error(
        "the data has shape {found:?}, the network takes {expected:?}: give one sample of that shape or [n, {}]",
        list(expected)
    )]
    Shape {
        /// The network's input shape, without batch.
        expected: Vec<usize>,
        /// The array's shape.
        found: Vec<usize>,
    },
    /// As many values as the shape says are needed.
    #[error("shape {shape:?} needs {expected} values, {found} were given")]
    Length {
        /// The shape given.
        shape: Vec<usize>,
        /// Its number of elements, or the largest machine word if that overflows.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// Labels and samples differ in number.
    #[error("there are {labels} labels for {samples} samples; give one label for each sample, or none")]
    Labels {
        /// Number of labels.
        labels: usize,
        /// Number of samples.
        samples: usize,
    },
}

/// Samples of one network's shape, borrowed from a [`Dataset`].
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a> {
    values: &'a [f32],
    elements: usize,
    labels: Option<&'a [i64]>,
}

impl<'a> Samples<'a> {
    /// Number of samples, at least one.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.elements
    }

    /// The samples in order, row-major each.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [f32]> + 'a {
        self.values.chunks_exact(self.elements)
    }

    /// Sample `index`, row-major; nothing beyond the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'a [f32]> {
        self.values.chunks_exact(self.elements).nth(index)
    }

    /// One label for each sample, if the data has them.
    #[must_use]
    pub fn labels(&self) -> Option<&'a [i64]> {
        self.labels
    }
}

impl Dataset {
    /// The array as a `.npy` file of 32-bit floats, without labels.
    ///
    /// # Errors
    /// If the shape and the number of values do not belong together.
    pub fn to_npy(&self) -> std::io::Result<Vec<u8>> {
        numpy::to_bytes(&self.shape, &self.values)
    }

    /// An array in memory, `values` row-major under `shape`.
    ///
    /// # Errors
    /// [`DataError`]: wrong number of values, none at all, NaN or infinity.
    pub fn new(shape: Vec<usize>, values: Vec<f32>, labels: Option<Vec<i64>>) -> Result<Self, DataError> {
        Self::checked("the array", shape, values, labels)
    }

    /// Reads a file by its extension: `.npy`, `.npz` (array named x, inputs, input or data, or the only one;
    /// labels y, labels or label) or `.json` (nested numbers, or an object with the same names).
    ///
    /// # Errors
    /// [`DataError`], naming the file and what is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let place = path.display().to_string();
        let parse: fn(&str, &[u8]) -> Result<Self, DataError> =
            match path.extension().and_then(|e| e.to_str()) {
                Some("npy") => Self::from_npy,
                Some("npz") => Self::from_npz,
                Some("json") => Self::from_json,
                _ => return Err(DataError::UnknownExtension { path: path.to_path_buf() }),
            };
        let read = std::fs::read(path);
        let bytes = read.map_err(|source| DataError::Unreadable { path: path.to_path_buf(), source })?;
        parse(&place, &bytes)
    }

    /// Parses the bytes of a `.npy` file; `place` names them in messages.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn from_npy(place: &str, bytes: &[u8]) -> Result<Self, DataError> {
        let (shape, values) = numpy::floats(place, bytes)?;
        Self::checked(place, shape, values, None)
    }

    /// Parses the bytes of a `.npz` file; `place` names them in messages.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn from_npz(place: &str, bytes: &[u8]) -> Result<Self, DataError> {
        let ((shape, values), labels) = numpy::archive(place, bytes)?;
        Self::checked(place, shape, values, labels)
    }

    /// Parses JSON text; `place` names it in messages.
    ///
    /// # Errors
    /// [`DataError`].
    pub fn from_json(place: &str, bytes: &[u8]) -> Result<Self, DataError> {
        let ((shape, values), labels) = json::parse(place, bytes)?;
        Self::checked(place, shape, values, labels)
    }

    fn checked(
        place: &str,
        shape: Vec<usize>,
        values: Vec<f32>,
        labels: Option<Vec<i64>>,
    ) -> Result<Self, DataError> {
        let expected = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if expected != Some(values.len()) {
            let expected = expected.unwrap_or(usize::MAX);
            return Err(DataError::Length { shape, expected, found: values.len() });
        }
        if values.is_empty() {
            return Err(DataError::Empty { place: place.to_string(), shape });
        }
        if let Some(flat) = values.iter().position(|value| !value.is_finite()) {
            let index = position(&shape, flat);
            return Err(DataError::NotFinite { place: place.to_string(), index, value: values[flat] });
        }
        Ok(Self { shape, values, labels })
    }

    /// The samples for a network whose input has shape `expected` (without batch). The array may be one sample
    /// (of that shape, or flat) or a list of samples (`[n, ..]`, each of that shape, or flat); axes of size 1 may be
    /// there or not.
    ///
    /// # Errors
    /// [`DataError::Shape`] names both shapes; [`DataError::Labels`] if labels and samples differ in number.
    pub fn samples(&self, expected: &[usize]) -> Result<Samples<'_>, DataError> {
        let elements = expected.iter().product::<usize>();
        // Axes of size 1 decide nothing: [n, 28, 28] is data for [1, 28, 28].
        let fits = |shape: &[usize]| {
            let core = |shape: &[usize]| shape.iter().copied().filter(|&size| size != 1).collect::<Vec<_>>();
            core(shape) == core(expected) || core(shape) == core(&[elements])
        };
        let one = fits(&self.shape);
        let many = self.shape.split_first().is_some_and(|(_, rest)| fits(rest));
        if elements == 0 || self.values.is_empty() || !(one || many) {
            return Err(DataError::Shape { expected: expected.to_vec(), found: self.shape.clone() });
        }
        let samples = Samples { values: &self.values, elements, labels: self.labels.as_deref() };
        match &self.labels {
            Some(labels) if labels.len() != samples.count() => {
                Err(DataError::Labels { labels: labels.len(), samples: samples.count() })
            }
            _ => Ok(samples),
        }
    }
}

/// Row-major position of the flat index.
fn position(shape: &[usize], flat: usize) -> Vec<usize> {
    let mut rest = flat;
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let coordinate = rest % size.max(1);
            rest /= size.max(1);
            coordinate
        })
        .collect();
    index.reverse();
    index
}

fn list(shape: &[usize]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
