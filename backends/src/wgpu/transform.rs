//! Number-theoretic transforms: passes of up to nine stages, each through the memory of a group of invocations.

use ::wgpu::Buffer;
use ark_bn254::Fr;
use ark_ff::{Field, One};
use zkloom_kernels::cpu::ntt::generator;
use zkloom_kernels::wgsl::Module;

use super::WgpuBackend;
use super::device::{Kernel, lock};
use super::recorder::Recorder;
use super::vectors::{Progression, WgpuScalars, words_of};
use crate::backend::{Direction, Result};

/// Stages of one pass: 512 entries, the memory of a group that WebGPU guarantees.
const STAGES: u32 = 9;

/// The roots of unity of a transform, and of all shorter ones.
#[derive(Clone, Debug)]
pub(super) struct Roots {
    log_size: u32,
    buffer: Buffer,
}

/// Numbers of stages of the passes: as equal as they can be, none above [`STAGES`].
fn passes(log_size: u32) -> Vec<u32> {
    let count = log_size.div_ceil(STAGES).max(1);
    (0..count).map(|pass| (log_size + pass) / count).collect()
}

impl WgpuBackend {
    /// Roots for at least this size; kept, and made again when a larger transform comes. They are kept once the device has been
    /// told to make them, so that no other thread's transform can come before.
    fn roots(&self, operation: &'static str, log_size: u32) -> Result<Roots> {
        let mut kept = lock(&self.roots);
        if let Some(roots) = kept.as_ref().filter(|roots| roots.log_size >= log_size) {
            return Ok(roots.clone());
        }
        let powers = self.device.vector(operation, 1 << (log_size - 1))?;
        let spare = self.device.storage(operation, 0)?;
        let mut recorder = Recorder::new(&self.device, operation)?;
        Progression::powers_of(generator(log_size)).record(&mut recorder, &powers, (None, 0), &spare)?;
        recorder.submit()?;
        let roots = Roots { log_size, buffer: powers.buffer };
        *kept = Some(roots.clone());
        Ok(roots)
    }

    /// Records a transform of `entries` to `values`, which is another buffer; `log_size` is at least 1.
    fn record_transform(
        &self,
        recorder: &mut Recorder<'_>,
        operation: &'static str,
        (entries, values): (&WgpuScalars, &WgpuScalars),
        direction: Direction,
    ) -> Result<()> {
        let log_size = entries.len.ilog2();
        let roots = self.roots(operation, log_size)?;
        let factor = match direction {
            Direction::Forward => Fr::one(),
            Direction::Inverse => Fr::from(2u64).pow([u64::from(log_size)]).inverse().unwrap_or_default(),
        };
        let inverse = direction == Direction::Inverse;
        let passes = passes(log_size);
        let mut first = 0;
        for (number, &stages) in passes.iter().enumerate() {
            let scaled = inverse && number + 1 == passes.len();
            let numbers =
                [log_size, first, stages, u32::from(inverse), roots.log_size, u32::from(scaled), 0, 0];
            let words = [&numbers[..], &words_of(&factor)].concat();
            let groups = 1usize << (log_size - stages);
            let kernel = |entry| Kernel { module: Module::Transform, entry };
            if number == 0 {
                let buffers = [&values.buffer, &roots.buffer, &entries.buffer];
                recorder.dispatch_groups(kernel("first_pass"), &words, &buffers, groups)?;
            } else {
                let buffers = [&values.buffer, &roots.buffer];
                recorder.dispatch_groups(kernel("next_pass"), &words, &buffers, groups)?;
            }
            first += stages;
        }
        Ok(())
    }

    /// Transforms in place; the length is checked by the caller.
    pub(super) fn transform(&self, values: &mut WgpuScalars, direction: Direction) -> Result<()> {
        let operation = "ntt";
        let mut recorder = Recorder::new(&self.device, operation)?;
        if values.len > 1 {
            let result = self.device.vector(operation, values.len)?;
            self.record_transform(&mut recorder, operation, (values, &result), direction)?;
            recorder.submit()?;
            *values = result;
        }
        Ok(())
    }

    /// Values on a coset; arguments are checked by the caller.
    pub(super) fn coset_values(
        &self,
        coefficients: &WgpuScalars,
        log_size: u32,
        shift: Fr,
    ) -> Result<WgpuScalars> {
        let operation = "coset_ntt";
        let scaled = self.device.vector(operation, 1 << log_size)?;
        let mut recorder = Recorder::new(&self.device, operation)?;
        if coefficients.len > 0 {
            let spare = self.device.storage(operation, 0)?;
            let entries = (Some(&coefficients.buffer), coefficients.len);
            Progression::powers_of(shift).record(&mut recorder, &scaled, entries, &spare)?;
        }
        if log_size == 0 {
            recorder.submit()?;
            return Ok(scaled);
        }
        let values = self.device.vector(operation, 1 << log_size)?;
        self.record_transform(&mut recorder, operation, (&scaled, &values), Direction::Forward)?;
        recorder.submit()?;
        Ok(values)
    }

    /// Coefficients of values on a coset, in place; arguments are checked by the caller.
    pub(super) fn coset_coefficients(&self, values: &mut WgpuScalars, shift: Fr) -> Result<()> {
        let operation = "inverse_coset_ntt";
        if values.len <= 1 {
            return self.device.check(operation);
        }
        let coefficients = self.device.vector(operation, values.len)?;
        let scaled = self.device.vector(operation, values.len)?;
        let spare = self.device.storage(operation, 0)?;
        let mut recorder = Recorder::new(&self.device, operation)?;
        self.record_transform(&mut recorder, operation, (values, &coefficients), Direction::Inverse)?;
        let powers = Progression::powers_of(shift.inverse().unwrap_or_default());
        powers.record(&mut recorder, &scaled, (Some(&coefficients.buffer), coefficients.len), &spare)?;
        recorder.submit()?;
        *values = scaled;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{STAGES, passes};

    #[test]
    fn passes_cover_all_stages() {
        for log_size in 1..=28 {
            let passes = passes(log_size);
            assert_eq!(passes.iter().sum::<u32>(), log_size);
            assert!(passes.iter().all(|&stages| (1..=STAGES).contains(&stages)), "{log_size}: {passes:?}");
        }
    }
}
