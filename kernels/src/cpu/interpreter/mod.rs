//! Interpreter of gate programs.
//!
//! A program is planned once for a run: what depends on constants alone is computed ahead, what does not reach the output is
//! dropped, and results are given registers that are reused when their last reader is done. Then the rows are worked off in
//! blocks that fit the cache, many blocks at a time. In lanes, inputs are brought into registers by steps of their own, once
//! for each rotation.

#[cfg(target_arch = "x86_64")]
mod lanes;

use std::collections::HashMap;

use ark_bn254::Fr;
use ark_ff::{Field, Zero};
use rayon::prelude::*;

use super::huge;
use super::simd::Tier;
use crate::program::{Operand, Operation, Program};
use crate::shape::{self, Result};

/// Rows of a block: 8 KiB for each register.
const BLOCK: usize = 256;

/// Where a step reads from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    /// A result that is not constant, by its operation.
    Result(usize),
    /// A register of the block.
    Register(usize),
    /// An input, rotated forwards.
    Input { index: usize, rotation: usize },
    /// The same value in every row.
    Uniform(Fr),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Brings an input into a register; both operands are that input.
    Load,
    Add,
    Subtract,
    Multiply,
    Square,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    kind: Kind,
    a: Source,
    b: Source,
    register: usize,
}

/// What a step sees of a source in a block.
enum Rows<'a> {
    Each(&'a [Fr]),
    Same(Fr),
}

#[derive(Debug)]
struct Plan {
    steps: Vec<Step>,
    output: Source,
    registers: usize,
}

/// Runs a gate program on every row; all inputs have the same length, rotations are cyclic.
///
/// # Errors
/// If the numbers of inputs and constants are not the program's, the inputs differ in length, there are none, or an operand
/// names something that does not exist.
pub fn run(tier: Tier, program: &Program, inputs: &[&[Fr]], constants: &[Fr]) -> Result<Vec<Fr>> {
    let mut output = Vec::new();
    run_into(tier, program, inputs, constants, &mut output)?;
    Ok(output)
}

/// The same into a vector, whose room is used again where there is enough.
///
/// # Errors
/// As for [`run`].
pub fn run_into(
    tier: Tier,
    program: &Program,
    inputs: &[&[Fr]],
    constants: &[Fr],
    output: &mut Vec<Fr>,
) -> Result<()> {
    let lengths: Vec<usize> = inputs.iter().map(|input| input.len()).collect();
    let rows = shape::program("run", program, &lengths, constants.len())?;
    huge::reuse(output, rows);
    let Some(plan) = Plan::new(program, constants, rows, tier) else {
        output.fill(Fr::zero());
        return Ok(());
    };
    match tier {
        #[cfg(target_arch = "x86_64")]
        Tier::Ifma(proof) => lanes::run(proof, &plan, inputs, output),
        _ => output.par_chunks_mut(BLOCK).enumerate().for_each_init(
            || Worker::new(plan.registers),
            |worker, (index, block)| worker.work(&plan, inputs, index * BLOCK, block),
        ),
    }
    Ok(())
}

impl Plan {
    /// Plans a checked program; nothing if it has no rows or no output.
    fn new(program: &Program, constants: &[Fr], rows: usize, tier: Tier) -> Option<Self> {
        if rows == 0 {
            return None;
        }
        let mut results: Vec<Source> = Vec::with_capacity(program.operations.len());
        let mut pending = Pending { steps: Vec::new(), loads: (tier != Tier::Portable).then(HashMap::new) };
        for &operation in &program.operations {
            let (kind, a, b) = match operation {
                Operation::Add(a, b) => (Kind::Add, a, b),
                Operation::Subtract(a, b) => (Kind::Subtract, a, b),
                Operation::Multiply(a, b) if a == b => (Kind::Square, a, b),
                Operation::Multiply(a, b) => (Kind::Multiply, a, b),
            };
            let a = pending.loaded(resolve(a, &results, constants, rows));
            let b = pending.loaded(resolve(b, &results, constants, rows));
            results.push(match (a, b) {
                (Source::Uniform(a), Source::Uniform(b)) => Source::Uniform(kind.apply(a, b)),
                _ => pending.push(kind, a, b),
            });
        }
        let output = resolve(program.output?, &results, constants, rows);
        Some(allocate(pending.steps, output))
    }
}

/// Steps in order, before they have registers: a result is known by its step.
struct Pending {
    steps: Vec<Step>,
    /// Results that hold inputs, by index and rotation; nothing where steps read inputs themselves.
    loads: Option<HashMap<(usize, usize), Source>>,
}

impl Pending {
    fn push(&mut self, kind: Kind, a: Source, b: Source) -> Source {
        self.steps.push(Step { kind, a, b, register: 0 });
        Source::Result(self.steps.len() - 1)
    }

    /// The source as steps may read it.
    fn loaded(&mut self, source: Source) -> Source {
        let (Source::Input { index, rotation }, Some(loads)) = (source, &self.loads) else {
            return source;
        };
        if let Some(known) = loads.get(&(index, rotation)) {
            return *known;
        }
        let result = self.push(Kind::Load, source, source);
        if let Some(loads) = &mut self.loads {
            loads.insert((index, rotation), result);
        }
        result
    }
}

fn resolve(operand: Operand, results: &[Source], constants: &[Fr], rows: usize) -> Source {
    match operand {
        Operand::Result(index) => results[index as usize],
        Operand::Constant(index) => Source::Uniform(constants[index as usize]),
        Operand::Input { index, rotation } => {
            let rotation = i128::from(rotation).rem_euclid(rows as i128) as usize;
            Source::Input { index: index as usize, rotation }
        }
    }
}

/// Keeps the steps that the output needs and gives them registers.
fn allocate(pending: Vec<Step>, output: Source) -> Plan {
    let mut last_reader = vec![None; pending.len()];
    if let Source::Result(index) = output {
        last_reader[index] = Some(pending.len());
    }
    for (index, step) in pending.iter().enumerate().rev() {
        if last_reader[index].is_some() {
            for source in [step.a, step.b] {
                if let Source::Result(read) = source {
                    last_reader[read].get_or_insert(index);
                }
            }
        }
    }
    let mut register_of = vec![0; pending.len()];
    let (mut steps, mut free, mut registers) = (Vec::new(), Vec::new(), 0);
    let place = |source, register_of: &[usize]| match source {
        Source::Result(index) => Source::Register(register_of[index]),
        other => other,
    };
    for (index, step) in pending.into_iter().enumerate().filter(|(index, _)| last_reader[*index].is_some()) {
        // The target is taken before the operands' registers are given back: a step never writes what it reads.
        let register = free.pop().unwrap_or_else(|| {
            registers += 1;
            registers - 1
        });
        register_of[index] = register;
        steps.push(Step { a: place(step.a, &register_of), b: place(step.b, &register_of), register, ..step });
        let read = if step.a == step.b { vec![step.a] } else { vec![step.a, step.b] };
        for source in read {
            if let Source::Result(read) = source
                && last_reader[read] == Some(index)
            {
                free.push(register_of[read]);
            }
        }
    }
    Plan { steps, output: place(output, &register_of), registers }
}

impl Kind {
    fn apply(self, a: Fr, b: Fr) -> Fr {
        match self {
            Kind::Load => a,
            Kind::Add => a + b,
            Kind::Subtract => a - b,
            Kind::Multiply => a * b,
            Kind::Square => a.square(),
        }
    }
}

/// Registers of one thread, and space for inputs that wrap around inside a block.
struct Worker {
    registers: Vec<Vec<Fr>>,
    wrapped: [Vec<Fr>; 2],
}

impl Worker {
    fn new(registers: usize) -> Self {
        let registers = (0..registers).map(|_| vec![Fr::zero(); BLOCK]).collect();
        Self { registers, wrapped: [Vec::new(), Vec::new()] }
    }

    fn work(&mut self, plan: &Plan, inputs: &[&[Fr]], start: usize, output: &mut [Fr]) {
        let rows = output.len();
        for step in &plan.steps {
            let mut target = core::mem::take(&mut self.registers[step.register]);
            let [first, second] = &mut self.wrapped;
            let a = view(step.a, &self.registers, inputs, start..start + rows, first);
            let b = view(step.b, &self.registers, inputs, start..start + rows, second);
            execute(step.kind, a, b, &mut target[..rows]);
            self.registers[step.register] = target;
        }
        match view(plan.output, &self.registers, inputs, start..start + rows, &mut self.wrapped[0]) {
            Rows::Each(values) => output.copy_from_slice(values),
            Rows::Same(value) => output.fill(value),
        }
    }
}

fn view<'a>(
    source: Source,
    registers: &'a [Vec<Fr>],
    inputs: &[&'a [Fr]],
    rows: core::ops::Range<usize>,
    wrapped: &'a mut Vec<Fr>,
) -> Rows<'a> {
    let len = rows.len();
    match source {
        Source::Result(index) | Source::Register(index) => Rows::Each(&registers[index][..len]),
        Source::Uniform(value) => Rows::Same(value),
        Source::Input { index, rotation } => {
            let input = inputs[index];
            let start = (rows.start + rotation) % input.len();
            if let Some(values) = input.get(start..start + len) {
                return Rows::Each(values);
            }
            // A block is at most as long as the input, so it wraps at most once.
            wrapped.clear();
            wrapped.extend_from_slice(&input[start..]);
            wrapped.extend_from_slice(&input[..len - wrapped.len()]);
            Rows::Each(wrapped)
        }
    }
}

fn execute(kind: Kind, a: Rows<'_>, b: Rows<'_>, target: &mut [Fr]) {
    match kind {
        Kind::Load => each(a, b, target, |a, _| *a),
        Kind::Add => each(a, b, target, |a, b| *a + b),
        Kind::Subtract => each(a, b, target, |a, b| *a - b),
        Kind::Multiply => each(a, b, target, |a, b| *a * b),
        Kind::Square => each(a, b, target, |a, _| a.square()),
    }
}

#[inline(always)]
fn each(a: Rows<'_>, b: Rows<'_>, target: &mut [Fr], apply: impl Fn(&Fr, &Fr) -> Fr) {
    match (a, b) {
        (Rows::Each(a), Rows::Each(b)) => {
            target.iter_mut().zip(a.iter().zip(b)).for_each(|(value, (a, b))| *value = apply(a, b));
        }
        (Rows::Each(a), Rows::Same(b)) => {
            target.iter_mut().zip(a).for_each(|(value, a)| *value = apply(a, &b));
        }
        (Rows::Same(a), Rows::Each(b)) => {
            target.iter_mut().zip(b).for_each(|(value, b)| *value = apply(&a, b));
        }
        (Rows::Same(a), Rows::Same(b)) => target.fill(apply(&a, &b)),
    }
}
