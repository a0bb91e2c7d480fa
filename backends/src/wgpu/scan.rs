//! Scans and evaluation, block by block and level by level.

use ::wgpu::Buffer;
use ark_bn254::Fr;
use ark_ff::{Field, Zero};
use zkloom_kernels::wgsl::Module;

use super::device::{Device, Kernel};
use super::recorder::Recorder;
use super::vectors::{WgpuScalars, bytes_of, to_bytes, words_of};
use crate::backend::Result;

/// Entries of a block, which one invocation does.
const BLOCK: usize = 32;

/// Entries that are few enough for a single invocation.
const FEW: usize = 64;

fn kernel(entry: &'static str) -> Kernel {
    Kernel { module: Module::Scan, entry }
}

/// A scan of one vector.
pub(super) struct Scan {
    /// Whether a value is multiplied by the entry; else it is multiplied by `ratio`, and the entry is added.
    pub product: bool,
    pub ratio: Fr,
    /// From the last entry to the first.
    pub backwards: bool,
    /// Values are written before their entry is taken in.
    pub exclusive: bool,
}

/// A range of a buffer's entries.
#[derive(Clone, Copy)]
struct Entries<'a> {
    buffer: &'a Buffer,
    offset: usize,
    len: usize,
}

impl Scan {
    fn words(&self, entries: Entries<'_>, block: usize, out: usize) -> Vec<u32> {
        let flags = [self.product, self.backwards, self.exclusive].map(u32::from);
        let [product, backwards, exclusive] = flags;
        let mut words = vec![
            entries.len as u32,
            entries.offset as u32,
            block as u32,
            product,
            backwards,
            exclusive,
            out as u32,
            0,
        ];
        words.extend(words_of(&self.ratio));
        words
    }

    /// Records the scan from the value that `first` holds.
    fn record(
        &self,
        recorder: &mut Recorder<'_>,
        entries: Entries<'_>,
        first: &Buffer,
        out: &Buffer,
        device: &Device,
    ) -> Result<()> {
        let operation = "scan";
        if entries.len <= FEW {
            let words = self.words(entries, entries.len.max(1), 0);
            return recorder.dispatch(kernel("scan"), &words, &[out, entries.buffer, first], 1);
        }
        let blocks = entries.len.div_ceil(BLOCK);
        let owns = device.storage(operation, bytes_of(blocks))?;
        let enters = device.storage(operation, bytes_of(blocks))?;
        let words = self.words(entries, BLOCK, 0);
        recorder.dispatch(kernel("fold"), &words, &[&owns, entries.buffer], blocks)?;
        let above =
            Scan { ratio: self.ratio.pow([BLOCK as u64]), backwards: false, exclusive: true, ..*self };
        above.record(recorder, Entries { buffer: &owns, offset: 0, len: blocks }, first, &enters, device)?;
        recorder.dispatch(kernel("scan"), &words, &[out, entries.buffer, &enters], blocks)
    }
}

impl Device {
    /// As many values as there are entries from `offset` on.
    pub fn scan(
        &self,
        operation: &'static str,
        scan: &Scan,
        first: Fr,
        source: (&WgpuScalars, usize),
    ) -> Result<WgpuScalars> {
        let (entries, offset) = source;
        let len = entries.len.saturating_sub(offset);
        let values = self.vector(operation, len)?;
        let mut recorder = Recorder::new(self, operation)?;
        if len > 0 {
            let first = self.filled(operation, &to_bytes(&[first]))?;
            let entries = Entries { buffer: &entries.buffer, offset, len };
            scan.record(&mut recorder, entries, &first, &values.buffer, self)?;
        }
        recorder.submit()?;
        Ok(values)
    }

    /// Values of polynomials at a point.
    pub fn evaluate(&self, polynomials: &[&WgpuScalars], point: Fr) -> Result<Vec<Fr>> {
        let operation = "evaluate";
        let values = self.vector(operation, polynomials.len())?;
        let mut recorder = Recorder::new(self, operation)?;
        for (number, polynomial) in polynomials.iter().enumerate() {
            let mut scan = Scan { product: false, ratio: point, backwards: false, exclusive: false };
            let mut buffer = polynomial.buffer.clone();
            let mut len = polynomial.len;
            while len > FEW {
                let blocks = len.div_ceil(BLOCK);
                let owns = self.storage(operation, bytes_of(blocks))?;
                let words = scan.words(Entries { buffer: &buffer, offset: 0, len }, BLOCK, 0);
                recorder.dispatch(kernel("horner"), &words, &[&owns, &buffer], blocks)?;
                scan.ratio = scan.ratio.pow([BLOCK as u64]);
                (buffer, len) = (owns, blocks);
            }
            if len > 0 {
                let words = scan.words(Entries { buffer: &buffer, offset: 0, len }, len, number);
                recorder.dispatch(kernel("horner"), &words, &[&values.buffer, &buffer], 1)?;
            }
        }
        recorder.submit()?;
        let bytes = self.read(operation, &values.buffer, (0, bytes_of(values.len)))?;
        self.elements(operation, &bytes)
    }

    /// Quotient by `X - root`: the scan `q[i] = root * q[i + 1] + c[i + 1]` from the top.
    pub fn divide_by_linear(&self, polynomial: &WgpuScalars, root: Fr) -> Result<WgpuScalars> {
        let scan = Scan { product: false, ratio: root, backwards: true, exclusive: false };
        self.scan("divide_by_linear", &scan, Fr::zero(), (polynomial, 1))
    }
}
