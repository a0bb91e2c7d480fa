//! Pruning and fewer bits on the two trained digits networks: accuracy over the whole test set, time and memory of keys and proofs.
//!
//! `cargo bench -p zkloom-benches --bench sparsity -- [--record FILE]`. Peak memory is what the compiler predicts, since one process
//! proves many networks; `scripts/compare_ezkl.py` and the records of the ladder have measured ones.

use serde::Serialize;
use zkloom::sparsify::{Method, Pattern};
use zkloom::{
    CompileOptions, Dataset, Imported, QuantisationOptions, Quantised, SearchOptions, SparsifyOptions,
};
use zkloom_benches::measure::measure;
use zkloom_benches::{FIXTURES, Machine, Result, option};

/// Proofs of each network.
const REPETITIONS: usize = 5;

/// One network at one point of the sweep.
#[derive(Serialize)]
struct Point {
    network: String,
    pruning: String,
    bits: String,
    /// Part of the test set that the integer network classifies correctly.
    accuracy: f64,
    /// The same for the pruned float network.
    float_accuracy: f64,
    log_rows: u32,
    tensor_cells: u64,
    table_rows: u64,
    setup_seconds: f64,
    prove_ms: f64,
    contraction_ms: f64,
    predicted_memory_bytes: u64,
    proof_bytes: usize,
    proving_key_bytes: usize,
}

/// Calibration and test set of a network; the dense one's test set is the whole data set.
fn data(name: &str) -> Result<(Dataset, Dataset)> {
    let load = |file: &str| Dataset::load(format!("{FIXTURES}/{file}"));
    Ok(match name {
        "digits-mlp" => (load("digits-calibration.npz")?, load("digits-test.npz")?),
        _ => (load("digits-cnn-calibration.npz")?, load("digits-cnn-test.npz")?),
    })
}

fn point(labels: [&str; 3], (pruned, quantised): (&Imported, &Quantised), test: &Dataset) -> Result<Point> {
    let [network, pruning, bits] = labels.map(str::to_owned);
    let accuracy = quantised.accuracy(pruned, test)?;
    let compiled = quantised.compile(&CompileOptions::default())?;
    let graph = quantised.graph();
    let samples = test.samples(&graph.tensor(graph.input).shape)?;
    let row = measure(&network, &compiled, samples.get(0).ok_or("no sample")?, REPETITIONS)?;
    let report = compiled.report();
    let contraction = row.stages_ms.iter().find(|(name, _)| name == "contraction");
    let point = Point {
        network,
        pruning,
        bits,
        accuracy: accuracy.integer,
        float_accuracy: accuracy.float,
        log_rows: row.log_rows,
        tensor_cells: row.activations,
        table_rows: report.table_rows,
        setup_seconds: row.setup_seconds,
        prove_ms: row.prove_ms,
        contraction_ms: contraction.map_or(0.0, |(_, time)| *time),
        predicted_memory_bytes: report.proving_memory_bytes,
        proof_bytes: row.proof_bytes,
        proving_key_bytes: row.proving_key_bytes,
    };
    println!(
        "{} | {} | {} | {:.2} % | {:.2} % | 2^{} | {} | {} | {:.3} s | {:.1} ms | {:.2} MB | {} B",
        point.network,
        point.pruning,
        point.bits,
        100.0 * point.accuracy,
        100.0 * point.float_accuracy,
        point.log_rows,
        point.tensor_cells,
        point.table_rows,
        point.setup_seconds,
        point.prove_ms,
        point.predicted_memory_bytes as f64 / 1e6,
        point.proof_bytes,
    );
    Ok(point)
}

fn sweep(name: &str, points: &mut Vec<Point>) -> Result<()> {
    let (calibration, test) = data(name)?;
    let whole = Imported::from_file(format!("{FIXTURES}/{name}.onnx"))?;
    let prune = |pattern, sparsity: f64| -> Result<Imported> {
        let method = Method::Obs;
        let options = SparsifyOptions { method, pattern, sparsity, ends: true, ..SparsifyOptions::default() };
        Ok(if sparsity > 0.0 { whole.sparsify(&calibration, &options)?.0 } else { whole.clone() })
    };
    for (pattern, label) in [(Pattern::Unstructured, "weights"), (Pattern::Channels, "channels")] {
        for sparsity in [0.0, 0.25, 0.5, 0.75, 0.9] {
            if pattern == Pattern::Channels && sparsity == 0.0 {
                continue;
            }
            let pruned = prune(pattern, sparsity)?;
            let label = format!("{:.0} % of {label}", 100.0 * sparsity);
            for bits in 4..=8 {
                let options = QuantisationOptions { bits, ..QuantisationOptions::default() };
                let quantised = pruned.quantise(&calibration, &options)?;
                points.push(point([name, &label, &bits.to_string()], (&pruned, &quantised), &test)?);
            }
            let options = SearchOptions { max_accuracy_loss: 0.005, ..SearchOptions::default() };
            if let Ok((quantised, _)) =
                pruned.search((&calibration, Some(&calibration)), &options, &CompileOptions::default())
            {
                points.push(point([name, &label, "search"], (&pruned, &quantised), &test)?);
            }
        }
    }
    Ok(())
}

/// Accuracy of the float network by method: what pruning alone costs.
#[derive(Serialize)]
struct Pruned {
    network: String,
    method: String,
    pattern: String,
    sparsity: f64,
    float_accuracy: f64,
}

fn methods(name: &str, pruned: &mut Vec<Pruned>) -> Result<()> {
    let (calibration, test) = data(name)?;
    let whole = Imported::from_file(format!("{FIXTURES}/{name}.onnx"))?;
    let samples = test.samples(&whole.graph().values[whole.graph().input.0].shape)?;
    let labels = samples.labels().ok_or("the test set has no labels")?;
    for method in [Method::Magnitude, Method::Wanda, Method::Obs] {
        for pattern in [Pattern::Unstructured, Pattern::Channels] {
            for sparsity in [0.25, 0.5, 0.75, 0.9] {
                let options =
                    SparsifyOptions { method, pattern, sparsity, ends: true, ..SparsifyOptions::default() };
                let network = whole.sparsify(&calibration, &options)?.0;
                let mut hits = 0;
                for (sample, label) in samples.iter().zip(labels) {
                    let output = network.infer(sample)?;
                    let class = (0..output.len()).max_by(|&a, &b| output[a].total_cmp(&output[b]));
                    hits += usize::from(class.is_some_and(|class| class as i64 == *label));
                }
                let float_accuracy = hits as f64 / samples.count() as f64;
                let (method, pattern) = (format!("{method:?}"), format!("{pattern:?}"));
                println!("{name} | {method} | {pattern} | {sparsity} | {:.1} %", 100.0 * float_accuracy);
                pruned.push(Pruned { network: name.to_owned(), method, pattern, sparsity, float_accuracy });
            }
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    println!("network | method | pattern | part | test accuracy of the float network");
    let mut pruned = Vec::new();
    for name in ["digits-mlp", "digits-cnn"] {
        methods(name, &mut pruned)?;
    }
    println!(
        "network | pruning | bits | test accuracy | of the float network | rows | tensor cells | table rows | set up | prove | \
         predicted memory | proof"
    );
    let mut points = Vec::new();
    for name in ["digits-mlp", "digits-cnn"] {
        sweep(name, &mut points)?;
    }
    if let Some(path) = option("--record") {
        #[derive(Serialize)]
        struct Record {
            machine: Machine,
            repetitions: usize,
            pruned: Vec<Pruned>,
            points: Vec<Point>,
        }
        let record = Record { machine: Machine::here(), repetitions: REPETITIONS, pruned, points };
        std::fs::write(path, serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}
