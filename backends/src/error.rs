//! What can go wrong on a device.

use zkloom_kernels::shape::ShapeError;

/// Failure of a device call.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A vector has an unsuitable length.
    #[error("{operation}: length {found} does not fit, expected {expected}")]
    Length {
        /// The method.
        operation: &'static str,
        /// What was asked for, in words or digits.
        expected: String,
        /// The length given.
        found: usize,
    },
    /// An argument other than a length is unsuitable.
    #[error("{operation}: {reason}")]
    Argument {
        /// The method.
        operation: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The device has no such operation.
    #[error("device {device} cannot do {operation}")]
    Unsupported {
        /// The device's name.
        device: String,
        /// The method.
        operation: &'static str,
    },
    /// The device has too little memory left.
    #[error("device {device} is out of memory: {needed} bytes needed for {operation}")]
    OutOfMemory {
        /// The device's name.
        device: String,
        /// The method.
        operation: &'static str,
        /// Bytes that could not be had.
        needed: u64,
    },
    /// No device of that name can be used.
    #[error("backend `{name}` cannot be used: {reason}")]
    Unavailable {
        /// Name as given.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Two paired devices disagree.
    #[error("paired devices disagree in {operation}: {detail}")]
    Disagreement {
        /// The method.
        operation: &'static str,
        /// Where they differ first.
        detail: String,
    },
    /// The device reported a failure of its own.
    #[error("device {device} failed in {operation}: {reason}")]
    Device {
        /// The device's name.
        device: String,
        /// The method.
        operation: &'static str,
        /// The device's words.
        reason: String,
    },
}

impl From<ShapeError> for BackendError {
    fn from(error: ShapeError) -> Self {
        match error {
            ShapeError::Length { operation, expected, found } => Self::Length { operation, expected, found },
            ShapeError::Argument { operation, reason } => Self::Argument { operation, reason },
        }
    }
}
