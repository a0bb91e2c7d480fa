//! NVIDIA GPUs through the CUDA driver, which is loaded at run time: no toolkit is needed, neither to build nor to run.
//!
//! The kernels are our own, compiled into the library (`zkloom_kernels::cuda`). Work is queued in one stream, and the host waits
//! only where a result crosses back; a kernel's failure shows at the next such place. Memory that is freed is kept for the next
//! user and given back to the driver when memory runs out.
//!
//! The environment variable [`DRIVER_VARIABLE`] names another library in the driver's place, for tests with an emulated one.

#![allow(unsafe_code)]

mod boxes;
mod device;
mod driver;
mod interpret;
mod msm;
mod multiples;
mod rows;
mod scan;
mod staging;
mod transform;
mod vectors;

use std::path::Path;
use std::sync::Arc;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{One, Zero};
use zkloom_kernels::geometry::Coordinate;
use zkloom_kernels::program::Program;
use zkloom_kernels::shape::{self, MAX_LOG_SIZE};

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::meter::Meter;
use crate::registry::Found;
use device::Device;
pub use driver::DRIVER_VARIABLE;
pub use msm::CudaBases;
use msm::Scalars;
pub use multiples::{MULTIPLES_VARIABLE, Multiples};
use scan::Scan;
use transform::Tables;
pub use vectors::{CudaIntegers, CudaScalars};

/// An NVIDIA GPU.
#[derive(Debug)]
pub struct CudaBackend {
    // Dropped before the device, whose memory they hold.
    tables: Tables,
    device: Arc<Device>,
}

/// Every device that the driver finds.
///
/// # Errors
/// [`BackendError::Unavailable`](crate::BackendError::Unavailable) if there is no driver or it refuses.
pub fn find() -> Result<Vec<Found>> {
    device::find(&driver::library())
}

impl CudaBackend {
    /// Opens the device that [`find`] lists as `cuda:number`, and loads the kernels.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`](crate::BackendError::Unavailable) if there is no driver, no device of that number, or the
    /// driver can't load the kernels.
    pub fn open(number: usize) -> Result<Self> {
        Self::with_driver(&driver::library(), number)
    }

    /// The same, with this library in the place of the driver's.
    ///
    /// # Errors
    /// As for [`CudaBackend::open`].
    pub fn with_driver(library: &Path, number: usize) -> Result<Self> {
        let device = Device::open(library, number)?;
        Ok(Self { tables: Tables::default(), device })
    }

    /// Says when multiples of bases that are uploaded from now on are kept for faster sums; at first, what the environment
    /// variable [`MULTIPLES_VARIABLE`] says.
    pub fn set_multiples(&self, when: Multiples) {
        self.device.allowance.set(when);
    }

    /// Waits until everything that was asked for is done.
    ///
    /// # Errors
    /// [`BackendError::Device`](crate::BackendError::Device) if any of it failed.
    pub fn synchronize(&self) -> Result<()> {
        self.device.synchronize("synchronize")
    }

    /// Entries of a vector of another device of the same driver.
    pub(crate) fn take_scalars(
        &self,
        from: &Self,
        values: &CudaScalars,
        start: usize,
        len: usize,
    ) -> Result<CudaScalars> {
        shape::range("take", start, len, values.len)?;
        self.device.take_scalars(&from.device, values, start, len)
    }

    /// Integers of a vector of another device of the same driver.
    pub(crate) fn take_some_integers(
        &self,
        from: &Self,
        values: &CudaIntegers,
        start: usize,
        len: usize,
    ) -> Result<CudaIntegers> {
        shape::range("take_integers", start, len, values.len)?;
        self.device.take_integers(&from.device, values, start, len)
    }

    /// For tests of the kernels' arithmetic: `a + b`, `a - b`, `a * b` and `a * b` by carry chains for each pair, of scalars or (if
    /// `base`) of coordinates with the same limbs.
    #[doc(hidden)]
    pub fn check_field(&self, a: &CudaScalars, b: &CudaScalars, base: bool) -> Result<CudaScalars> {
        shape::range("check_field", 0, a.len, b.len)?;
        let out = self.device.vector("check_field", a.len.saturating_mul(4))?;
        let arguments = driver::Arguments::default()
            .word(out.at(0))
            .word(a.at(0))
            .word(b.at(0))
            .word(a.len as u64)
            .word(base.into());
        self.device.launch("check_field", "check_field", (a.len, vectors::FEWER_THREADS), &arguments)?;
        Ok(out)
    }

    /// For tests of the kernels' arithmetic: `(a + b) + a` for each pair of points.
    #[doc(hidden)]
    pub fn check_points(&self, a: &CudaBases, b: &CudaBases) -> Result<Vec<G1Affine>> {
        self.device.check_points(a, b)
    }
}

impl Backend for CudaBackend {
    type Scalars = CudaScalars;
    type Integers = CudaIntegers;
    type Bases = CudaBases;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: self.device.name.clone(),
            description: self.device.description.clone(),
            memory: Some(self.device.memory),
            max_log_size: MAX_LOG_SIZE,
            composed: Vec::new(),
        }
    }

    fn meter(&self) -> &Meter {
        &self.device.meter
    }

    fn free_memory(&self) -> Result<Option<u64>> {
        self.device.free_memory("free_memory").map(Some)
    }

    fn least_scratch(&self, bases: usize) -> u64 {
        msm::least_scratch(bases)
    }

    fn expect(&self, bytes: u64) {
        // A device that doesn't tell its memory will tell so again when it is asked for some.
        if let Ok(free) = self.device.free_memory("expect") {
            self.device.allowance.expect(free, bytes);
        }
    }

    fn upload(&self, values: &[Fr]) -> Result<CudaScalars> {
        self.device.upload("upload", values)
    }

    fn zeros(&self, len: usize) -> Result<CudaScalars> {
        let zeros = self.device.vector("zeros", len)?;
        self.device.clear("zeros", zeros.at(0), len * vectors::ELEMENT)?;
        Ok(zeros)
    }

    fn upload_integers(&self, values: &[i64]) -> Result<CudaIntegers> {
        self.device.upload_integers(values)
    }

    fn upload_bases(&self, points: &[G1Affine]) -> Result<CudaBases> {
        self.device.upload_bases(points)
    }

    fn download(&self, values: &CudaScalars) -> Result<Vec<Fr>> {
        self.device.fetch("download", values.at(0), values.len)
    }

    fn read(&self, values: &CudaScalars, start: usize, len: usize) -> Result<Vec<Fr>> {
        shape::range("read", start, len, values.len)?;
        self.device.fetch("read", values.at(start), len)
    }

    fn write(&self, target: &mut CudaScalars, start: usize, values: &[Fr]) -> Result<()> {
        shape::range("write", start, values.len(), target.len)?;
        self.device.overwrite(target, start, values)
    }

    fn widen(&self, values: &CudaIntegers) -> Result<CudaScalars> {
        self.device.widen(values)
    }

    fn slice(&self, values: &CudaScalars, start: usize, len: usize) -> Result<CudaScalars> {
        self.device.part(values, start, len)
    }

    fn msm(&self, bases: &CudaBases, scalars: &[&CudaScalars]) -> Result<Vec<G1Projective>> {
        scalars.iter().try_for_each(|vector| shape::at_most("msm", vector.len, bases.len()))?;
        let scalars: Vec<Scalars<'_>> = scalars.iter().map(|&vector| Scalars::Elements(vector)).collect();
        self.device.msm("msm", bases, &scalars)
    }

    fn msm_integers(&self, bases: &CudaBases, scalars: &[&CudaIntegers]) -> Result<Vec<G1Projective>> {
        scalars.iter().try_for_each(|vector| shape::at_most("msm_integers", vector.len, bases.len()))?;
        let scalars: Vec<Scalars<'_>> = scalars.iter().map(|&vector| Scalars::Integers(vector)).collect();
        self.device.msm("msm_integers", bases, &scalars)
    }

    fn ntt(&self, values: &mut CudaScalars, direction: Direction) -> Result<()> {
        shape::transform("ntt", values.len)?;
        self.device.transform("ntt", values, direction, &self.tables)
    }

    fn coset_ntt(&self, coefficients: &CudaScalars, log_size: u32, shift: Fr) -> Result<CudaScalars> {
        shape::coset("coset_ntt", log_size, shift.is_zero())?;
        self.device.coset_values(coefficients, log_size, shift, &self.tables)
    }

    fn inverse_coset_ntt(&self, values: &mut CudaScalars, shift: Fr) -> Result<()> {
        let log_size = shape::transform("inverse_coset_ntt", values.len)?;
        shape::coset("inverse_coset_ntt", log_size, shift.is_zero())?;
        self.device.coset_coefficients(values, shift, &self.tables)
    }

    fn run(&self, program: &Program, inputs: &[&CudaScalars], constants: &[Fr]) -> Result<CudaScalars> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.len).collect();
        let rows = shape::program("run", program, &lengths, constants.len())?;
        self.device.run(program, inputs, constants, rows)
    }

    fn batch_invert(&self, values: &mut CudaScalars) -> Result<()> {
        self.device.invert(values)
    }

    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &CudaScalars) -> Result<CudaScalars> {
        let scan = Scan { product: false, ratio, backwards: false, exclusive: true };
        self.device.scan("linear_recurrence", &scan, first, (addends, 0))
    }

    fn running_product(&self, first: Fr, factors: &CudaScalars) -> Result<CudaScalars> {
        let scan = Scan { product: true, ratio: Fr::one(), backwards: false, exclusive: true };
        self.device.scan("running_product", &scan, first, (factors, 0))
    }

    fn combine(&self, terms: &[(Fr, &CudaScalars)]) -> Result<CudaScalars> {
        self.device.combine(terms)
    }

    fn add_scaled(
        &self,
        target: &mut CudaScalars,
        offset: usize,
        factor: Fr,
        source: &CudaScalars,
    ) -> Result<()> {
        shape::range("add_scaled", offset, source.len, target.len)?;
        self.device.add_scaled(target.at(offset), factor, source)
    }

    fn evaluate(&self, polynomials: &[&CudaScalars], point: Fr) -> Result<Vec<Fr>> {
        self.device.evaluate(polynomials, point)
    }

    fn divide_by_linear(&self, polynomial: &CudaScalars, root: Fr) -> Result<CudaScalars> {
        self.device.divide_by_linear(polynomial, root)
    }

    fn expand_boxes(&self, target: &mut CudaScalars, boxes: &[GeometricBox]) -> Result<()> {
        shape::boxes("expand_boxes", boxes, Coordinate::Position, target.len)?;
        self.device.add_boxes("expand_boxes", target, None, boxes)
    }

    fn contract_boxes(
        &self,
        target: &mut CudaScalars,
        source: &CudaScalars,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        let operation = "contract_boxes";
        shape::boxes(operation, boxes, Coordinate::Position, source.len)?;
        shape::boxes(operation, boxes, Coordinate::Output, target.len)?;
        self.device.add_boxes(operation, target, Some(source), boxes)
    }

    fn combine_rows(
        &self,
        target: &mut CudaScalars,
        offset: usize,
        matrix: &CudaIntegers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        let operation = "combine_rows";
        shape::matrix(operation, target.len, offset, matrix.len, [weights.len(), width])?;
        self.device.combine_rows(target.at(offset), matrix, width, weights)
    }
}
