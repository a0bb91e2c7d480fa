//! Multi-scalar multiplication: signed digits, a counting sort by bucket, sums of runs, weighted sums of buckets; the windows' sums
//! are put together on the host.

use ::wgpu::Buffer;
use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{PrimeField, Zero};
use zkloom_kernels::wgsl::Module;

use super::device::{Device, Kernel};
use super::integers::WgpuIntegers;
use super::recorder::Recorder;
use super::vectors::{ELEMENT, WgpuScalars, limbs_of};
use crate::backend::{DeviceVector, Result};
use crate::sums::{affine, put_together};

/// Bytes of an affine point, of one with denominators, and of a sorted entry.
const AFFINE: u64 = 64;
const POINT: u64 = 128;
const SORTED: u64 = 8;

/// Entries of a piece, which one invocation adds up; even, so that a piece begins with a run that is there.
const PIECE: usize = 32;

/// Buckets that one invocation weighs.
const BUCKETS: usize = 16;

/// Counts of a block in their prefix sums.
const COUNTS: usize = 32;

/// Bits of a window.
const WINDOW_BITS: core::ops::RangeInclusive<u32> = 3..=15;

/// Most points of a part of the bases, which bounds what must be sorted at once.
const MOST_POINTS: usize = 1 << 22;

/// Most bytes of any scratch buffer.
const MOST_SCRATCH: u64 = 1 << 29;

fn digits(entry: &'static str) -> Kernel {
    Kernel { module: Module::Digits, entry }
}

fn points(entry: &'static str) -> Kernel {
    Kernel { module: Module::Points, entry }
}

/// Points on a device that wgpu drives, in buffers that shaders can see whole.
#[derive(Clone, Debug)]
pub struct WgpuBases {
    parts: Vec<Buffer>,
    /// Points of every part but the last.
    part_len: usize,
    len: usize,
}

impl DeviceVector for WgpuBases {
    fn len(&self) -> usize {
        self.len
    }
}

/// What is multiplied.
#[derive(Clone, Copy)]
pub(super) enum Scalars<'a> {
    Elements(&'a WgpuScalars),
    Integers(&'a WgpuIntegers),
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
}

/// How scalars are cut, for one part of the bases.
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
            let windows = u64::from(bits.div_ceil(*window_bits));
            // Weighing a bucket takes two additions, which are dearer than one of an affine point.
            windows * (len as u64 + (3 << (window_bits - 1)))
        };
        let window_bits = WINDOW_BITS.min_by_key(cost)?;
        let windows = bits.div_ceil(window_bits);
        // Sorted entries, and two points for each piece of 32 (and of what is left), take as many bytes; buckets a point each.
        let room = room.saturating_sub(2 * POINT);
        let of_window = (len as u64 * SORTED).max(POINT << (window_bits - 1)).max(1);
        let together = u64::from(windows).min(room / of_window);
        (together > 0).then_some(Self { len, window_bits, windows, together: together as u32 })
    }

    fn buckets(&self) -> usize {
        1 << (self.window_bits - 1)
    }

    /// Half a window's range at every window, as limbs.
    fn bias(&self) -> [u32; 12] {
        let mut limbs = [0u32; 12];
        for window in 0..self.windows {
            let bit = window * self.window_bits + self.window_bits - 1;
            limbs[(bit / 32) as usize] |= 1 << (bit % 32);
        }
        limbs
    }
}

/// A level of sums of runs: bucket numbers and points.
struct Level {
    keys: Buffer,
    points: Buffer,
}

/// Buffers that one group of windows after the other uses.
struct Scratch {
    counts: Buffer,
    /// Sums of blocks of counts, of blocks of those, and so on.
    blocks: Vec<(Buffer, usize)>,
    sorted: Buffer,
    buckets: Buffer,
    levels: Vec<Level>,
    weighed: Vec<Level>,
    sums: Buffer,
}

/// Levels from one with `len` entries on, down to one that a single invocation adds up, and what that one may write to.
fn levels(device: &Device, mut len: usize) -> Result<Vec<Level>> {
    let level = |len: usize| -> Result<Level> {
        let keys = device.storage("msm", 4 * len as u64)?;
        Ok(Level { keys, points: device.storage("msm", POINT * len as u64)? })
    };
    let mut levels = vec![level(len)?];
    while len > PIECE {
        len = 2 * len.div_ceil(PIECE);
        levels.push(level(len)?);
    }
    levels.push(level(0)?);
    Ok(levels)
}

impl Scratch {
    fn new(device: &Device, plan: &Plan) -> Result<Self> {
        let together = plan.together as usize;
        let count = plan.buckets() * together + 1;
        let entries = plan.len * together;
        let mut blocks = Vec::new();
        let mut len = count;
        while len > COUNTS {
            len = len.div_ceil(COUNTS);
            blocks.push((device.storage("msm", 4 * len as u64)?, len));
        }
        Ok(Self {
            counts: device.storage("msm", 4 * count as u64)?,
            blocks,
            sorted: device.storage("msm", SORTED * entries as u64)?,
            buckets: device.storage("msm", POINT * (count as u64 - 1))?,
            levels: levels(device, 2 * entries.div_ceil(PIECE))?,
            weighed: levels(device, together * plan.buckets().div_ceil(BUCKETS))?,
            sums: device.storage("msm", POINT * together as u64)?,
        })
    }

    /// Records how counts become the sums of the counts before them.
    fn record_prefix_sums(&self, recorder: &mut Recorder<'_>, count: usize) -> Result<()> {
        let mut chain: Vec<(&Buffer, usize)> = vec![(&self.counts, count)];
        chain.extend(self.blocks.iter().map(|(buffer, len)| (buffer, *len)));
        for pair in chain.windows(2) {
            let words = [pair[0].1 as u32, COUNTS as u32, 0, 0];
            recorder.dispatch(digits("fold_counts"), &words, &[pair[0].0, pair[1].0], pair[1].1)?;
        }
        let top = chain[chain.len() - 1];
        // The last level is one block; what it would start from is not read, but must be another buffer.
        let words = [top.1 as u32, COUNTS as u32, 0, 0];
        recorder.dispatch(digits("scan_counts"), &words, &[top.0, &self.sums], 1)?;
        for pair in chain.windows(2).rev() {
            let words = [pair[0].1 as u32, COUNTS as u32, 1, 0];
            recorder.dispatch(digits("scan_counts"), &words, &[pair[0].0, pair[1].0], pair[1].1)?;
        }
        Ok(())
    }
}

/// Records sums of runs, of which the first level has `len` entries, into buckets.
fn record_runs(
    recorder: &mut Recorder<'_>,
    levels: &[Level],
    mut len: usize,
    buckets: &Buffer,
) -> Result<()> {
    for pair in levels.windows(2) {
        let last = len <= PIECE;
        let words = [len as u32, PIECE as u32, u32::from(last), 0];
        let [from, to] = pair else { continue };
        let pieces = len.div_ceil(PIECE);
        let buffers = [buckets, &to.keys, &to.points, &from.keys, &from.points];
        recorder.dispatch(points("sum_points"), &words, &buffers, pieces)?;
        if last {
            break;
        }
        len = 2 * pieces;
    }
    Ok(())
}

/// One vector against one part of the bases.
struct Product<'a> {
    scalars: Scalars<'a>,
    bases: &'a Buffer,
    /// First scalar.
    offset: usize,
    plan: Plan,
}

impl Product<'_> {
    /// Records the sums of all windows, which go to `results` from entry `at` on.
    fn record(
        &self,
        recorder: &mut Recorder<'_>,
        scratch: &Scratch,
        results: &Buffer,
        at: usize,
    ) -> Result<()> {
        let mut first = 0;
        while first < self.plan.windows {
            let windows = self.plan.together.min(self.plan.windows - first);
            self.record_sort(recorder, scratch, (first, windows))?;
            self.record_sums(recorder, scratch, windows)?;
            let target = (at as u64 + u64::from(first)) * POINT;
            recorder.copy((&scratch.sums, 0), (results, target), POINT * u64::from(windows));
            first += windows;
        }
        Ok(())
    }

    /// Counts digits by bucket, and sorts scalars by bucket.
    fn record_sort(
        &self,
        recorder: &mut Recorder<'_>,
        scratch: &Scratch,
        (first, windows): (u32, u32),
    ) -> Result<()> {
        let plan = &self.plan;
        let (count, sort, buffer, bits) = match self.scalars {
            Scalars::Elements(vector) => ("count_elements", "sort_elements", &vector.buffer, 0),
            Scalars::Integers(vector) => ("count_integers", "sort_integers", &vector.buffer, vector.bits),
        };
        let mut words =
            vec![plan.len as u32, bits, first, windows, plan.window_bits, self.offset as u32, 0, 0];
        words.extend(plan.bias());
        recorder.clear(&scratch.counts);
        recorder.dispatch(digits(count), &words, &[buffer, &scratch.counts], plan.len)?;
        scratch.record_prefix_sums(recorder, plan.buckets() * plan.together as usize + 1)?;
        recorder.dispatch(digits(sort), &words, &[buffer, &scratch.counts, &scratch.sorted], plan.len)
    }

    /// Adds up buckets, weighs them, and adds up the windows.
    fn record_sums(&self, recorder: &mut Recorder<'_>, scratch: &Scratch, windows: u32) -> Result<()> {
        let plan = &self.plan;
        recorder.clear(&scratch.buckets);
        let entries = plan.len * windows as usize;
        let total = plan.buckets() * plan.together as usize;
        let pieces = entries.div_ceil(PIECE);
        let words = [entries as u32, PIECE as u32, 0, total as u32];
        let level = &scratch.levels[0];
        let buffers =
            [&scratch.buckets, &level.keys, &level.points, &scratch.counts, &scratch.sorted, self.bases];
        recorder.dispatch(points("sum_sorted"), &words, &buffers, pieces)?;
        record_runs(recorder, &scratch.levels, 2 * pieces, &scratch.buckets)?;
        let of_window = plan.buckets().div_ceil(BUCKETS);
        let pieces = of_window * windows as usize;
        let words = [pieces, of_window, BUCKETS, plan.buckets()].map(|number| number as u32);
        let weighed = &scratch.weighed[0];
        let buffers = [&weighed.keys, &weighed.points, &scratch.buckets];
        recorder.dispatch(points("weigh_buckets"), &words, &buffers, pieces)?;
        recorder.clear(&scratch.sums);
        record_runs(recorder, &scratch.weighed, pieces, &scratch.sums)
    }
}

impl Device {
    pub fn upload_bases(&self, bases: &[G1Affine]) -> Result<WgpuBases> {
        let operation = "upload_bases";
        let part_len = ((self.largest_binding / AFFINE) as usize).min(MOST_POINTS);
        let mut parts = Vec::with_capacity(bases.len().div_ceil(part_len));
        for part in bases.chunks(part_len) {
            let mut bytes = Vec::with_capacity(part.len() * AFFINE as usize);
            for point in part {
                // The identity is (0, 0), which is no point of the curve.
                let (x, y) = point.xy().unwrap_or_default();
                let limbs = x.0.0.into_iter().chain(y.0.0);
                limbs.for_each(|limb| bytes.extend_from_slice(&limb.to_le_bytes()));
            }
            parts.push(self.filled(operation, &bytes)?);
        }
        self.check(operation)?;
        Ok(WgpuBases { parts, part_len, len: bases.len() })
    }

    /// The sum for each vector, none of which is longer than the bases.
    pub fn msm(
        &self,
        operation: &'static str,
        bases: &WgpuBases,
        vectors: &[Scalars<'_>],
    ) -> Result<Vec<G1Projective>> {
        let room = self.largest_binding.min(MOST_SCRATCH);
        let mut products = Vec::new();
        let mut owners = Vec::new();
        for (owner, &scalars) in vectors.iter().enumerate() {
            if scalars.bits() == 0 {
                continue;
            }
            for (number, part) in bases.parts.iter().enumerate() {
                let offset = number * bases.part_len;
                let len = scalars.len().saturating_sub(offset).min(bases.part_len);
                if len == 0 {
                    break;
                }
                let plan = Plan::new(len, scalars.bits(), room)
                    .ok_or_else(|| self.out_of_memory(operation, len as u64 * SORTED))?;
                products.push(Product { scalars, bases: part, offset, plan });
                owners.push(owner);
            }
        }
        let windows: usize = products.iter().map(|product| product.plan.windows as usize).sum();
        let results = self.storage(operation, windows as u64 * POINT)?;
        let mut recorder = Recorder::new(self, operation)?;
        let mut scratch: Option<(Plan, Scratch)> = None;
        let mut at = 0;
        for product in &products {
            let (_, scratch) = match scratch.take().filter(|(plan, _)| *plan == product.plan) {
                Some(known) => scratch.insert(known),
                None => scratch.insert((product.plan, Scratch::new(self, &product.plan)?)),
            };
            product.record(&mut recorder, scratch, &results, at)?;
            at += product.plan.windows as usize;
        }
        recorder.submit()?;
        let bytes = self.read(operation, &results, (0, windows as u64 * POINT))?;
        let sums = self.points(operation, &bytes)?;
        let mut totals = vec![G1Projective::zero(); vectors.len()];
        let mut rest = sums.as_slice();
        for (product, owner) in products.iter().zip(owners) {
            let (own, others) = rest.split_at(product.plan.windows as usize);
            totals[owner] += put_together(own, product.plan.window_bits);
            rest = others;
        }
        Ok(totals)
    }

    /// Affine points from the bytes of points with denominators.
    fn points(&self, operation: &'static str, bytes: &[u8]) -> Result<Vec<G1Affine>> {
        let coordinate = |part: &[u8]| {
            let limbs = limbs_of(part);
            (limbs < Fq::MODULUS).then(|| Fq::new_unchecked(limbs))
        };
        let coordinates: Option<Vec<Fq>> = bytes.chunks_exact(ELEMENT as usize).map(coordinate).collect();
        let coordinates =
            coordinates.ok_or_else(|| self.failed(operation, "it returned a value that is no coordinate"))?;
        Ok(coordinates.chunks_exact(4).map(affine).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_scalars_and_fit_the_room() {
        for log_len in [0, 4, 10, 16, 20, 24] {
            for bits in [3, 10, 66, 255] {
                for room in [1u64 << 20, 1 << 27, 1 << 31] {
                    let Some(plan) = Plan::new(1 << log_len, bits, room) else {
                        assert!(
                            (SORTED << log_len) + 2 * POINT > room,
                            "2^{log_len} scalars of {bits} bits in {room} bytes"
                        );
                        continue;
                    };
                    assert!(plan.windows * plan.window_bits >= bits && plan.together <= plan.windows);
                    assert!((u64::from(plan.together) * SORTED) << log_len <= room);
                }
            }
        }
    }
}
