//! How cost grows: the digits network and dense networks 512-W-W-10, by stage. Weights grow with W squared, activations
//! with W; whatever grows with weights shows in the columns of its stage.

use std::time::{Duration, Instant};

use serde::Serialize;
use zkloom::artifact::{Artifact, Encode, Kind};
use zkloom::{Compiled, Keyed, ProveOptions, Stage};
use zkloom_benches::{Machine, Result, dense, digits, keys, peak_memory};

const WIDTHS: [usize; 3] = [256, 1024, 2048];
const REPETITIONS: usize = 5;

#[derive(Serialize)]
struct Row {
    network: String,
    weights: u64,
    activations: u64,
    log_rows: u32,
    lanes: usize,
    setup_seconds: f64,
    witness_ms: f64,
    upload_ms: f64,
    stages_ms: Vec<(String, f64)>,
    prove_ms: f64,
    microseconds_per_activation: f64,
    verify_ms: f64,
    proof_bytes: usize,
    verification_key_bytes: usize,
    proving_key_bytes: usize,
    peak_memory_mib_so_far: f64,
}

#[derive(Serialize)]
struct Record {
    machine: Machine,
    repetitions: usize,
    statistic: &'static str,
    rows: Vec<Row>,
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(name: &str, compiled: &Compiled, input: &[f32]) -> Result<Row> {
    let start = Instant::now();
    let keyed: Keyed = keys(compiled)?;
    let setup_seconds = start.elapsed().as_secs_f64();
    let (verifier, pin) = (keyed.verifier(), keyed.pin());
    let mut proofs = Vec::new();
    let mut verifications = Vec::new();
    for _ in 0..REPETITIONS {
        let proved = keyed.prove(input, &ProveOptions::default(), &mut |_| {})?;
        let start = Instant::now();
        verifier.verify(proved.file(), &pin)?;
        verifications.push(milliseconds(start.elapsed()));
        proofs.push(proved);
    }
    let of = |value: &dyn Fn(&zkloom::Proved) -> Duration| {
        median(proofs.iter().map(|p| milliseconds(value(p))).collect())
    };
    let stage = |stage: Stage| {
        let time = |proved: &zkloom::Proved| {
            proved.timings().iter().filter(|t| t.stage == stage).map(|t| t.duration).sum::<Duration>()
        };
        (stage.name().to_owned(), of(&time))
    };
    let cost = compiled.circuit().cost();
    let prove_ms = of(&zkloom::Proved::total_time);
    let size = |kind, bytes: Vec<u8>| Artifact::new(kind, vec![], bytes).to_bytes().len();
    Ok(Row {
        network: name.to_owned(),
        weights: cost.matrix_entries,
        activations: cost.tensor_cells,
        log_rows: cost.log_rows,
        lanes: cost.tensor_columns / 2,
        setup_seconds,
        witness_ms: of(&zkloom::Proved::witness_time),
        upload_ms: of(&zkloom::Proved::upload_time),
        stages_ms: Stage::ALL.into_iter().map(stage).collect(),
        prove_ms,
        microseconds_per_activation: prove_ms * 1e3 / cost.tensor_cells as f64,
        verify_ms: median(verifications),
        proof_bytes: proofs[0].file().bytes.len(),
        verification_key_bytes: size(Kind::VerificationKey, verifier.to_vec()),
        proving_key_bytes: size(Kind::ProvingKey, keyed.to_vec()),
        peak_memory_mib_so_far: peak_memory().unwrap_or(0) as f64 / (1 << 20) as f64,
    })
}

fn print(rows: &[Row]) {
    for row in rows {
        println!(
            "{}: {} weights, {} tensor cells, 2^{} rows, {} lanes; setup {:.2} s, prove {:.1} ms ({:.1} us for each cell), \
             verify {:.1} ms, proof {} B, keys {} and {} B, peak memory so far {:.0} MiB",
            row.network,
            row.weights,
            row.activations,
            row.log_rows,
            row.lanes,
            row.setup_seconds,
            row.prove_ms,
            row.microseconds_per_activation,
            row.verify_ms,
            row.proof_bytes,
            row.proving_key_bytes,
            row.verification_key_bytes,
            row.peak_memory_mib_so_far,
        );
        let stages: Vec<String> = row.stages_ms.iter().map(|(name, ms)| format!("{name} {ms:.1}")).collect();
        println!("    ms: witness {:.1}, upload {:.1}, {}", row.witness_ms, row.upload_ms, stages.join(", "));
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let record =
        arguments.iter().position(|argument| argument == "--record").and_then(|at| arguments.get(at + 1));
    let mut rows = Vec::new();
    let (compiled, calibration) = digits()?;
    let samples = calibration.samples(&compiled.graph().tensor(compiled.graph().input).shape)?;
    rows.push(measure("digits 64-64-32-10", &compiled, samples.get(0).ok_or("no digit")?)?);
    for width in WIDTHS {
        let (compiled, input) = dense(&[512, width, width, 10])?;
        rows.push(measure(&format!("dense 512-{width}-{width}-10"), &compiled, &input)?);
    }
    print(&rows);
    if let Some(path) = record {
        let record = Record { machine: Machine::here(), repetitions: REPETITIONS, statistic: "median", rows };
        std::fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}
