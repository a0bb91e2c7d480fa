//! Sums of points over bases that are cut between devices.

use core::ops::Range;
use std::thread;

use ark_bn254::{G1Affine, G1Projective};
use ark_ff::Zero;

use super::vector::{Held, SeveralBases, SeveralIntegers, SeveralScalars};
use super::{Member, POINT, Several};
use crate::backend::{DeviceVector, Result};
use crate::error::BackendError;

/// Vectors whose parts are on their way at a time.
const TOGETHER: usize = 8;

/// A vector that bases are multiplied by.
pub(super) trait Factors<B: Member>: DeviceVector {
    /// What a device multiplies by.
    type Part: Sync;

    /// Entries of the vector as the device has them; all of it if it lies there.
    fn part<'v>(
        &'v self,
        several: &Several<B>,
        range: Range<usize>,
        device: usize,
    ) -> Result<Part<'v, Self::Part>>;

    /// The device's sums.
    fn sums(member: &B, bases: &B::Bases, parts: &[&Self::Part]) -> Result<Vec<G1Projective>>;
}

/// A part of a vector on a device.
pub(super) enum Part<'v, P> {
    Whole(Held<'v, P>),
    Lent(&'v P),
    Taken(P),
}

impl<P> core::ops::Deref for Part<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        match self {
            Self::Whole(held) => held,
            Self::Lent(lent) => lent,
            Self::Taken(taken) => taken,
        }
    }
}

impl<B: Member> Factors<B> for SeveralScalars<B::Scalars> {
    type Part = B::Scalars;

    fn part<'v>(
        &'v self,
        several: &Several<B>,
        range: Range<usize>,
        device: usize,
    ) -> Result<Part<'v, B::Scalars>> {
        let (start, len) = (range.start, range.len());
        match self.held(device) {
            Some(held) if len == self.len() => Ok(Part::Whole(held)),
            Some(held) => Ok(Part::Taken(several.members[device].slice(&held, start, len)?)),
            None => Ok(Part::Taken(several.taken((self.home, &self.own), start, len, device)?)),
        }
    }

    fn sums(member: &B, bases: &B::Bases, parts: &[&B::Scalars]) -> Result<Vec<G1Projective>> {
        member.msm(bases, parts)
    }
}

impl<B: Member> Factors<B> for SeveralIntegers<B::Integers> {
    type Part = B::Integers;

    fn part<'v>(
        &'v self,
        several: &Several<B>,
        range: Range<usize>,
        device: usize,
    ) -> Result<Part<'v, B::Integers>> {
        if device == self.home && range.len() == self.len() {
            return Ok(Part::Lent(&self.own));
        }
        Ok(Part::Taken(several.taken_integers(self, range.start, range.len(), device)?))
    }

    fn sums(member: &B, bases: &B::Bases, parts: &[&B::Integers]) -> Result<Vec<G1Projective>> {
        member.msm_integers(bases, parts)
    }
}

impl<B: Member> Several<B> {
    /// The part of so many points that each device holds, in proportion to its memory.
    pub(super) fn shares(&self, len: usize) -> Vec<Range<usize>> {
        let devices = (len / self.least_part).clamp(1, self.members.len());
        // Where a few devices suffice, those with the most memory.
        let mut chosen: Vec<usize> = (0..self.members.len()).collect();
        chosen.sort_by_key(|&device| core::cmp::Reverse(self.loads[device].capacity));
        chosen.truncate(devices);
        chosen.sort_unstable();
        let whole: f64 = chosen.iter().map(|&device| self.loads[device].capacity as f64).sum();
        let (mut before, mut start) = (0.0, 0);
        let mut shares = Vec::with_capacity(self.members.len());
        for (device, load) in self.loads.iter().enumerate() {
            let mut end = start;
            if chosen.contains(&device) {
                before += load.capacity as f64;
                let last = chosen.last() == Some(&device);
                end = if last { len } else { ((before / whole * len as f64) as usize).clamp(start, len) };
            }
            shares.push(start..end);
            start = end;
        }
        shares
    }

    pub(super) fn cut_bases(&self, points: &[G1Affine]) -> Result<SeveralBases<B::Bases>> {
        let (mut parts, mut leases) = (Vec::new(), Vec::new());
        for (device, range) in self.shares(points.len()).into_iter().enumerate() {
            let part = points.get(range.clone()).unwrap_or(&[]);
            let own = self.with_room(device, || self.members[device].upload_bases(part))?;
            leases.push(self.loads[device].lease(part.len() as u64 * POINT));
            parts.push((range.start, own));
        }
        Ok(SeveralBases { parts, len: points.len(), _leases: leases })
    }

    /// Integers of a vector, copied to a device.
    pub(super) fn taken_integers(
        &self,
        values: &SeveralIntegers<B::Integers>,
        start: usize,
        len: usize,
        device: usize,
    ) -> Result<B::Integers> {
        if device != values.home {
            let bytes = B::integer_bytes(&values.own) as usize / values.len().max(1) * len;
            self.meter.transfer(bytes);
        }
        self.members[device].take_integers(&self.members[values.home], &values.own, start, len)
    }

    /// Every vector's sum: each device's sum over its part of the points, all at the same time.
    pub(super) fn sums<F: Factors<B> + Sync>(
        &self,
        bases: &SeveralBases<B::Bases>,
        vectors: &[&F],
    ) -> Result<Vec<G1Projective>> {
        let busy: Vec<usize> = (0..bases.parts.len()).filter(|&d| !bases.parts[d].1.is_empty()).collect();
        let on_device = |device: usize| self.sums_on(bases, vectors, device);
        let found: Vec<Result<Vec<G1Projective>>> = match busy[..] {
            [] => return Ok(vec![G1Projective::zero(); vectors.len()]),
            [only] => vec![on_device(only)],
            [first, ref others @ ..] => thread::scope(|scope| {
                let threads: Vec<_> =
                    others.iter().map(|&device| scope.spawn(move || on_device(device))).collect();
                let mut found = vec![on_device(first)];
                for (thread, &device) in threads.into_iter().zip(others) {
                    found.push(thread.join().unwrap_or_else(|_| Err(self.ended(device))));
                }
                found
            }),
        };
        let mut totals = vec![G1Projective::zero(); vectors.len()];
        for sums in found {
            totals.iter_mut().zip(sums?).for_each(|(total, sum)| *total += sum);
        }
        Ok(totals)
    }

    /// The error for a thread that ended before its time.
    pub(super) fn ended(&self, device: usize) -> BackendError {
        let device = self.members[device].capabilities().name;
        BackendError::Device { device, operation: "several", reason: "its thread ended unexpectedly".into() }
    }

    fn sums_on<F: Factors<B>>(
        &self,
        bases: &SeveralBases<B::Bases>,
        vectors: &[&F],
        device: usize,
    ) -> Result<Vec<G1Projective>> {
        let (start, own) = &bases.parts[device];
        let end = start + own.len();
        let mut totals = vec![G1Projective::zero(); vectors.len()];
        let reaching: Vec<usize> =
            (0..vectors.len()).filter(|&index| vectors[index].len() > *start).collect();
        for group in reaching.chunks(TOGETHER) {
            let sums = self.with_room(device, || {
                let part = |&index: &usize| {
                    let vector: &F = vectors[index];
                    vector.part(self, *start..end.min(vector.len()), device)
                };
                let parts = group.iter().map(part).collect::<Result<Vec<_>>>()?;
                let parts: Vec<&F::Part> = parts.iter().map(|part| &**part).collect();
                F::sums(&self.members[device], own, &parts)
            })?;
            group.iter().zip(sums).for_each(|(&index, sum)| totals[index] = sum);
        }
        Ok(totals)
    }
}
