//! One network measured from keys to verification, and the record of several.

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use zkloom::artifact::{Artifact, Encode, Kind};
use zkloom::{Compiled, Keyed, Openings, ProveOptions, Proved, Stage};

use crate::{Machine, Result, keys, peak_memory};

/// Figures of one network; times are medians.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub network: String,
    /// Entries of all matrices.
    pub weights: u64,
    /// Cells of accumulators and activations.
    pub activations: u64,
    /// Log2 of the rows.
    pub log_rows: u32,
    /// Lanes.
    pub lanes: usize,
    /// Making the keys, in seconds.
    pub setup_seconds: f64,
    /// The network's values and the trace.
    pub witness_ms: f64,
    /// Making the key resident.
    pub upload_ms: f64,
    /// Each stage of proving.
    pub stages_ms: Vec<(String, f64)>,
    /// Witness and all stages, with the key resident.
    pub prove_ms: f64,
    /// The same for one cell.
    pub microseconds_per_activation: f64,
    /// Verification, without reading files.
    pub verify_ms: f64,
    /// Bytes of the proof.
    pub proof_bytes: usize,
    /// Bytes of the verification key file.
    pub verification_key_bytes: usize,
    /// Bytes of the proving key file.
    pub proving_key_bytes: usize,
    /// The process's peak so far; includes making the keys.
    pub peak_memory_mib_so_far: f64,
}

/// Figures of several networks, and where they were measured.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// The machine.
    pub machine: Machine,
    /// Proofs of each network.
    pub repetitions: usize,
    /// What of them counts.
    pub statistic: &'static str,
    /// The networks.
    pub rows: Vec<Row>,
}

impl Record {
    /// Writes it as JSON.
    pub fn save(&self, path: &Path) -> Result<()> {
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Makes keys, proves so many times, verifies as often.
pub fn measure(name: &str, compiled: &Compiled, input: &[f32], repetitions: usize) -> Result<Row> {
    let start = Instant::now();
    let keyed: Keyed = keys(compiled)?;
    let setup_seconds = start.elapsed().as_secs_f64();
    let (verifier, pin) = (keyed.verifier(), keyed.pin());
    let (mut proofs, mut verifications) = (Vec::new(), Vec::new());
    let upload = keyed.resident(&ProveOptions::default(), |key| {
        for _ in 0..repetitions {
            let proved = key.prove(input, &Openings::default(), &mut |_| {})?;
            let start = Instant::now();
            verifier.verify(proved.file(), &pin)?;
            verifications.push(milliseconds(start.elapsed()));
            proofs.push(proved);
        }
        Ok(key.upload_time())
    })?;
    let of =
        |value: &dyn Fn(&Proved) -> Duration| median(proofs.iter().map(|p| milliseconds(value(p))).collect());
    let stage = |stage: Stage| {
        let time = |proved: &Proved| {
            proved.timings().iter().filter(|t| t.stage == stage).map(|t| t.duration).sum::<Duration>()
        };
        (stage.name().to_owned(), of(&time))
    };
    let cost = compiled.circuit().cost();
    let prove_ms = of(&|proved| proved.total_time() - proved.upload_time());
    let size = |kind, bytes: Vec<u8>| Artifact::new(kind, vec![], bytes).to_bytes().len();
    Ok(Row {
        network: name.to_owned(),
        weights: cost.matrix_entries,
        activations: cost.tensor_cells,
        log_rows: cost.log_rows,
        lanes: cost.tensor_columns / 2,
        setup_seconds,
        witness_ms: of(&Proved::witness_time),
        upload_ms: milliseconds(upload),
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

/// Prints what people compare.
pub fn print(rows: &[Row]) {
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
