//! Real keys and proofs of a circuit, timed; all of it is thrown away.

use std::time::{Duration, Instant};

use serde::Serialize;
use zkloom_plonkish::Encode;
use zkloom_prover::Stage;

use crate::artifact::{Artifact, Kind};
use crate::error::{Error, Result};
use crate::openings::Openings;
use crate::resident::{ProveOptions, Proved};
use crate::session::{Compiled, Keyed, SetupOptions};
use crate::srs::Srs;

/// How to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasureOptions {
    /// Device, as in `--backend`.
    pub backend: String,
    /// Processor threads; all by default.
    pub threads: Option<usize>,
    /// Proofs, at least one; medians count.
    pub repetitions: usize,
}

impl Default for MeasureOptions {
    fn default() -> Self {
        Self { backend: "auto".to_owned(), threads: None, repetitions: 3 }
    }
}

/// A stage of proving.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageTime {
    /// Its name, as `zkloom prove` tells it.
    pub stage: String,
    /// Median wall time in seconds.
    pub seconds: f64,
}

/// What proving took: medians of several proofs with the key resident, wall times in seconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProofMeasurement {
    /// Name of the device.
    pub device: String,
    /// Number of proofs.
    pub repetitions: usize,
    /// Making the keys.
    pub setup_seconds: f64,
    /// Bringing the key to the device.
    pub upload_seconds: f64,
    /// Running the network and filling the trace.
    pub witness_seconds: f64,
    /// Each stage of proving.
    pub stages: Vec<StageTime>,
    /// From the input to the verified proof: witness and all stages.
    pub prove_seconds: f64,
    /// A verification, without reading files.
    pub verify_seconds: f64,
    /// Bytes of a proof, without its public values and its file's header.
    pub proof_bytes: usize,
    /// Bytes of a proof file, public values included.
    pub proof_file_bytes: usize,
    /// Bytes of the proving key's file.
    pub proving_key_bytes: usize,
    /// Bytes of the verification key's file.
    pub verification_key_bytes: usize,
    /// Most memory that this process held while it proved, in bytes: the network, the SRS and the key are in it. Nothing where
    /// the system does not tell.
    pub peak_memory_bytes: Option<u64>,
}

/// Makes keys with a development SRS, proves and verifies. `observer` hears what comes next.
///
/// # Errors
/// [`Error::Option`] for no repetitions, and those of key generation, proving and verification.
pub fn measure(
    compiled: &Compiled,
    input: &[f32],
    options: &MeasureOptions,
    observer: &mut dyn FnMut(&str),
) -> Result<ProofMeasurement> {
    if options.repetitions == 0 {
        return Err(Error::Option("repetitions is 0; measure at least one proof".to_owned()));
    }
    let (backend, threads) = (options.backend.clone(), options.threads);
    observer("making a development SRS and the keys");
    let srs = Srs::development(compiled.srs_log_size())?;
    let setup = SetupOptions { backend: backend.clone(), threads, ..SetupOptions::default() };
    let (keyed, setup_time) = timed(|| compiled.setup(&srs, &setup))?;
    // Digests of what a file was made from: circuit and SRS, and the circuit alone.
    let size =
        |kind, parents, bytes: Vec<u8>| Artifact::new(kind, vec![[0; 32]; parents], bytes).to_bytes().len();
    let keys = [
        size(Kind::ProvingKey, 2, keyed.to_vec()),
        size(Kind::VerificationKey, 1, keyed.verifier().to_vec()),
    ];
    drop(srs);
    let isolated = reset_peak_memory();
    let runs = prove(
        &keyed,
        input,
        &ProveOptions { backend, threads, ..ProveOptions::default() },
        options,
        observer,
    )?;
    let peak_memory_bytes = peak_memory().filter(|_| isolated);
    Ok(summary(&runs, (setup_time, keys), peak_memory_bytes))
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let value = work()?;
    Ok((value, start.elapsed()))
}

/// Proofs, and how long a verification of each took.
type Runs = Vec<(Proved, Duration)>;

fn prove(
    keyed: &Keyed,
    input: &[f32],
    proving: &ProveOptions,
    options: &MeasureOptions,
    observer: &mut dyn FnMut(&str),
) -> Result<Runs> {
    let (verifier, pin) = (keyed.verifier(), keyed.pin());
    keyed.resident(proving, |key| {
        let mut runs = Vec::with_capacity(options.repetitions);
        for run in 1..=options.repetitions {
            observer(&format!("proving, {run} of {}", options.repetitions));
            let proved = key.prove(input, &Openings::default(), &mut |_| {})?;
            let (_, verified) = timed(|| verifier.verify(proved.file(), &pin))?;
            runs.push((proved, verified));
        }
        Ok(runs)
    })
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(0.0)
}

fn summary(
    runs: &Runs,
    (setup, [proving_key_bytes, verification_key_bytes]): (Duration, [usize; 2]),
    peak_memory_bytes: Option<u64>,
) -> ProofMeasurement {
    let of = |time: &dyn Fn(&Proved) -> Duration| {
        median(runs.iter().map(|(proved, _)| time(proved).as_secs_f64()).collect())
    };
    let stage = |stage: Stage| {
        let time = |proved: &Proved| {
            proved.timings().iter().filter(|timing| timing.stage == stage).map(|timing| timing.duration).sum()
        };
        StageTime { stage: stage.name().to_owned(), seconds: of(&time) }
    };
    let last = runs.last().map(|(proved, _)| proved);
    ProofMeasurement {
        device: last.map(|proved| proved.device().to_owned()).unwrap_or_default(),
        repetitions: runs.len(),
        setup_seconds: setup.as_secs_f64(),
        upload_seconds: of(&Proved::upload_time),
        witness_seconds: of(&Proved::witness_time),
        stages: Stage::ALL.into_iter().map(stage).collect(),
        prove_seconds: of(&|proved| proved.total_time().saturating_sub(proved.upload_time())),
        verify_seconds: median(runs.iter().map(|(_, verified)| verified.as_secs_f64()).collect()),
        proof_bytes: last.map_or(0, |proved| proved.file().bytes.len()),
        proof_file_bytes: last.map_or(0, |proved| proved.file().to_bytes().len()),
        proving_key_bytes,
        verification_key_bytes,
        peak_memory_bytes,
    }
}

/// Lets the system count this process's peak memory from now on; says whether it does.
fn reset_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Most memory that this process has held since then, in bytes.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}
