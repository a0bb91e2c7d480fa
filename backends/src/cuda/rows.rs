//! Integer matrices times weights.

use std::sync::Arc;

use ark_bn254::Fr;
use ark_ff::Field;

use super::device::Device;
use super::driver::Arguments;
use super::vectors::{CudaIntegers, THREADS};
use crate::backend::Result;

/// Threads that fill a device; narrow matrices are cut into strips of rows to have as many, of so many rows at least.
const MANY_THREADS: usize = 1 << 17;
const LEAST_STRIP: usize = 64;

impl Device {
    /// Adds the weighted sum of a matrix' rows to the entries from `target` on; shapes are checked by the caller.
    pub fn combine_rows(
        self: &Arc<Self>,
        target: u64,
        matrix: &CudaIntegers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        let operation = "combine_rows";
        let rows = weights.len();
        if rows == 0 || width == 0 {
            return Ok(());
        }
        // The kernel multiplies plain integers, which lack the factor of Montgomery form.
        let radix = Fr::from(2u64).pow([256]);
        let lifted: Vec<Fr> = weights.iter().map(|weight| *weight * radix).collect();
        let weights = self.upload(operation, &lifted)?;
        let strip = rows.div_ceil((MANY_THREADS / width).max(1)).max(LEAST_STRIP);
        let strips = rows.div_ceil(strip);
        let parts = self.vector(operation, strips * width)?;
        let arguments = Arguments::default()
            .word(parts.at(0))
            .word(matrix.buffer.address())
            .word(matrix.bits.into())
            .word(rows as u64)
            .word(width as u64)
            .word(weights.at(0))
            .word(strip as u64);
        self.launch(operation, "combine_rows", (strips * width, THREADS), &arguments)?;
        let arguments =
            Arguments::default().word(target).word(parts.at(0)).word(width as u64).word(strips as u64);
        self.launch(operation, "sum_strips", (width, THREADS), &arguments)
    }
}
