//! Work on vectors that may lie on different devices.

use std::thread;

use ark_bn254::Fr;
use ark_ff::{One, Zero};

use super::vector::{SeveralIntegers, SeveralScalars};
use super::{Member, Several, elements};
use crate::backend::{DeviceVector, Result};

type Vector<B> = SeveralScalars<<B as crate::backend::Backend>::Scalars>;

impl<B: Member> Several<B> {
    /// Changes a vector where it lives.
    pub(super) fn changed(
        &self,
        values: &mut Vector<B>,
        work: impl Fn(&B, &mut B::Scalars) -> Result<()>,
    ) -> Result<()> {
        let home = values.home;
        self.counted(|| self.with_room(home, || work(&self.members[home], values.changing())))
    }

    /// The device that has most of these vectors; of several, the one whose memory is least in use.
    pub(super) fn most_held(&self, vectors: &[&Vector<B>]) -> usize {
        let held = |device: usize| -> u64 {
            let there = vectors.iter().filter(|vector| vector.held(device).is_some());
            there.map(|vector| elements(vector.len())).sum()
        };
        let rank = |device: &usize| (held(*device), -self.loads[*device].share_with(0));
        (0..self.members.len())
            .max_by(|a, b| rank(a).partial_cmp(&rank(b)).unwrap_or(core::cmp::Ordering::Equal))
            .unwrap_or(0)
    }

    /// A combination of vectors, on a device: others sum what they have, and only the sums travel.
    pub(super) fn combine_on(&self, terms: &[(Fr, &Vector<B>)], device: usize) -> Result<B::Scalars> {
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            terms.iter().copied().partition(|(_, vector)| vector.held(device).is_some());
        let mut sums = Vec::new();
        for (home, member) in self.members.iter().enumerate() {
            let group = elsewhere.iter().filter(|(_, vector)| vector.home == home);
            let group: Vec<(Fr, &B::Scalars)> =
                group.map(|(factor, vector)| (*factor, &vector.own)).collect();
            if !group.is_empty() {
                let sum = self.with_room(home, || member.combine(&group))?;
                sums.push(self.taken((home, &sum), 0, sum.len(), device)?);
            }
        }
        // A vector that was here when the terms were parted may have been forgotten since.
        let held = here
            .iter()
            .map(|(factor, vector)| Ok((*factor, self.on(vector, device)?)))
            .collect::<Result<Vec<_>>>()?;
        let own = held.iter().map(|(factor, held)| (*factor, &**held));
        let all: Vec<(Fr, &B::Scalars)> = own.chain(sums.iter().map(|sum| (Fr::one(), sum))).collect();
        self.members[device].combine(&all)
    }

    /// Values of polynomials at a point, each on its own device, all devices at the same time.
    pub(super) fn values_at(&self, polynomials: &[&Vector<B>], point: Fr) -> Result<Vec<Fr>> {
        let mut values = vec![Fr::zero(); polynomials.len()];
        let of_device = |device: usize| -> Vec<usize> {
            (0..polynomials.len()).filter(|&index| polynomials[index].home == device).collect()
        };
        let groups: Vec<(usize, Vec<usize>)> = (0..self.members.len())
            .map(|device| (device, of_device(device)))
            .filter(|(_, group)| !group.is_empty())
            .collect();
        let on_device = |device: usize, group: &[usize]| {
            let own: Vec<&B::Scalars> = group.iter().map(|&index| &polynomials[index].own).collect();
            self.with_room(device, || self.members[device].evaluate(&own, point))
        };
        let found: Vec<Result<Vec<Fr>>> = match groups.split_first() {
            None => Vec::new(),
            Some(((first, group), others)) => thread::scope(|scope| {
                let threads: Vec<_> = others
                    .iter()
                    .map(|(device, group)| scope.spawn(move || on_device(*device, group)))
                    .collect();
                let mut found = vec![on_device(*first, group)];
                for (thread, (device, _)) in threads.into_iter().zip(others) {
                    found.push(thread.join().unwrap_or_else(|_| Err(self.ended(*device))));
                }
                found
            }),
        };
        for ((_, group), found) in groups.iter().zip(found) {
            group.iter().zip(found?).for_each(|(&index, value)| values[index] = value);
        }
        Ok(values)
    }

    /// Adds the weighted rows of a matrix, summed where the matrix lies, to a target; shapes are checked by the caller.
    pub(super) fn rows_combined(
        &self,
        (target, offset): (&mut Vector<B>, usize),
        matrix: &SeveralIntegers<B::Integers>,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        let (home, there) = (target.home, matrix.home);
        if home == there {
            return self.members[home].combine_rows(target.changing(), offset, &matrix.own, width, weights);
        }
        let sum = self.with_room(there, || {
            let mut sum = self.members[there].zeros(width)?;
            self.members[there].combine_rows(&mut sum, 0, &matrix.own, width, weights)?;
            Ok(sum)
        })?;
        let sum = self.with_room(home, || self.taken((there, &sum), 0, width, home))?;
        self.members[home].add_scaled(target.changing(), offset, Fr::one(), &sum)
    }
}
