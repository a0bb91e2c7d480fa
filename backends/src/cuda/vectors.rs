//! Vectors on the device, their transfers, and work on their entries.

use std::sync::Arc;

use ark_bn254::Fr;
use ark_ff::{BigInt, Field, One, PrimeField};

use super::device::{Buffer, Device};
use super::driver::Arguments;
use crate::backend::{DeviceVector, Result};
use crate::error::BackendError;

/// Bytes of a field element.
pub const ELEMENT: usize = 32;

/// Threads of a block, except where a kernel needs many registers.
pub const THREADS: u32 = 256;

/// Threads of a block of the kernels that need many registers.
pub const FEWER_THREADS: u32 = 128;

/// Entries that one thread inverts; the kernel has the same.
const INVERTED: usize = 16;

/// Entries that one thread gives the powers of a coset.
const POWERS: usize = 16;

/// Field elements on the device.
#[derive(Debug)]
pub struct CudaScalars {
    pub(super) buffer: Buffer,
    pub(super) len: usize,
}

/// Signed integers on the device, as narrow as they fit.
#[derive(Debug)]
pub struct CudaIntegers {
    pub(super) buffer: Buffer,
    pub(super) len: usize,
    /// Bits of an entry: 8, 16, 32 or 64.
    pub(super) bits: u32,
    pub(super) magnitude: u64,
}

impl DeviceVector for CudaScalars {
    fn len(&self) -> usize {
        self.len
    }
}

impl DeviceVector for CudaIntegers {
    fn len(&self) -> usize {
        self.len
    }
}

impl CudaIntegers {
    /// Bytes of its memory.
    pub(crate) fn bytes(&self) -> u64 {
        self.len as u64 * u64::from(self.bits / 8)
    }
}

impl CudaScalars {
    /// Address of an entry; of one past the end it must not be followed.
    pub(super) fn at(&self, index: usize) -> u64 {
        self.buffer.address().wrapping_add((index as u64).wrapping_mul(ELEMENT as u64))
    }
}

/// The words of a field element in memory.
pub fn words_of(value: &Fr) -> [u64; 4] {
    value.0.0
}

// Field elements travel as they lie in memory.
const _: () = assert!(size_of::<Fr>() == ELEMENT && align_of::<Fr>() == align_of::<u64>());

fn bytes_of(values: &[Fr]) -> &[u8] {
    // SAFETY: an element of 32 bytes whose only content is four words has no padding.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn bytes_of_mut(values: &mut [Fr]) -> &mut [u8] {
    // SAFETY: as for `bytes_of`; any bytes are four words, and whether they are below the modulus is checked after the transfer.
    unsafe { core::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

impl Device {
    pub fn vector(self: &Arc<Self>, operation: &'static str, len: usize) -> Result<CudaScalars> {
        Ok(CudaScalars { buffer: self.allocate(operation, len, ELEMENT)?, len })
    }

    pub fn upload(self: &Arc<Self>, operation: &'static str, values: &[Fr]) -> Result<CudaScalars> {
        Ok(CudaScalars { buffer: self.filled(operation, bytes_of(values))?, len: values.len() })
    }

    pub fn overwrite(&self, target: &CudaScalars, start: usize, values: &[Fr]) -> Result<()> {
        self.write("write", target.at(start), bytes_of(values))
    }

    pub fn fetch(&self, operation: &'static str, source: u64, len: usize) -> Result<Vec<Fr>> {
        let mut values = Vec::new();
        let needed = (len as u64).saturating_mul(ELEMENT as u64);
        values.try_reserve_exact(len).map_err(|_| self.out_of_memory(operation, needed))?;
        values.resize(len, Fr::default());
        self.read(operation, bytes_of_mut(&mut values), source)?;
        // An element that is not reduced would break arithmetic on the host.
        match values.iter().position(|value| BigInt(value.0.0) >= Fr::MODULUS) {
            None => Ok(values),
            Some(at) => Err(BackendError::Device {
                device: self.name.clone(),
                operation,
                reason: format!("entry {at} of its answer is no field element"),
            }),
        }
    }

    pub fn upload_integers(self: &Arc<Self>, values: &[i64]) -> Result<CudaIntegers> {
        let lowest = values.iter().copied().min().unwrap_or(0);
        let highest = values.iter().copied().max().unwrap_or(0);
        let fits = |bits: u32| lowest >= -1 << (bits - 1) && highest < 1 << (bits - 1);
        let bits = [8, 16, 32].into_iter().find(|&bits| fits(bits)).unwrap_or(64);
        let width = bits as usize / 8;
        let needed = values.len() as u64 * width as u64;
        let mut bytes: Vec<u8> = Vec::new();
        bytes
            .try_reserve_exact(values.len() * width)
            .map_err(|_| self.out_of_memory("upload_integers", needed))?;
        values.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()[..width]));
        let magnitude = lowest.unsigned_abs().max(highest.unsigned_abs());
        Ok(CudaIntegers {
            buffer: self.filled("upload_integers", &bytes)?,
            len: values.len(),
            bits,
            magnitude,
        })
    }

    pub fn widen(self: &Arc<Self>, values: &CudaIntegers) -> Result<CudaScalars> {
        let wide = self.vector("widen", values.len)?;
        let arguments = Arguments::default()
            .word(wide.at(0))
            .word(values.buffer.address())
            .word(values.len as u64)
            .word(values.bits.into());
        self.launch("widen", "widen", (values.len, THREADS), &arguments)?;
        Ok(wide)
    }

    /// Entries of another device's vector; the caller checked the range.
    pub fn take_scalars(
        self: &Arc<Self>,
        from: &Self,
        values: &CudaScalars,
        start: usize,
        len: usize,
    ) -> Result<CudaScalars> {
        let buffer = self.take("take", (from, values.at(start)), len * ELEMENT)?;
        Ok(CudaScalars { buffer, len })
    }

    /// Integers of another device's vector; the caller checked the range.
    pub fn take_integers(
        self: &Arc<Self>,
        from: &Self,
        values: &CudaIntegers,
        start: usize,
        len: usize,
    ) -> Result<CudaIntegers> {
        let width = values.bits as usize / 8;
        let source = values.buffer.address() + (start * width) as u64;
        let buffer = self.take("take_integers", (from, source), len * width)?;
        Ok(CudaIntegers { buffer, len, bits: values.bits, magnitude: values.magnitude })
    }

    /// Entries from `start` on, with zeros past the end.
    pub fn part(self: &Arc<Self>, values: &CudaScalars, start: usize, len: usize) -> Result<CudaScalars> {
        let operation = "slice";
        let part = self.vector(operation, len)?;
        let present = values.len.saturating_sub(start).min(len);
        self.copy(operation, part.at(0), values.at(start), present * ELEMENT)?;
        self.clear(operation, part.at(present), (len - present) * ELEMENT)?;
        Ok(part)
    }

    pub fn combine(self: &Arc<Self>, terms: &[(Fr, &CudaScalars)]) -> Result<CudaScalars> {
        let operation = "combine";
        let len = terms.iter().map(|(_, vector)| vector.len).max().unwrap_or(0);
        let sum = self.vector(operation, len)?;
        let words = terms.iter().flat_map(|(factor, vector)| {
            [vector.at(0), vector.len as u64].into_iter().chain(words_of(factor))
        });
        let table = self.filled(operation, &words.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())?;
        let arguments = Arguments::default()
            .word(sum.at(0))
            .word(len as u64)
            .word(table.address())
            .word(terms.len() as u64);
        self.launch(operation, "combine", (len, THREADS), &arguments)?;
        Ok(sum)
    }

    pub fn add_scaled(&self, target: u64, factor: Fr, source: &CudaScalars) -> Result<()> {
        let arguments = Arguments::default()
            .word(target)
            .word(source.at(0))
            .word(source.len as u64)
            .structure(&words_of(&factor));
        self.launch("add_scaled", "add_scaled", (source.len, THREADS), &arguments)
    }

    pub fn invert(&self, values: &CudaScalars) -> Result<()> {
        let arguments = Arguments::default().word(values.at(0)).word(values.len as u64);
        self.launch("batch_invert", "invert", (values.len.div_ceil(INVERTED), FEWER_THREADS), &arguments)
    }

    /// Folds a vector to `size` entries times the powers of `shift`; the two may be one vector of that size.
    pub fn fold_powers(
        &self,
        operation: &'static str,
        (target, size): (u64, usize),
        (source, len): (u64, usize),
        shift: Fr,
    ) -> Result<()> {
        let blocks = size.div_ceil(POWERS * THREADS as usize);
        let stride = shift.pow([blocks as u64 * u64::from(THREADS)]);
        let arguments = Arguments::default()
            .word(target)
            .word(source)
            .word(len as u64)
            .word(size as u64)
            .structure(&words_of(&shift))
            .structure(&words_of(&shift.pow([size as u64])))
            .structure(&words_of(&stride));
        self.launch_blocks(operation, "fold_powers", (blocks, THREADS, 0), &arguments)
    }

    /// A table of `2^(to - from)` twiddles: those whose number is a multiple of `2^from`.
    pub fn doubled(self: &Arc<Self>, operation: &'static str, from: u32, to: u32) -> Result<Buffer> {
        let table = self.allocate(operation, 1 << (to - from), ELEMENT)?;
        self.write(operation, table.address(), bytes_of(&[Fr::one()]))?;
        for bit in from..to {
            let len = 1usize << (bit - from);
            let root = zkloom_kernels::cpu::ntt::generator(bit + 2);
            let arguments =
                Arguments::default().word(table.address()).word(len as u64).structure(&words_of(&root));
            self.launch(operation, "double_table", (len, THREADS), &arguments)?;
        }
        Ok(table)
    }
}
