//! `zkloom plan`: what proving will need.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use zkloom::Compiled;

use super::compile::report_text;
use crate::args::Device;
use crate::console::{Console, Outcome};
use crate::machine::available_memory;
use crate::text::{bytes, duration};

/// Options of `zkloom plan`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  zkloom plan digits.circuit")]
pub struct Arguments {
    /// Circuit that `zkloom compile` made
    #[arg(value_name = "CIRCUIT")]
    circuit: PathBuf,
    /// Device.
    #[command(flatten)]
    device: Device,
}

/// Measures the device briefly and estimates.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    let compiled = Compiled::load(&arguments.circuit)?;
    console.note("measuring the device");
    let estimate = compiled.estimate(&arguments.device.backend, arguments.device.threads())?;
    let available = available_memory();
    let fits = available.map(|available| estimate.memory_bytes <= available);
    let memory = match (fits, available) {
        (Some(true), Some(available)) => format!("fits in the {} that are available", bytes(available)),
        (Some(false), Some(available)) => {
            format!("does NOT fit in the {} that are available", bytes(available))
        }
        _ => "available memory is not known".to_owned(),
    };
    let seconds = Duration::try_from_secs_f64(estimate.proving_seconds).unwrap_or(Duration::MAX);
    let text = format!(
        "{}\nproving on {}: about {} (estimated from a measurement of {:.0} ns for each point of a multiplication)\n\
         memory: about {}, {memory}\nproof: {}\nSRS: log size {} or more",
        report_text(&estimate.circuit),
        estimate.device,
        duration(seconds),
        estimate.entry_nanoseconds,
        bytes(estimate.memory_bytes),
        bytes(estimate.proof_bytes),
        estimate.srs_log_size,
    );
    let mut json = json!(estimate);
    json["available_memory_bytes"] = json!(available);
    json["fits"] = json!(fits);
    Ok(Outcome::success(text, json))
}
