//! Integers on the device, as narrow as they fit, and what is made of them.

use ::wgpu::Buffer;
use ark_bn254::Fr;
use zkloom_kernels::wgsl::Module;

use super::device::{Device, Kernel};
use super::recorder::Recorder;
use super::vectors::{WgpuScalars, bytes_of, to_bytes, vectors};
use crate::backend::{DeviceVector, Result};

/// Invocations that keep a large device busy.
const BUSY: usize = 1 << 15;

/// Least rows that one invocation of a weighted sum does.
const LEAST_ROWS: usize = 8;

/// Signed integers on a device that wgpu drives, as narrow as they fit.
#[derive(Clone, Debug)]
pub struct WgpuIntegers {
    pub(super) buffer: Buffer,
    pub(super) len: usize,
    /// Bits of an entry: 8, 16, 32 or 64.
    pub(super) bits: u32,
    /// Largest magnitude of the entries.
    pub(super) magnitude: u64,
}

impl DeviceVector for WgpuIntegers {
    fn len(&self) -> usize {
        self.len
    }
}

impl WgpuIntegers {
    /// Largest magnitude of the entries.
    pub fn magnitude(&self) -> u64 {
        self.magnitude
    }

    /// Bits that one entry takes on the device.
    pub fn bits_per_entry(&self) -> u32 {
        self.bits
    }
}

/// The least width that holds all integers.
fn width(lowest: i64, highest: i64) -> u32 {
    let fits = |bits: u32| lowest >= -1 << (bits - 1) && highest < 1 << (bits - 1);
    [8, 16, 32].into_iter().find(|&bits| fits(bits)).unwrap_or(64)
}

impl Device {
    pub fn upload_integers(&self, values: &[i64]) -> Result<WgpuIntegers> {
        let operation = "upload_integers";
        let lowest = values.iter().copied().min().unwrap_or(0);
        let highest = values.iter().copied().max().unwrap_or(0);
        let bits = width(lowest, highest);
        let size = bits as usize / 8;
        // Refused before the copy is made.
        let buffer = self.storage(operation, (values.len() as u64).saturating_mul(size as u64))?;
        let mut bytes = Vec::with_capacity(values.len() * size + 3);
        for value in values {
            bytes.extend_from_slice(&value.to_le_bytes()[..size]);
        }
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        self.write(&buffer, 0, &bytes);
        self.check(operation)?;
        let magnitude = lowest.unsigned_abs().max(highest.unsigned_abs());
        Ok(WgpuIntegers { buffer, len: values.len(), bits, magnitude })
    }

    pub fn widen(&self, values: &WgpuIntegers) -> Result<WgpuScalars> {
        let operation = "widen";
        let widened = self.vector(operation, values.len)?;
        let mut recorder = Recorder::new(self, operation)?;
        let words = [values.len as u32, values.bits, 0, 0];
        recorder.dispatch(vectors("widen"), &words, &[&values.buffer, &widened.buffer], values.len)?;
        recorder.submit()?;
        Ok(widened)
    }

    /// Shapes are checked by the caller.
    pub fn combine_rows(
        &self,
        target: (&WgpuScalars, usize),
        matrix: &WgpuIntegers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        let operation = "combine_rows";
        let rows = weights.len();
        if rows == 0 || width == 0 {
            return self.check(operation);
        }
        let kernel = |entry| Kernel { module: Module::Rows, entry };
        let piece = rows.div_ceil((BUSY / width).max(1)).max(LEAST_ROWS);
        let pieces = rows.div_ceil(piece);
        let weights = self.filled(operation, &to_bytes(weights))?;
        let sums = self.storage(operation, bytes_of(width * pieces))?;
        let numbers = [rows, width, matrix.bits as usize, piece, pieces, target.1, 0, 0];
        let words = numbers.map(|number| number as u32);
        let mut recorder = Recorder::new(self, operation)?;
        recorder.dispatch(kernel("sum_rows"), &words, &[&matrix.buffer, &weights, &sums], width * pieces)?;
        recorder.dispatch(kernel("add_pieces"), &words, &[&target.0.buffer, &sums], width)?;
        recorder.submit()
    }
}

#[cfg(test)]
mod tests {
    use super::width;

    #[test]
    fn integers_are_as_narrow_as_they_fit() {
        let cases = [
            (0, 0, 8),
            (-128, 127, 8),
            (-129, 0, 16),
            (0, 128, 16),
            (-32_768, 32_767, 16),
            (0, 32_768, 32),
            (i64::from(i32::MIN), i64::from(i32::MAX), 32),
            (i64::from(i32::MIN) - 1, 0, 64),
            (i64::MIN, i64::MAX, 64),
        ];
        for (lowest, highest, bits) in cases {
            assert_eq!(width(lowest, highest), bits, "{lowest} to {highest}");
        }
    }
}
