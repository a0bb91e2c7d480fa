//! Real inputs to integers and integer outputs back to reals.

use thiserror::Error;

use crate::integer_graph::{GraphError, IntegerGraph};

/// Why an input cannot be represented.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum InputError {
    /// Another number of values.
    #[error(
        "the network's input `{tensor}` has shape {expected_shape:?}, {expected} values; {found} were given"
    )]
    Length {
        /// The input's name.
        tensor: String,
        /// Shape without batch.
        expected_shape: Vec<usize>,
        /// Values needed.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// NaN or an infinity.
    #[error("input value {index} is {value}; inputs must be finite numbers")]
    NotFinite {
        /// Row-major index.
        index: usize,
        /// The value.
        value: f32,
    },
    /// Outside the calibrated range by more than half a quantisation step.
    #[error(
        "input value {index} is {value}, {excess} outside the calibrated range [{min}, {max}]; \
         compile with calibration data that covers it, or clip the input to the range"
    )]
    OutOfRange {
        /// Row-major index.
        index: usize,
        /// The value.
        value: f32,
        /// Distance from the nearer end, in real units.
        excess: f64,
        /// Least representable value.
        min: f64,
        /// Greatest representable value.
        max: f64,
    },
    /// The graph's parts do not fit together.
    #[error(transparent)]
    Structure(#[from] GraphError),
}

impl IntegerGraph {
    /// The input's integers for real values (row-major, without batch): the nearest, and the nearer end for a
    /// value at most half a step outside the representable range.
    ///
    /// # Errors
    /// [`InputError`]: wrong number of values, NaN or infinity, out of range (says by how much), a damaged graph.
    pub fn quantise_input(&self, values: &[f32]) -> Result<Vec<i64>, InputError> {
        self.check_structure()?;
        let tensor = self.tensor(self.input);
        if values.len() != tensor.elements() {
            let (expected_shape, expected) = (tensor.shape.clone(), tensor.elements());
            let (tensor, found) = (tensor.name.clone(), values.len());
            return Err(InputError::Length { tensor, expected_shape, expected, found });
        }
        let (interval, scale) = (tensor.interval, tensor.scale);
        let (least, greatest) = (interval.min as f64, interval.max as f64);
        let quantise = |(index, &value): (usize, &f32)| {
            if !value.is_finite() {
                return Err(InputError::NotFinite { index, value });
            }
            let steps = f64::from(value) / scale;
            let outside = (least - steps).max(steps - greatest);
            if outside > 0.5 {
                let (excess, min, max) = (outside * scale, least * scale, greatest * scale);
                return Err(InputError::OutOfRange { index, value, excess, min, max });
            }
            Ok((steps.round() as i64).clamp(interval.min, interval.max))
        };
        values.iter().enumerate().map(quantise).collect()
    }

    /// The output's real values, `integer * scale`.
    ///
    /// # Panics
    /// If the output is none of the graph's tensors, which [`IntegerGraph::check_structure`] rules out.
    #[must_use]
    pub fn dequantise_output(&self, values: &[i64]) -> Vec<f32> {
        let scale = self.tensor(self.output).scale;
        values.iter().map(|&value| (value as f64 * scale) as f32).collect()
    }
}
