//! Steps over lanes of eight. Every register holds values below 16p.

use ark_bn254::Fr;
use rayon::prelude::*;

use super::super::eights::{Lane, load, reduced, store};
use super::super::simd::{Ifma, LANES, Lanes, ifma_kernel};
use super::{Kind, Plan, Source, Step};

/// Vectors of a block: 5 KiB for each register.
const WIDTH: usize = 16;

/// A register's part of a block.
type Register = [Lane; WIDTH];

/// Runs a plan on every row of the output.
pub(super) fn run(proof: Ifma, plan: &Plan, inputs: &[&[Fr]], output: &mut [Fr]) {
    output.par_chunks_mut(WIDTH * LANES).enumerate().for_each_init(
        || vec![zeros(proof); plan.registers],
        |registers, (index, block)| work(proof, plan, (inputs, registers), index * WIDTH * LANES, block),
    );
}

ifma_kernel! {
    fn zeros() -> Register {
        // SAFETY: this function has the instructions.
        unsafe { [Lane::zero(); WIDTH] }
    }
}

ifma_kernel! {
    /// Works off the rows of one block.
    fn work(plan: &Plan, memory: (&[&[Fr]], &mut Vec<Register>), start: usize, output: &mut [Fr]) {
        let (inputs, registers) = memory;
        // SAFETY: this function has the instructions.
        unsafe {
            for step in &plan.steps {
                execute(step, inputs, registers, (start, output.len()));
            }
            match plan.output {
                Source::Register(index) | Source::Result(index) => {
                    for (eight, value) in output.chunks_mut(LANES).zip(registers[index]) {
                        store(value, eight);
                    }
                }
                Source::Uniform(value) => output.fill(value),
                Source::Input { index, rotation } => {
                    let input = inputs[index];
                    for (row, value) in output.iter_mut().enumerate() {
                        *value = input[(start + row + rotation) % input.len()];
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn execute(step: &Step, inputs: &[&[Fr]], registers: &mut [Register], (start, rows): (usize, usize)) {
    // A step never writes what it reads, so the target can be made aside; its lanes past the block's end do not matter.
    let vectors = rows.div_ceil(LANES);
    // SAFETY: the caller has the instructions.
    unsafe {
        match (step.kind, step.a, step.b) {
            (Kind::Load, Source::Input { index, rotation }, _) => {
                load_rows(inputs[index], start + rotation, &mut registers[step.register][..vectors], rows);
            }
            (kind, Source::Register(a), Source::Register(b)) => {
                let Some((target, [a, b])) = parts(registers, step.register, [a, b]) else { return };
                for ((value, a), b) in target[..vectors].iter_mut().zip(a).zip(b) {
                    *value = apply(kind, *a, *b);
                }
            }
            (kind, Source::Register(a), Source::Uniform(b)) => {
                let Some((target, [a, _])) = parts(registers, step.register, [a, a]) else { return };
                let b = reduced(&b);
                for (value, a) in target[..vectors].iter_mut().zip(a) {
                    *value = apply(kind, *a, b);
                }
            }
            (kind, Source::Uniform(a), Source::Register(b)) => {
                let Some((target, [b, _])) = parts(registers, step.register, [b, b]) else { return };
                let a = reduced(&a);
                for (value, b) in target[..vectors].iter_mut().zip(b) {
                    *value = apply(kind, a, *b);
                }
            }
            // A plan has no other steps: uniform results are computed ahead, inputs are loaded.
            _ => debug_assert!(false, "{step:?} is no step of a plan for lanes"),
        }
    }
}

/// A register to write and two others to read; nothing if they are not apart.
#[inline(always)]
fn parts(
    registers: &mut [Register],
    target: usize,
    read: [usize; 2],
) -> Option<(&mut Register, [&Register; 2])> {
    let (before, rest) = registers.split_at_mut_checked(target)?;
    let (target_register, after) = rest.split_first_mut()?;
    let (before, after) = (&*before, &*after);
    let find = |index: usize| match index.checked_sub(target + 1) {
        Some(index) => after.get(index),
        None => before.get(index),
    };
    Some((target_register, [find(read[0])?, find(read[1])?]))
}

/// A result below 16p, from values below 16p.
#[inline(always)]
unsafe fn apply(kind: Kind, a: Lane, b: Lane) -> Lane {
    // SAFETY: the caller has the instructions.
    unsafe {
        match kind {
            Kind::Load => a,
            Kind::Add => a.add(b).reduce(),
            Kind::Subtract => a.subtract::<16>(b).reduce(),
            Kind::Multiply => a.multiply(b),
            Kind::Square => a.square(),
        }
    }
}

/// Rows from `start` on, cyclically.
#[inline(always)]
unsafe fn load_rows(input: &[Fr], start: usize, target: &mut [Lane], rows: usize) {
    let start = start % input.len();
    // SAFETY: the caller has the instructions.
    unsafe {
        if let Some(straight) = input.get(start..start + rows) {
            for (value, eight) in target.iter_mut().zip(straight.chunks(LANES)) {
                *value = load(eight);
            }
            return;
        }
        for (index, value) in target.iter_mut().enumerate() {
            let row = |lane: usize| input[(start + LANES * index + lane) % input.len()];
            let eight: [Fr; LANES] = core::array::from_fn(row);
            *value = load(&eight);
        }
    }
}
