//! Rates of the operations that proofs are made of, measured on the device that is to prove.

use std::time::Instant;

use ark_ff::One;
use serde::Serialize;
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::{Backend, Direction, GeometricBox, Segment};
use zkloom_plonkish::Fr;
use zkloom_verifier::linear::powers;

use crate::error::Result;
use crate::srs::Srs;

/// Log2 of the points that are made; longer lists repeat them.
const POINTS_LOG_SIZE: u32 = 12;
/// Log2 of the shortest vector that is measured.
const MIN_LOG_SIZE: u32 = 10;
/// Log2 of the longest multi-scalar multiplication that is measured.
const MAX_MSM_LOG_SIZE: u32 = 16;
/// Log2 of the longest vector that is measured: beyond it memory decides, and rates hardly change.
const MAX_VECTOR_LOG_SIZE: u32 = 18;
/// Runs of each operation; the fastest counts.
const RUNS: usize = 3;
/// Multiplications in each row of the measured gate program.
const PROGRAM_LENGTH: u32 = 8;
/// Vectors that are combined at a time.
const COMBINED: usize = 4;
/// Columns of the matrix whose rows are combined.
const MATRIX_COLUMNS: usize = 512;

/// Seconds for one entry of each operation, at sizes near those of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// Multi-scalar multiplication, full-width scalars.
    pub full_entry: f64,
    /// The same with integers of 8 bits.
    pub byte_entry: f64,
    /// The same with integers of 20 bits.
    pub wide_entry: f64,
    /// A transform as long as a column, all its levels.
    pub transform: f64,
    /// A transform twice as long.
    pub double_transform: f64,
    /// A multiplication in a gate program.
    pub multiply: f64,
    /// One term of a combination of vectors.
    pub combine: f64,
    /// Evaluation of a polynomial.
    pub evaluate: f64,
    /// Division of a polynomial by a linear one.
    pub divide: f64,
    /// Inversion of many elements together.
    pub invert: f64,
    /// A cell that a view of a fold contracts.
    pub contract: f64,
    /// A cell that a view is written out to.
    pub expand: f64,
    /// An entry of a matrix whose rows are combined.
    pub matrix_entry: f64,
    /// A multiplication of field elements on one thread of the processor, which does what no device does.
    pub host_multiply: f64,
}

/// Fastest of some runs of an operation on fresh input, in seconds; the input is not timed.
fn fastest<T>(mut prepare: impl FnMut() -> Result<T>, mut run: impl FnMut(T) -> Result<()>) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let input = prepare()?;
        let start = Instant::now();
        run(input)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// Measures for some tenths of a second.
///
/// # Errors
/// What the device refuses.
pub(super) fn measure<B: Backend>(backend: &B, log_rows: u32) -> Result<Rates> {
    let msm_log_size = log_rows.clamp(MIN_LOG_SIZE, MAX_MSM_LOG_SIZE);
    let [full_entry, byte_entry, wide_entry] = multiplications(backend, msm_log_size)?;
    let log_size = log_rows.clamp(MIN_LOG_SIZE, MAX_VECTOR_LOG_SIZE);
    let [transform, double_transform] = [log_size, log_size + 1].map(|log| transforms(backend, log));
    let vectors = Vectors { backend, values: backend.upload(&scalars(1 << log_size))? };
    let [contract, expand] = vectors.boxes()?;
    Ok(Rates {
        full_entry,
        byte_entry,
        wide_entry,
        transform: transform?,
        double_transform: double_transform?,
        multiply: vectors.multiply()?,
        combine: vectors.combine()?,
        evaluate: vectors.evaluate()?,
        divide: vectors.divide()?,
        invert: vectors.invert()?,
        contract,
        expand,
        matrix_entry: matrix(backend, 1 << log_size.min(16))?,
        host_multiply: host()?,
    })
}

/// Full-width scalars that need no randomness: powers of an element of large order.
fn scalars(count: usize) -> Vec<Fr> {
    powers(-Fr::from(3), count)
}

/// Small integers of so many bits that look random.
fn integers(count: usize, bits: u32) -> Vec<i64> {
    let value = |index: i64| {
        let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 20;
        (mixed & ((1 << bits) - 1)) - (1 << (bits - 1))
    };
    (0..count as i64).map(value).collect()
}

fn multiplications<B: Backend>(backend: &B, log_size: u32) -> Result<[f64; 3]> {
    let srs = Srs::development(POINTS_LOG_SIZE)?;
    let count = 1_usize << log_size;
    let points: Vec<_> = srs.inner.powers().iter().cycle().take(count).copied().collect();
    let bases = backend.upload_bases(&points)?;
    let full = backend.upload(&scalars(count))?;
    let full = fastest(|| Ok(()), |()| Ok(backend.msm(&bases, &[&full]).map(drop)?))?;
    let mut times = [full / count as f64, 0.0, 0.0];
    for (slot, bits) in times.iter_mut().skip(1).zip([8, 20]) {
        // Two at a time, as the trace's columns come.
        let vector = backend.upload_integers(&integers(count, bits))?;
        let time = fastest(|| Ok(()), |()| Ok(backend.msm_integers(&bases, &[&vector, &vector]).map(drop)?))?;
        *slot = time / (2 * count) as f64;
    }
    Ok(times)
}

fn transforms<B: Backend>(backend: &B, log_size: u32) -> Result<f64> {
    let values = backend.upload(&scalars(1 << log_size))?;
    let fresh = || Ok(backend.slice(&values, 0, 1 << log_size)?);
    let time = fastest(fresh, |mut values| Ok(backend.ntt(&mut values, Direction::Inverse)?))?;
    Ok(time / (1_u64 << log_size) as f64)
}

/// A chain of multiplications on this thread.
fn host() -> Result<f64> {
    const COUNT: u32 = 1 << 15;
    let chain = |start: Fr| {
        let last = (0..COUNT).fold(start, |product, _| product * product);
        core::hint::black_box(last);
        Ok(())
    };
    Ok(fastest(|| Ok(-Fr::from(3)), chain)? / f64::from(COUNT))
}

fn matrix<B: Backend>(backend: &B, entries: usize) -> Result<f64> {
    let rows = entries / MATRIX_COLUMNS;
    let matrix = backend.upload_integers(&integers(rows * MATRIX_COLUMNS, 12))?;
    let weights = scalars(rows);
    let target = || Ok(backend.zeros(MATRIX_COLUMNS)?);
    let run = |mut target| Ok(backend.combine_rows(&mut target, 0, &matrix, MATRIX_COLUMNS, &weights)?);
    Ok(fastest(target, run)? / (rows * MATRIX_COLUMNS) as f64)
}

/// Operations on vectors as long as a column.
struct Vectors<'b, B: Backend> {
    backend: &'b B,
    values: B::Scalars,
}

impl<B: Backend> Vectors<'_, B> {
    fn length(&self) -> usize {
        use zkloom_backends::DeviceVector;
        self.values.len()
    }

    fn rate(&self, time: f64) -> f64 {
        time / self.length() as f64
    }

    fn multiply(&self) -> Result<f64> {
        let input = |index| Operand::Input { index, rotation: 0 };
        let mut operations = vec![Operation::Multiply(input(0), input(0))];
        operations
            .extend((1..PROGRAM_LENGTH).map(|at| Operation::Multiply(Operand::Result(at - 1), input(0))));
        let output = Some(Operand::Result(PROGRAM_LENGTH - 1));
        let program = Program { inputs: 1, constants: 0, operations, output };
        let run = |()| Ok(self.backend.run(&program, &[&self.values], &[]).map(drop)?);
        Ok(self.rate(fastest(|| Ok(()), run)?) / f64::from(PROGRAM_LENGTH))
    }

    fn combine(&self) -> Result<f64> {
        let terms: Vec<_> = (1..=COMBINED as u64).map(|i| (-Fr::from(i), &self.values)).collect();
        let run = |()| Ok(self.backend.combine(&terms).map(drop)?);
        Ok(self.rate(fastest(|| Ok(()), run)?) / COMBINED as f64)
    }

    fn evaluate(&self) -> Result<f64> {
        let run = |()| Ok(self.backend.evaluate(&[&self.values], -Fr::from(3)).map(drop)?);
        Ok(self.rate(fastest(|| Ok(()), run)?))
    }

    fn divide(&self) -> Result<f64> {
        let run = |()| Ok(self.backend.divide_by_linear(&self.values, -Fr::from(3)).map(drop)?);
        Ok(self.rate(fastest(|| Ok(()), run)?))
    }

    fn invert(&self) -> Result<f64> {
        let fresh = || Ok(self.backend.slice(&self.values, 0, self.length())?);
        Ok(self.rate(fastest(fresh, |mut values| Ok(self.backend.batch_invert(&mut values)?))?))
    }

    /// Contraction and expansion of a box with images of 16 by 16 as positions, cell by cell.
    fn boxes(&self) -> Result<[f64; 2]> {
        const SIDE: usize = 16;
        let channels = self.length() / (SIDE * SIDE);
        let segment = |count, step, output_step| {
            let (ratio, scale) = (-Fr::from(step as u64 + 2), Fr::one());
            vec![Segment { start: 0, count, step, output_start: 0, output_step, ratio, scale }]
        };
        let axes = vec![segment(channels, SIDE * SIDE, 1), segment(SIDE, SIDE, 0), segment(SIDE, 1, 0)];
        let boxes = [GeometricBox { offset: 0, output_offset: 0, scale: Fr::one(), axes }];
        let cells = self.length() as f64;
        let few = || Ok(self.backend.zeros(channels)?);
        let contract = |mut target| Ok(self.backend.contract_boxes(&mut target, &self.values, &boxes)?);
        let all = || Ok(self.backend.zeros(self.length())?);
        let expand = |mut target| Ok(self.backend.expand_boxes(&mut target, &boxes)?);
        Ok([fastest(few, contract)? / cells, fastest(all, expand)? / cells])
    }
}
