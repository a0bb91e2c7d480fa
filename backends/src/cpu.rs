//! The host's own processor as a device.

mod pool;

use std::sync::{Arc, PoisonError, RwLock};

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ff::Zero;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use zkloom_kernels::cpu::msm::Bases;
use zkloom_kernels::cpu::ntt::{self, Twiddles};
use zkloom_kernels::cpu::simd::Tier;
use zkloom_kernels::cpu::{boxes, group, huge, integers, interpreter, msm, polynomial, scan};
use zkloom_kernels::program::Program;
use zkloom_kernels::shape::{self, MAX_LOG_SIZE, ShapeError};

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::error::BackendError;
use crate::host::Host;
use crate::meter::Meter;

use self::pool::Pool;

const NAME: &str = "cpu";

/// Vectors from this many entries on are copied by several threads.
const COPIED_TOGETHER: usize = 1 << 16;

/// Multi-threaded arithmetic on the processor, with a thread pool of its own.
///
/// "Device memory" is ordinary memory, so uploads are copies; the meter counts them as for any other device.
#[derive(Debug)]
pub struct CpuBackend {
    tier: Tier,
    pool: ThreadPool,
    host: Host,
    meter: Meter,
    twiddles: RwLock<Arc<Twiddles>>,
    vectors: Arc<Pool>,
}

/// Field elements in the processor's memory. The room of a long vector is kept for the next one when it is dropped.
#[derive(Debug)]
pub struct CpuScalars {
    values: Vec<Fr>,
    pool: Arc<Pool>,
}

/// Signed integers in the processor's memory, as narrow as they fit.
#[derive(Clone, Debug)]
pub struct CpuIntegers {
    values: Narrow,
    magnitude: u64,
}

/// Points in the processor's memory.
#[derive(Clone, Debug)]
pub struct CpuBases(Bases);

#[derive(Clone, Debug)]
enum Narrow {
    Bits8(Vec<i8>),
    Bits16(Vec<i16>),
    Bits32(Vec<i32>),
    Bits64(Vec<i64>),
}

/// Runs an expression on the integers in whichever width they have.
macro_rules! with_integers {
    ($integers:expr, $values:ident => $body:expr) => {
        match &$integers.values {
            Narrow::Bits8($values) => $body,
            Narrow::Bits16($values) => $body,
            Narrow::Bits32($values) => $body,
            Narrow::Bits64($values) => $body,
        }
    };
}

impl CpuScalars {
    /// The entries, without a transfer.
    pub fn as_slice(&self) -> &[Fr] {
        &self.values
    }
}

impl Drop for CpuScalars {
    fn drop(&mut self) {
        self.pool.give(core::mem::take(&mut self.values));
    }
}

impl Clone for CpuScalars {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), pool: Arc::clone(&self.pool) }
    }
}

impl PartialEq for CpuScalars {
    fn eq(&self, other: &Self) -> bool {
        self.values == other.values
    }
}

impl Eq for CpuScalars {}

impl CpuIntegers {
    /// Largest magnitude of the entries.
    pub fn magnitude(&self) -> u64 {
        self.magnitude
    }

    /// Bytes that one entry takes.
    pub fn bytes_per_entry(&self) -> usize {
        match self.values {
            Narrow::Bits8(_) => 1,
            Narrow::Bits16(_) => 2,
            Narrow::Bits32(_) => 4,
            Narrow::Bits64(_) => 8,
        }
    }
}

impl DeviceVector for CpuScalars {
    fn len(&self) -> usize {
        self.values.len()
    }
}

impl DeviceVector for CpuIntegers {
    fn len(&self) -> usize {
        with_integers!(self, values => values.len())
    }
}

impl DeviceVector for CpuBases {
    fn len(&self) -> usize {
        self.0.len()
    }
}

impl CpuBackend {
    /// A backend with this number of threads, or one for each processor that the process may use, at the fastest tier of
    /// kernels that the processor has or the one that the environment asks for.
    ///
    /// # Errors
    /// [`BackendError::Argument`] for zero threads, [`BackendError::Device`] if the system refuses to start them, and
    /// [`BackendError::Unavailable`] if `ZKLOOM_CPU_TIER` names a tier that does not exist or that the processor lacks.
    pub fn new(threads: Option<usize>) -> Result<Self> {
        let tier = Tier::chosen()
            .map_err(|error| BackendError::Unavailable { name: NAME.into(), reason: error.to_string() })?;
        Self::with_tier(threads, tier)
    }

    /// A backend that uses this tier of kernels, with threads as for [`CpuBackend::new`].
    ///
    /// # Errors
    /// [`BackendError::Argument`] for zero threads, [`BackendError::Device`] if the system refuses to start them.
    pub fn with_tier(threads: Option<usize>, tier: Tier) -> Result<Self> {
        let operation = "new";
        let threads = match threads {
            Some(0) => {
                let reason = "0 threads; ask for at least one".to_string();
                return Err(BackendError::Argument { operation, reason });
            }
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|index| format!("zkloom-cpu-{index}"))
            .build()
            .map_err(|error| BackendError::Device {
                device: NAME.into(),
                operation,
                reason: error.to_string(),
            })?;
        let twiddles = RwLock::new(Arc::new(Twiddles::new(0, tier)));
        let (host, meter) = (Host::detect(), Meter::default());
        Ok(Self { tier, pool, host, meter, twiddles, vectors: Arc::default() })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Counts an operation and does it on the pool's threads.
    fn on_pool<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.meter.launch();
        self.pool.install(work)
    }

    /// Twiddles for at least this size. They grow with the largest transform asked for; larger ones than exist give the
    /// largest, and the transform then refuses.
    fn twiddles(&self, log_size: u32) -> Arc<Twiddles> {
        let log_size = log_size.min(MAX_LOG_SIZE);
        let known = Arc::clone(&self.twiddles.read().unwrap_or_else(PoisonError::into_inner));
        if known.log_size() >= log_size {
            return known;
        }
        let larger = Arc::new(self.pool.install(|| Twiddles::new(log_size, self.tier)));
        let mut kept = self.twiddles.write().unwrap_or_else(PoisonError::into_inner);
        if kept.log_size() < log_size {
            *kept = Arc::clone(&larger);
        }
        larger
    }

    /// Room for `len` entries of `T`.
    fn room<T>(&self, operation: &'static str, len: usize) -> Result<Vec<T>> {
        let needed = (len as u64).saturating_mul(size_of::<T>() as u64);
        let too_much = || BackendError::OutOfMemory { device: NAME.into(), operation, needed };
        // The system promises more than it has, and ends the process when the promise is called in.
        if self.host.memory.is_some_and(|memory| needed > memory) {
            return Err(too_much());
        }
        let mut room = Vec::new();
        room.try_reserve_exact(len).map_err(|_| too_much())?;
        huge::prefer(&room);
        Ok(room)
    }

    fn copied<T: Copy>(&self, operation: &'static str, values: &[T]) -> Result<Vec<T>> {
        let mut copy = self.room(operation, values.len())?;
        copy.extend_from_slice(values);
        Ok(copy)
    }

    /// A vector with room for `len` entries, of whatever length and content.
    fn vector(&self, operation: &'static str, len: usize) -> Result<CpuScalars> {
        let values = match self.vectors.take(len) {
            Some(values) => values,
            None => self.fresh(operation, len)?,
        };
        Ok(CpuScalars { values, pool: Arc::clone(&self.vectors) })
    }

    /// So many zeros in memory that was not used before.
    fn fresh(&self, operation: &'static str, len: usize) -> Result<Vec<Fr>> {
        let needed = (len as u64).saturating_mul(size_of::<Fr>() as u64);
        let too_much = || BackendError::OutOfMemory { device: NAME.into(), operation, needed };
        if self.host.memory.is_some_and(|memory| needed > memory) {
            return Err(too_much());
        }
        huge::try_zeros(len).ok_or_else(too_much)
    }

    /// A copy of `len` entries from `start` on; positions past the end are zero.
    fn part(&self, operation: &'static str, values: &[Fr], start: usize, len: usize) -> Result<CpuScalars> {
        let mut part = self.vector(operation, len)?;
        let present = values.get(start..).unwrap_or_default();
        let present = &present[..present.len().min(len)];
        if len < COPIED_TOGETHER {
            part.values.clear();
            part.values.extend_from_slice(present);
            part.values.resize(len, Fr::zero());
            return Ok(part);
        }
        part.values.resize(len, Fr::zero());
        let (copied, rest) = part.values.split_at_mut(present.len());
        self.pool.install(|| {
            let pieces = copied.par_chunks_mut(COPIED_TOGETHER).zip(present.par_chunks(COPIED_TOGETHER));
            pieces.for_each(|(to, from)| to.copy_from_slice(from));
            rest.par_chunks_mut(COPIED_TOGETHER).for_each(|rest| rest.fill(Fr::zero()));
        });
        Ok(part)
    }

    /// Lagrange points from powers of tau, or any other inverse transform over the group: `1/n sum_j w^(-ij) points[j]` for
    /// every i, on the processor whatever other devices there are.
    ///
    /// # Errors
    /// [`BackendError::Length`] if the number of points is no power of two up to 2^28.
    pub fn inverse_group_transform(&self, points: &[G1Affine]) -> Result<Vec<G1Affine>> {
        Ok(self.on_pool(|| group::inverse_transform(self.tier, points))?)
    }

    fn narrowed<T: TryFrom<i64> + Default>(&self, values: &[i64]) -> Result<Vec<T>> {
        let mut narrow = self.room("upload_integers", values.len())?;
        narrow.extend(values.iter().map(|&value| T::try_from(value).unwrap_or_default()));
        Ok(narrow)
    }
}

/// Longest bases over which several sums are made side by side; longer ones fill all threads by themselves, and their
/// scratch space is better had once.
const SIDE_BY_SIDE: usize = 1 << 16;

/// The sum for each vector.
fn side_by_side<T: Sync>(
    vectors: &[&T],
    bases: usize,
    sum: impl Fn(&T) -> core::result::Result<G1Projective, ShapeError> + Sync + Send,
) -> Result<Vec<G1Projective>> {
    let sums: core::result::Result<Vec<_>, _> = if bases <= SIDE_BY_SIDE {
        vectors.par_iter().map(|vector| sum(vector)).collect()
    } else {
        vectors.iter().map(|vector| sum(vector)).collect()
    };
    Ok(sums?)
}

impl Backend for CpuBackend {
    type Scalars = CpuScalars;
    type Integers = CpuIntegers;
    type Bases = CpuBases;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            name: NAME.into(),
            description: format!("{}, {} kernels", self.host.describe(self.threads()), self.tier),
            memory: self.host.memory,
            max_log_size: MAX_LOG_SIZE,
            composed: Vec::new(),
        }
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }

    fn upload(&self, values: &[Fr]) -> Result<CpuScalars> {
        let copy = self.part("upload", values, 0, values.len())?;
        self.meter.upload(size_of_val(values));
        Ok(copy)
    }

    fn zeros(&self, len: usize) -> Result<CpuScalars> {
        self.meter.launch();
        self.part("zeros", &[], 0, len)
    }

    fn upload_integers(&self, values: &[i64]) -> Result<CpuIntegers> {
        let lowest = values.iter().copied().min().unwrap_or(0);
        let highest = values.iter().copied().max().unwrap_or(0);
        let magnitude = lowest.unsigned_abs().max(highest.unsigned_abs());
        let fits = |low: i64, high: i64| lowest >= low && highest <= high;
        let values = if fits(i8::MIN.into(), i8::MAX.into()) {
            Narrow::Bits8(self.narrowed(values)?)
        } else if fits(i16::MIN.into(), i16::MAX.into()) {
            Narrow::Bits16(self.narrowed(values)?)
        } else if fits(i32::MIN.into(), i32::MAX.into()) {
            Narrow::Bits32(self.narrowed(values)?)
        } else {
            Narrow::Bits64(self.copied("upload_integers", values)?)
        };
        let integers = CpuIntegers { values, magnitude };
        self.meter.upload(integers.len() * integers.bytes_per_entry());
        Ok(integers)
    }

    fn upload_bases(&self, points: &[G1Affine]) -> Result<CpuBases> {
        self.room::<G1Affine>("upload_bases", points.len())?;
        self.meter.upload(size_of_val(points));
        Ok(CpuBases(Bases::for_tier(self.tier, points)))
    }

    fn download(&self, values: &CpuScalars) -> Result<Vec<Fr>> {
        self.meter.download(size_of_val(values.as_slice()));
        self.copied("download", &values.values)
    }

    fn read(&self, values: &CpuScalars, start: usize, len: usize) -> Result<Vec<Fr>> {
        shape::range("read", start, len, values.len())?;
        let part = &values.values[start..start + len];
        self.meter.download(size_of_val(part));
        self.copied("read", part)
    }

    fn write(&self, target: &mut CpuScalars, start: usize, values: &[Fr]) -> Result<()> {
        shape::range("write", start, values.len(), target.len())?;
        self.meter.upload(size_of_val(values));
        target.values[start..start + values.len()].copy_from_slice(values);
        Ok(())
    }

    fn widen(&self, values: &CpuIntegers) -> Result<CpuScalars> {
        let mut widened = self.vector("widen", values.len())?;
        self.on_pool(|| with_integers!(values, values => integers::widen_into(values, &mut widened.values)));
        Ok(widened)
    }

    fn slice(&self, values: &CpuScalars, start: usize, len: usize) -> Result<CpuScalars> {
        self.meter.launch();
        self.part("slice", &values.values, start, len)
    }

    fn msm(&self, bases: &CpuBases, scalars: &[&CpuScalars]) -> Result<Vec<G1Projective>> {
        scalars.iter().try_for_each(|vector| shape::at_most("msm", vector.len(), bases.len()))?;
        self.on_pool(|| side_by_side(scalars, bases.len(), |vector| msm::msm(&bases.0, &vector.values)))
    }

    fn msm_integers(&self, bases: &CpuBases, scalars: &[&CpuIntegers]) -> Result<Vec<G1Projective>> {
        scalars.iter().try_for_each(|vector| shape::at_most("msm_integers", vector.len(), bases.len()))?;
        let one = |vector: &CpuIntegers| with_integers!(vector, values => msm::msm_integers(&bases.0, values, vector.magnitude));
        self.on_pool(|| side_by_side(scalars, bases.len(), one))
    }

    fn ntt(&self, values: &mut CpuScalars, direction: Direction) -> Result<()> {
        let twiddles = self.twiddles(shape::transform("ntt", values.len())?);
        self.on_pool(|| match direction {
            Direction::Forward => ntt::forward(&mut values.values, &twiddles),
            Direction::Inverse => ntt::inverse(&mut values.values, &twiddles),
        })?;
        Ok(())
    }

    fn transformed(&self, values: &CpuScalars, direction: Direction) -> Result<CpuScalars> {
        let twiddles = self.twiddles(shape::transform("ntt", values.len())?);
        let mut result = self.vector("ntt", values.len())?;
        let inverse = direction == Direction::Inverse;
        self.on_pool(|| ntt::transformed(&values.values, inverse, &twiddles, &mut result.values))?;
        Ok(result)
    }

    fn coset_ntt(&self, coefficients: &CpuScalars, log_size: u32, shift: Fr) -> Result<CpuScalars> {
        shape::coset("coset_ntt", log_size, shift.is_zero())?;
        let mut values = self.vector("coset_ntt", 1 << log_size)?;
        let (twiddles, coset) = (self.twiddles(log_size), (log_size, shift));
        self.on_pool(|| ntt::coset_forward_into(&coefficients.values, coset, &twiddles, &mut values.values))?;
        Ok(values)
    }

    fn inverse_coset_ntt(&self, values: &mut CpuScalars, shift: Fr) -> Result<()> {
        let twiddles = self.twiddles(shape::transform("inverse_coset_ntt", values.len())?);
        self.on_pool(|| ntt::coset_inverse(&mut values.values, shift, &twiddles))?;
        Ok(())
    }

    fn run(&self, program: &Program, inputs: &[&CpuScalars], constants: &[Fr]) -> Result<CpuScalars> {
        let inputs: Vec<&[Fr]> = inputs.iter().map(|input| input.as_slice()).collect();
        let mut output = self.vector("run", inputs.first().map_or(0, |input| input.len()))?;
        self.on_pool(|| interpreter::run_into(self.tier, program, &inputs, constants, &mut output.values))?;
        Ok(output)
    }

    fn batch_invert(&self, values: &mut CpuScalars) -> Result<()> {
        self.on_pool(|| scan::batch_invert(self.tier, &mut values.values));
        Ok(())
    }

    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &CpuScalars) -> Result<CpuScalars> {
        let mut values = self.vector("linear_recurrence", addends.len())?;
        self.on_pool(|| {
            scan::linear_recurrence_into(self.tier, (first, ratio), &addends.values, &mut values.values);
        });
        Ok(values)
    }

    fn running_product(&self, first: Fr, factors: &CpuScalars) -> Result<CpuScalars> {
        let mut values = self.vector("running_product", factors.len())?;
        self.on_pool(|| {
            scan::running_product_into(self.tier, first, &factors.values, &mut values.values);
        });
        Ok(values)
    }

    fn combine(&self, terms: &[(Fr, &CpuScalars)]) -> Result<CpuScalars> {
        let terms: Vec<(Fr, &[Fr])> =
            terms.iter().map(|(factor, vector)| (*factor, vector.as_slice())).collect();
        let longest = terms.iter().map(|(_, vector)| vector.len()).max().unwrap_or(0);
        let mut sum = self.vector("combine", longest)?;
        self.on_pool(|| polynomial::combine_into(self.tier, &terms, &mut sum.values));
        Ok(sum)
    }

    fn add_scaled(
        &self,
        target: &mut CpuScalars,
        offset: usize,
        factor: Fr,
        source: &CpuScalars,
    ) -> Result<()> {
        self.on_pool(|| {
            polynomial::add_scaled(self.tier, &mut target.values, offset, factor, &source.values)
        })?;
        Ok(())
    }

    fn evaluate(&self, polynomials: &[&CpuScalars], point: Fr) -> Result<Vec<Fr>> {
        let polynomials: Vec<&[Fr]> = polynomials.iter().map(|polynomial| polynomial.as_slice()).collect();
        let values = self.on_pool(|| polynomial::evaluate(self.tier, &polynomials, point));
        self.meter.download(size_of_val(values.as_slice()));
        Ok(values)
    }

    fn divide_by_linear(&self, polynomial: &CpuScalars, root: Fr) -> Result<CpuScalars> {
        let mut quotient = self.vector("divide_by_linear", polynomial.len())?;
        self.on_pool(|| {
            polynomial::divide_by_linear_into(self.tier, &polynomial.values, root, &mut quotient.values);
        });
        Ok(quotient)
    }

    fn expand_boxes(&self, target: &mut CpuScalars, boxes: &[GeometricBox]) -> Result<()> {
        self.on_pool(|| boxes::expand(self.tier, &mut target.values, boxes))?;
        Ok(())
    }

    fn contract_boxes(
        &self,
        target: &mut CpuScalars,
        source: &CpuScalars,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        self.on_pool(|| boxes::contract(self.tier, &mut target.values, &source.values, boxes))?;
        Ok(())
    }

    fn combine_rows(
        &self,
        target: &mut CpuScalars,
        offset: usize,
        matrix: &CpuIntegers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        self.meter.upload(size_of_val(weights));
        self.on_pool(|| {
            with_integers!(matrix, matrix => integers::combine_rows(self.tier, &mut target.values, offset, matrix, (width, weights)))
        })?;
        Ok(())
    }
}
