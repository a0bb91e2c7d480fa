//! A backend with one fault, to show that laws and comparisons notice it.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::One;
use zkloom_kernels::program::Program;

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::error::BackendError;
use crate::meter::Meter;

macro_rules! methods {
    ($($variant:ident $name:literal,)*) => {
        /// A method of [`Backend`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = concat!("[`Backend::", $name, "`]")] $variant,)*
        }

        impl Method {
            /// Every method, in the order of the trait.
            pub const ALL: &'static [Method] = &[$(Method::$variant,)*];

            /// The method's name in the trait.
            pub fn name(self) -> &'static str {
                match self {
                    $(Method::$variant => $name,)*
                }
            }
        }
    };
}

methods! {
    Capabilities "capabilities",
    Meter "meter",
    Upload "upload",
    Zeros "zeros",
    UploadIntegers "upload_integers",
    UploadBases "upload_bases",
    Download "download",
    Read "read",
    Write "write",
    Widen "widen",
    Slice "slice",
    Msm "msm",
    MsmIntegers "msm_integers",
    Ntt "ntt",
    CosetNtt "coset_ntt",
    InverseCosetNtt "inverse_coset_ntt",
    Run "run",
    BatchInvert "batch_invert",
    LinearRecurrence "linear_recurrence",
    RunningProduct "running_product",
    Combine "combine",
    AddScaled "add_scaled",
    Evaluate "evaluate",
    DivideByLinear "divide_by_linear",
    ExpandBoxes "expand_boxes",
    ContractBoxes "contract_boxes",
    CombineRows "combine_rows",
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// When and how the faulty method goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Each result is wrong.
    Always,
    /// The result of this call alone is wrong, counted from 0.
    Once(u64),
    /// The device is lost in this call and stays so.
    Lost(u64),
    /// From this call on there is no memory left.
    OutOfMemory(u64),
}

/// A backend that does everything right except one method. A wrong result is off by one in the middle.
#[derive(Debug)]
pub struct Faulty<B> {
    inner: B,
    method: Method,
    fault: Fault,
    calls: AtomicU64,
    idle: Meter,
}

impl<B: Backend> Faulty<B> {
    /// Makes every result of a method wrong.
    pub fn new(inner: B, method: Method) -> Self {
        Self::with(inner, method, Fault::Always)
    }

    /// Makes one result of a method wrong, that of its call number `call` (from 0).
    pub fn once(inner: B, method: Method, call: u64) -> Self {
        Self::with(inner, method, Fault::Once(call))
    }

    /// A device that is lost in call number `call` of a method: that one and all later ones fail.
    pub fn lost(inner: B, method: Method, call: u64) -> Self {
        Self::with(inner, method, Fault::Lost(call))
    }

    /// A device whose memory is exhausted from call number `call` of a method on.
    pub fn out_of_memory(inner: B, method: Method, call: u64) -> Self {
        Self::with(inner, method, Fault::OutOfMemory(call))
    }

    fn with(inner: B, method: Method, fault: Fault) -> Self {
        Self { inner, method, fault, calls: AtomicU64::new(0), idle: Meter::default() }
    }

    /// Whether the result of this call is to be spoiled, or the failure that the call ends in.
    fn spoils(&self, method: Method) -> Result<bool> {
        if self.method != method {
            return Ok(false);
        }
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let device = self.capabilities().name;
        let operation = method.name();
        match self.fault {
            Fault::Always => Ok(true),
            Fault::Once(faulty) => Ok(call == faulty),
            Fault::Lost(from) if call >= from => {
                Err(BackendError::Device { device, operation, reason: "the device is lost".to_owned() })
            }
            Fault::OutOfMemory(from) if call >= from => {
                Err(BackendError::OutOfMemory { device, operation, needed: 1 << 40 })
            }
            Fault::Lost(_) | Fault::OutOfMemory(_) => Ok(false),
        }
    }

    /// Adds one to the middle entry if the method is the faulty one.
    fn spoil(&self, method: Method, vector: &mut B::Scalars) -> Result<()> {
        let middle = vector.len() / 2;
        if !self.spoils(method)? || vector.is_empty() {
            return Ok(());
        }
        let entry = self.inner.read(vector, middle, 1)?;
        self.inner.write(vector, middle, &[entry[0] + Fr::one()])
    }

    fn spoiled(&self, method: Method, result: Result<B::Scalars>) -> Result<B::Scalars> {
        let mut vector = result?;
        self.spoil(method, &mut vector)?;
        Ok(vector)
    }

    fn spoiled_host(&self, method: Method, result: Result<Vec<Fr>>) -> Result<Vec<Fr>> {
        let mut values = result?;
        let middle = values.len() / 2;
        if self.spoils(method)?
            && let Some(value) = values.get_mut(middle)
        {
            *value += Fr::one();
        }
        Ok(values)
    }

    fn spoiled_points(&self, method: Method, result: Result<Vec<G1Projective>>) -> Result<Vec<G1Projective>> {
        let mut points = result?;
        if self.spoils(method)?
            && let Some(point) = points.last_mut()
        {
            *point += G1Affine::generator();
        }
        Ok(points)
    }
}

impl<B: Backend> Backend for Faulty<B> {
    type Scalars = B::Scalars;
    type Integers = B::Integers;
    type Bases = B::Bases;

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        match self.method {
            Method::Capabilities => capabilities.name.clear(),
            _ => capabilities.name.insert_str(0, "faulty-"),
        }
        capabilities
    }

    fn meter(&self) -> &Meter {
        if self.method == Method::Meter { &self.idle } else { self.inner.meter() }
    }

    fn upload(&self, values: &[Fr]) -> Result<B::Scalars> {
        self.spoiled(Method::Upload, self.inner.upload(values))
    }

    fn zeros(&self, len: usize) -> Result<B::Scalars> {
        self.spoiled(Method::Zeros, self.inner.zeros(len))
    }

    fn upload_integers(&self, values: &[i64]) -> Result<B::Integers> {
        let mut values = values.to_vec();
        let middle = values.len() / 2;
        if self.spoils(Method::UploadIntegers)?
            && let Some(value) = values.get_mut(middle)
        {
            *value ^= 1;
        }
        self.inner.upload_integers(&values)
    }

    fn upload_bases(&self, points: &[G1Affine]) -> Result<B::Bases> {
        let mut points = points.to_vec();
        let middle = points.len() / 2;
        if self.spoils(Method::UploadBases)?
            && let Some(point) = points.get_mut(middle)
        {
            *point = if point.is_zero() { G1Affine::generator() } else { -*point };
        }
        self.inner.upload_bases(&points)
    }

    fn download(&self, values: &B::Scalars) -> Result<Vec<Fr>> {
        self.spoiled_host(Method::Download, self.inner.download(values))
    }

    fn read(&self, values: &B::Scalars, start: usize, len: usize) -> Result<Vec<Fr>> {
        self.spoiled_host(Method::Read, self.inner.read(values, start, len))
    }

    fn write(&self, target: &mut B::Scalars, start: usize, values: &[Fr]) -> Result<()> {
        self.inner.write(target, start, values)?;
        self.spoil(Method::Write, target)
    }

    fn widen(&self, values: &B::Integers) -> Result<B::Scalars> {
        self.spoiled(Method::Widen, self.inner.widen(values))
    }

    fn slice(&self, values: &B::Scalars, start: usize, len: usize) -> Result<B::Scalars> {
        self.spoiled(Method::Slice, self.inner.slice(values, start, len))
    }

    fn msm(&self, bases: &B::Bases, scalars: &[&B::Scalars]) -> Result<Vec<G1Projective>> {
        self.spoiled_points(Method::Msm, self.inner.msm(bases, scalars))
    }

    fn msm_integers(&self, bases: &B::Bases, scalars: &[&B::Integers]) -> Result<Vec<G1Projective>> {
        self.spoiled_points(Method::MsmIntegers, self.inner.msm_integers(bases, scalars))
    }

    fn ntt(&self, values: &mut B::Scalars, direction: Direction) -> Result<()> {
        self.inner.ntt(values, direction)?;
        self.spoil(Method::Ntt, values)
    }

    fn coset_ntt(&self, coefficients: &B::Scalars, log_size: u32, shift: Fr) -> Result<B::Scalars> {
        self.spoiled(Method::CosetNtt, self.inner.coset_ntt(coefficients, log_size, shift))
    }

    fn inverse_coset_ntt(&self, values: &mut B::Scalars, shift: Fr) -> Result<()> {
        self.inner.inverse_coset_ntt(values, shift)?;
        self.spoil(Method::InverseCosetNtt, values)
    }

    fn run(&self, program: &Program, inputs: &[&B::Scalars], constants: &[Fr]) -> Result<B::Scalars> {
        self.spoiled(Method::Run, self.inner.run(program, inputs, constants))
    }

    fn batch_invert(&self, values: &mut B::Scalars) -> Result<()> {
        self.inner.batch_invert(values)?;
        self.spoil(Method::BatchInvert, values)
    }

    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &B::Scalars) -> Result<B::Scalars> {
        self.spoiled(Method::LinearRecurrence, self.inner.linear_recurrence(first, ratio, addends))
    }

    fn running_product(&self, first: Fr, factors: &B::Scalars) -> Result<B::Scalars> {
        self.spoiled(Method::RunningProduct, self.inner.running_product(first, factors))
    }

    fn combine(&self, terms: &[(Fr, &B::Scalars)]) -> Result<B::Scalars> {
        self.spoiled(Method::Combine, self.inner.combine(terms))
    }

    fn add_scaled(
        &self,
        target: &mut B::Scalars,
        offset: usize,
        factor: Fr,
        source: &B::Scalars,
    ) -> Result<()> {
        self.inner.add_scaled(target, offset, factor, source)?;
        self.spoil(Method::AddScaled, target)
    }

    fn evaluate(&self, polynomials: &[&B::Scalars], point: Fr) -> Result<Vec<Fr>> {
        self.spoiled_host(Method::Evaluate, self.inner.evaluate(polynomials, point))
    }

    fn divide_by_linear(&self, polynomial: &B::Scalars, root: Fr) -> Result<B::Scalars> {
        self.spoiled(Method::DivideByLinear, self.inner.divide_by_linear(polynomial, root))
    }

    fn expand_boxes(&self, target: &mut B::Scalars, boxes: &[GeometricBox]) -> Result<()> {
        self.inner.expand_boxes(target, boxes)?;
        self.spoil(Method::ExpandBoxes, target)
    }

    fn contract_boxes(
        &self,
        target: &mut B::Scalars,
        source: &B::Scalars,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        self.inner.contract_boxes(target, source, boxes)?;
        self.spoil(Method::ContractBoxes, target)
    }

    fn combine_rows(
        &self,
        target: &mut B::Scalars,
        offset: usize,
        matrix: &B::Integers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        self.inner.combine_rows(target, offset, matrix, width, weights)?;
        self.spoil(Method::CombineRows, target)
    }
}
