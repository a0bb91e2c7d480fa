//! Any GPU with Vulkan, Metal or DirectX 12, through wgpu; also the software devices of such drivers, which tests run on.
//!
//! Shaders are WGSL and compiled when first used; where the driver allows it, they are kept on disk (`ZKLOOM_CACHE` names the
//! folder; empty, nothing is kept). Vectors are single buffers, so that their length is limited by what a shader can see of one
//! buffer (128 MiB at least: 2^22 field elements); longer ones are refused as
//! [`BackendError::OutOfMemory`](crate::BackendError::OutOfMemory). Bases, and the work of sums of points, are cut up instead.
//! Operations are queued, and the host waits only where a result crosses back. The driver's errors and the loss of the device are
//! kept and become the error of the next call.

mod boxes;
mod cache;
mod device;
mod integers;
mod interpret;
mod msm;
mod recorder;
mod scan;
#[cfg(test)]
mod tests;
mod transform;
mod vectors;

use std::path::PathBuf;
use std::sync::Mutex;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{One, Zero};
use zkloom_kernels::geometry::Coordinate;
use zkloom_kernels::program::Program;
use zkloom_kernels::shape::{self, MAX_LOG_SIZE};
pub use zkloom_kernels::wgsl::Arithmetic;

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::meter::Meter;
use crate::registry::Found;
use device::Device;
pub use integers::WgpuIntegers;
use msm::Scalars;
pub use msm::WgpuBases;
use recorder::Recorder;
use scan::Scan;
use transform::Roots;
pub use vectors::WgpuScalars;
use vectors::{ELEMENT, bytes_of, to_bytes};

/// A device that wgpu drives.
#[derive(Debug)]
pub struct WgpuBackend {
    device: Box<Device>,
    roots: Mutex<Option<Roots>>,
}

/// Every device that wgpu finds here, the likely fastest first; none where no driver is installed.
///
/// # Errors
/// None today; a driver that can't be asked counts as absent.
pub fn find() -> Result<Vec<Found>> {
    Ok(device::find())
}

impl WgpuBackend {
    /// Opens the device that [`find`] lists as `wgpu:number`.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`](crate::BackendError::Unavailable) if there is none of that number or its driver refuses.
    pub fn open(number: usize) -> Result<Self> {
        Self::opened(number, None, cache::folder())
    }

    /// The same, with a chosen way to multiply; [`WgpuBackend::open`] takes the wide one where the device has it.
    ///
    /// # Errors
    /// As for [`WgpuBackend::open`], and if the device lacks what the arithmetic needs.
    pub fn with_arithmetic(number: usize, arithmetic: Arithmetic) -> Result<Self> {
        Self::opened(number, Some(arithmetic), cache::folder())
    }

    fn opened(number: usize, arithmetic: Option<Arithmetic>, folder: Option<PathBuf>) -> Result<Self> {
        let device = Box::new(Device::open(number, arithmetic, folder)?);
        Ok(Self { device, roots: Mutex::new(None) })
    }

    /// How the device's shaders multiply.
    pub fn arithmetic(&self) -> Arithmetic {
        self.device.arithmetic
    }
}

impl Backend for WgpuBackend {
    type Scalars = WgpuScalars;
    type Integers = WgpuIntegers;
    type Bases = WgpuBases;

    fn capabilities(&self) -> Capabilities {
        let largest = self.device.largest_binding / ELEMENT;
        let arithmetic = match self.device.arithmetic {
            Arithmetic::Wide => "64-bit products",
            Arithmetic::Narrow => "32-bit products",
        };
        Capabilities {
            name: self.device.name.clone(),
            description: format!("{}, {arithmetic}", self.device.description),
            memory: None,
            max_log_size: largest.max(1).ilog2().min(MAX_LOG_SIZE),
            composed: Vec::new(),
        }
    }

    fn meter(&self) -> &Meter {
        &self.device.meter
    }

    fn longest_vector(&self) -> Option<usize> {
        usize::try_from(self.device.largest_binding / ELEMENT).ok()
    }

    fn upload(&self, values: &[Fr]) -> Result<WgpuScalars> {
        let vector = self.device.vector("upload", values.len())?;
        self.device.write(&vector.buffer, 0, &to_bytes(values));
        self.device.check("upload")?;
        Ok(vector)
    }

    fn zeros(&self, len: usize) -> Result<WgpuScalars> {
        self.device.check("zeros")?;
        self.device.vector("zeros", len)
    }

    fn upload_integers(&self, values: &[i64]) -> Result<WgpuIntegers> {
        self.device.upload_integers(values)
    }

    fn upload_bases(&self, points: &[G1Affine]) -> Result<WgpuBases> {
        self.device.upload_bases(points)
    }

    fn download(&self, values: &WgpuScalars) -> Result<Vec<Fr>> {
        self.read(values, 0, values.len)
    }

    fn read(&self, values: &WgpuScalars, start: usize, len: usize) -> Result<Vec<Fr>> {
        shape::range("read", start, len, values.len)?;
        let bytes = self.device.read("read", &values.buffer, (bytes_of(start), bytes_of(len)))?;
        self.device.elements("read", &bytes)
    }

    fn write(&self, target: &mut WgpuScalars, start: usize, values: &[Fr]) -> Result<()> {
        shape::range("write", start, values.len(), target.len)?;
        self.device.write(&target.buffer, bytes_of(start), &to_bytes(values));
        self.device.check("write")
    }

    fn widen(&self, values: &WgpuIntegers) -> Result<WgpuScalars> {
        self.device.widen(values)
    }

    fn slice(&self, values: &WgpuScalars, start: usize, len: usize) -> Result<WgpuScalars> {
        let part = self.device.vector("slice", len)?;
        let present = values.len.saturating_sub(start).min(len);
        let mut recorder = Recorder::new(&self.device, "slice")?;
        recorder.copy((&values.buffer, bytes_of(start)), (&part.buffer, 0), bytes_of(present));
        recorder.submit()?;
        Ok(part)
    }

    fn msm(&self, bases: &WgpuBases, scalars: &[&WgpuScalars]) -> Result<Vec<G1Projective>> {
        let bound = bases.len();
        scalars.iter().try_for_each(|vector| shape::at_most("msm", vector.len, bound))?;
        let scalars: Vec<Scalars<'_>> = scalars.iter().map(|&vector| Scalars::Elements(vector)).collect();
        self.device.msm("msm", bases, &scalars)
    }

    fn msm_integers(&self, bases: &WgpuBases, scalars: &[&WgpuIntegers]) -> Result<Vec<G1Projective>> {
        let bound = bases.len();
        scalars.iter().try_for_each(|vector| shape::at_most("msm_integers", vector.len, bound))?;
        let scalars: Vec<Scalars<'_>> = scalars.iter().map(|&vector| Scalars::Integers(vector)).collect();
        self.device.msm("msm_integers", bases, &scalars)
    }

    fn ntt(&self, values: &mut WgpuScalars, direction: Direction) -> Result<()> {
        shape::transform("ntt", values.len)?;
        self.transform(values, direction)
    }

    fn coset_ntt(&self, coefficients: &WgpuScalars, log_size: u32, shift: Fr) -> Result<WgpuScalars> {
        shape::coset("coset_ntt", log_size, shift.is_zero())?;
        self.coset_values(coefficients, log_size, shift)
    }

    fn inverse_coset_ntt(&self, values: &mut WgpuScalars, shift: Fr) -> Result<()> {
        let log_size = shape::transform("inverse_coset_ntt", values.len)?;
        shape::coset("inverse_coset_ntt", log_size, shift.is_zero())?;
        self.coset_coefficients(values, shift)
    }

    fn run(&self, program: &Program, inputs: &[&WgpuScalars], constants: &[Fr]) -> Result<WgpuScalars> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.len).collect();
        let rows = shape::program("run", program, &lengths, constants.len())?;
        self.device.run(program, inputs, constants, rows)
    }

    fn batch_invert(&self, values: &mut WgpuScalars) -> Result<()> {
        self.device.batch_invert(values)
    }

    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &WgpuScalars) -> Result<WgpuScalars> {
        let scan = Scan { product: false, ratio, backwards: false, exclusive: true };
        self.device.scan("linear_recurrence", &scan, first, (addends, 0))
    }

    fn running_product(&self, first: Fr, factors: &WgpuScalars) -> Result<WgpuScalars> {
        let scan = Scan { product: true, ratio: Fr::one(), backwards: false, exclusive: true };
        self.device.scan("running_product", &scan, first, (factors, 0))
    }

    fn combine(&self, terms: &[(Fr, &WgpuScalars)]) -> Result<WgpuScalars> {
        self.device.combine(terms)
    }

    fn add_scaled(
        &self,
        target: &mut WgpuScalars,
        offset: usize,
        factor: Fr,
        source: &WgpuScalars,
    ) -> Result<()> {
        shape::range("add_scaled", offset, source.len, target.len)?;
        self.device.add_scaled(target, offset, factor, source)
    }

    fn evaluate(&self, polynomials: &[&WgpuScalars], point: Fr) -> Result<Vec<Fr>> {
        self.device.evaluate(polynomials, point)
    }

    fn divide_by_linear(&self, polynomial: &WgpuScalars, root: Fr) -> Result<WgpuScalars> {
        self.device.divide_by_linear(polynomial, root)
    }

    fn expand_boxes(&self, target: &mut WgpuScalars, boxes: &[GeometricBox]) -> Result<()> {
        shape::boxes("expand_boxes", boxes, Coordinate::Position, target.len)?;
        self.device.add_boxes("expand_boxes", target, None, boxes)
    }

    fn contract_boxes(
        &self,
        target: &mut WgpuScalars,
        source: &WgpuScalars,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        shape::boxes("contract_boxes", boxes, Coordinate::Position, source.len)?;
        shape::boxes("contract_boxes", boxes, Coordinate::Output, target.len)?;
        self.device.add_boxes("contract_boxes", target, Some(source), boxes)
    }

    fn combine_rows(
        &self,
        target: &mut WgpuScalars,
        offset: usize,
        matrix: &WgpuIntegers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        shape::matrix("combine_rows", target.len, offset, matrix.len, [weights.len(), width])?;
        self.device.combine_rows((target, offset), matrix, width, weights)
    }
}
