//! `zkloom demo`: the bundled digit recogniser through every stage. Everything happens in memory, nothing is left behind.

mod show;
mod tamper;

use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use zkloom::{
    Accuracy, BoundTensor, CompileOptions, Compiled, Dataset, Imported, Keyed, ProveOptions, Proved,
    QuantisationOptions, Quantised, SetupOptions, Srs,
};

use super::prove::with_progress;
use super::{INSECURE, class};
use crate::console::{Console, Outcome};
use crate::exit::Failure;
use crate::machine::peak_memory;

const MODEL: &[u8] = include_bytes!("../../../fixtures/digits-mlp.onnx");
const CALIBRATION: &[u8] = include_bytes!("../../../fixtures/digits-calibration.npz");
const TEST: &[u8] = include_bytes!("../../../fixtures/digits-test.npz");
const ALL: &[u8] = include_bytes!("../../../fixtures/digits-all.npz");
/// Verifications that are timed; the median is told.
const VERIFICATIONS: usize = 11;

/// Options of `zkloom demo`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  zkloom demo --index 7")]
pub struct Arguments {
    /// Which of the 450 test digits to prove, from 0
    #[arg(long, value_name = "I", default_value_t = 0)]
    index: usize,
}

/// The digit that is proved.
struct Digit {
    index: usize,
    pixels: Vec<f32>,
    label: Option<i64>,
}

/// How long the stages before the proof took.
#[derive(Default)]
struct Times {
    compile: Duration,
    srs: Duration,
    keys: Duration,
    prove: Duration,
    verify: Duration,
}

/// What the demo measured.
struct Measured {
    digit: Digit,
    quantised: Quantised,
    compiled: Compiled,
    keyed: Keyed,
    proved: Proved,
    bound: Vec<BoundTensor>,
    class: usize,
    attempts: Vec<tamper::Attempt>,
    accuracy: Accuracy,
    samples: usize,
    times: Times,
    peak_memory: Option<u64>,
}

/// Runs all stages.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    let mut times = Times::default();
    let digit = pick(arguments.index)?;
    console.note("reading the network, quantising, laying out the circuit");
    let start = Instant::now();
    let imported = Imported::from_bytes(MODEL)?;
    let quantised = imported
        .quantise(&dataset("digits-calibration.npz", CALIBRATION)?, &QuantisationOptions::default())?;
    let compiled = quantised.compile(&CompileOptions::default())?;
    times.compile = start.elapsed();
    console.warn(INSECURE);
    let (srs, keyed) = keys(&compiled, &mut times, console)?;
    console.note("proving");
    let (proved, elapsed) = with_progress(&keyed, &digit.pixels, &ProveOptions::default(), console)?;
    times.prove = elapsed;
    // The prover is the process with the large memory; what follows is for show.
    let peak_memory = peak_memory();
    console.note("verifying");
    let bound = verify(&keyed, &srs, &proved, &mut times)?;
    let class = bound.iter().find_map(class).context("the proof binds no output")?;
    console.note("tampering with the proof and its statement");
    let attempts = tamper::attempts(&keyed, &srs, &proved, class)?;
    console.note("accuracy over all digits");
    let all = dataset("digits-all.npz", ALL)?;
    let accuracy = quantised.accuracy(&imported, &all)?;
    let samples = all.labels.as_ref().map_or(0, Vec::len);
    let measured = Measured {
        digit,
        quantised,
        compiled,
        keyed,
        proved,
        bound,
        class,
        attempts,
        accuracy,
        samples,
        times,
        peak_memory,
    };
    let outcome = Outcome::success(show::text(&measured)?, show::json(&measured));
    let accepted = measured.attempts.iter().filter(|attempt| !attempt.rejected()).count();
    if accepted > 0 {
        return Err(
            Failure::internal(format!("{accepted} tampered proofs were accepted; please report it")).into()
        );
    }
    Ok(outcome)
}

fn dataset(name: &str, bytes: &[u8]) -> anyhow::Result<Dataset> {
    Ok(Dataset::from_npz(name, bytes).map_err(zkloom::Error::from)?)
}

/// A digit that training never saw.
fn pick(index: usize) -> anyhow::Result<Digit> {
    let test = dataset("digits-test.npz", TEST)?;
    let samples = test.samples(&[64]).map_err(zkloom::Error::from)?;
    let count = samples.count();
    let missing =
        || Failure::option(format!("--index {index}: there are {count} test digits, 0 to {}", count - 1));
    let pixels = samples.get(index).ok_or_else(missing)?.to_vec();
    let label = samples.labels().and_then(|labels| labels.get(index)).copied();
    Ok(Digit { index, pixels, label })
}

fn keys(compiled: &Compiled, times: &mut Times, console: &Console) -> anyhow::Result<(Srs, Keyed)> {
    console.note("making a development SRS and the keys");
    let start = Instant::now();
    let srs = Srs::development(compiled.srs_log_size())?;
    times.srs = start.elapsed();
    let start = Instant::now();
    let keyed = compiled.setup(&srs, &SetupOptions::default())?;
    times.keys = start.elapsed();
    Ok((srs, keyed))
}

/// Verifies several times; keeps the median time.
fn verify(keyed: &Keyed, srs: &Srs, proved: &Proved, times: &mut Times) -> anyhow::Result<Vec<BoundTensor>> {
    let (verifier, pin) = (keyed.verifier(), srs.pin());
    let bound = verifier.verify(proved.file(), &pin)?;
    let mut durations = Vec::with_capacity(VERIFICATIONS);
    for _ in 0..VERIFICATIONS {
        let start = Instant::now();
        verifier.verify(proved.file(), &pin)?;
        durations.push(start.elapsed());
    }
    durations.sort();
    times.verify = durations[VERIFICATIONS / 2];
    Ok(bound)
}
