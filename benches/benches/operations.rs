//! A device's operations: multi-scalar multiplications, transforms, row programs, scans, contractions.

use std::hint::black_box;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::{Backend, CpuBackend, Direction, GeometricBox, Segment};
use zkloom_verifier::linear::powers;

const LOG_SIZES: [u32; 2] = [12, 16];

/// Points without a pattern that addition formulas could trip over: P becomes 2P + D.
fn points(count: usize) -> Vec<G1Affine> {
    let offset = G1Projective::generator() * Fr::from(0x1234_5678_9abc_u64);
    let chain = std::iter::successors(Some(G1Projective::generator()), |p| Some(*p + p + offset));
    G1Projective::normalize_batch(&chain.take(count).collect::<Vec<_>>())
}

fn operations(criterion: &mut Criterion) {
    let backend = CpuBackend::new(None).expect("a processor");
    let mut group = criterion.benchmark_group("operations");
    group.sample_size(10);
    for log_size in LOG_SIZES {
        let count = 1_usize << log_size;
        group.throughput(Throughput::Elements(count as u64));
        let bases = backend.upload_bases(&points(count)).expect("bases");
        let scalars = backend.upload(&powers(-Fr::from(3), count)).expect("scalars");
        let small = |bits: u32| {
            let values: Vec<i64> =
                (0..count as i64).map(|i| i * 0x9e37_79b9 % (1 << bits) - (1 << (bits - 1))).collect();
            backend.upload_integers(&values).expect("integers")
        };
        let (narrow, wide) = (small(8), small(24));
        let id = |name: &str| BenchmarkId::new(name, format!("2^{log_size}"));
        group.bench_function(id("msm"), |b| b.iter(|| backend.msm(&bases, &[black_box(&scalars)])));
        group.bench_function(id("msm of 8 bits"), |b| {
            b.iter(|| backend.msm_integers(&bases, &[black_box(&narrow)]))
        });
        group.bench_function(id("msm of 24 bits"), |b| {
            b.iter(|| backend.msm_integers(&bases, &[black_box(&wide)]))
        });
        group.bench_function(id("ntt"), |b| {
            b.iter(|| {
                let mut values = backend.slice(&scalars, 0, count).expect("copy");
                backend.ntt(&mut values, Direction::Forward)
            });
        });
        let input = |index| Operand::Input { index, rotation: 0 };
        let next = Operand::Input { index: 0, rotation: 1 };
        let program = Program {
            inputs: 2,
            constants: 0,
            operations: vec![
                Operation::Multiply(input(0), input(1)),
                Operation::Subtract(Operand::Result(0), next),
                Operation::Multiply(Operand::Result(1), input(0)),
            ],
            output: Some(Operand::Result(2)),
        };
        let widened = backend.widen(&wide).expect("integers");
        group.bench_function(id("row program of two products"), |b| {
            b.iter(|| backend.run(&program, &[&scalars, &widened], &[]));
        });
        group.bench_function(id("batch inversion"), |b| {
            b.iter(|| {
                let mut values = backend.slice(&scalars, 0, count).expect("copy");
                backend.batch_invert(&mut values)
            });
        });
        group.bench_function(id("linear recurrence"), |b| {
            b.iter(|| backend.linear_recurrence(Fr::from(1), Fr::from(5), black_box(&scalars)));
        });
        group.bench_function(id("evaluation"), |b| {
            b.iter(|| backend.evaluate(&[black_box(&scalars)], Fr::from(7)))
        });
    }
    group.finish();
}

/// Columns of a convolution's matrix: 128 channels of nine entries.
const WIDTH: usize = 1152;

/// Contractions of a matrix whose entries are partly zero, and boxes as a convolution's views have them.
fn contractions(criterion: &mut Criterion) {
    let backend = CpuBackend::new(None).expect("a processor");
    let mut group = criterion.benchmark_group("contraction");
    let rows = 256;
    let weights = powers(-Fr::from(3), rows);
    group.throughput(Throughput::Elements((rows * WIDTH) as u64));
    let matrix = |kept: &dyn Fn(usize, u64) -> bool| {
        let mut state = 1_u64;
        let entry = |index: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let value = (state >> 40 & 255) as i64 - 128;
            if kept(index % WIDTH, state >> 48) { value } else { 0 }
        };
        backend.upload_integers(&(0..rows * WIDTH).map(entry).collect::<Vec<_>>()).expect("integers")
    };
    let matrices = [
        ("dense", matrix(&|_, _| true)),
        ("3/4 of the entries zero", matrix(&|_, random| random % 4 == 0)),
        ("31/32 of the entries zero", matrix(&|_, random| random % 32 == 0)),
        ("3/4 of the channels zero", matrix(&|column, _| column / 9 % 16 < 4)),
    ];
    for (name, matrix) in &matrices {
        let mut target = backend.zeros(WIDTH).expect("memory");
        group.bench_function(*name, |b| {
            b.iter(|| backend.combine_rows(&mut target, 0, black_box(matrix), WIDTH, &weights));
        });
    }
    for side in [32, 8, 4] {
        let cells = 1 << 14;
        let segment = |count: usize, step: usize, output_step: usize| Segment {
            start: 0,
            count,
            step,
            output_start: 0,
            output_step,
            ratio: -Fr::from(7),
            scale: Fr::from(3),
        };
        let square = side * side;
        let axes = [(cells / square, square, 1), (side, side, 0), (side, 1, 0)]
            .map(|(c, s, o)| vec![segment(c, s, o)]);
        let boxes = [GeometricBox { offset: 0, output_offset: 0, scale: Fr::from(1), axes: axes.to_vec() }];
        let source = backend.upload(&powers(-Fr::from(5), cells)).expect("memory");
        let mut target = backend.zeros(cells).expect("memory");
        group.throughput(Throughput::Elements(cells as u64));
        group.bench_function(format!("box of {side} x {side}, written out"), |b| {
            b.iter(|| backend.expand_boxes(&mut target, black_box(&boxes)));
        });
        group.bench_function(format!("box of {side} x {side}, contracted"), |b| {
            b.iter(|| backend.contract_boxes(&mut target, &source, black_box(&boxes)));
        });
    }
    group.finish();
}

criterion_group!(benches, operations, contractions);
criterion_main!(benches);
