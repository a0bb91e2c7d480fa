//! The interface that every device offers to a prover.
//!
//! Buffers live on the device; a transfer is a method call, and the [`Meter`] counts it. A device knows arithmetic only:
//! no word of any protocol appears here. Every result is a determined function of the inputs, so that all devices return
//! bit-identical field elements and the same group elements.

use ark_bn254::{Fr, G1Affine, G1Projective};
pub use zkloom_kernels::geometry::{GeometricBox, Segment};
use zkloom_kernels::program::Program;

use crate::error::BackendError;
use crate::meter::Meter;

/// Shorthand for the result of a device call.
pub type Result<T> = core::result::Result<T, BackendError>;

/// A vector that lives on a device.
pub trait DeviceVector: Send + Sync {
    /// Number of entries.
    fn len(&self) -> usize;

    /// Whether it has no entries.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Direction of a number-theoretic transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Coefficients to values.
    Forward,
    /// Values to coefficients (with the factor 1/n).
    Inverse,
}

/// What a device says of itself.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// Name as in `--backend`, for instance `cpu` or `cuda:0`.
    pub name: String,
    /// The device in words: model, vector extensions, threads.
    pub description: String,
    /// Memory it may use, in bytes, where known.
    pub memory: Option<u64>,
    /// Largest transform, as log2 of its size.
    pub max_log_size: u32,
    /// Methods that the device lacks and the processor does for it, with a download and an upload each.
    pub composed: Vec<&'static str>,
}

/// A device for BN254 arithmetic.
///
/// Lengths are checked by every method: an unsuitable one is [`BackendError::Length`], never a panic.
pub trait Backend: Send + Sync + Sized {
    /// Vector of field elements.
    type Scalars: DeviceVector;
    /// Vector of signed integers (at most 64 bits) with a known bound on their magnitude.
    type Integers: DeviceVector;
    /// Affine points for multi-scalar multiplications.
    type Bases: DeviceVector;

    /// What this device is.
    fn capabilities(&self) -> Capabilities;

    /// Transfers and launches so far.
    fn meter(&self) -> &Meter;

    /// Bytes of memory that can be asked for now, where the device tells.
    fn free_memory(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Entries of the longest vector of field elements that it can hold, where something other than its memory bounds it.
    fn longest_vector(&self) -> Option<usize> {
        None
    }

    /// Bytes of scratch memory without which it can't multiply so many bases by scalars, beyond the vectors themselves.
    fn least_scratch(&self, _bases: usize) -> u64 {
        0
    }

    /// Tells how many bytes will be asked for beside the bases that are uploaded next; the device may keep in the rest what makes
    /// sums over those bases faster. A device that is told nothing keeps little.
    fn expect(&self, _bytes: u64) {}

    // ---- memory -------------------------------------------------------------------------------------------------

    /// Copies field elements to the device.
    fn upload(&self, values: &[Fr]) -> Result<Self::Scalars>;

    /// `len` zeros, made on the device.
    fn zeros(&self, len: usize) -> Result<Self::Scalars>;

    /// Copies integers to the device; they stay integers there.
    fn upload_integers(&self, values: &[i64]) -> Result<Self::Integers>;

    /// Copies points to the device.
    fn upload_bases(&self, points: &[G1Affine]) -> Result<Self::Bases>;

    /// Copies a vector back to the host.
    fn download(&self, values: &Self::Scalars) -> Result<Vec<Fr>>;

    /// Copies `len` entries from `start` back to the host.
    fn read(&self, values: &Self::Scalars, start: usize, len: usize) -> Result<Vec<Fr>>;

    /// Overwrites entries from `start` with host values.
    fn write(&self, target: &mut Self::Scalars, start: usize, values: &[Fr]) -> Result<()>;

    /// Integers as field elements, on the device.
    fn widen(&self, values: &Self::Integers) -> Result<Self::Scalars>;

    /// A copy of `len` entries from `start`, which may lie past the end; positions past the end are zero.
    fn slice(&self, values: &Self::Scalars, start: usize, len: usize) -> Result<Self::Scalars>;

    // ---- group --------------------------------------------------------------------------------------------------

    /// `sum_i scalars[i] * bases[i]` for each vector; each at most as long as the bases.
    fn msm(&self, bases: &Self::Bases, scalars: &[&Self::Scalars]) -> Result<Vec<G1Projective>>;

    /// The same for integers; the cost follows the bits that they really have.
    fn msm_integers(&self, bases: &Self::Bases, scalars: &[&Self::Integers]) -> Result<Vec<G1Projective>>;

    // ---- transforms ---------------------------------------------------------------------------------------------

    /// In-place transform over the subgroup of order `len` (a power of two), natural order on both sides. The generator is
    /// `TWO_ADIC_ROOT_OF_UNITY ^ (2^28 / len)` of `ark_bn254::Fr`.
    fn ntt(&self, values: &mut Self::Scalars, direction: Direction) -> Result<()>;

    /// As [`Backend::ntt`], into a new vector.
    fn transformed(&self, values: &Self::Scalars, direction: Direction) -> Result<Self::Scalars> {
        let mut result = self.slice(values, 0, values.len())?;
        self.ntt(&mut result, direction)?;
        Ok(result)
    }

    /// Values of a polynomial, given by its coefficients (of any number), on the coset `shift * H`, `|H| = 2^log_size`.
    /// Coefficients past `2^log_size` are folded back with `X^n = shift^n`. A shift of zero, or a size that the field has no
    /// subgroup for, is [`BackendError::Argument`].
    fn coset_ntt(&self, coefficients: &Self::Scalars, log_size: u32, shift: Fr) -> Result<Self::Scalars>;

    /// Inverse of [`Backend::coset_ntt`] at equal length, in place.
    fn inverse_coset_ntt(&self, values: &mut Self::Scalars, shift: Fr) -> Result<()>;

    // ---- rows ---------------------------------------------------------------------------------------------------

    /// Runs a gate program on every row; there is at least one input, all have the same length, rotations are cyclic. A
    /// program that reads what does not exist, or has no output, is [`BackendError::Argument`].
    fn run(&self, program: &Program, inputs: &[&Self::Scalars], constants: &[Fr]) -> Result<Self::Scalars>;

    /// Inverts every entry; zero stays zero.
    fn batch_invert(&self, values: &mut Self::Scalars) -> Result<()>;

    /// `h[0] = first`, `h[i + 1] = ratio * h[i] + addends[i]`; as long as `addends`, whose last entry is not used. With ratio
    /// one it is the exclusive prefix sum.
    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &Self::Scalars) -> Result<Self::Scalars>;

    /// `p[0] = first`, `p[i + 1] = p[i] * factors[i]`; as long as `factors`, whose last entry is not used.
    fn running_product(&self, first: Fr, factors: &Self::Scalars) -> Result<Self::Scalars>;

    // ---- polynomials --------------------------------------------------------------------------------------------

    /// `sum_k factor_k * vector_k`, as long as the longest, shorter ones padded with zeros; empty without terms.
    fn combine(&self, terms: &[(Fr, &Self::Scalars)]) -> Result<Self::Scalars>;

    /// `target[offset + i] += factor * source[i]`.
    fn add_scaled(
        &self,
        target: &mut Self::Scalars,
        offset: usize,
        factor: Fr,
        source: &Self::Scalars,
    ) -> Result<()>;

    /// Values at `point` of the polynomials with these coefficients; zero for one without coefficients.
    fn evaluate(&self, polynomials: &[&Self::Scalars], point: Fr) -> Result<Vec<Fr>>;

    /// Quotient by `X - root`, one entry shorter; the remainder is dropped. The quotient of a constant is empty.
    fn divide_by_linear(&self, polynomial: &Self::Scalars, root: Fr) -> Result<Self::Scalars>;

    // ---- structured sums ----------------------------------------------------------------------------------------

    /// Adds boxes, written out, to a vector.
    fn expand_boxes(&self, target: &mut Self::Scalars, boxes: &[GeometricBox]) -> Result<()>;

    /// For every position of every box: `target[output index] += factor * source[position]`, where the output index is
    /// `output_offset` plus, for each axis, `output_start + i * output_step` of the chosen segment's entry `i`.
    fn contract_boxes(
        &self,
        target: &mut Self::Scalars,
        source: &Self::Scalars,
        boxes: &[GeometricBox],
    ) -> Result<()>;

    /// `target[offset + k] += sum_i weights[i] * matrix[i * width + k]` for a row-major integer matrix of
    /// `weights.len()` rows. Devices may skip entries that are zero, but need not.
    fn combine_rows(
        &self,
        target: &mut Self::Scalars,
        offset: usize,
        matrix: &Self::Integers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()>;
}
