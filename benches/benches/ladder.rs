//! The ladder of convolutional networks, from a folder that `scripts/ladder.py` filled: NAME.onnx, NAME-calibration.npz and
//! NAME-input.npy for each, and NAME-test.npz where there is an evaluation set.
//!
//! `cargo bench -p zkloom-benches --bench ladder -- --models FOLDER [--only NAME,NAME] [--repetitions N] [--record FILE]`
//!
//! Beside each measured figure stands what `zkloom plan` predicts: rates are measured right before the proofs, in the same
//! process. Peak memory is that of a process of its own that reads the proving key and makes one proof.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use zkloom::{
    CompileOptions, Compiled, Dataset, Estimate, Imported, Keyed, ProveOptions, QuantisationOptions,
    Quantised,
};
use zkloom_benches::measure::{Row, measure, print};
use zkloom_benches::{Machine, Result, keys, option, peak_memory};

/// Samples that the error is measured on, at most.
const EVALUATED: usize = 64;
const MIB: f64 = (1 << 20) as f64;

/// What integers cost in accuracy, over the samples of the evaluation set (of the calibration set where there is none).
#[derive(Debug, Serialize)]
struct FloatToInteger {
    /// Which set.
    set: &'static str,
    /// Samples.
    samples: usize,
    /// Power of the float outputs over the power of their difference to the integer network's, in decibels.
    signal_to_noise_db: f64,
    /// Square root of the inverse of that ratio.
    relative_error: f64,
    /// Samples whose largest output is the same one.
    same_largest: usize,
}

/// Prediction and measurement.
#[derive(Debug, Serialize)]
struct Prediction {
    /// Stage, predicted and measured milliseconds.
    stages_ms: Vec<(String, f64, f64)>,
    /// Predicted milliseconds of witness and all stages.
    prove_ms: f64,
    /// The same over the measured time.
    prove_ratio: f64,
    /// Predicted peak memory.
    memory_mib: f64,
    /// The same over the measured peak.
    memory_ratio: f64,
    /// Measured rates, in nanoseconds for one entry.
    rates_ns: serde_json::Value,
}

/// All figures of a network.
#[derive(Debug, Serialize)]
struct Rung {
    #[serde(flatten)]
    row: Row,
    /// Rows of all matrices, each a point of the verification key.
    matrix_rows: u64,
    /// Peak memory of a process that proves.
    prove_peak_memory_mib: f64,
    float_to_integer: FloatToInteger,
    predicted: Prediction,
}

/// The record of a run.
#[derive(Debug, Serialize)]
struct Record {
    machine: Machine,
    repetitions: usize,
    statistic: &'static str,
    rows: Vec<Rung>,
}

/// Names of the networks in a folder, smallest file first.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "onnx")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
        {
            found.push((std::fs::metadata(&path)?.len(), name.to_owned()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

fn largest(values: &[f32]) -> Option<usize> {
    values.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map(|(index, _)| index)
}

fn float_to_integer(
    (imported, quantised): (&Imported, &Quantised),
    (set, data): (&'static str, &Dataset),
    shape: &[usize],
) -> Result<FloatToInteger> {
    let (mut signal, mut noise, mut samples, mut same_largest) = (0.0_f64, 0.0_f64, 0, 0);
    for sample in data.samples(shape)?.iter().take(EVALUATED) {
        let (float, integer) = (imported.infer(sample)?, quantised.infer(sample)?.reals);
        for (exact, rounded) in float.iter().zip(&integer) {
            signal += f64::from(*exact).powi(2);
            noise += (f64::from(*exact) - f64::from(*rounded)).powi(2);
        }
        samples += 1;
        same_largest += usize::from(largest(&float) == largest(&integer));
    }
    let relative_error = (noise / signal).sqrt();
    Ok(FloatToInteger {
        set,
        samples,
        signal_to_noise_db: -20.0 * relative_error.log10(),
        relative_error,
        same_largest,
    })
}

/// Peak memory of a process that reads a key and makes a proof.
fn prove_peak(compiled: &Compiled, input: &Path) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("proving.key");
    keys(compiled)?.save(&key)?;
    let done =
        Command::new(std::env::current_exe()?).arg("--peak").arg(&key).arg("--input").arg(input).output()?;
    let text = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        return Err(format!("the proving process failed: {}", String::from_utf8_lossy(&done.stderr)).into());
    }
    Ok(text.trim().parse::<f64>()? / MIB)
}

/// What that process does.
fn peak_of_one_proof(key: &Path) -> Result<()> {
    let keyed = Keyed::load(key)?;
    let data = Dataset::load(option("--input").ok_or("no --input")?)?;
    let samples = data.samples(&keyed.input_shape())?;
    let options = ProveOptions { backend: "cpu".to_owned(), ..ProveOptions::default() };
    keyed.prove(samples.get(0).ok_or("no input")?, &options, &mut |_| {})?;
    println!("{}", peak_memory().ok_or("this system does not tell peak memory")?);
    Ok(())
}

fn prediction(estimate: &Estimate, row: &Row, peak_mib: f64) -> Result<Prediction> {
    let measured = |name: &str| match name {
        "witness" => row.witness_ms,
        _ => row.stages_ms.iter().find(|(stage, _)| stage == name).map_or(0.0, |(_, ms)| *ms),
    };
    let stage = |stage: &zkloom::plan::StageEstimate| {
        (stage.stage.clone(), stage.seconds * 1e3, measured(&stage.stage))
    };
    let mut rates_ns = serde_json::to_value(estimate.rates)?;
    for (_, rate) in rates_ns.as_object_mut().into_iter().flatten() {
        *rate = (rate.as_f64().unwrap_or(0.0) * 1e9).into();
    }
    let (prove_ms, memory_mib) = (estimate.proving_seconds * 1e3, estimate.memory_bytes as f64 / MIB);
    Ok(Prediction {
        stages_ms: estimate.stages.iter().map(stage).collect(),
        prove_ms,
        prove_ratio: prove_ms / row.prove_ms,
        memory_mib,
        memory_ratio: memory_mib / peak_mib,
        rates_ns,
    })
}

fn network(folder: &Path, name: &str, repetitions: usize) -> Result<Rung> {
    let file = |suffix: &str| -> PathBuf { folder.join(format!("{name}{suffix}")) };
    let calibration = Dataset::load(file("-calibration.npz"))?;
    let imported = Imported::from_file(file(".onnx"))?;
    let quantised = imported.quantise(&calibration, &QuantisationOptions::default())?;
    let compiled = quantised.compile(&CompileOptions::default())?;
    let shape = compiled.graph().tensor(compiled.graph().input).shape.clone();
    let evaluation = match file("-test.npz") {
        path if path.exists() => ("evaluation", Dataset::load(path)?),
        _ => ("calibration", calibration),
    };
    let float_to_integer = float_to_integer((&imported, &quantised), (evaluation.0, &evaluation.1), &shape)?;
    drop(imported);
    let input = Dataset::load(file("-input.npy"))?;
    let samples = input.samples(&shape)?;
    let estimate = compiled.estimate("cpu", None)?;
    let row = measure(name, &compiled, samples.get(0).ok_or("no input")?, repetitions)?;
    let prove_peak_memory_mib = prove_peak(&compiled, &file("-input.npy"))?;
    let predicted = prediction(&estimate, &row, prove_peak_memory_mib)?;
    let matrix_rows = compiled.report().matrix_rows;
    Ok(Rung { row, matrix_rows, prove_peak_memory_mib, float_to_integer, predicted })
}

fn print_rung(rung: &Rung) {
    print(std::slice::from_ref(&rung.row));
    let (error, predicted) = (&rung.float_to_integer, &rung.predicted);
    println!(
        "    float to integer over {} {} samples: {:.1} dB, relative error {:.4}, same largest output {}",
        error.samples, error.set, error.signal_to_noise_db, error.relative_error, error.same_largest
    );
    println!(
        "    predicted: prove {:.1} ms ({:.2} of measured), memory {:.0} MiB of {:.0} ({:.2})",
        predicted.prove_ms,
        predicted.prove_ratio,
        predicted.memory_mib,
        rung.prove_peak_memory_mib,
        predicted.memory_ratio
    );
    for (stage, guess, found) in &predicted.stages_ms {
        println!("    {stage:>12}: predicted {guess:8.1} ms, measured {found:8.1} ms ({:.2})", guess / found);
    }
}

fn main() -> Result<()> {
    if let Some(key) = option("--peak") {
        return peak_of_one_proof(Path::new(&key));
    }
    let Some(folder) = option("--models") else {
        println!("skipped: no --models FOLDER given; scripts/ladder.py FOLDER makes one");
        return Ok(());
    };
    let folder = PathBuf::from(folder);
    let repetitions = option("--repetitions").map_or(Ok(3), |count| count.parse())?;
    let only = option("--only");
    let wanted = |name: &String| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));
    let mut rows = Vec::new();
    for name in names(&folder)?.into_iter().filter(wanted) {
        let rung = network(&folder, &name, repetitions).map_err(|error| format!("{name}: {error}"))?;
        print_rung(&rung);
        rows.push(rung);
    }
    println!(
        "\n{:<16} {:>10} {:>10} {:>6} {:>10} {:>10} {:>6} {:>8}",
        "network", "predicted", "prove ms", "ratio", "predicted", "MiB", "ratio", "dB"
    );
    for Rung { row, prove_peak_memory_mib, predicted, float_to_integer, .. } in &rows {
        println!(
            "{:<16} {:>10.1} {:>10.1} {:>6.2} {:>10.0} {:>10.0} {:>6.2} {:>8.1}",
            row.network,
            predicted.prove_ms,
            row.prove_ms,
            predicted.prove_ratio,
            predicted.memory_mib,
            prove_peak_memory_mib,
            predicted.memory_ratio,
            float_to_integer.signal_to_noise_db
        );
    }
    if let Some(path) = option("--record") {
        let record = Record { machine: Machine::here(), repetitions, statistic: "median", rows };
        std::fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}
