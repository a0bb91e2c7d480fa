//! Several devices of one kind as one backend.
//!
//! A vector has a home, where it was made; reading it on another device leaves a copy there. What makes a vector runs where its
//! inputs are, so that work spreads as the vectors do: those that come from the host go to the device whose memory is least in use.
//! Sums of points are cut: each device holds a part of the bases in proportion to its memory, and sums its part of every vector.
//! Values on a coset are made on one device for each coset, in turn. Field and group elements are exact, so the results are those
//! of a single device.
//!
//! When a device's memory runs out, the copies on it are forgotten, and then another device is tried. A device that fails is an
//! error, which names it; the others hold only a part of the points and can't go on without it.

mod member;
mod rows;
mod sums;
mod vector;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};

use ark_bn254::{Fr, G1Affine, G1Projective};
use zkloom_kernels::program::Program;
use zkloom_kernels::shape;

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::error::BackendError;
use crate::meter::Meter;
pub use member::Member;
use vector::{Copies, Held, Lease, Load};
pub use vector::{SeveralBases, SeveralIntegers, SeveralScalars};

/// Bytes of a field element, and of a point.
const ELEMENT: u64 = 32;
const POINT: u64 = 64;

/// Points of a part of the bases, at least, by default: fewer are faster on one device.
const LEAST_PART: usize = 1 << 13;

/// Memory of a device that tells nothing, for the shares.
const UNKNOWN_CAPACITY: u64 = 1 << 33;

/// Vectors that are looked through for dead ones at once.
const SWEPT: usize = 256;

/// Several devices that work together.
pub struct Several<B: Member> {
    members: Vec<B>,
    name: String,
    loads: Vec<Load>,
    least_part: usize,
    /// Copies of all vectors, to be forgotten when memory runs out.
    copies: Mutex<Vec<Weak<Copies<B::Scalars>>>>,
    cosets: Mutex<Cosets>,
    /// Whose turn it is where two devices would do equally well.
    turn: AtomicUsize,
    meter: Meter,
}

/// Which device makes the values on which coset.
#[derive(Debug, Default)]
struct Cosets {
    /// The last cosets with their devices.
    known: Vec<(Fr, usize)>,
    /// Cosets that each device was given.
    given: Vec<u64>,
}

impl<B: Member> core::fmt::Debug for Several<B> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Several").field("name", &self.name).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn elements(len: usize) -> u64 {
    (len as u64).saturating_mul(ELEMENT)
}

impl<B: Member> Several<B> {
    /// Joins devices under a name, for instance `cuda:0,1`. How much memory is free on each decides what it is given.
    ///
    /// # Errors
    /// [`BackendError::Argument`] without devices; a device's own error.
    pub fn new(name: impl Into<String>, members: Vec<B>) -> Result<Self> {
        if members.is_empty() {
            return Err(BackendError::Argument {
                operation: "several",
                reason: "no device was named".into(),
            });
        }
        let mut loads = Vec::with_capacity(members.len());
        for member in &members {
            let known = member.free_memory()?.or(member.capabilities().memory);
            loads.push(Load::new(known.unwrap_or(UNKNOWN_CAPACITY)));
        }
        let cosets = Cosets { known: Vec::new(), given: vec![0; members.len()] };
        Ok(Self {
            members,
            name: name.into(),
            loads,
            least_part: LEAST_PART,
            copies: Mutex::default(),
            cosets: Mutex::new(cosets),
            turn: AtomicUsize::new(0),
            meter: Meter::default(),
        })
    }

    /// The same, with as few as `points` points in a device's part of the bases.
    pub fn with_least_part(mut self, points: usize) -> Self {
        self.least_part = points.max(1);
        self
    }

    /// The devices.
    pub fn members(&self) -> &[B] {
        &self.members
    }

    /// Does work and brings the meter up to date.
    fn counted<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let done = work();
        self.meter.follow(self.members.iter().map(Backend::meter));
        done
    }

    /// The device whose memory would be least in use with so many bytes more; of equal ones, each in turn.
    fn place(&self, bytes: u64) -> usize {
        let devices = self.members.len();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let share = |device: &usize| self.loads[*device].share_with(bytes);
        let in_turn = (0..devices).map(|step| (first.wrapping_add(step)) % devices);
        in_turn.min_by(|a, b| share(a).total_cmp(&share(b))).unwrap_or(0)
    }

    /// Devices in the order in which they are tried: this one, then those with more memory left.
    fn order(&self, first: usize) -> Vec<usize> {
        let mut others: Vec<usize> = (0..self.members.len()).filter(|&device| device != first).collect();
        let left = |device: &usize| {
            let load = &self.loads[*device];
            core::cmp::Reverse(load.capacity.saturating_sub(load.used()))
        };
        others.sort_by_key(left);
        others.insert(0, first);
        others
    }

    /// Does work on a device; if its memory runs out, once more without copies there.
    fn with_room<T>(&self, device: usize, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(BackendError::OutOfMemory { .. }) if self.forget_copies(device) => work(),
            done => done,
        }
    }

    /// Does work that changes nothing on the first device that has memory for it; gives the device too.
    fn anywhere<T>(&self, first: usize, work: impl Fn(usize) -> Result<T>) -> Result<(usize, T)> {
        let mut full = None;
        for device in self.order(first) {
            match self.with_room(device, || work(device)) {
                Ok(done) => return Ok((device, done)),
                Err(error @ BackendError::OutOfMemory { .. }) => full = full.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(full.unwrap_or(BackendError::Argument { operation: "several", reason: "no device".into() }))
    }

    /// Forgets the copies on a device; whether there were any.
    fn forget_copies(&self, device: usize) -> bool {
        let known = lock(&self.copies);
        let mut any = false;
        known.iter().filter_map(Weak::upgrade).for_each(|copies| any |= copies.forget(device));
        any
    }

    /// A vector with its home.
    fn vector(&self, home: usize, own: B::Scalars) -> SeveralScalars<B::Scalars> {
        let lease = self.loads[home].lease(elements(own.len()));
        let vector = SeveralScalars::new(home, own, self.members.len(), lease);
        let mut known = lock(&self.copies);
        if known.len() % SWEPT == SWEPT - 1 {
            known.retain(|copies| copies.strong_count() > 0);
        }
        known.push(std::sync::Arc::downgrade(&vector.copies));
        vector
    }

    /// A vector made on the first device that has memory for it.
    fn made(
        &self,
        first: usize,
        work: impl Fn(usize) -> Result<B::Scalars>,
    ) -> Result<SeveralScalars<B::Scalars>> {
        self.counted(|| self.anywhere(first, work)).map(|(home, own)| self.vector(home, own))
    }

    /// A vector as a device reads it; copied there if it is not.
    fn on<'v>(&self, values: &'v SeveralScalars<B::Scalars>, device: usize) -> Result<Held<'v, B::Scalars>> {
        if let Some(held) = values.held(device) {
            return Ok(held);
        }
        let copy = self.taken((values.home, &values.own), 0, values.len(), device)?;
        let lease: Lease = self.loads[device].lease(elements(values.len()));
        Ok(values.keep(device, copy, lease))
    }

    /// Entries of a vector, copied from its home to another device.
    fn taken(
        &self,
        (home, own): (usize, &B::Scalars),
        start: usize,
        len: usize,
        device: usize,
    ) -> Result<B::Scalars> {
        self.meter.transfer(len * ELEMENT as usize);
        self.members[device].take(&self.members[home], own, start, len)
    }

    /// The device that makes the values on a coset: the same for all vectors, the next in turn for another coset. A device with
    /// less memory has its turn less often.
    fn coset_device(&self, shift: Fr) -> usize {
        const REMEMBERED: usize = 64;
        let mut cosets = lock(&self.cosets);
        if let Some((_, device)) = cosets.known.iter().find(|(known, _)| *known == shift) {
            return *device;
        }
        let share = |device: &usize| (cosets.given[*device] + 1) as f64 / self.loads[*device].capacity as f64;
        let device = (0..self.members.len()).min_by(|a, b| share(a).total_cmp(&share(b))).unwrap_or_default();
        cosets.given[device] += 1;
        if cosets.known.len() == REMEMBERED {
            cosets.known.remove(0);
        }
        cosets.known.push((shift, device));
        device
    }
}

impl<B: Member> Backend for Several<B> {
    type Scalars = SeveralScalars<B::Scalars>;
    type Integers = SeveralIntegers<B::Integers>;
    type Bases = SeveralBases<B::Bases>;

    fn capabilities(&self) -> Capabilities {
        let all: Vec<Capabilities> = self.members.iter().map(Backend::capabilities).collect();
        let words: Vec<String> =
            all.iter().map(|one| format!("{} ({})", one.name, one.description)).collect();
        Capabilities {
            name: self.name.clone(),
            description: format!("{} devices together: {}", all.len(), words.join("; ")),
            memory: all.iter().map(|one| one.memory).sum(),
            max_log_size: all.iter().map(|one| one.max_log_size).min().unwrap_or(0),
            composed: all.first().map(|one| one.composed.clone()).unwrap_or_default(),
        }
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }

    fn free_memory(&self) -> Result<Option<u64>> {
        self.members.iter().map(Backend::free_memory).sum()
    }

    fn longest_vector(&self) -> Option<usize> {
        self.members.iter().filter_map(Backend::longest_vector).min()
    }

    fn least_scratch(&self, bases: usize) -> u64 {
        let parts = self.shares(bases).into_iter().zip(&self.members);
        parts.map(|(part, member)| member.least_scratch(part.len())).sum()
    }

    fn expect(&self, bytes: u64) {
        let whole: f64 = self.loads.iter().map(|load| load.capacity as f64).sum();
        for (member, load) in self.members.iter().zip(&self.loads) {
            member.expect((bytes as f64 * (load.capacity as f64 / whole)) as u64);
        }
    }

    fn upload(&self, values: &[Fr]) -> Result<Self::Scalars> {
        self.made(self.place(elements(values.len())), |device| self.members[device].upload(values))
    }

    fn zeros(&self, len: usize) -> Result<Self::Scalars> {
        self.made(self.place(elements(len)), |device| self.members[device].zeros(len))
    }

    fn upload_integers(&self, values: &[i64]) -> Result<Self::Integers> {
        let first = self.place(size_of_val(values) as u64);
        let upload = |device: usize| self.members[device].upload_integers(values);
        let (home, own) = self.counted(|| self.anywhere(first, upload))?;
        let _lease = self.loads[home].lease(B::integer_bytes(&own));
        Ok(SeveralIntegers { home, own, _lease })
    }

    fn upload_bases(&self, points: &[G1Affine]) -> Result<Self::Bases> {
        self.counted(|| self.cut_bases(points))
    }

    fn download(&self, values: &Self::Scalars) -> Result<Vec<Fr>> {
        self.counted(|| self.members[values.home].download(&values.own))
    }

    fn read(&self, values: &Self::Scalars, start: usize, len: usize) -> Result<Vec<Fr>> {
        self.counted(|| self.members[values.home].read(&values.own, start, len))
    }

    fn write(&self, target: &mut Self::Scalars, start: usize, values: &[Fr]) -> Result<()> {
        let home = target.home;
        self.counted(|| self.members[home].write(target.changing(), start, values))
    }

    fn widen(&self, values: &Self::Integers) -> Result<Self::Scalars> {
        self.made(values.home, |device| {
            if device == values.home {
                return self.members[device].widen(&values.own);
            }
            let taken = self.taken_integers(values, 0, values.len(), device)?;
            self.members[device].widen(&taken)
        })
    }

    fn slice(&self, values: &Self::Scalars, start: usize, len: usize) -> Result<Self::Scalars> {
        self.made(values.home, |device| self.members[device].slice(&*self.on(values, device)?, start, len))
    }

    fn msm(&self, bases: &Self::Bases, scalars: &[&Self::Scalars]) -> Result<Vec<G1Projective>> {
        scalars.iter().try_for_each(|vector| shape::at_most("msm", vector.len(), bases.len()))?;
        self.counted(|| self.sums(bases, scalars))
    }

    fn msm_integers(&self, bases: &Self::Bases, scalars: &[&Self::Integers]) -> Result<Vec<G1Projective>> {
        scalars.iter().try_for_each(|vector| shape::at_most("msm_integers", vector.len(), bases.len()))?;
        self.counted(|| self.sums(bases, scalars))
    }

    fn ntt(&self, values: &mut Self::Scalars, direction: Direction) -> Result<()> {
        self.changed(values, |member, own| member.ntt(own, direction))
    }

    fn coset_ntt(&self, coefficients: &Self::Scalars, log_size: u32, shift: Fr) -> Result<Self::Scalars> {
        self.made(self.coset_device(shift), |device| {
            self.members[device].coset_ntt(&*self.on(coefficients, device)?, log_size, shift)
        })
    }

    fn inverse_coset_ntt(&self, values: &mut Self::Scalars, shift: Fr) -> Result<()> {
        self.changed(values, |member, own| member.inverse_coset_ntt(own, shift))
    }

    fn run(&self, program: &Program, inputs: &[&Self::Scalars], constants: &[Fr]) -> Result<Self::Scalars> {
        self.made(self.most_held(inputs), |device| {
            let held = inputs.iter().map(|input| self.on(input, device)).collect::<Result<Vec<_>>>()?;
            let held: Vec<&B::Scalars> = held.iter().map(|held| &**held).collect();
            self.members[device].run(program, &held, constants)
        })
    }

    fn batch_invert(&self, values: &mut Self::Scalars) -> Result<()> {
        self.changed(values, |member, own| member.batch_invert(own))
    }

    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &Self::Scalars) -> Result<Self::Scalars> {
        self.made(addends.home, |device| {
            self.members[device].linear_recurrence(first, ratio, &*self.on(addends, device)?)
        })
    }

    fn running_product(&self, first: Fr, factors: &Self::Scalars) -> Result<Self::Scalars> {
        self.made(factors.home, |device| {
            self.members[device].running_product(first, &*self.on(factors, device)?)
        })
    }

    fn combine(&self, terms: &[(Fr, &Self::Scalars)]) -> Result<Self::Scalars> {
        let vectors: Vec<&Self::Scalars> = terms.iter().map(|(_, vector)| *vector).collect();
        self.made(self.most_held(&vectors), |device| self.combine_on(terms, device))
    }

    fn add_scaled(
        &self,
        target: &mut Self::Scalars,
        offset: usize,
        factor: Fr,
        source: &Self::Scalars,
    ) -> Result<()> {
        let home = target.home;
        self.counted(|| {
            let source = self.with_room(home, || self.on(source, home))?;
            self.members[home].add_scaled(target.changing(), offset, factor, &source)
        })
    }

    fn evaluate(&self, polynomials: &[&Self::Scalars], point: Fr) -> Result<Vec<Fr>> {
        self.counted(|| self.values_at(polynomials, point))
    }

    fn divide_by_linear(&self, polynomial: &Self::Scalars, root: Fr) -> Result<Self::Scalars> {
        self.made(polynomial.home, |device| {
            self.members[device].divide_by_linear(&*self.on(polynomial, device)?, root)
        })
    }

    fn expand_boxes(&self, target: &mut Self::Scalars, boxes: &[GeometricBox]) -> Result<()> {
        let home = target.home;
        self.counted(|| self.members[home].expand_boxes(target.changing(), boxes))
    }

    fn contract_boxes(
        &self,
        target: &mut Self::Scalars,
        source: &Self::Scalars,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        let home = target.home;
        self.counted(|| {
            let source = self.with_room(home, || self.on(source, home))?;
            self.members[home].contract_boxes(target.changing(), &source, boxes)
        })
    }

    fn combine_rows(
        &self,
        target: &mut Self::Scalars,
        offset: usize,
        matrix: &Self::Integers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        let operation = "combine_rows";
        shape::matrix(operation, target.len(), offset, matrix.len(), [weights.len(), width])?;
        self.counted(|| self.rows_combined((target, offset), matrix, width, weights))
    }
}
