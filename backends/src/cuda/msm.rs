//! Multi-scalar multiplication: signed digits, a counting sort by bucket, sums of runs, weighted sums of buckets; the windows' sums
//! are put together on the host.

use std::sync::Arc;

use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, PrimeField, Zero};

use super::device::{Buffer, Device};
use super::driver::Arguments;
use super::multiples::Levels;
use super::vectors::{CudaIntegers, CudaScalars, FEWER_THREADS, THREADS};
use crate::backend::{DeviceVector, Result};
use crate::error::BackendError;
use crate::sums::{affine, put_together};

/// Bytes of an affine point, of one with denominators, of a sorted digit, and of a level's entry.
pub const AFFINE: usize = 64;
pub const POINT: usize = 128;
const SORTED: usize = 8;
const ENTRY: usize = 144;

/// Entries of a piece, which one thread adds up.
const PIECE: usize = 32;

/// Buckets that one thread weighs.
const BUCKETS: usize = 16;

/// Counts of a block in their prefix sums.
const COUNTS: usize = 64;

/// Bits of a window.
const WINDOW_BITS: core::ops::RangeInclusive<u32> = 3..=20;

/// Scalars that are cut together at most: a digit's sign shares a word with the scalar's number, and room for windows is needed.
const MOST_SCALARS: usize = 1 << 26;

/// Most bytes of scratch memory.
pub const MOST_SCRATCH: u64 = 8 << 30;

/// Scalars that are cut together at least, however little memory there is.
const LEAST_SCALARS: usize = 1 << 12;

/// Points on the device, and their multiples where there is memory for them.
#[derive(Debug)]
pub struct CudaBases {
    buffer: Buffer,
    len: usize,
    levels: Levels,
}

impl CudaBases {
    /// Levels of multiples that are kept, the bases themselves being the first.
    pub fn levels(&self) -> u32 {
        self.levels.count
    }
}

impl DeviceVector for CudaBases {
    fn len(&self) -> usize {
        self.len
    }
}

/// What is multiplied.
#[derive(Clone, Copy, Debug)]
pub enum Scalars<'a> {
    Elements(&'a CudaScalars),
    Integers(&'a CudaIntegers),
}

impl Scalars<'_> {
    fn len(self) -> usize {
        match self {
            Self::Elements(vector) => vector.len,
            Self::Integers(vector) => vector.len,
        }
    }

    /// Bits that windows must cover so that signed digits reach both ends; zero if all scalars are zero.
    fn bits(self) -> u32 {
        match self {
            // A scalar is below 0.76 * 2^254, and signed digits of 255 bits reach beyond 0.85 * 2^254.
            Self::Elements(_) => 255,
            Self::Integers(vector) if vector.magnitude == 0 => 0,
            Self::Integers(vector) => u64::BITS - vector.magnitude.leading_zeros() + 2,
        }
    }

    /// Bits of a stored integer, zero for field elements; and the address of an entry.
    fn stored(self, index: usize) -> (u32, u64) {
        match self {
            Self::Elements(vector) => (0, vector.at(index)),
            Self::Integers(vector) => {
                (vector.bits, vector.buffer.address() + index as u64 * u64::from(vector.bits / 8))
            }
        }
    }
}

/// The work of a sum, in additions: so many entries are sorted into buckets of which there are several sets. Weighing a bucket
/// takes two additions, which are dearer than one of an affine point.
pub fn work(entries: u64, sets: u32, window_bits: u32) -> u64 {
    entries + u64::from(sets) * (3 << (window_bits - 1))
}

/// How scalars are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    len: usize,
    window_bits: u32,
    windows: u32,
    /// Windows that are done together.
    together: u32,
    /// Bases from one level of multiples to the next; zero where every window has buckets of its own.
    stride: usize,
}

impl Plan {
    /// The cheapest windows over `bases` bases with multiples; `None` if not even one window fits `room` bytes.
    fn new(len: usize, bits: u32, room: u64, (bases, levels): (usize, Levels)) -> Option<Self> {
        let cost = |window_bits: u32| {
            let windows = bits.div_ceil(window_bits);
            work(u64::from(windows) * len as u64, windows, window_bits)
        };
        let window_bits = WINDOW_BITS.min_by_key(|&window_bits| cost(window_bits))?;
        let own = Self { len, window_bits, windows: bits.div_ceil(window_bits), together: 1, stride: 0 };
        let shared = Self {
            window_bits: levels.window_bits,
            windows: bits.div_ceil(levels.window_bits),
            stride: bases,
            ..own
        };
        let cheaper =
            || work(u64::from(shared.windows) * len as u64, 1, shared.window_bits) < cost(window_bits);
        let shared = (levels.count > 1 && shared.windows <= levels.count && cheaper()).then_some(shared);
        shared.and_then(|plan| plan.within(room)).or_else(|| own.within(room))
    }

    /// The plan with as many windows together as fit.
    fn within(self, room: u64) -> Option<Self> {
        let (set, entries) = self.scratch();
        let most = if self.stride == 0 {
            room / (set + entries)
        } else {
            room.checked_sub(set).map_or(0, |room| room / entries.max(1))
        };
        let together = u64::from(self.windows).min(most).min(u64::from(u32::MAX) / self.len.max(1) as u64);
        (together > 0).then_some(Self { together: together as u32, ..self })
    }

    /// Buckets of a set.
    fn buckets(&self) -> usize {
        1 << (self.window_bits - 1)
    }

    /// Sets of buckets for so many windows.
    fn sets(&self, windows: u32) -> usize {
        if self.stride == 0 { windows as usize } else { 1 }
    }

    /// Bytes of scratch memory for each set of buckets and for each window's entries, roughly: a bucket's point, count and share of
    /// the weighing; sorted digits, two entries for each piece at two levels and a bit.
    fn scratch(&self) -> (u64, u64) {
        let digits = SORTED + 2 * ENTRY / PIECE + ENTRY / PIECE;
        let bucket = POINT + 8 + 2 * ENTRY / BUCKETS;
        ((self.buckets() * bucket) as u64 + 4096, (self.len * digits) as u64)
    }

    /// Half a window's range at every window, as limbs.
    fn bias(&self) -> [u32; 10] {
        let mut limbs = [0u32; 10];
        for window in 0..self.windows {
            let bit = window * self.window_bits + self.window_bits - 1;
            limbs[(bit / 32) as usize] |= 1 << (bit % 32);
        }
        limbs
    }

    /// The plan and a group of its windows as the kernels read them.
    fn cut(&self, stored_bits: u32, (first, windows): (u32, u32)) -> Vec<u64> {
        let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let mut words = vec![self.len as u64, pair(stored_bits, first), pair(windows, self.window_bits)];
        words.extend(self.bias().chunks_exact(2).map(|limbs| pair(limbs[0], limbs[1])));
        words.push(self.stride as u64);
        words
    }
}

/// Scalars, as many bases, and how they are cut.
struct Product<'a> {
    device: &'a Arc<Device>,
    operation: &'static str,
    scalars: Scalars<'a>,
    first: usize,
    bases: u64,
    plan: Plan,
}

impl Product<'_> {
    /// The windows' sums, to `results`; where they share their buckets, the sum of all that are done together, at the first one.
    fn launch(&self, results: u64) -> Result<()> {
        let Plan { windows, together, .. } = self.plan;
        let mut first = 0;
        while first < windows {
            let now = together.min(windows - first);
            self.launch_windows((first, now), results + u64::from(first) * POINT as u64)?;
            first += now;
        }
        Ok(())
    }

    fn launch_windows(&self, group: (u32, u32), results: u64) -> Result<()> {
        let (device, operation, plan) = (self.device, self.operation, &self.plan);
        let sets = plan.sets(group.1);
        let (total, entries) = (plan.buckets() * sets, plan.len * group.1 as usize);
        let sorted = device.allocate(operation, entries, SORTED)?;
        let counts = device.allocate(operation, total + 1, 4)?;
        device.clear(operation, counts.address(), 4 * (total + 1))?;
        let (stored_bits, address) = self.scalars.stored(self.first);
        let cut = plan.cut(stored_bits, group);
        let arguments = Arguments::default().word(counts.address()).word(address).structure(&cut);
        device.launch(operation, "count_digits", (plan.len, THREADS), &arguments)?;
        device.sum_counts(operation, counts.address(), total + 1)?;
        let arguments =
            Arguments::default().word(sorted.address()).word(counts.address()).word(address).structure(&cut);
        device.launch(operation, "sort_digits", (plan.len, THREADS), &arguments)?;
        let buckets = device.allocate(operation, total, POINT)?;
        device.clear(operation, buckets.address(), total * POINT)?;
        let pieces = entries.div_ceil(PIECE);
        let ends = device.allocate(operation, 2 * pieces, ENTRY)?;
        // Sorting leaves the number of all digits behind the last bucket.
        let number = counts.address() + 4 * total as u64;
        let arguments = Arguments::default()
            .word(buckets.address())
            .word(ends.address())
            .word(sorted.address())
            .word(number)
            .word(self.bases)
            .word(pieces as u64)
            .word(PIECE as u64);
        device.launch(operation, "sum_sorted", (pieces, FEWER_THREADS), &arguments)?;
        device.sum_runs(operation, (ends, 2 * pieces), buckets.address())?;
        self.weigh(sets, buckets.address(), results)
    }

    /// Sums of buckets times their digits, for each set.
    fn weigh(&self, sets: usize, buckets: u64, results: u64) -> Result<()> {
        let (device, operation, plan) = (self.device, self.operation, &self.plan);
        let of_window = plan.buckets().div_ceil(BUCKETS);
        let pieces = of_window * sets;
        let weighed = device.allocate(operation, pieces, ENTRY)?;
        let arguments = Arguments::default()
            .word(weighed.address())
            .word(buckets)
            .word(pieces as u64)
            .word(of_window as u64)
            .word(BUCKETS as u64)
            .word(plan.buckets() as u64);
        device.launch(operation, "weigh_buckets", (pieces, FEWER_THREADS), &arguments)?;
        device.sum_runs(operation, (weighed, pieces), results)
    }
}

/// Bytes that must be free so that so many scalars can be multiplied, in however small pieces. Half of what is free is used.
pub fn least_scratch(len: usize) -> u64 {
    let len = len.min(LEAST_SCALARS);
    let window_bits = WINDOW_BITS.min_by_key(|&bits| {
        let windows = 255u32.div_ceil(bits);
        work(u64::from(windows) * len as u64, windows, bits)
    });
    let window_bits = window_bits.unwrap_or(3);
    let (set, entries) = Plan { len, window_bits, windows: 1, together: 1, stride: 0 }.scratch();
    2 * (set + entries)
}

impl Device {
    pub fn upload_bases(self: &Arc<Self>, points: &[G1Affine]) -> Result<CudaBases> {
        let operation = "upload_bases";
        let levels = self.levels(operation, points.len())?;
        let (buffer, levels) = self.room_for_levels(operation, points.len(), levels)?;
        let mut address = buffer.address();
        for part in points.chunks(1 << 16) {
            let mut bytes = Vec::with_capacity(part.len() * AFFINE);
            for point in part {
                // The identity is (0, 0), which is no point of the curve.
                let (x, y) = point.xy().unwrap_or_default();
                x.0.0.into_iter().chain(y.0.0).for_each(|limb| bytes.extend_from_slice(&limb.to_le_bytes()));
            }
            self.write(operation, address, &bytes)?;
            address += bytes.len() as u64;
        }
        self.fill_levels(operation, &buffer, points.len(), levels)?;
        Ok(CudaBases { buffer, len: points.len(), levels })
    }

    /// Counts become the sums of those before them.
    fn sum_counts(self: &Arc<Self>, operation: &'static str, counts: u64, len: usize) -> Result<()> {
        let blocks = len.div_ceil(COUNTS);
        let mut sums = None;
        if blocks > 1 {
            let buffer = self.allocate(operation, blocks, 4)?;
            let arguments =
                Arguments::default().word(buffer.address()).word(counts).word(len as u64).word(COUNTS as u64);
            self.launch(operation, "fold_counts", (blocks, THREADS), &arguments)?;
            self.sum_counts(operation, buffer.address(), blocks)?;
            sums = Some(buffer);
        }
        let enters = sums.as_ref().map_or(0, Buffer::address);
        let arguments = Arguments::default().word(counts).word(enters).word(len as u64).word(COUNTS as u64);
        self.launch(operation, "scan_counts", (blocks, THREADS), &arguments)
    }

    /// Adds up runs of entries with the same bucket, and writes the sums to the buckets.
    fn sum_runs(
        self: &Arc<Self>,
        operation: &'static str,
        (entries, mut len): (Buffer, usize),
        buckets: u64,
    ) -> Result<()> {
        let mut levels = vec![entries];
        while let Some(entries) = levels.last().map(Buffer::address).filter(|_| len > 0) {
            let last = len <= PIECE;
            let pieces = len.div_ceil(PIECE);
            let ends = self.allocate(operation, if last { 0 } else { 2 * pieces }, ENTRY)?;
            let arguments = Arguments::default()
                .word(buckets)
                .word(ends.address())
                .word(entries)
                .word(len as u64)
                .word(PIECE as u64)
                .word(last.into());
            self.launch(operation, "sum_entries", (pieces, FEWER_THREADS), &arguments)?;
            if last {
                break;
            }
            levels.push(ends);
            len = 2 * pieces;
        }
        Ok(())
    }

    /// How the scalars from `first` on are cut: as many of them as fit the room.
    fn plan(
        &self,
        operation: &'static str,
        bases: &CudaBases,
        (scalars, first): (Scalars<'_>, usize),
        room: u64,
    ) -> Result<Plan> {
        let mut len = (scalars.len() - first).min(MOST_SCALARS);
        loop {
            match Plan::new(len, scalars.bits(), room, (bases.len, bases.levels)) {
                Some(plan) => return Ok(plan),
                None if len > LEAST_SCALARS => len = (len / 2).max(LEAST_SCALARS),
                None => return Err(self.out_of_memory(operation, least_scratch(len))),
            }
        }
    }

    /// The sum for each vector, none of which is longer than the bases.
    pub fn msm(
        self: &Arc<Self>,
        operation: &'static str,
        bases: &CudaBases,
        vectors: &[Scalars<'_>],
    ) -> Result<Vec<G1Projective>> {
        let room = (self.free_memory(operation)? / 2).min(MOST_SCRATCH);
        let mut products = Vec::new();
        for (owner, &scalars) in vectors.iter().enumerate().filter(|(_, scalars)| scalars.bits() > 0) {
            let mut first = 0;
            while first < scalars.len() {
                let plan = self.plan(operation, bases, (scalars, first), room)?;
                let address = bases.buffer.address() + (first * AFFINE) as u64;
                products
                    .push((owner, Product { device: self, operation, scalars, first, bases: address, plan }));
                first += plan.len;
            }
        }
        let windows: usize = products.iter().map(|(_, product)| product.plan.windows as usize).sum();
        let results = self.allocate(operation, windows, POINT)?;
        self.clear(operation, results.address(), windows * POINT)?;
        let mut at = results.address();
        for (_, product) in &products {
            product.launch(at)?;
            at += u64::from(product.plan.windows) * POINT as u64;
        }
        let mut bytes = vec![0u8; windows * POINT];
        self.read(operation, &mut bytes, results.address())?;
        let sums = self.points(operation, &bytes)?;
        let mut totals = vec![G1Projective::zero(); vectors.len()];
        let mut rest = sums.as_slice();
        for (owner, product) in &products {
            let (own, others) = rest.split_at(product.plan.windows as usize);
            let bits = if product.plan.stride == 0 { product.plan.window_bits } else { 0 };
            totals[*owner] += put_together(own, bits);
            rest = others;
        }
        Ok(totals)
    }

    /// `(a + b) + a` for each pair, by both of the kernels' additions.
    pub fn check_points(self: &Arc<Self>, a: &CudaBases, b: &CudaBases) -> Result<Vec<G1Affine>> {
        let operation = "check_points";
        let len = a.len.min(b.len);
        let out = self.allocate(operation, len, POINT)?;
        let arguments = Arguments::default()
            .word(out.address())
            .word(a.buffer.address())
            .word(b.buffer.address())
            .word(len as u64);
        self.launch(operation, "check_points", (len, FEWER_THREADS), &arguments)?;
        let mut bytes = vec![0u8; len * POINT];
        self.read(operation, &mut bytes, out.address())?;
        self.points(operation, &bytes)
    }

    /// Affine points from the bytes of points with denominators.
    fn points(&self, operation: &'static str, bytes: &[u8]) -> Result<Vec<G1Affine>> {
        let coordinate = |part: &[u8]| {
            let mut limbs = [0u64; 4];
            for (limb, bytes) in limbs.iter_mut().zip(part.chunks_exact(8)) {
                let mut word = [0u8; 8];
                word.copy_from_slice(bytes);
                *limb = u64::from_le_bytes(word);
            }
            let limbs = BigInt(limbs);
            (limbs < Fq::MODULUS).then(|| Fq::new_unchecked(limbs))
        };
        let coordinates: Option<Vec<Fq>> = bytes.chunks_exact(32).map(coordinate).collect();
        let coordinates = coordinates.ok_or_else(|| BackendError::Device {
            device: self.name.clone(),
            operation,
            reason: "it returned a value that is no coordinate".into(),
        })?;
        Ok(coordinates.chunks_exact(4).map(affine).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_scalars_and_fit_the_room() {
        for log_len in [0, 4, 10, 16, 20, 26] {
            let bases = 1usize << log_len;
            for levels in [Levels::ONE, Levels::new(bases, u64::MAX)] {
                for bits in [3, 10, 66, 255] {
                    for room in [1u64 << 20, 1 << 27, 1 << 33] {
                        check(bases, bits, room, levels);
                    }
                }
            }
        }
    }

    fn check(bases: usize, bits: u32, room: u64, levels: Levels) {
        let Some(plan) = Plan::new(bases, bits, room, (bases, levels)) else {
            assert!((SORTED * bases) as u64 > room / 32, "{bases} in {room} bytes");
            return;
        };
        assert!(plan.windows * plan.window_bits >= bits && plan.together <= plan.windows);
        let (set, entries) = plan.scratch();
        let together = u64::from(plan.together);
        assert!(plan.sets(plan.together) as u64 * set + together * entries <= room);
        assert!(together * bases as u64 <= u64::from(u32::MAX));
        assert!(plan.windows * plan.window_bits <= 320);
        if plan.stride > 0 {
            assert!(plan.windows <= levels.count && plan.window_bits == levels.window_bits);
            // The largest base's number and a sign share a word.
            assert!(plan.windows as usize * bases < 1 << 31);
        }
    }

    #[test]
    fn scratch_for_few_scalars_is_enough_for_many() {
        for log_len in [0, 10, 12, 13, 20, 26] {
            let len = 1usize << log_len;
            let room = least_scratch(len) / 2;
            let piece = len.min(LEAST_SCALARS);
            assert!(Plan::new(piece, 255, room, (len, Levels::ONE)).is_some(), "2^{log_len}");
        }
    }
}
