//! Whether a device is right: the law suite, and large sums and transforms beside the processor's.
//!
//! ```text
//! cargo run --release -p zkloom-backends --features cuda --example laws -- cuda:0 [LARGEST_LOG_SIZE]
//! ```

use std::process::ExitCode;
use std::time::Instant;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use zkloom_backends::laws::{self, Method, Options};
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::{Backend, BackendError, CpuBackend, Direction, registry, with_backend};

type Outcome = Result<usize, BackendError>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "auto".into());
    let largest = arguments.next().and_then(|size| size.parse().ok()).unwrap_or(18);
    let checked = registry::choose(&name, None).and_then(|device| {
        println!("{}: {}", device.capabilities().name, device.capabilities().description);
        with_backend!(&device, device => check(device, largest))
    });
    match checked {
        Ok(0) => {
            println!("all right");
            ExitCode::SUCCESS
        }
        Ok(wrong) => {
            println!("{wrong} things are wrong");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// How many laws are broken and large results wrong.
fn check<B: Backend>(device: &B, largest: u32) -> Outcome {
    let mut wrong = 0;
    for options in [Options::default(), Options { sizes: vec![1 << 12, 5003], seed: 11 }] {
        for &method in Method::ALL {
            let start = Instant::now();
            let outcome = laws::check_method(device, method, &options);
            wrong += usize::from(outcome.is_err());
            let words = outcome.err().map_or_else(|| "obeyed".to_owned(), |violation| violation.to_string());
            println!("law of {method}: {words} ({:.2} s)", start.elapsed().as_secs_f64());
        }
    }
    let cpu = CpuBackend::new(None)?;
    let bases = points(1 << largest);
    for log_size in (10..=largest).step_by(4).chain([largest]) {
        for (operation, same) in large(device, &cpu, &bases, log_size)? {
            wrong += usize::from(!same);
            println!("{operation} of 2^{log_size}: {}", if same { "the processor's" } else { "WRONG" });
        }
    }
    Ok(wrong)
}

/// Powers of a fixed element: different, full-size field elements.
fn elements(len: usize) -> Vec<Fr> {
    let ratio = Fr::from(0x9e37_79b9_7f4a_7c15u64).pow([5u64]);
    core::iter::successors(Some(ratio), |value| Some(*value * ratio)).take(len).collect()
}

/// Different points, some of them with their opposites and the identity beside them.
fn points(len: usize) -> Vec<G1Affine> {
    let first = G1Affine::generator() * Fr::from(77u64);
    let chain = core::iter::successors(Some(first), |point| Some(point.double() + G1Affine::generator()));
    let mut points = G1Projective::normalize_batch(&chain.take(len).collect::<Vec<_>>());
    for index in (1..len).step_by(1000) {
        points[index] = -points[index - 1];
    }
    if let Some(point) = points.get_mut(5) {
        *point = G1Affine::zero();
    }
    points
}

/// Whether the device's results are the processor's, by operation.
fn large<D: Backend>(
    device: &D,
    cpu: &CpuBackend,
    points: &[G1Affine],
    log_size: u32,
) -> Result<Vec<(&'static str, bool)>, BackendError> {
    let len = 1usize << log_size;
    let values = elements(len);
    let integers: Vec<i64> =
        (0..len as i64).map(|index| index.wrapping_mul(0x9e37_79b9) % 60_000 - 30_000).collect();
    let (ours, theirs) = (device.upload_bases(&points[..len])?, cpu.upload_bases(&points[..len])?);
    let (a, b) = (device.upload(&values)?, cpu.upload(&values)?);
    let mut same = vec![("sum of points", device.msm(&ours, &[&a])? == cpu.msm(&theirs, &[&b])?)];
    let found = device.msm_integers(&ours, &[&device.upload_integers(&integers)?])?;
    let expected = cpu.msm_integers(&theirs, &[&cpu.upload_integers(&integers)?])?;
    same.push(("sum of points by integers", found == expected));
    let vectors = (chain(device, a, log_size)?, chain(cpu, b, log_size)?);
    for (name, (found, expected)) in STEPS.into_iter().zip(vectors.0.into_iter().zip(vectors.1)) {
        same.push((name, found == expected));
    }
    Ok(same)
}

/// What [`chain`] does.
const STEPS: [&str; 6] =
    ["transform", "transform on a coset", "gate program", "inversion", "running product", "division"];

/// A vector taken through large operations; what is there after each.
fn chain<B: Backend>(
    backend: &B,
    mut values: B::Scalars,
    log_size: u32,
) -> Result<Vec<Vec<Fr>>, BackendError> {
    let mut seen = Vec::new();
    backend.ntt(&mut values, Direction::Inverse)?;
    seen.push(backend.download(&values)?);
    let coset = backend.coset_ntt(&values, log_size, Fr::from(7u64))?;
    seen.push(backend.download(&coset)?);
    let input = |index, rotation| Operand::Input { index, rotation };
    let program = Program {
        inputs: 2,
        constants: 0,
        operations: vec![
            Operation::Multiply(input(0, 0), input(1, 1)),
            Operation::Add(Operand::Result(0), input(1, -1)),
        ],
        output: Some(Operand::Result(1)),
    };
    let mut product = backend.run(&program, &[&values, &coset], &[])?;
    seen.push(backend.download(&product)?);
    backend.batch_invert(&mut product)?;
    seen.push(backend.download(&product)?);
    let running = backend.running_product(Fr::ONE, &product)?;
    seen.push(backend.download(&running)?);
    seen.push(backend.download(&backend.divide_by_linear(&running, Fr::from(3u64))?)?);
    Ok(seen)
}
