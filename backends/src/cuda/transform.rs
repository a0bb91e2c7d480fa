//! Transforms: several layers at a time in shared memory, then a reordering.

use std::sync::{Arc, Mutex, PoisonError};

use ark_bn254::Fr;
use ark_ff::{Field, One};

use super::device::{Buffer, Device};
use super::driver::Arguments;
use super::vectors::{CudaScalars, ELEMENT, THREADS, words_of};
use crate::backend::{Direction, Result};

/// Twiddles in the first table (32 MiB, which stays in the device's cache), as log2; further ones cost a multiplication.
const TABLE_LOG: u32 = 20;

/// Layers of a launch, and entries of a block (32 KiB of shared memory) as log2.
const LAYERS: u32 = 8;
const TILE_LOG: u32 = 10;

/// Twiddles for transforms up to some size.
#[derive(Debug)]
struct Table {
    low: Buffer,
    high: Buffer,
    low_log: u32,
    /// Log2 of the largest transform.
    log_size: u32,
}

/// The largest table so far.
#[derive(Debug, Default)]
pub struct Tables(Mutex<Option<Arc<Table>>>);

impl Tables {
    fn get(&self, device: &Arc<Device>, operation: &'static str, log_size: u32) -> Result<Arc<Table>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = known.as_ref().filter(|table| table.log_size >= log_size) {
            return Ok(Arc::clone(table));
        }
        let depth = log_size.saturating_sub(1);
        let low_log = depth.min(TABLE_LOG);
        let low = device.doubled(operation, 0, low_log)?;
        let high = device.doubled(operation, low_log, depth)?;
        let table = Arc::new(Table { low, high, low_log, log_size });
        *known = Some(Arc::clone(&table));
        Ok(table)
    }
}

impl Device {
    /// Transforms in place; the result's new memory takes the place of the old.
    pub fn transform(
        self: &Arc<Self>,
        operation: &'static str,
        values: &mut CudaScalars,
        direction: Direction,
        tables: &Tables,
    ) -> Result<()> {
        let log_size = values.len.ilog2();
        let ordered = self.vector(operation, values.len)?;
        let table = tables.get(self, operation, log_size)?;
        let launches = log_size.div_ceil(LAYERS);
        let mut done = 0;
        for launch in 0..launches {
            let layers = (log_size - done).div_ceil(launches - launch);
            self.layers(operation, values, (done, layers), &table)?;
            done += layers;
        }
        let inverse = direction == Direction::Inverse;
        let scale = Fr::from(values.len as u64).inverse().unwrap_or_default();
        let arguments = Arguments::default()
            .word(ordered.at(0))
            .word(values.at(0))
            .word(log_size.into())
            .word(inverse.into())
            .structure(&words_of(&if inverse { scale } else { Fr::one() }));
        self.launch(operation, "reorder", (values.len, THREADS), &arguments)?;
        *values = ordered;
        Ok(())
    }

    fn layers(
        &self,
        operation: &'static str,
        values: &CudaScalars,
        (done, layers): (u32, u32),
        table: &Table,
    ) -> Result<()> {
        let log_size = values.len.ilog2();
        let columns = (log_size - done - layers).min(TILE_LOG - layers);
        let entries = 1u32 << (layers + columns);
        let arguments = Arguments::default()
            .word(values.at(0))
            .word(log_size.into())
            .word(done.into())
            .word(layers.into())
            .word(columns.into())
            .structure(&[table.low.address(), table.high.address(), table.low_log.into()]);
        let grid = (values.len / entries as usize, entries / 2, entries * ELEMENT as u32);
        self.launch_blocks(operation, "transform_layers", grid, &arguments)
    }

    pub fn coset_values(
        self: &Arc<Self>,
        coefficients: &CudaScalars,
        log_size: u32,
        shift: Fr,
        tables: &Tables,
    ) -> Result<CudaScalars> {
        let operation = "coset_ntt";
        let mut values = self.vector(operation, 1 << log_size)?;
        let target = (values.at(0), values.len);
        self.fold_powers(operation, target, (coefficients.at(0), coefficients.len), shift)?;
        self.transform(operation, &mut values, Direction::Forward, tables)?;
        Ok(values)
    }

    pub fn coset_coefficients(
        self: &Arc<Self>,
        values: &mut CudaScalars,
        shift: Fr,
        tables: &Tables,
    ) -> Result<()> {
        let operation = "inverse_coset_ntt";
        self.transform(operation, values, Direction::Inverse, tables)?;
        let own = (values.at(0), values.len);
        self.fold_powers(operation, own, own, shift.inverse().unwrap_or_default())
    }
}
