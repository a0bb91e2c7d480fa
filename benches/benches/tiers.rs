//! Whole proofs with the vector kernels and with the portable ones, in turns in one process: processor time for an activation,
//! by round. "Before the kernels" is the portable tier of today's program: the same algorithms and the same rounds over `ark-ff`.
//!
//! `cargo bench -p zkloom-benches --bench tiers -- --models FOLDER [--only NAME,NAME] [--repetitions N] [--record FILE]`; the folder is
//! one that `scripts/ladder.py` filled.

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use zkloom::{CompileOptions, Compiled, Dataset, Imported, Openings, QuantisationOptions, Resident, Stage};
use zkloom_backends::{CpuBackend, Tier};
use zkloom_benches::{Machine, Result, keys, option};

/// Medians of one stage, in microseconds for an activation.
#[derive(Serialize)]
struct Round {
    round: &'static str,
    portable: f64,
    vector: f64,
    ratio: f64,
}

#[derive(Serialize)]
struct Network {
    network: String,
    activations: u64,
    /// Processor milliseconds of a proof.
    portable_ms: f64,
    vector_ms: f64,
    ratio: f64,
    rounds: Vec<Round>,
}

#[derive(Serialize)]
struct Record {
    machine: Machine,
    tier: String,
    what: &'static str,
    repetitions: usize,
    networks: Vec<Network>,
}

/// Processor time of all threads of this process so far, in milliseconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of each part of one proof: the witness and all stages.
fn prove(key: &Resident<'_>, input: &[f32]) -> zkloom::Result<Vec<f64>> {
    let mut times = vec![processor_time()];
    key.prove(input, &Openings::default(), &mut |_| times.push(processor_time()))?;
    times.push(processor_time());
    Ok(times.windows(2).map(|pair| pair[1] - pair[0]).collect())
}

fn network(name: &str, compiled: &Compiled, input: &[f32], repetitions: usize) -> Result<Network> {
    let keyed = keys(compiled)?;
    let (fast, portable) = (CpuBackend::new(None)?, CpuBackend::with_tier(None, Tier::Portable)?);
    let mut times = [Vec::new(), Vec::new()];
    keyed.resident_on(&portable, None, |portable| {
        keyed.resident_on(&fast, None, |fast| {
            // The first proof of each warms up.
            for _ in 0..=repetitions {
                times[0].push(prove(portable, input)?);
                times[1].push(prove(fast, input)?);
            }
            Ok(())
        })
    })?;
    let activations = compiled.circuit().cost().tensor_cells;
    let names = std::iter::once("witness").chain(Stage::ALL.into_iter().map(Stage::name));
    let of = |tier: usize, part: usize| median(times[tier][1..].iter().map(|parts| parts[part]).collect());
    let rounds = names.enumerate().map(|(part, round)| {
        let [portable, vector] = [0, 1].map(|tier| of(tier, part) * 1e3 / activations as f64);
        Round { round, portable, vector, ratio: portable / vector }
    });
    let total = |tier: usize| median(times[tier][1..].iter().map(|parts| parts.iter().sum()).collect());
    let (portable_ms, vector_ms) = (total(0), total(1));
    let ratio = portable_ms / vector_ms;
    Ok(Network {
        network: name.to_owned(),
        activations,
        portable_ms,
        vector_ms,
        ratio,
        rounds: rounds.collect(),
    })
}

fn main() -> Result<()> {
    let Some(folder) = option("--models") else {
        println!("skipped: no --models FOLDER given; scripts/ladder.py FOLDER makes one");
        return Ok(());
    };
    let repetitions = option("--repetitions").map_or(Ok(5), |count| count.parse())?;
    let only = option("--only").unwrap_or("resnet20,vgg16".to_owned());
    let mut networks = Vec::new();
    for name in only.split(',') {
        let file = |suffix: &str| Path::new(&folder).join(format!("{name}{suffix}"));
        let calibration = Dataset::load(file("-calibration.npz"))?;
        let quantised =
            Imported::from_file(file(".onnx"))?.quantise(&calibration, &QuantisationOptions::default())?;
        let compiled = quantised.compile(&CompileOptions::default())?;
        let data = Dataset::load(file("-input.npy"))?;
        let samples = data.samples(&compiled.graph().tensor(compiled.graph().input).shape)?;
        let found = network(name, &compiled, samples.get(0).ok_or("no input")?, repetitions)?;
        println!(
            "{name}: {:.0} ms of processor time with portable kernels, {:.0} with {}, {:.2} times",
            found.portable_ms,
            found.vector_ms,
            Tier::current(),
            found.ratio
        );
        for round in &found.rounds {
            println!(
                "    {}: {:.3} us for an activation, {:.3}, {:.2} times",
                round.round, round.portable, round.vector, round.ratio
            );
        }
        networks.push(found);
    }
    if let Some(path) = option("--record") {
        let what = "processor time of whole proofs with the key resident, portable kernels against vector kernels of the same \
                    commit, in turns; medians";
        let (machine, tier) = (Machine::here(), Tier::current().to_string());
        let record = Record { machine, tier, what, repetitions, networks };
        std::fs::write(Path::new(&path), serde_json::to_string_pretty(&record)? + "\n")?;
    }
    Ok(())
}
