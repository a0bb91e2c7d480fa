//! Vectors on the device: transfers, linear combinations, progressions, inversion.

use ::wgpu::Buffer;
use ark_bn254::Fr;
use ark_ff::{BigInt, Field, One, PrimeField, Zero};
use zkloom_kernels::wgsl::Module;

use super::device::{Device, Kernel};
use super::recorder::Recorder;
use crate::backend::{DeviceVector, Result};

/// Bytes of a field element.
pub(super) const ELEMENT: u64 = 32;

/// Terms that one dispatch of a linear combination takes.
const TERMS: usize = 6;

/// Entries that share one inversion, an inversion costing some 380 multiplications.
const INVERSION_BATCH: usize = 64;

/// Entries of a progression that one invocation does, after it has found its first.
const PROGRESSION_BATCH: usize = 16;

pub(super) const fn vectors(entry: &'static str) -> Kernel {
    Kernel { module: Module::Vectors, entry }
}

/// Field elements on a device that wgpu drives. It owns its buffer: a clone of a wgpu buffer would be the same memory.
#[derive(Debug)]
pub struct WgpuScalars {
    pub(super) buffer: Buffer,
    pub(super) len: usize,
}

impl DeviceVector for WgpuScalars {
    fn len(&self) -> usize {
        self.len
    }
}

/// Bytes of this many elements (saturating).
pub(super) fn bytes_of(len: usize) -> u64 {
    (len as u64).saturating_mul(ELEMENT)
}

/// An element as a shader reads it.
pub(super) fn words_of(value: &Fr) -> [u32; 8] {
    let limbs = value.0.0;
    core::array::from_fn(|index| (limbs[index / 2] >> (32 * (index % 2))) as u32)
}

/// Elements as bytes.
pub(super) fn to_bytes(values: &[Fr]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(values));
    for value in values {
        value.0.0.iter().for_each(|limb| bytes.extend_from_slice(&limb.to_le_bytes()));
    }
    bytes
}

/// Four limbs of an element's 32 bytes.
pub(super) fn limbs_of(bytes: &[u8]) -> BigInt<4> {
    let mut limbs = [0u64; 4];
    for (limb, part) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = part.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    }
    BigInt(limbs)
}

impl Device {
    /// Elements from their bytes; a device that returns anything else is broken.
    pub fn elements(&self, operation: &'static str, bytes: &[u8]) -> Result<Vec<Fr>> {
        let element = |part: &[u8]| {
            let limbs = limbs_of(part);
            (limbs < Fr::MODULUS).then(|| Fr::new_unchecked(limbs))
        };
        let values: Option<Vec<Fr>> = bytes.chunks_exact(ELEMENT as usize).map(element).collect();
        values.ok_or_else(|| self.failed(operation, "it returned a value that is no field element"))
    }

    pub fn vector(&self, operation: &'static str, len: usize) -> Result<WgpuScalars> {
        Ok(WgpuScalars { buffer: self.storage(operation, bytes_of(len))?, len })
    }

    pub fn combine(&self, terms: &[(Fr, &WgpuScalars)]) -> Result<WgpuScalars> {
        let operation = "combine";
        let len = terms.iter().map(|(_, vector)| vector.len).max().unwrap_or(0);
        let sum = self.vector(operation, len)?;
        let terms: Vec<_> =
            terms.iter().filter(|(factor, vector)| !factor.is_zero() && vector.len > 0).collect();
        let mut recorder = Recorder::new(self, operation)?;
        let unused = self.storage(operation, 0)?;
        for (number, part) in terms.chunks(TERMS).enumerate() {
            let mut lengths = [0u32; 8];
            let mut factors = [[0u32; 8]; TERMS];
            let mut buffers = vec![&sum.buffer];
            for (index, (factor, vector)) in part.iter().enumerate() {
                lengths[index] = vector.len as u32;
                factors[index] = words_of(factor);
                buffers.push(&vector.buffer);
            }
            buffers.resize(1 + TERMS, &unused);
            let mut words = vec![len as u32, part.len() as u32, u32::from(number > 0), 0];
            words.extend(lengths.iter().chain(factors.iter().flatten()));
            recorder.dispatch(vectors("combine"), &words, &buffers, len)?;
        }
        recorder.submit()?;
        Ok(sum)
    }

    pub fn add_scaled(
        &self,
        target: &WgpuScalars,
        offset: usize,
        factor: Fr,
        source: &WgpuScalars,
    ) -> Result<()> {
        let operation = "add_scaled";
        let mut words = vec![source.len as u32, offset as u32, 0, 0];
        words.extend(words_of(&factor));
        let mut recorder = Recorder::new(self, operation)?;
        recorder.dispatch(vectors("add_scaled"), &words, &[&target.buffer, &source.buffer], source.len)?;
        recorder.submit()
    }

    pub fn batch_invert(&self, values: &WgpuScalars) -> Result<()> {
        let operation = "batch_invert";
        let before = self.vector(operation, values.len)?;
        let threads = values.len.div_ceil(INVERSION_BATCH).next_multiple_of(64);
        let words = [values.len as u32, threads as u32, 0, 0];
        let mut recorder = Recorder::new(self, operation)?;
        let invocations = threads.min(values.len);
        recorder.dispatch(vectors("invert"), &words, &[&values.buffer, &before.buffer], invocations)?;
        recorder.submit()
    }
}

/// `first * ratio^i`, for every position.
pub(super) struct Progression {
    pub first: Fr,
    pub ratio: Fr,
}

impl Progression {
    /// Records `target[i] = first * ratio^i * entry i`. Entries past the target's end are folded back: `entries[i + target's
    /// length]` counts with the factor `ratio^length`, and so on. Without entries they are ones.
    pub fn record(
        &self,
        recorder: &mut Recorder<'_>,
        target: &WgpuScalars,
        entries: (Option<&Buffer>, usize),
        spare: &Buffer,
    ) -> Result<()> {
        let threads = target.len.div_ceil(PROGRESSION_BATCH).next_power_of_two();
        let mut words =
            vec![target.len as u32, entries.1 as u32, threads.ilog2(), u32::from(entries.0.is_none())];
        words.extend(words_of(&self.first));
        words.extend(words_of(&self.ratio.pow([target.len as u64])));
        let powers = core::iter::successors(Some(self.ratio), |power| Some(power.square()));
        powers.take(29).for_each(|power| words.extend(words_of(&power)));
        let buffers = [&target.buffer, entries.0.unwrap_or(spare)];
        recorder.dispatch(vectors("progression"), &words, &buffers, threads)
    }

    /// Plain powers of `ratio`.
    pub fn powers_of(ratio: Fr) -> Self {
        Self { first: Fr::one(), ratio }
    }
}
