//! What this machine can do: rates of the operations that a proof is made of, and of a whole proof.

use std::time::{Duration, Instant};

use serde::Serialize;
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::{Backend, Direction, with_backend};
use zkloom_circuits::CompileOptions;
use zkloom_model::data::Dataset;
use zkloom_model::float_graph::{FloatGraph, FloatMatrix};
use zkloom_model::quantise::{QuantisationOptions, QuantiseError};
use zkloom_plonkish::Fr;
use zkloom_verifier::linear::powers;

use crate::devices;
use crate::error::Result;
use crate::openings::Openings;
use crate::resident::ProveOptions;
use crate::session::{Imported, SetupOptions};
use crate::srs::Srs;

/// Multiplications in each row of the measured gate program.
const PROGRAM_LENGTH: u32 = 16;

/// What to measure.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Device, as in `--backend`.
    pub backend: String,
    /// Processor threads; all by default.
    pub threads: Option<usize>,
    /// Log2 of the largest multi-scalar multiplication; transforms go four times as far.
    pub log_size: u32,
    /// Runs of each; the median counts.
    pub repetitions: usize,
}

impl Default for BenchOptions {
    fn default() -> Self {
        Self { backend: "auto".to_owned(), threads: None, log_size: 16, repetitions: 5 }
    }
}

/// A measured operation.
#[derive(Clone, Debug, Serialize)]
pub struct Rate {
    /// The operation in words.
    pub operation: String,
    /// Log2 of its size.
    pub log_size: u32,
    /// Median wall time in milliseconds.
    pub milliseconds: f64,
    /// The same for one entry, in nanoseconds.
    pub nanoseconds_per_entry: f64,
}

/// A measured proof.
#[derive(Clone, Debug, Serialize)]
pub struct ProofRate {
    /// Widths of the dense network that was proved.
    pub network: String,
    /// Its weights.
    pub weights: u64,
    /// Cells of accumulators and activations.
    pub tensor_cells: u64,
    /// Median wall time with the key resident, in milliseconds.
    pub prove_milliseconds: f64,
    /// The same for one cell, in microseconds.
    pub microseconds_per_cell: f64,
    /// Median wall time of a verification, in milliseconds.
    pub verify_milliseconds: f64,
    /// Milliseconds of each stage, of the last proof.
    pub stages: Vec<(String, f64)>,
}

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// Name of the device.
    pub device: String,
    /// The device in words: model, vector extensions, threads.
    pub description: String,
    /// Runs of each; figures are medians.
    pub repetitions: usize,
    /// Operations.
    pub operations: Vec<Rate>,
    /// A whole proof.
    pub proof: ProofRate,
}

/// Measures. Takes seconds to minutes, by the sizes; `observer` hears what is measured next.
pub fn bench(options: &BenchOptions, observer: &mut dyn FnMut(&str)) -> Result<BenchReport> {
    let device = devices::open(&options.backend, options.threads, options.log_size)?.backend;
    let capabilities = device.capabilities();
    observer("making points");
    let srs = Srs::development(options.log_size.clamp(4, 24))?;
    let operations = with_backend!(&device, device => operations(device, &srs, options, observer))?;
    observer("proving");
    let proof = proof(options)?;
    let (device, description) = (capabilities.name, capabilities.description);
    Ok(BenchReport { device, description, repetitions: options.repetitions, operations, proof })
}

/// Median wall time of so many runs; one before them warms up.
fn median<T>(repetitions: usize, mut run: impl FnMut() -> Result<T>) -> Result<Duration> {
    run()?;
    let mut times = Vec::with_capacity(repetitions);
    for _ in 0..repetitions.max(1) {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

fn rate(operation: &str, log_size: u32, time: Duration) -> Rate {
    let milliseconds = time.as_secs_f64() * 1e3;
    let nanoseconds_per_entry = time.as_secs_f64() * 1e9 / (1_u64 << log_size) as f64;
    Rate { operation: operation.to_owned(), log_size, milliseconds, nanoseconds_per_entry }
}

fn operations<B: Backend>(
    backend: &B,
    srs: &Srs,
    options: &BenchOptions,
    observer: &mut dyn FnMut(&str),
) -> Result<Vec<Rate>> {
    let top = options.log_size.clamp(4, 24);
    let mut rates = Vec::new();
    for log_size in [top.saturating_sub(4).max(4), top] {
        let count = 1_usize << log_size;
        let bases = backend.upload_bases(srs.inner.powers().get(..count).unwrap_or(&[]))?;
        observer("multi-scalar multiplication");
        // Full-width scalars that need no randomness: powers of an element of large order.
        let scalars = backend.upload(&powers(-Fr::from(3), count))?;
        let time = median(options.repetitions, || Ok(backend.msm(&bases, &[&scalars])?))?;
        rates.push(rate("MSM, full scalars", log_size, time));
        for bits in [8_u32, 16] {
            let values: Vec<i64> = (0..count as i64)
                .map(|index| (index.wrapping_mul(0x9e37_79b9) >> 7 & ((1 << bits) - 1)) - (1 << (bits - 1)))
                .collect();
            let integers = backend.upload_integers(&values)?;
            let time = median(options.repetitions, || Ok(backend.msm_integers(&bases, &[&integers])?))?;
            rates.push(rate(&format!("MSM, {bits}-bit integers"), log_size, time));
        }
    }
    observer("transform");
    for log_size in [top, (top + 2).min(backend.capabilities().max_log_size)] {
        let mut values = backend.upload(&powers(-Fr::from(3), 1 << log_size))?;
        let time = median(options.repetitions, || Ok(backend.ntt(&mut values, Direction::Forward)?))?;
        rates.push(rate("NTT", log_size, time));
    }
    observer("field arithmetic");
    let values = backend.upload(&powers(-Fr::from(3), 1 << top))?;
    let input = |index| Operand::Input { index, rotation: 0 };
    let mut gates = vec![Operation::Multiply(input(0), input(0))];
    gates.extend((1..PROGRAM_LENGTH).map(|at| Operation::Multiply(Operand::Result(at - 1), input(0))));
    let output = Some(Operand::Result(PROGRAM_LENGTH - 1));
    let program = Program { inputs: 1, constants: 0, operations: gates, output };
    let time = median(options.repetitions, || Ok(backend.run(&program, &[&values], &[])?))?;
    rates.push(rate("multiplication in a gate program", top, time / PROGRAM_LENGTH));
    Ok(rates)
}

/// A dense network with weights that look random, the same everywhere.
fn network(widths: &[usize]) -> Result<(FloatGraph, Dataset)> {
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let mut layers = Vec::new();
    for pair in widths.windows(2) {
        let &[columns, rows] = pair else { continue };
        let scale = (6.0 / columns as f32).sqrt();
        let values = (0..rows * columns).map(|_| scale * noise()).collect();
        layers.push((FloatMatrix { rows, columns, values }, vec![0.0; rows]));
    }
    let name: Vec<String> = widths.iter().map(ToString::to_string).collect();
    let inputs = widths.first().copied().unwrap_or(0);
    let samples: Vec<f32> = (0..8 * inputs).map(|_| noise().abs()).collect();
    let graph = FloatGraph::dense(&name.join("-"), layers).map_err(QuantiseError::from)?;
    Ok((graph, Dataset::new(vec![8, inputs], samples, None)?))
}

fn proof(options: &BenchOptions) -> Result<ProofRate> {
    let (graph, data) = network(&[512, 1024, 1024, 512, 10])?;
    let name = graph.name.clone();
    let compiled = Imported::from_graph(graph)
        .quantise(&data, &QuantisationOptions::default())?
        .compile(&CompileOptions::default())?;
    let srs = Srs::development(compiled.srs_log_size())?;
    let (backend, threads) = (options.backend.clone(), options.threads);
    let keyed = compiled
        .setup(&srs, &SetupOptions { backend: backend.clone(), threads, ..SetupOptions::default() })?;
    let (verifier, pin) = (keyed.verifier(), keyed.pin());
    let samples = data.samples(&keyed.input_shape())?;
    let input = samples.get(0).unwrap_or(&[]);
    let proving = ProveOptions { backend, threads, openings: Openings::default() };
    let mut last = None;
    let prove = keyed.resident(&proving, |key| {
        median(options.repetitions, || {
            last = Some(key.prove(input, &Openings::default(), &mut |_| {})?);
            Ok(())
        })
    })?;
    let (mut verify, mut stages) = (Duration::ZERO, Vec::new());
    if let Some(proved) = &last {
        verify = median(options.repetitions, || verifier.verify(proved.file(), &pin))?;
        let stage = |timing: &zkloom_prover::Timing| {
            (timing.stage.name().to_owned(), timing.duration.as_secs_f64() * 1e3)
        };
        stages = proved.timings().iter().map(stage).collect();
    }
    let cost = compiled.circuit().cost();
    let prove_milliseconds = prove.as_secs_f64() * 1e3;
    Ok(ProofRate {
        network: name,
        weights: cost.matrix_entries,
        tensor_cells: cost.tensor_cells,
        prove_milliseconds,
        microseconds_per_cell: prove_milliseconds * 1e3 / cost.tensor_cells as f64,
        verify_milliseconds: verify.as_secs_f64() * 1e3,
        stages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_measured() {
        let options = BenchOptions { log_size: 6, repetitions: 1, ..BenchOptions::default() };
        let mut heard = Vec::new();
        let report = bench(&options, &mut |what| heard.push(what.to_owned())).expect("bench");
        assert_eq!(report.operations.len(), 9);
        assert!(report.operations.iter().all(|rate| rate.milliseconds > 0.0));
        assert!(report.proof.prove_milliseconds > 0.0 && report.proof.verify_milliseconds > 0.0);
        assert_eq!(report.proof.stages.len(), zkloom_prover::Stage::ALL.len());
        assert_eq!(heard.last().map(String::as_str), Some("proving"));
        let unknown = BenchOptions { backend: "abacus".into(), ..options };
        assert!(bench(&unknown, &mut |_| {}).is_err());
    }
}
