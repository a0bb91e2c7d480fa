//! One device of ICICLE: its memory and every call that we make on it.
//!
//! Field elements stay as the host has them, in Montgomery form. ICICLE's arithmetic is canonical, so that sums, transforms and
//! products with a canonical factor pass Montgomery data straight through, and a product or an inverse of Montgomery data is
//! corrected by a power of the radix.

#![allow(unsafe_code)]

use core::ffi::{c_int, c_void};
use core::marker::PhantomData;

use ark_bn254::{Fq, Fr, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, Field, PrimeField, Zero};
use zkloom_kernels::cpu::ntt::generator;

use super::abi::{DeviceId, DomainConfig, Functions, MsmConfig, NttConfig, VectorConfig, Words, words};
use super::library::Library;
use crate::backend::{DeviceVector, Direction, Result};
use crate::error::BackendError;
use crate::meter::Meter;

/// Bytes of a field element.
pub(super) const ELEMENT: usize = size_of::<Words>();

/// Transforms are prepared for this size at least, as log2, since a larger one later means to prepare again.
const LEAST_DOMAIN: u32 = 12;

/// A device that can be used.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) name: String,
    /// Memory in bytes, where known.
    pub(super) memory: Option<u64>,
    pub(super) meter: Meter,
    owner: Owner,
}

/// The device as ICICLE knows it.
#[derive(Clone, Copy)]
struct Owner {
    library: &'static Library,
    id: DeviceId,
}

impl core::fmt::Debug for Owner {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Owner").field("number", &self.id.number).finish_non_exhaustive()
    }
}

/// A piece of device memory.
#[derive(Debug)]
struct Memory {
    owner: Owner,
    address: *mut c_void,
}

// SAFETY: the address is a name for memory on the device; the host never follows it, and calls are made one at a time.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.address.is_null() {
            return;
        }
        let _alone = self.owner.library.lock();
        let functions = &self.owner.library.functions;
        // SAFETY: the device exists, and the memory is its own, from `allocate`, released only here. A failure leaks it.
        unsafe {
            if (functions.set_device)(&self.owner.id) == 0 {
                (functions.free)(self.address);
            }
        }
    }
}

/// Field elements on a device of ICICLE.
#[derive(Debug)]
pub struct IcicleScalars {
    memory: Memory,
    len: usize,
}

/// Points on a device of ICICLE, canonical.
#[derive(Debug)]
pub struct IcicleBases {
    memory: Memory,
    len: usize,
}

impl DeviceVector for IcicleScalars {
    fn len(&self) -> usize {
        self.len
    }
}

impl DeviceVector for IcicleBases {
    fn len(&self) -> usize {
        self.len
    }
}

/// A part of a vector.
#[derive(Clone, Copy)]
pub(super) struct Span<'a> {
    address: *mut Words,
    len: usize,
    of: PhantomData<&'a IcicleScalars>,
}

impl Span<'_> {
    /// Number of entries.
    pub(super) fn len(self) -> usize {
        self.len
    }
}

impl IcicleScalars {
    /// The whole vector.
    pub(super) fn all(&self) -> Span<'_> {
        self.part(0, self.len)
    }

    /// `len` entries from `start`, as far as there are any.
    pub(super) fn part(&self, start: usize, len: usize) -> Span<'_> {
        let start = start.min(self.len);
        let len = len.min(self.len - start);
        let address = self.memory.address.cast::<Words>().wrapping_add(start);
        Span { address, len, of: PhantomData }
    }
}

/// An element in canonical form.
fn canonical(value: Fr) -> Words {
    value.into_bigint().0
}

/// The element whose canonical form is the radix of Montgomery form, 2^256.
pub(super) fn radix() -> Fr {
    Fr::from(2u64).pow([256])
}

/// Its inverse.
pub(super) fn inverse_radix() -> Fr {
    Fr::new_unchecked(BigInt::one())
}

impl Device {
    /// The device `id`, which is registered and counted.
    pub(super) fn new(library: &'static Library, id: DeviceId, name: String) -> Self {
        let mut device = Self { name, memory: None, meter: Meter::default(), owner: Owner { library, id } };
        let (mut total, mut free) = (0usize, 0usize);
        // SAFETY: both pointers are to integers of ours.
        let known =
            device.call("open", |functions| unsafe { (functions.available_memory)(&mut total, &mut free) });
        device.memory = known.is_ok().then_some(total as u64).filter(|&total| total > 0);
        device
    }

    /// Makes one call on this device; no other thread calls ICICLE meanwhile.
    fn call(&self, operation: &'static str, call: impl FnOnce(&Functions) -> c_int) -> Result<()> {
        let _alone = self.owner.library.lock();
        self.checked(operation, self.select())?;
        self.checked(operation, call(&self.owner.library.functions))
    }

    /// Makes this device the calling thread's.
    fn select(&self) -> c_int {
        // SAFETY: the device was registered and counted when it was opened, so that nothing is thrown.
        unsafe { (self.owner.library.functions.set_device)(&self.owner.id) }
    }

    fn checked(&self, operation: &'static str, code: c_int) -> Result<()> {
        let device = self.name.clone();
        match code {
            0 => Ok(()),
            2 | 4 => Err(BackendError::OutOfMemory { device, operation, needed: 0 }),
            10 => Err(BackendError::Unsupported { device, operation }),
            code => Err(self.failed(operation, format!("ICICLE: {} (code {code})", words(code)))),
        }
    }

    fn failed(&self, operation: &'static str, reason: impl Into<String>) -> BackendError {
        BackendError::Device { device: self.name.clone(), operation, reason: reason.into() }
    }

    /// The size of something as ICICLE counts it.
    fn count(&self, operation: &'static str, found: usize) -> Result<c_int> {
        let expected = || format!("at most {} on {}", c_int::MAX, self.name);
        c_int::try_from(found).map_err(|_| BackendError::Length { operation, expected: expected(), found })
    }

    fn allocate(&self, operation: &'static str, len: usize, bytes_each: usize) -> Result<Memory> {
        let mut address = core::ptr::null_mut();
        let needed = (len as u64).saturating_mul(bytes_each as u64);
        let too_much = || BackendError::OutOfMemory { device: self.name.clone(), operation, needed };
        if self.memory.is_some_and(|memory| needed > memory) {
            return Err(too_much());
        }
        let bytes =
            len.checked_mul(bytes_each).filter(|&bytes| bytes <= isize::MAX as usize).ok_or_else(too_much)?;
        if bytes > 0 {
            // SAFETY: the pointer is to an address of ours.
            let allocated =
                self.call(operation, |functions| unsafe { (functions.allocate)(&mut address, bytes) });
            match allocated {
                Err(BackendError::OutOfMemory { .. }) => return Err(too_much()),
                other => other?,
            }
            if address.is_null() {
                return Err(too_much());
            }
        }
        Ok(Memory { owner: self.owner, address })
    }

    /// A vector with whatever its memory holds.
    pub(super) fn room(&self, operation: &'static str, len: usize) -> Result<IcicleScalars> {
        Ok(IcicleScalars { memory: self.allocate(operation, len, ELEMENT)?, len })
    }

    /// Zeros.
    pub(super) fn zeros(&self, operation: &'static str, len: usize) -> Result<IcicleScalars> {
        let vector = self.room(operation, len)?;
        if len > 0 {
            self.meter.launch();
            let address = vector.memory.address;
            // SAFETY: the memory has this many bytes.
            self.call(operation, |functions| unsafe { (functions.fill)(address, 0, len * ELEMENT) })?;
        }
        Ok(vector)
    }

    fn send<T: Copy>(&self, operation: &'static str, target: *mut c_void, values: &[T]) -> Result<()> {
        let bytes = size_of_val(values);
        if bytes == 0 {
            return Ok(());
        }
        self.meter.upload(bytes);
        // SAFETY: the callers give device memory that has room for all values, which are plain words.
        self.call(operation, |functions| unsafe {
            (functions.copy_to_device)(target, values.as_ptr().cast(), bytes)
        })
    }

    /// Overwrites a span with elements in Montgomery form; as many as fit.
    pub(super) fn write(&self, operation: &'static str, target: Span<'_>, values: &[Fr]) -> Result<()> {
        let words: Vec<Words> = values.iter().take(target.len).map(|value| value.0.0).collect();
        self.send(operation, target.address.cast(), &words)
    }

    /// A vector of elements in canonical form.
    pub(super) fn upload_words(&self, operation: &'static str, values: &[Words]) -> Result<IcicleScalars> {
        let vector = self.room(operation, values.len())?;
        self.send(operation, vector.memory.address, values)?;
        Ok(vector)
    }

    /// Points, as ICICLE has them.
    pub(super) fn upload_bases(&self, points: &[G1Affine]) -> Result<IcicleBases> {
        let operation = "upload_bases";
        let memory = self.allocate(operation, points.len(), 2 * ELEMENT)?;
        let words = |point: &G1Affine| match point.xy() {
            Some((x, y)) => [x.into_bigint().0, y.into_bigint().0],
            None => [[0; 4]; 2],
        };
        self.send(operation, memory.address, &points.iter().map(words).collect::<Vec<_>>())?;
        Ok(IcicleBases { memory, len: points.len() })
    }

    /// Elements in Montgomery form.
    pub(super) fn read(&self, operation: &'static str, source: Span<'_>) -> Result<Vec<Fr>> {
        let mut words = vec![[0u64; 4]; source.len];
        let bytes = source.len * ELEMENT;
        if bytes > 0 {
            self.meter.download(bytes);
            let target = words.as_mut_ptr().cast();
            // SAFETY: the span has this many bytes, and so has the buffer.
            self.call(operation, |functions| unsafe {
                (functions.copy_to_host)(target, source.address.cast(), bytes)
            })?;
        }
        let element = |words: Words| {
            let integer = BigInt::new(words);
            (integer < Fr::MODULUS).then(|| Fr::new_unchecked(integer))
        };
        let elements = words.into_iter().map(element).collect::<Option<Vec<_>>>();
        elements.ok_or_else(|| {
            self.failed(operation, "an entry is no field element: it is not below the modulus")
        })
    }

    /// Copies entries on the device, as many as both spans have.
    pub(super) fn copy(&self, operation: &'static str, target: Span<'_>, source: Span<'_>) -> Result<()> {
        let bytes = target.len.min(source.len) * ELEMENT;
        if bytes == 0 {
            return Ok(());
        }
        self.meter.launch();
        // SAFETY: both spans have this many bytes of device memory.
        self.call(operation, |functions| unsafe {
            (functions.copy)(target.address.cast(), source.address.cast(), bytes)
        })
    }

    /// One of ICICLE's operations on entries of two spans.
    fn elementwise(&self, operation: &'static str, which: Elementwise, spans: [Span<'_>; 3]) -> Result<()> {
        let [first, second, target] = spans;
        let len = first.len.min(second.len).min(target.len);
        if len == 0 {
            return Ok(());
        }
        self.meter.launch();
        let config = VectorConfig::new(true);
        self.call(operation, |functions| {
            let function = match which {
                Elementwise::Add => functions.add,
                Elementwise::Subtract => functions.subtract,
                Elementwise::Multiply => functions.multiply,
            };
            // SAFETY: all three spans have this many entries of device memory.
            unsafe { function(first.address, second.address, len as u64, &config, target.address) }
        })
    }

    /// `target = first + second`; `target` may be one of them.
    pub(super) fn add(
        &self,
        operation: &'static str,
        first: Span<'_>,
        second: Span<'_>,
        target: Span<'_>,
    ) -> Result<()> {
        self.elementwise(operation, Elementwise::Add, [first, second, target])
    }

    /// `target = first - second`; `target` may be one of them.
    pub(super) fn subtract(
        &self,
        operation: &'static str,
        first: Span<'_>,
        second: Span<'_>,
        target: Span<'_>,
    ) -> Result<()> {
        self.elementwise(operation, Elementwise::Subtract, [first, second, target])
    }

    /// `target = first * second` of the words as they are: Montgomery if exactly one factor is.
    pub(super) fn multiply(
        &self,
        operation: &'static str,
        first: Span<'_>,
        second: Span<'_>,
        target: Span<'_>,
    ) -> Result<()> {
        self.elementwise(operation, Elementwise::Multiply, [first, second, target])
    }

    /// `target = factor * source`, in the form of the source; `target` may be the source.
    pub(super) fn scale(
        &self,
        operation: &'static str,
        factor: Fr,
        source: Span<'_>,
        target: Span<'_>,
    ) -> Result<()> {
        let factor = canonical(factor);
        self.with_scalar(operation, |functions| functions.scale, factor, [source, target])
    }

    /// `target = summand + source` for a source in Montgomery form; `target` may be the source.
    pub(super) fn shift(
        &self,
        operation: &'static str,
        summand: Fr,
        source: Span<'_>,
        target: Span<'_>,
    ) -> Result<()> {
        self.with_scalar(operation, |functions| functions.shift, summand.0.0, [source, target])
    }

    fn with_scalar(
        &self,
        operation: &'static str,
        function: fn(&Functions) -> ScalarOperation,
        scalar: Words,
        [source, target]: [Span<'_>; 2],
    ) -> Result<()> {
        let len = source.len.min(target.len);
        if len == 0 {
            return Ok(());
        }
        self.meter.launch();
        let config = VectorConfig::new(false);
        // SAFETY: the scalar lies on the host, as the options say; both spans have this many entries of device memory.
        self.call(operation, |functions| unsafe {
            function(functions)(&scalar, source.address, len as u64, &config, target.address)
        })
    }

    /// `target = 1 / source` for Montgomery form on both sides, zero for zero; `target` is not the source.
    pub(super) fn invert(&self, operation: &'static str, source: Span<'_>, target: Span<'_>) -> Result<()> {
        let len = source.len.min(target.len);
        if len == 0 {
            return Ok(());
        }
        self.meter.launch();
        let config = VectorConfig::new(true);
        // SAFETY: both spans have this many entries of device memory.
        self.call(operation, |functions| unsafe {
            (functions.invert)(source.address, len as u64, &config, target.address)
        })?;
        // ICICLE inverted a R as an element, which gives 1 / (a R); Montgomery form of 1 / a has R as its numerator.
        self.scale(operation, radix().square(), target, target)
    }

    /// Transform in place, over the coset `shift H`; the shift is one or no root of unity.
    pub(super) fn transform(
        &self,
        operation: &'static str,
        values: Span<'_>,
        direction: Direction,
        shift: Fr,
    ) -> Result<()> {
        // Over the group of order one, a polynomial of one coefficient is its value.
        if values.len < 2 {
            return Ok(());
        }
        let len = self.count(operation, values.len)?;
        let config = NttConfig::new(canonical(shift));
        let direction = match direction {
            Direction::Forward => 0,
            Direction::Inverse => 1,
        };
        let mut prepared = self.owner.library.lock();
        self.checked(operation, self.select())?;
        self.prepare(operation, values.len.ilog2(), prepared.entry(self.name.clone()).or_default())?;
        self.meter.launch();
        // SAFETY: the span has this many entries, a power of two that the device is prepared for.
        let code = unsafe {
            (self.owner.library.functions.ntt)(values.address, len, direction, &config, values.address)
        };
        self.checked(operation, code)
    }

    /// Prepares the device, which is selected, for transforms up to a size. ICICLE keeps the first preparation that it is given
    /// until it is released, so that what it holds is known here.
    fn prepare(&self, operation: &'static str, log_size: u32, prepared: &mut u32) -> Result<()> {
        if *prepared >= log_size {
            return Ok(());
        }
        let functions = &self.owner.library.functions;
        if *prepared > 0 {
            *prepared = 0;
            // SAFETY: no transform runs, since calls are made one at a time.
            self.checked(operation, unsafe { (functions.release_domain)() })?;
        }
        let log_size = log_size.max(LEAST_DOMAIN);
        let root = canonical(generator(log_size));
        // SAFETY: the root has the order 2^log_size, which the field has; both pointers are to values of ours.
        self.checked(operation, unsafe { (functions.init_domain)(&root, &DomainConfig::new()) })?;
        *prepared = log_size;
        Ok(())
    }

    /// `sum_i scalars[i] * bases[i]` over the scalars, which are canonical integers of at most `bits` bits, or Montgomery
    /// form if `bits` is none.
    pub(super) fn sum(
        &self,
        operation: &'static str,
        bases: &IcicleBases,
        scalars: Span<'_>,
        bits: Option<u32>,
    ) -> Result<G1Projective> {
        let len = self.count(operation, scalars.len.min(bases.len))?;
        if len == 0 || bits == Some(0) {
            return Ok(G1Projective::zero());
        }
        let config = MsmConfig::new(bits.unwrap_or(0), bits.is_none());
        let mut sum = [[0u64; 4]; 3];
        self.meter.launch();
        // SAFETY: both vectors have this many entries of device memory; scalars are below the modulus.
        self.call(operation, |functions| unsafe {
            (functions.msm)(scalars.address, bases.memory.address.cast(), len, &config, &mut sum)
        })?;
        self.meter.download(size_of_val(&sum));
        point(sum).ok_or_else(|| self.failed(operation, "the result is no point of the curve"))
    }
}

type ScalarOperation =
    unsafe extern "C" fn(*const Words, *const Words, u64, *const VectorConfig, *mut Words) -> c_int;

/// ICICLE's operations on the entries of two vectors.
#[derive(Clone, Copy)]
enum Elementwise {
    Add,
    Subtract,
    Multiply,
}

/// A point from homogeneous coordinates, if it is one: `(X : Y : Z)` is `(X Z, Y Z^2, Z)` in Jacobian coordinates.
fn point(coordinates: [Words; 3]) -> Option<G1Projective> {
    let [x, y, z] = coordinates.map(|words| Fq::from_bigint(BigInt::new(words)));
    let (x, y, z) = (x?, y?, z?);
    if z.is_zero() {
        return (x.is_zero() && !y.is_zero()).then(G1Projective::zero);
    }
    let on_curve = y.square() * z == x.square() * x + Fq::from(3u64) * z.square() * z;
    on_curve.then(|| G1Projective::new_unchecked(x * z, y * z.square(), z))
}

#[cfg(test)]
mod tests {
    use ark_ec::CurveGroup;

    use super::*;

    #[test]
    fn homogeneous_coordinates_are_understood() {
        let affine = (G1Affine::generator() * Fr::from(77u64)).into_affine();
        let z = Fq::from(5u64);
        let words = |value: Fq| value.into_bigint().0;
        assert_eq!(point([words(affine.x * z), words(affine.y * z), words(z)]), Some(affine.into()));
        assert_eq!(point([[0; 4], [1, 0, 0, 0], [0; 4]]), Some(G1Projective::zero()));
        assert_eq!(point([words(affine.x), words(affine.y + z), words(z)]), None, "not on the curve");
        assert_eq!(point([[u64::MAX; 4], words(affine.y), words(z)]), None, "not below the modulus");
        assert_eq!(point([[0; 4]; 3]), None);
    }

    #[test]
    fn radix_and_its_inverse_convert() {
        let value = Fr::from(123_456u64);
        assert_eq!(Fr::new_unchecked(BigInt::new(canonical(value * radix()))), value);
        assert_eq!(canonical(value * inverse_radix() * radix()), canonical(value));
        assert_eq!(radix() * inverse_radix(), Fr::from(1u64));
    }
}
