//! Laws that every backend obeys, checked against plain host arithmetic.
//!
//! [`check`] runs each method of [`Backend`] on ordinary and awkward inputs: empty and odd lengths, zeros, equal entries, the
//! field's last element, repeated and opposite points, the identity, integers at both ends of their range, lengths that do
//! not fit. A new device is done when it has no [`Violation`]; [`Faulty`] is there to show that the laws notice faults.

mod faulty;
mod group;
mod memory;
mod polynomials;
mod rows;
mod sample;
mod structured;
mod transforms;

use core::fmt;

pub use faulty::{Faulty, Method};

use crate::backend::{Backend, Result};
use crate::error::BackendError;
use sample::Sampler;

/// What the suite works with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Vector lengths to try. Transforms and other methods with their own conditions use the suitable ones.
    pub sizes: Vec<usize>,
    /// Seed of the pseudo-random inputs.
    pub seed: u64,
}

impl Default for Options {
    /// Edge lengths up to some hundred entries: half a second on one core.
    fn default() -> Self {
        Self { sizes: vec![0, 1, 2, 3, 4, 7, 16, 31, 64, 100, 256, 300], seed: 1 }
    }
}

impl Options {
    /// A few small lengths: what a program may run each time it opens a device.
    pub fn quick() -> Self {
        Self { sizes: vec![0, 1, 5, 16], seed: 2 }
    }

    /// The default lengths and larger ones at which devices change to their parallel methods.
    pub fn thorough() -> Self {
        let mut options = Self::default();
        options.sizes.extend([1 << 10, 1 << 13, 10_001]);
        options
    }
}

/// A law that a backend broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The method.
    pub method: Method,
    /// On which input, and what came out.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.method, self.detail)
    }
}

impl core::error::Error for Violation {}

/// Outcome of a law: what went wrong, in words.
type Outcome = core::result::Result<(), String>;

/// A backend and the inputs that its laws are tried on.
struct Ground<'a, B> {
    backend: &'a B,
    options: &'a Options,
}

impl<B: Backend> Ground<'_, B> {
    fn sizes(&self) -> impl Iterator<Item = usize> + '_ {
        self.options.sizes.iter().copied()
    }

    /// Powers of two among the sizes.
    fn transform_sizes(&self) -> impl Iterator<Item = usize> + '_ {
        self.sizes().filter(|size| size.is_power_of_two())
    }

    fn sampler(&self) -> Sampler {
        Sampler::new(self.options.seed)
    }
}

/// Runs the law of every method; returns the broken ones (the first violation of each).
pub fn check<B: Backend>(backend: &B, options: &Options) -> Vec<Violation> {
    let violated = |method: &Method| check_method(backend, *method, options).err();
    Method::ALL.iter().filter_map(violated).collect()
}

/// Runs the law of one method.
///
/// # Errors
/// The first violation.
pub fn check_method<B: Backend>(
    backend: &B,
    method: Method,
    options: &Options,
) -> core::result::Result<(), Violation> {
    let ground = Ground { backend, options };
    let law: fn(&Ground<'_, B>) -> Outcome = match method {
        Method::Capabilities => memory::capabilities,
        Method::Meter => memory::meter,
        Method::Upload => memory::upload,
        Method::Zeros => memory::zeros,
        Method::UploadIntegers => memory::upload_integers,
        Method::UploadBases => memory::upload_bases,
        Method::Download => memory::download,
        Method::Read => memory::read,
        Method::Write => memory::write,
        Method::Widen => memory::widen,
        Method::Slice => memory::slice,
        Method::Msm => group::msm,
        Method::MsmIntegers => group::msm_integers,
        Method::Ntt => transforms::ntt,
        Method::CosetNtt => transforms::coset_ntt,
        Method::InverseCosetNtt => transforms::inverse_coset_ntt,
        Method::Run => rows::run,
        Method::BatchInvert => rows::batch_invert,
        Method::LinearRecurrence => rows::linear_recurrence,
        Method::RunningProduct => rows::running_product,
        Method::Combine => polynomials::combine,
        Method::AddScaled => polynomials::add_scaled,
        Method::Evaluate => polynomials::evaluate,
        Method::DivideByLinear => polynomials::divide_by_linear,
        Method::ExpandBoxes => structured::expand_boxes,
        Method::ContractBoxes => structured::contract_boxes,
        Method::CombineRows => structured::combine_rows,
    };
    law(&ground).map_err(|detail| Violation { method, detail })
}

/// The value, or the words for an unexpected failure.
fn done<T>(result: Result<T>, input: impl fmt::Display) -> core::result::Result<T, String> {
    result.map_err(|error| format!("{input}: unexpected error: {error}"))
}

/// Equality of vectors; names the first difference.
fn same<T: PartialEq + fmt::Debug>(found: &[T], expected: &[T], input: impl fmt::Display) -> Outcome {
    if found.len() != expected.len() {
        return Err(format!("{input}: {} entries instead of {}", found.len(), expected.len()));
    }
    match found.iter().zip(expected).position(|(found, expected)| found != expected) {
        None => Ok(()),
        Some(at) => Err(format!("{input}: entry {at} is {:?} instead of {:?}", found[at], expected[at])),
    }
}

/// The call must fail for a length.
fn refuses_length<T>(result: Result<T>, input: impl fmt::Display) -> Outcome {
    match result {
        Err(BackendError::Length { .. }) => Ok(()),
        Err(error) => Err(format!("{input}: not a length error: {error}")),
        Ok(_) => Err(format!("{input}: accepted")),
    }
}

/// The call must fail for an argument.
fn refuses_argument<T>(result: Result<T>, input: impl fmt::Display) -> Outcome {
    match result {
        Err(BackendError::Argument { .. }) => Ok(()),
        Err(error) => Err(format!("{input}: not an argument error: {error}")),
        Ok(_) => Err(format!("{input}: accepted")),
    }
}
