//! `zkloom bench`: what this machine can do.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use zkloom::bench::{BenchOptions, BenchReport, bench};

use crate::args::Device;
use crate::console::{Console, Outcome};
use crate::text::{duration, table};

/// Options of `zkloom bench`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  zkloom bench --log-size 18")]
pub struct Arguments {
    /// Log2 of the largest multi-scalar multiplication
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(4..=24))]
    log_size: u32,
    /// Runs of each; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// Device.
    #[command(flatten)]
    device: Device,
}

/// Measures and reports.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    let options = BenchOptions {
        backend: arguments.device.backend.clone(),
        threads: arguments.device.threads(),
        log_size: arguments.log_size,
        repetitions: usize::from(arguments.repetitions),
    };
    let report = bench(&options, &mut |what| console.note(what))?;
    Ok(Outcome::success(text(&report), json!(report)))
}

fn text(report: &BenchReport) -> String {
    let rows: Vec<Vec<String>> = report
        .operations
        .iter()
        .map(|rate| {
            vec![
                rate.operation.clone(),
                format!("2^{}", rate.log_size),
                format!("{:.2} ms", rate.milliseconds),
                format!("{:.1} ns", rate.nanoseconds_per_entry),
            ]
        })
        .collect();
    let proof = &report.proof;
    let time = |milliseconds: f64| duration(Duration::from_secs_f64(milliseconds / 1e3));
    let stages: Vec<String> =
        proof.stages.iter().map(|(name, milliseconds)| format!("{name} {}", time(*milliseconds))).collect();
    format!(
        "{}: {}\n\n{}\n\ndense network {} ({} weights, {} cells): prove {}, {:.1} us for each cell; verify {}\n  {}\n\
         medians of {}",
        report.device,
        report.description,
        table(&["operation", "size", "time", "per entry"], &rows),
        proof.network,
        proof.weights,
        proof.tensor_cells,
        time(proof.prove_milliseconds),
        proof.microseconds_per_cell,
        time(proof.verify_milliseconds),
        stages.join(", "),
        report.repetitions,
    )
}
