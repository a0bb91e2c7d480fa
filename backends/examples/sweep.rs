//! How fast a device is, size by size, with everything resident: a line of JSON for each measurement.
//!
//! ```text
//! cargo run --release -p zkloom-backends --features cuda --example sweep -- cuda:0 SECONDS LOG_SIZE...
//! ```
//!
//! After so many seconds no further measurement is begun. Times are the least and the median of some runs, after one that warms up.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, Field};
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::{Backend, BackendError, Direction, registry, with_backend};

/// Runs that are timed, and the time after which no further one is made.
const RUNS: usize = 7;
const ENOUGH: Duration = Duration::from_secs(3);

/// Different points; longer lists repeat them.
const POINTS: usize = 1 << 16;

/// Multiplications of the measured gate program.
const MULTIPLICATIONS: u32 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<u32>> = arguments.iter().skip(1).map(|number| number.parse().ok()).collect();
    let (Some(name), Some([seconds, sizes @ ..])) = (arguments.first(), numbers.as_deref()) else {
        eprintln!("sweep DEVICE SECONDS LOG_SIZE...");
        return ExitCode::from(2);
    };
    let end = Instant::now() + Duration::from_secs(u64::from(*seconds));
    let swept = registry::choose(name, None)
        .and_then(|device| with_backend!(&device, device => sweep(device, sizes, end)));
    match swept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn sweep<B: Backend>(backend: &B, sizes: &[u32], end: Instant) -> Result<(), BackendError> {
    let points = points();
    for &log_size in sizes.iter().filter(|size| **size <= 28) {
        if Instant::now() > end {
            eprintln!("2^{log_size} and what follows is left out: the time is over");
            break;
        }
        match size(backend, &points, log_size) {
            // Larger ones will not fit either.
            Err(error @ (BackendError::OutOfMemory { .. } | BackendError::Unsupported { .. })) => {
                eprintln!("2^{log_size}: {error}");
                break;
            }
            measured => measured?,
        }
    }
    Ok(())
}

fn points() -> Vec<G1Affine> {
    let first = G1Affine::generator() * Fr::from(77u64);
    let chain = core::iter::successors(Some(first), |point| Some(point.double() + G1Affine::generator()));
    G1Projective::normalize_batch(&chain.take(POINTS).collect::<Vec<_>>())
}

fn elements(len: usize) -> Vec<Fr> {
    let ratio = Fr::from(0x9e37_79b9_7f4a_7c15u64).pow([5u64]);
    core::iter::successors(Some(ratio), |value| Some(*value * ratio)).take(len).collect()
}

/// Times some work, and prints it.
fn measure(
    operation: &str,
    log_size: u32,
    mut work: impl FnMut() -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    work()?;
    let (begin, mut times) = (Instant::now(), Vec::new());
    while times.len() < RUNS && (times.is_empty() || begin.elapsed() < ENOUGH) {
        let start = Instant::now();
        work()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let (least, median) = (times[0], times[times.len() / 2]);
    println!(
        r#"{{"operation": "{operation}", "log_size": {log_size}, "milliseconds": {median}, "least": {least}, "runs": {}}}"#,
        times.len()
    );
    Ok(())
}

fn size<B: Backend>(backend: &B, points: &[G1Affine], log_size: u32) -> Result<(), BackendError> {
    let len = 1usize << log_size;
    let start = Instant::now();
    let bases: Vec<G1Affine> = points.iter().cycle().take(len).copied().collect();
    let made = start.elapsed();
    let start = Instant::now();
    let bases = backend.upload_bases(&bases)?;
    eprintln!(
        "2^{log_size}: {:.2} s for points, {:.2} s to the device",
        made.as_secs_f64(),
        start.elapsed().as_secs_f64()
    );
    let host = elements(len);
    let mut values = backend.upload(&host)?;
    measure("MSM, full scalars", log_size, || backend.msm(&bases, &[&values]).map(drop))?;
    for bits in [8u32, 16] {
        let spread =
            |index: i64| (index.wrapping_mul(0x9e37_79b9) >> 7 & ((1 << bits) - 1)) - (1 << (bits - 1));
        let integers: Vec<i64> = (0..len as i64).map(spread).collect();
        let integers = backend.upload_integers(&integers)?;
        let name = format!("MSM, {bits}-bit integers");
        measure(&name, log_size, || backend.msm_integers(&bases, &[&integers]).map(drop))?;
    }
    drop(bases);
    // Only a result tells that a device with a queue is done.
    let done = |values: &B::Scalars| backend.read(values, 0, 1).map(drop);
    measure("NTT", log_size, || {
        backend.ntt(&mut values, Direction::Forward)?;
        done(&values)
    })?;
    measure("NTT on a coset", log_size, || done(&backend.coset_ntt(&values, log_size, Fr::from(7u64))?))?;
    measure("inversion", log_size, || {
        backend.batch_invert(&mut values)?;
        done(&values)
    })?;
    measure("running product", log_size, || done(&backend.running_product(Fr::ONE, &values)?))?;
    let input = Operand::Input { index: 0, rotation: 0 };
    let mut operations = vec![Operation::Multiply(input, input)];
    operations.extend((1..MULTIPLICATIONS).map(|at| Operation::Multiply(Operand::Result(at - 1), input)));
    let output = Some(Operand::Result(MULTIPLICATIONS - 1));
    let program = Program { inputs: 1, constants: 0, operations, output };
    measure("gate program of 64 multiplications", log_size, || {
        done(&backend.run(&program, &[&values], &[])?)
    })?;
    measure("upload", log_size, || done(&backend.upload(&host)?))?;
    measure("download", log_size, || backend.download(&values).map(drop))
}
