//! Laws of gate programs, inversions and scans.

use ark_bn254::Fr;
use ark_ff::{Field, One, Zero};
use zkloom_kernels::program::{Operand, Operation, Program};

use super::sample::Sampler;
use super::{Ground, Outcome, done, refuses_argument, refuses_length, same};
use crate::backend::{Backend, DeviceVector};

/// A program run row by row, as its definition says.
fn interpret(program: &Program, inputs: &[Vec<Fr>], constants: &[Fr]) -> Vec<Fr> {
    let rows = inputs[0].len();
    let row_value = |row: usize| {
        let mut results: Vec<Fr> = Vec::new();
        let read = |operand: Operand, results: &[Fr]| match operand {
            Operand::Result(index) => results[index as usize],
            Operand::Constant(index) => constants[index as usize],
            Operand::Input { index, rotation } => {
                let at = (row as i64 + i64::from(rotation)).rem_euclid(rows as i64);
                inputs[index as usize][at as usize]
            }
        };
        for operation in &program.operations {
            let result = match *operation {
                Operation::Add(a, b) => read(a, &results) + read(b, &results),
                Operation::Subtract(a, b) => read(a, &results) - read(b, &results),
                Operation::Multiply(a, b) => read(a, &results) * read(b, &results),
            };
            results.push(result);
        }
        read(program.output.expect("test programs have an output"), &results)
    };
    (0..rows).map(row_value).collect()
}

fn input(index: u32, rotation: i32) -> Operand {
    Operand::Input { index, rotation }
}

fn small_program(inputs: u32, constants: u32, operations: Vec<Operation>, output: Operand) -> Program {
    Program { inputs, constants, operations, output: Some(output) }
}

/// Programs worth trying: single operations, outputs that are no operation, far rotations, squares, unused results.
fn programs(sampler: &mut Sampler) -> Vec<(String, Program)> {
    use Operand::{Constant, Result};
    use Operation::{Add, Multiply, Subtract};
    let one = |operation| small_program(2, 1, vec![operation], Result(0));
    let mut list = vec![
        ("a + b", one(Add(input(0, 0), input(1, 0)))),
        ("a - next b", one(Subtract(input(0, 0), input(1, 1)))),
        ("constant - a", one(Subtract(Constant(0), input(0, -1)))),
        ("a - constant", one(Subtract(input(0, 2), Constant(0)))),
        ("square", one(Multiply(input(0, 0), input(0, 0)))),
        ("a times next a", one(Multiply(input(0, 0), input(0, 1)))),
        ("constant squared", one(Multiply(Constant(0), Constant(0)))),
        ("far rotations", one(Add(input(0, i32::MIN), input(1, i32::MAX)))),
        ("an input", small_program(2, 1, vec![], input(1, -3))),
        ("a constant", small_program(1, 1, vec![], Constant(0))),
        ("an unused result", small_program(1, 1, vec![Add(input(0, 0), Constant(0))], input(0, 0))),
    ]
    .into_iter()
    .map(|(name, program)| (name.to_string(), program))
    .collect::<Vec<_>>();
    list.extend(
        [5, 40].map(|operations| (format!("{operations} random"), random_program(sampler, operations))),
    );
    list
}

fn random_program(sampler: &mut Sampler, operations: u32) -> Program {
    let mut operand = |before: u32| match sampler.below(4) {
        0 => Operand::Constant(sampler.below(3) as u32),
        1 => input(sampler.below(3) as u32, sampler.below(7) as i32 - 3),
        _ if before == 0 => input(0, 0),
        _ => Operand::Result(sampler.below(before as usize) as u32),
    };
    let mut list = Vec::new();
    for index in 0..operations {
        let (a, b) = (operand(index), operand(index));
        list.push(match index % 3 {
            0 => Operation::Multiply(a, b),
            1 => Operation::Add(a, b),
            _ => Operation::Subtract(a, b),
        });
    }
    small_program(3, 3, list, Operand::Result(operations - 1))
}

pub(super) fn run<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, program) in programs(&mut sampler) {
            let text = format!("{size} rows, program `{name}`");
            let inputs: Vec<Vec<Fr>> = (0..program.inputs).map(|_| sampler.elements(size)).collect();
            let constants = sampler.elements(program.constants as usize);
            let vectors: Result<Vec<_>, _> =
                inputs.iter().map(|values| ground.backend.upload(values)).collect();
            let vectors = done(vectors, &text)?;
            let output = ground.backend.run(&program, &vectors.iter().collect::<Vec<_>>(), &constants);
            let output = done(ground.backend.download(&done(output, &text)?), &text)?;
            same(&output, &interpret(&program, &inputs, &constants), &text)?;
        }
    }
    run_refusals(ground)
}

fn run_refusals<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    use Operation::Add;
    let four = done(ground.backend.zeros(4), "4 rows")?;
    let five = done(ground.backend.zeros(5), "5 rows")?;
    let constants = [Fr::one()];
    let sum = small_program(2, 1, vec![Add(input(0, 0), input(1, 0))], Operand::Result(0));
    refuses_length(ground.backend.run(&sum, &[&four], &constants), "an input too few")?;
    refuses_length(ground.backend.run(&sum, &[&four, &four, &four], &constants), "an input too many")?;
    refuses_length(ground.backend.run(&sum, &[&four, &five], &constants), "inputs of two lengths")?;
    refuses_length(ground.backend.run(&sum, &[&four, &four], &[]), "a constant too few")?;
    let operands = [
        ("itself", Operand::Result(0)),
        ("a later result", Operand::Result(7)),
        ("a third input", input(2, 0)),
        ("a second constant", Operand::Constant(1)),
    ];
    for (name, operand) in operands {
        let bad = small_program(2, 1, vec![Add(input(0, 0), operand)], Operand::Result(0));
        refuses_argument(ground.backend.run(&bad, &[&four, &four], &constants), name)?;
        let bad = small_program(2, 1, vec![], operand);
        refuses_argument(
            ground.backend.run(&bad, &[&four, &four], &constants),
            format_args!("output {name}"),
        )?;
    }
    let silent = Program { output: None, ..sum };
    refuses_argument(ground.backend.run(&silent, &[&four, &four], &constants), "no output")?;
    let endless = small_program(0, 1, vec![], Operand::Constant(0));
    refuses_argument(ground.backend.run(&endless, &[], &constants), "no inputs")
}

pub(super) fn batch_invert<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, values) in sampler.vectors(size) {
            let text = format!("{size} entries, {name}");
            let mut vector = done(ground.backend.upload(&values), &text)?;
            done(ground.backend.batch_invert(&mut vector), &text)?;
            let expected: Vec<Fr> = values.iter().map(|value| value.inverse().unwrap_or_default()).collect();
            same(&done(ground.backend.download(&vector), &text)?, &expected, &text)?;
        }
    }
    Ok(())
}

/// `len` values, each made from the one before and the entry at its place.
fn scanned(first: Fr, entries: &[Fr], next: impl Fn(Fr, Fr) -> Fr) -> Vec<Fr> {
    let mut value = first;
    let step = |entry: &Fr| {
        let following = next(value, *entry);
        core::mem::replace(&mut value, following)
    };
    entries.iter().map(step).collect()
}

pub(super) fn linear_recurrence<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, values) in sampler.vectors(size) {
            let vector = done(ground.backend.upload(&values), size)?;
            for ratio in [Fr::zero(), Fr::one(), -Fr::one(), sampler.element()] {
                for first in [Fr::zero(), sampler.element()] {
                    let text = format!("{size} addends, {name}, ratio {ratio}, first {first}");
                    let found = done(ground.backend.linear_recurrence(first, ratio, &vector), &text)?;
                    let expected = scanned(first, &values, |value, addend| ratio * value + addend);
                    same(&done(ground.backend.download(&found), &text)?, &expected, &text)?;
                }
            }
            same(&[vector.len()], &[size], "the addends stay")?;
        }
    }
    Ok(())
}

pub(super) fn running_product<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (name, values) in sampler.vectors(size) {
            let vector = done(ground.backend.upload(&values), size)?;
            for first in [Fr::zero(), Fr::one(), sampler.element()] {
                let text = format!("{size} factors, {name}, first {first}");
                let found = done(ground.backend.running_product(first, &vector), &text)?;
                let expected = scanned(first, &values, |value, factor| value * factor);
                same(&done(ground.backend.download(&found), &text)?, &expected, &text)?;
            }
        }
    }
    Ok(())
}
