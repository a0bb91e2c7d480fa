//! Multi-scalar multiplication: signed digits, a counting sort by bucket, sums of runs, weighted sums of buckets; the windows' sums
//! are put together on the host.

use std::sync::Arc;

use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, PrimeField, Zero};

use super::device::{Buffer, Device};
use super::driver::Arguments;
use super::vectors::{CudaIntegers, CudaScalars, FEWER_THREADS, THREADS};
use crate::backend::{DeviceVector, Result};
use crate::error::BackendError;
use crate::sums::{affine, put_together};

/// Bytes of an affine point, of one with denominators, of a sorted digit, and of a level's entry.
const AFFINE: usize = 64;
const POINT: usize = 128;
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
const MOST_SCRATCH: u64 = 8 << 30;

/// Points on the device.
#[derive(Debug)]
pub struct CudaBases {
    buffer: Buffer,
    len: usize,
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

/// How scalars are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    len: usize,
    window_bits: u32,
    windows: u32,
    /// Windows that are done together.
    together: u32,
}

impl Plan {
    /// The cheapest windows; `None` if not even one window fits `room` bytes.
    fn new(len: usize, bits: u32, room: u64) -> Option<Self> {
        let cost = |window_bits: &u32| {
            // Weighing a bucket takes two additions, which are dearer than one of an affine point.
            u64::from(bits.div_ceil(*window_bits)) * (len as u64 + (3 << (window_bits - 1)))
        };
        let window_bits = WINDOW_BITS.min_by_key(cost)?;
        let windows = bits.div_ceil(window_bits);
        let one = Self { len, window_bits, windows, together: 1 };
        let together =
            u64::from(windows).min(room / one.scratch()).min(u64::from(u32::MAX) / len.max(1) as u64);
        (together > 0).then_some(Self { together: together as u32, ..one })
    }

    /// Buckets of a window.
    fn buckets(&self) -> usize {
        1 << (self.window_bits - 1)
    }

    /// Bytes of scratch memory for each window, roughly: sorted digits, two entries for each piece at two levels and a bit, and a
    /// bucket's point, count and share of the weighing.
    fn scratch(&self) -> u64 {
        let digits = SORTED + 2 * ENTRY / PIECE + ENTRY / PIECE;
        let bucket = POINT + 8 + 2 * ENTRY / BUCKETS;
        (self.len * digits + self.buckets() * bucket) as u64 + 4096
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
    /// The windows' sums, to `results`.
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
        let windows = group.1 as usize;
        let (total, entries) = (plan.buckets() * windows, plan.len * windows);
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
        self.weigh(windows, buckets.address(), results)
    }

    /// Sums of buckets times their digits, for each window.
    fn weigh(&self, windows: usize, buckets: u64, results: u64) -> Result<()> {
        let (device, operation, plan) = (self.device, self.operation, &self.plan);
        let of_window = plan.buckets().div_ceil(BUCKETS);
        let pieces = of_window * windows;
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

impl Device {
    pub fn upload_bases(self: &Arc<Self>, points: &[G1Affine]) -> Result<CudaBases> {
        let operation = "upload_bases";
        let buffer = self.allocate(operation, points.len(), AFFINE)?;
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
        Ok(CudaBases { buffer, len: points.len() })
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
            for first in (0..scalars.len()).step_by(MOST_SCALARS) {
                let len = (scalars.len() - first).min(MOST_SCALARS);
                let plan = Plan::new(len, scalars.bits(), room).ok_or_else(|| {
                    let least = Plan { len, window_bits: 3, windows: 1, together: 1 };
                    self.out_of_memory(operation, least.scratch())
                })?;
                let bases = bases.buffer.address() + (first * AFFINE) as u64;
                products.push((owner, Product { device: self, operation, scalars, first, bases, plan }));
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
            totals[*owner] += put_together(own, product.plan.window_bits);
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
            for bits in [3, 10, 66, 255] {
                for room in [1u64 << 20, 1 << 27, 1 << 33] {
                    let Some(plan) = Plan::new(1 << log_len, bits, room) else {
                        assert!((SORTED as u64) << log_len > room / 16, "2^{log_len} in {room} bytes");
                        continue;
                    };
                    assert!(plan.windows * plan.window_bits >= bits && plan.together <= plan.windows);
                    assert!(u64::from(plan.together) * plan.scratch() <= room);
                    assert!(u64::from(plan.together) << log_len <= u64::from(u32::MAX));
                    assert!(plan.windows * plan.window_bits <= 320);
                }
            }
        }
    }
}
