//! Devices of an installed ICICLE (CUDA, Metal, Vulkan, its own CPU device), whose libraries are loaded at run time.
//!
//! Vectors live in ICICLE's device memory. What ICICLE has, it does: sums of points, transforms, vector arithmetic; gate
//! programs, scans, evaluations and quotients are made of its vector operations. What can't be made of them is done by the
//! processor, with the vectors downloaded and uploaded; [`Capabilities::composed`] lists it, and the meter counts it.
//!
//! Integers become canonical field elements when they are uploaded, magnitudes of positive and of negative ones apart, since
//! ICICLE sums over field elements only: a sum over signed integers is the difference of two sums with a bound on the bits.

mod abi;
mod device;
mod library;
mod rows;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::{One, Zero};
use zkloom_kernels::program::Program;
use zkloom_kernels::shape::{self, MAX_LOG_SIZE};

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::cpu::{CpuBackend, CpuIntegers, CpuScalars};
use crate::host::Host;
use crate::meter::Meter;
use crate::registry::{Found, self_test};
use device::Device;
pub use device::{IcicleBases, IcicleScalars};
use library::{device_id, library, unavailable};

/// What the processor does for every device of ICICLE.
const COMPOSED: [&str; 3] = ["expand_boxes", "contract_boxes", "combine_rows"];

/// ICICLE's own name of its device on the processor.
const SOFTWARE: &str = "CPU";

/// A device of an installed ICICLE.
#[derive(Debug)]
pub struct IcicleBackend {
    device: Device,
    description: String,
    cpu: CpuBackend,
}

/// Signed integers on a device of ICICLE, as canonical field elements, with a copy on the host for what the processor does.
#[derive(Debug)]
pub struct IcicleIntegers {
    /// Magnitudes of those above zero, zero elsewhere.
    positive: IcicleScalars,
    /// Magnitudes of those below zero, zero elsewhere; none if there are none.
    negative: Option<IcicleScalars>,
    host: CpuIntegers,
    /// Bits of the largest magnitude.
    bits: u32,
}

impl DeviceVector for IcicleIntegers {
    fn len(&self) -> usize {
        self.positive.len()
    }
}

/// Every device of the installed ICICLE, GPUs first. The libraries are loaded into this process and stay.
///
/// # Errors
/// [`BackendError::Unavailable`](crate::BackendError::Unavailable) if no ICICLE for BN254 is installed, with the way to install one.
pub fn find() -> Result<Vec<Found>> {
    let library = library()?;
    let mut found = Vec::new();
    for kind in library.kinds()? {
        for number in 0..library.count(&kind)? {
            let name = device_name(&kind, number);
            let device = Device::new(library, device_id(&kind, number)?, name.clone());
            let software = kind == SOFTWARE;
            found.push(Found {
                name,
                description: description(library, &kind, number),
                memory: device.memory,
                software,
            });
        }
    }
    found.sort_by_key(|found| found.software);
    Ok(found)
}

/// Opens every device of the installed ICICLE and tests it on known answers.
///
/// A library of ICICLE may end the process instead of reporting an error (a driver of the wrong version, for instance), and no
/// check of ours can foresee every such case. So a program that meets an installation for the first time should call this in
/// a child process, whose death then says that the installation can't be used.
///
/// # Errors
/// As for [`find`]; the error of the first device that fails its test.
pub fn probe() -> Result<Vec<Found>> {
    let found = find()?;
    for device in &found {
        let which = device.name.split_once(':').map(|(_, which)| which);
        self_test(&IcicleBackend::open(which)?)?;
    }
    Ok(found)
}

fn device_name(kind: &str, number: u32) -> String {
    if number == 0 { format!("icicle:{kind}") } else { format!("icicle:{kind}:{number}") }
}

fn description(library: &library::Library, kind: &str, number: u32) -> String {
    let from = library
        .folder
        .as_ref()
        .map_or_else(|| "the loader's path".into(), |folder| folder.display().to_string());
    format!("ICICLE's {kind} device {number}, from {from}")
}

impl IcicleBackend {
    /// Opens a device by ICICLE's name of its kind, in any case (`CUDA`, `METAL`, `VULKAN`, `CPU`), with `:1` for the second of
    /// its kind and so on; without a name, the first that is not the processor in another guise, or that if there is no other.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`](crate::BackendError::Unavailable) if ICICLE is not installed or has no such device, with what to do.
    pub fn open(device: Option<&str>) -> Result<Self> {
        let library = library()?;
        let kinds = library.kinds()?;
        let (wanted, number) = match device {
            None => {
                let best = kinds.iter().find(|kind| *kind != SOFTWARE).map_or(SOFTWARE, String::as_str);
                (best.to_owned(), 0)
            }
            Some(device) => parse(device)?,
        };
        let left_out = || match library.left_out.as_slice() {
            [] => String::new(),
            reasons => format!("; left out: {}", reasons.join(", ")),
        };
        let Some(kind) = kinds.iter().find(|kind| kind.eq_ignore_ascii_case(&wanted)) else {
            let reason = format!(
                "the installed ICICLE has no such device; it has {}{}; set ICICLE_BACKEND_INSTALL_DIR to the folder of its \
                 devices' libraries",
                kinds.join(", "),
                left_out()
            );
            return Err(unavailable(&format!("icicle:{wanted}"), reason));
        };
        let (name, count) = (device_name(kind, number), library.count(kind)?);
        if number >= count {
            let reason = format!("there are {count} devices of this kind, numbered from 0");
            return Err(unavailable(&name, reason));
        }
        let mut device = Device::new(library, device_id(kind, number)?, name);
        if kind == SOFTWARE && device.memory.is_none() {
            // This device takes the host's memory, which the system promises beyond what there is.
            device.memory = Host::detect().memory;
        }
        Ok(Self { device, description: description(library, kind, number), cpu: CpuBackend::new(None)? })
    }

    /// A vector as the processor has it.
    fn to_cpu(&self, operation: &'static str, values: &IcicleScalars) -> Result<CpuScalars> {
        self.cpu.upload(&self.device.read(operation, values.all())?)
    }

    /// A method that the processor does in the device's place, on a target that is overwritten with the result.
    fn compose(
        &self,
        operation: &'static str,
        target: &mut IcicleScalars,
        work: impl FnOnce(&mut CpuScalars) -> Result<()>,
    ) -> Result<()> {
        self.device.meter.compose();
        let mut values = self.to_cpu(operation, target)?;
        work(&mut values)?;
        self.device.write(operation, target.all(), values.as_slice())
    }
}

/// `KIND` or `KIND:number`.
fn parse(device: &str) -> Result<(String, u32)> {
    let Some((kind, number)) = device.split_once(':') else { return Ok((device.to_owned(), 0)) };
    match number.parse::<u32>() {
        Ok(number) if number <= i32::MAX as u32 => Ok((kind.to_owned(), number)),
        _ => {
            let reason = format!("`{number}` is no device number; use `icicle:{kind}` for the first one");
            Err(unavailable(&format!("icicle:{device}"), reason))
        }
    }
}

impl Backend for IcicleBackend {
    type Scalars = IcicleScalars;
    type Integers = IcicleIntegers;
    type Bases = IcicleBases;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: self.device.name.clone(),
            description: self.description.clone(),
            memory: self.device.memory,
            max_log_size: MAX_LOG_SIZE,
            composed: COMPOSED.to_vec(),
        }
    }

    fn meter(&self) -> &Meter {
        &self.device.meter
    }

    fn upload(&self, values: &[Fr]) -> Result<IcicleScalars> {
        let vector = self.device.room("upload", values.len())?;
        self.device.write("upload", vector.all(), values)?;
        Ok(vector)
    }

    fn zeros(&self, len: usize) -> Result<IcicleScalars> {
        self.device.zeros("zeros", len)
    }

    fn upload_integers(&self, values: &[i64]) -> Result<IcicleIntegers> {
        let host = self.cpu.upload_integers(values)?;
        let bits = u64::BITS - host.magnitude().leading_zeros();
        let part = |sign: i64| -> Result<IcicleScalars> {
            let magnitude = |value: &i64| if value.signum() == sign { value.unsigned_abs() } else { 0 };
            let words: Vec<_> = values.iter().map(|value| [magnitude(value), 0, 0, 0]).collect();
            self.device.upload_words("upload_integers", &words)
        };
        let negative = values.iter().any(|&value| value < 0).then(|| part(-1)).transpose()?;
        Ok(IcicleIntegers { positive: part(1)?, negative, host, bits })
    }

    fn upload_bases(&self, points: &[G1Affine]) -> Result<IcicleBases> {
        self.device.upload_bases(points)
    }

    fn download(&self, values: &IcicleScalars) -> Result<Vec<Fr>> {
        self.device.read("download", values.all())
    }

    fn read(&self, values: &IcicleScalars, start: usize, len: usize) -> Result<Vec<Fr>> {
        shape::range("read", start, len, values.len())?;
        self.device.read("read", values.part(start, len))
    }

    fn write(&self, target: &mut IcicleScalars, start: usize, values: &[Fr]) -> Result<()> {
        shape::range("write", start, values.len(), target.len())?;
        self.device.write("write", target.part(start, values.len()), values)
    }

    fn widen(&self, values: &IcicleIntegers) -> Result<IcicleScalars> {
        let wide = self.device.room("widen", values.len())?;
        match &values.negative {
            None => self.device.copy("widen", wide.all(), values.positive.all())?,
            Some(negative) => {
                self.device.subtract("widen", values.positive.all(), negative.all(), wide.all())?
            }
        }
        self.device.scale("widen", device::radix(), wide.all(), wide.all())?;
        Ok(wide)
    }

    fn slice(&self, values: &IcicleScalars, start: usize, len: usize) -> Result<IcicleScalars> {
        let part = self.device.zeros("slice", len)?;
        self.device.copy("slice", part.all(), values.part(start, len))?;
        Ok(part)
    }

    fn msm(&self, bases: &IcicleBases, scalars: &[&IcicleScalars]) -> Result<Vec<G1Projective>> {
        scalars.iter().try_for_each(|vector| shape::at_most("msm", vector.len(), bases.len()))?;
        scalars.iter().map(|vector| self.device.sum("msm", bases, vector.all(), None)).collect()
    }

    fn msm_integers(&self, bases: &IcicleBases, scalars: &[&IcicleIntegers]) -> Result<Vec<G1Projective>> {
        let operation = "msm_integers";
        scalars.iter().try_for_each(|vector| shape::at_most(operation, vector.len(), bases.len()))?;
        let one = |vector: &&IcicleIntegers| {
            let part =
                |part: &IcicleScalars| self.device.sum(operation, bases, part.all(), Some(vector.bits));
            let below = vector.negative.as_ref().map(part).transpose()?;
            Ok(part(&vector.positive)? - below.unwrap_or_default())
        };
        scalars.iter().map(one).collect()
    }

    fn ntt(&self, values: &mut IcicleScalars, direction: Direction) -> Result<()> {
        shape::transform("ntt", values.len())?;
        self.device.transform("ntt", values.all(), direction, Fr::one())
    }

    fn coset_ntt(&self, coefficients: &IcicleScalars, log_size: u32, shift: Fr) -> Result<IcicleScalars> {
        shape::coset("coset_ntt", log_size, shift.is_zero())?;
        self.device.coset_ntt(coefficients, log_size, shift)
    }

    fn inverse_coset_ntt(&self, values: &mut IcicleScalars, shift: Fr) -> Result<()> {
        let operation = "inverse_coset_ntt";
        shape::coset(operation, shape::transform(operation, values.len())?, shift.is_zero())?;
        self.device.coset_transform(operation, values, Direction::Inverse, shift)
    }

    fn run(&self, program: &Program, inputs: &[&IcicleScalars], constants: &[Fr]) -> Result<IcicleScalars> {
        let lengths: Vec<usize> = inputs.iter().map(|input| input.len()).collect();
        let rows = shape::program("run", program, &lengths, constants.len())?;
        self.device.run(program, inputs, constants, rows)
    }

    fn batch_invert(&self, values: &mut IcicleScalars) -> Result<()> {
        let inverses = self.device.room("batch_invert", values.len())?;
        self.device.invert("batch_invert", values.all(), inverses.all())?;
        *values = inverses;
        Ok(())
    }

    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &IcicleScalars) -> Result<IcicleScalars> {
        self.device.linear_recurrence(first, ratio, addends)
    }

    fn running_product(&self, first: Fr, factors: &IcicleScalars) -> Result<IcicleScalars> {
        self.device.running_product(first, factors)
    }

    fn combine(&self, terms: &[(Fr, &IcicleScalars)]) -> Result<IcicleScalars> {
        let len = terms.iter().map(|(_, vector)| vector.len()).max().unwrap_or(0);
        let sum = self.device.zeros("combine", len)?;
        for (factor, vector) in terms {
            self.device.add_scaled("combine", sum.all(), *factor, vector.all())?;
        }
        Ok(sum)
    }

    fn add_scaled(
        &self,
        target: &mut IcicleScalars,
        offset: usize,
        factor: Fr,
        source: &IcicleScalars,
    ) -> Result<()> {
        shape::range("add_scaled", offset, source.len(), target.len())?;
        self.device.add_scaled("add_scaled", target.part(offset, source.len()), factor, source.all())
    }

    fn evaluate(&self, polynomials: &[&IcicleScalars], point: Fr) -> Result<Vec<Fr>> {
        self.device.evaluate(polynomials, point)
    }

    fn divide_by_linear(&self, polynomial: &IcicleScalars, root: Fr) -> Result<IcicleScalars> {
        self.device.divide_by_linear(polynomial, root)
    }

    fn expand_boxes(&self, target: &mut IcicleScalars, boxes: &[GeometricBox]) -> Result<()> {
        self.compose("expand_boxes", target, |values| self.cpu.expand_boxes(values, boxes))
    }

    fn contract_boxes(
        &self,
        target: &mut IcicleScalars,
        source: &IcicleScalars,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        let operation = "contract_boxes";
        let source = self.to_cpu(operation, source)?;
        self.compose(operation, target, |values| self.cpu.contract_boxes(values, &source, boxes))
    }

    fn combine_rows(
        &self,
        target: &mut IcicleScalars,
        offset: usize,
        matrix: &IcicleIntegers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        self.compose("combine_rows", target, |values| {
            self.cpu.combine_rows(values, offset, &matrix.host, width, weights)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::BackendError;

    #[test]
    fn names_of_devices_are_read() {
        assert_eq!(parse("CUDA").expect("a kind"), ("CUDA".to_owned(), 0));
        assert_eq!(parse("CUDA:2").expect("a kind and a number"), ("CUDA".to_owned(), 2));
        for wrong in ["CUDA:", "CUDA:first", "CUDA:-1", "CUDA:4294967295", "CUDA:1:2"] {
            assert!(matches!(parse(wrong), Err(BackendError::Unavailable { .. })), "{wrong}");
        }
    }
}
