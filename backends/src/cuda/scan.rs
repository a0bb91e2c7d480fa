//! Scans and evaluation, block by block and level by level.

use std::sync::Arc;

use ark_bn254::Fr;
use ark_ff::{Field, Zero};

use super::device::Device;
use super::driver::Arguments;
use super::vectors::{CudaScalars, ELEMENT, FEWER_THREADS, words_of};
use crate::backend::Result;

/// Entries of a block, which one thread does.
const BLOCK: usize = 32;

/// Entries that are few enough for a single thread.
const FEW: usize = 32;

/// Most strands of an evaluation, and entries of each at least.
const MOST_STRANDS: usize = 1 << 17;
const STRAND: usize = 16;

/// A scan of one vector.
#[derive(Clone, Copy)]
pub struct Scan {
    /// Whether a value is multiplied by the entry; else it is multiplied by `ratio`, and the entry is added.
    pub product: bool,
    pub ratio: Fr,
    /// From the last entry to the first.
    pub backwards: bool,
    /// Values are written before their entry is taken in.
    pub exclusive: bool,
}

impl Scan {
    fn rule(&self, len: usize, block: usize) -> Vec<u64> {
        let pair = |low: u64, high: bool| low | u64::from(high) << 32;
        let mut words = vec![
            len as u64,
            pair(block as u64, self.product),
            pair(self.backwards.into(), self.exclusive),
            0,
        ];
        words.extend(words_of(&self.ratio));
        words
    }

    /// Scans `len` entries from the value at `first`.
    fn launch(
        &self,
        device: &Arc<Device>,
        operation: &'static str,
        (entries, len): (u64, usize),
        first: u64,
        out: u64,
    ) -> Result<()> {
        let arguments = |enters: u64, block: usize| {
            Arguments::default().word(out).word(entries).word(enters).structure(&self.rule(len, block))
        };
        if len <= FEW {
            return device.launch(operation, "scan_blocks", (1, 1), &arguments(first, FEW));
        }
        let blocks = len.div_ceil(BLOCK);
        let owns = device.vector(operation, blocks)?;
        let enters = device.vector(operation, blocks)?;
        let fold = Arguments::default().word(owns.at(0)).word(entries).structure(&self.rule(len, BLOCK));
        device.launch(operation, "fold_blocks", (blocks, FEWER_THREADS), &fold)?;
        let above =
            Self { ratio: self.ratio.pow([BLOCK as u64]), backwards: false, exclusive: true, ..*self };
        above.launch(device, operation, (owns.at(0), blocks), first, enters.at(0))?;
        device.launch(operation, "scan_blocks", (blocks, FEWER_THREADS), &arguments(enters.at(0), BLOCK))
    }
}

impl Device {
    /// As many values as there are entries from `offset` on.
    pub fn scan(
        self: &Arc<Self>,
        operation: &'static str,
        scan: &Scan,
        first: Fr,
        (entries, offset): (&CudaScalars, usize),
    ) -> Result<CudaScalars> {
        let len = entries.len.saturating_sub(offset);
        let values = self.vector(operation, len)?;
        if len > 0 {
            let first = self.upload(operation, &[first])?;
            scan.launch(self, operation, (entries.at(offset), len), first.at(0), values.at(0))?;
        }
        Ok(values)
    }

    /// Values of polynomials at a point.
    pub fn evaluate(self: &Arc<Self>, polynomials: &[&CudaScalars], point: Fr) -> Result<Vec<Fr>> {
        let operation = "evaluate";
        let values = self.vector(operation, polynomials.len())?;
        self.clear(operation, values.at(0), values.len * ELEMENT)?;
        for (number, polynomial) in
            polynomials.iter().enumerate().filter(|(_, polynomial)| polynomial.len > 0)
        {
            let (mut entries, mut len) = (polynomial.at(0), polynomial.len);
            // A level's memory must not be given to others before the next level's launch.
            let mut levels = Vec::new();
            loop {
                let strands = (1usize << (len / STRAND).max(1).ilog2()).min(MOST_STRANDS);
                let out = if strands == 1 {
                    values.at(number)
                } else {
                    levels.push(self.vector(operation, strands)?);
                    levels.last().map_or(0, |level| level.at(0))
                };
                let arguments = Arguments::default()
                    .word(out)
                    .word(entries)
                    .word(len as u64)
                    .structure(&words_of(&point.pow([strands as u64])));
                let threads = strands.min(FEWER_THREADS as usize) as u32;
                self.launch(operation, "evaluate_strands", (strands, threads), &arguments)?;
                if strands == 1 {
                    break;
                }
                (entries, len) = (out, strands);
            }
        }
        self.fetch(operation, values.at(0), values.len)
    }

    /// Quotient by `X - root`: the scan `q[i] = root * q[i + 1] + c[i + 1]` from the top.
    pub fn divide_by_linear(self: &Arc<Self>, polynomial: &CudaScalars, root: Fr) -> Result<CudaScalars> {
        let scan = Scan { product: false, ratio: root, backwards: true, exclusive: false };
        self.scan("divide_by_linear", &scan, Fr::zero(), (polynomial, 1))
    }
}
