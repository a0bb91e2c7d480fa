//! Every vector kernel gives, at every tier and on any number of threads, what its definition says.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use proptest::prelude::*;
use zkloom_kernels::cpu::simd::Tier;
use zkloom_kernels::cpu::{integers, interpreter, polynomial, scan};
use zkloom_kernels::program::{Operand, Operation, Program};

mod common;

use common::{pool, tiers};

fn element() -> impl Strategy<Value = Fr> {
    prop_oneof![
        3 => any::<[u8; 32]>().prop_map(|bytes| Fr::from_le_bytes_mod_order(&bytes)),
        1 => prop_oneof![Just(Fr::ZERO), Just(Fr::ONE), Just(-Fr::ONE), Just(-Fr::ONE.double())],
    ]
}

/// Vectors whose entries are random, or all at the field's upper end, or mostly zero.
fn vector(lengths: core::ops::Range<usize>) -> impl Strategy<Value = Vec<Fr>> {
    (lengths, element(), 0u8..3).prop_map(|(len, seed, kind)| match kind {
        0 => core::iter::successors(Some(seed), |x| Some(x.square() + Fr::ONE)).take(len).collect(),
        1 => vec![-Fr::ONE; len],
        _ => (0..len).map(|i| if i % 5 == 3 { seed } else { Fr::ZERO }).collect(),
    })
}

/// Calls with every tier, on one thread and on several.
fn everywhere(check: impl Fn(Tier) + Sync) {
    for tier in tiers() {
        for threads in [1, 3] {
            pool(threads).install(|| check(tier));
        }
    }
}

fn horner(coefficients: &[Fr], point: Fr) -> Fr {
    coefficients.iter().rev().fold(Fr::ZERO, |value, coefficient| value * point + coefficient)
}

fn recurrence(first: Fr, ratio: Fr, addends: &[Fr]) -> Vec<Fr> {
    before(first, addends, |value, addend| value * ratio + addend)
}

/// The values before each entry of a scan.
fn before(first: Fr, entries: &[Fr], next: impl Fn(Fr, &Fr) -> Fr) -> Vec<Fr> {
    let mut value = first;
    let mut values = Vec::new();
    for entry in entries {
        values.push(value);
        value = next(value, entry);
    }
    values
}

#[test]
fn long_vectors_agree() {
    let values: Vec<Fr> =
        core::iter::successors(Some(Fr::from(5)), |x| Some(x.square() + Fr::ONE)).take(40_003).collect();
    let point = Fr::from(0x1234_5678_9abc_def1_u64).inverse().expect("not zero");
    let recurrences = [Fr::ONE, point].map(|ratio| recurrence(point, ratio, &values));
    let products = before(point, &values, |value, factor| value * factor);
    everywhere(|tier| {
        assert_eq!(
            polynomial::evaluate(tier, &[&values, &values[..9001], &[]], point),
            [horner(&values, point), horner(&values[..9001], point), Fr::ZERO]
        );
        for (ratio, expected) in [Fr::ONE, point].into_iter().zip(&recurrences) {
            assert!(&scan::linear_recurrence(tier, point, ratio, &values) == expected);
        }
        assert!(scan::running_product(tier, point, &values) == products);
        let quotient = polynomial::divide_by_linear(tier, &values, point);
        let mut back = vec![horner(&values, point)];
        back.extend(&quotient);
        for (low, high) in quotient.iter().enumerate() {
            back[low] -= point * high;
        }
        assert!(back == values);
        let mut powers = values.clone();
        polynomial::scale_by_powers(tier, &mut powers, point);
        assert!(
            powers
                .iter()
                .zip(&values)
                .enumerate()
                .all(|(i, (p, v))| i % 97 != 0 || *p == *v * point.pow([i as u64]))
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn combinations(vectors in prop::collection::vec((element(), vector(0..2100)), 0..40)) {
        let terms: Vec<(Fr, &[Fr])> = vectors.iter().map(|(factor, vector)| (*factor, vector.as_slice())).collect();
        let len = terms.iter().map(|term| term.1.len()).max().unwrap_or(0);
        let at = |i: usize| terms.iter().map(|(factor, v)| *factor * v.get(i).copied().unwrap_or_default()).sum::<Fr>();
        let expected: Vec<Fr> = (0..len).map(at).collect();
        everywhere(|tier| assert!(polynomial::combine(tier, &terms) == expected));
    }

    #[test]
    fn scaled_additions(target in vector(1..3000), factor in element(), source in vector(0..3000), offset in 0usize..3000) {
        let source = &source[..source.len().min(target.len())];
        let offset = offset % (target.len() - source.len() + 1);
        let mut expected = target.clone();
        expected[offset..].iter_mut().zip(source).for_each(|(total, value)| *total += factor * value);
        everywhere(|tier| {
            let mut sum = target.clone();
            polynomial::add_scaled(tier, &mut sum, offset, factor, source).expect("within the target");
            assert!(sum == expected);
        });
    }

    #[test]
    fn evaluations_and_scans(values in vector(0..700), point in element(), first in element()) {
        let recurrences = [Fr::ONE, point].map(|ratio| recurrence(first, ratio, &values));
        let products = before(first, &values, |value, factor| value * factor);
        everywhere(|tier| {
            assert_eq!(polynomial::evaluate(tier, &[&values], point), [horner(&values, point)]);
            assert_eq!(scan::linear_recurrence(tier, first, Fr::ONE, &values), recurrences[0]);
            assert_eq!(scan::linear_recurrence(tier, first, point, &values), recurrences[1]);
            assert_eq!(scan::running_product(tier, first, &values), products);
            let quotient = polynomial::divide_by_linear(tier, &values, point);
            assert_eq!(quotient.len(), values.len().saturating_sub(1));
            assert!((0..quotient.len()).all(|i| quotient[i] == horner(&values[i + 1..], point)));
        });
    }

    #[test]
    fn inversions(values in vector(0..1500)) {
        let expected: Vec<Fr> = values.iter().map(|value| value.inverse().unwrap_or(Fr::ZERO)).collect();
        everywhere(|tier| {
            let mut inverses = values.clone();
            scan::batch_invert(tier, &mut inverses);
            assert!(inverses == expected);
        });
    }

    #[test]
    fn programs(
        program in program(), rows in 1usize..300, seeds in prop::array::uniform3(element()), kind in any::<bool>(),
    ) {
        let column = |seed: Fr| -> Vec<Fr> {
            if kind { return vec![-Fr::ONE; rows]; }
            core::iter::successors(Some(seed), |x| Some(x.square() + Fr::ONE)).take(rows).collect()
        };
        let inputs = seeds.map(column);
        let inputs: Vec<&[Fr]> = inputs.iter().map(Vec::as_slice).collect();
        let constants = [seeds[0] + Fr::ONE, -Fr::ONE];
        let expected: Vec<Fr> = (0..rows).map(|row| interpret(&program, &inputs, &constants, row)).collect();
        everywhere(|tier| {
            assert_eq!(interpreter::run(tier, &program, &inputs, &constants).expect("a program"), expected);
        });
    }

    #[test]
    fn row_combinations(
        weights in vector(0..130), width in 1usize..300, bits in 1u32..64, seed in any::<u64>(), offset in 0usize..9,
    ) {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if state % 7 == 0 { 0 } else { (state as i64) >> (64 - bits) }
        };
        // Some rows have runs of zeros, as pruning of whole channels leaves them.
        let pruned = |row: usize, column: usize| seed.is_multiple_of(3) && (row + column / 32).is_multiple_of(2);
        let entry = |index: usize| next() * i64::from(!pruned(index / width, index % width));
        let matrix: Vec<i64> = (0..weights.len() * width).map(entry).collect();
        let sum = |k: usize| -> Fr {
            weights.iter().enumerate().map(|(i, weight)| *weight * Fr::from(matrix[i * width + k])).sum()
        };
        let expected: Vec<Fr> = (0..width).map(sum).collect();
        fn all<T: TryFrom<i64>>(matrix: &[i64]) -> Option<Vec<T>> {
            matrix.iter().map(|&entry| T::try_from(entry).ok()).collect()
        }
        everywhere(|tier| {
            let check = |combine: &dyn Fn(&mut [Fr])| {
                let mut target = vec![Fr::ONE; width + 9];
                combine(&mut target);
                assert!(target.iter().enumerate().all(|(i, value)| {
                    let sum = i.checked_sub(offset).and_then(|k| expected.get(k));
                    *value == Fr::ONE + sum.copied().unwrap_or_default()
                }));
            };
            let sizes = "shapes fit";
            check(&|target| integers::combine_rows(tier, target, offset, &matrix, (width, &weights)).expect(sizes));
            if let Some(narrow) = all::<i32>(&matrix) {
                check(&|target| integers::combine_rows(tier, target, offset, &narrow, (width, &weights)).expect(sizes));
            }
            if let Some(narrow) = all::<i16>(&matrix) {
                check(&|target| integers::combine_rows(tier, target, offset, &narrow, (width, &weights)).expect(sizes));
            }
            if let Some(narrow) = all::<i8>(&matrix) {
                check(&|target| integers::combine_rows(tier, target, offset, &narrow, (width, &weights)).expect(sizes));
            }
        });
    }
}

/// Programs of up to thirty operations over three inputs and two constants.
fn program() -> impl Strategy<Value = Program> {
    let operand = |before: usize| {
        (0u8..4, any::<u32>(), -40i32..40).prop_map(move |(kind, index, rotation)| match kind {
            0 if before > 0 => Operand::Result(index % before as u32),
            1 => Operand::Constant(index % 2),
            _ if before > 0 && index % 3 > 0 => {
                Operand::Result(before as u32 - 1 - index % before.min(3) as u32)
            }
            _ => Operand::Input { index: index % 3, rotation: if index % 2 == 0 { 0 } else { rotation } },
        })
    };
    let operations = prop::collection::vec(0u8..3, 0..30).prop_flat_map(move |kinds| {
        let steps = kinds.into_iter().enumerate().map(|(index, kind)| {
            (operand(index), operand(index)).prop_map(move |(a, b)| match kind {
                0 => Operation::Add(a, b),
                1 => Operation::Subtract(a, b),
                _ => Operation::Multiply(a, b),
            })
        });
        let steps: Vec<_> = steps.collect();
        let output = operand(steps.len());
        (steps, output)
    });
    operations.prop_map(|(operations, output)| Program {
        inputs: 3,
        constants: 2,
        operations,
        output: Some(output),
    })
}

fn interpret(program: &Program, inputs: &[&[Fr]], constants: &[Fr], row: usize) -> Fr {
    let mut results: Vec<Fr> = Vec::new();
    let read = |operand: Operand, results: &[Fr]| match operand {
        Operand::Result(index) => results[index as usize],
        Operand::Constant(index) => constants[index as usize],
        Operand::Input { index, rotation } => {
            let rows = inputs[index as usize].len() as i64;
            inputs[index as usize][(row as i64 + i64::from(rotation)).rem_euclid(rows) as usize]
        }
    };
    for operation in &program.operations {
        let value = match *operation {
            Operation::Add(a, b) => read(a, &results) + read(b, &results),
            Operation::Subtract(a, b) => read(a, &results) - read(b, &results),
            Operation::Multiply(a, b) => read(a, &results) * read(b, &results),
        };
        results.push(value);
    }
    read(program.output.expect("an output"), &results)
}
