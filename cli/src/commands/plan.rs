//! `zkloom plan`: what proving will need.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use zkloom::Compiled;
use zkloom::resident::DeviceMemory;

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
    let on_device = compiled.device_memory(&arguments.device.backend, arguments.device.threads())?;
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
    let time = |seconds: f64| duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    let stages: Vec<String> =
        estimate.stages.iter().map(|stage| format!("{} {}", stage.stage, time(stage.seconds))).collect();
    let text = format!(
        "{}\nproving on {}: about {} ({}), from rates measured just now, as of {:.0} ns for each point of a \
         multiplication\nmemory: about {}, {memory}\nproof: {}\nSRS: log size {} or more",
        report_text(&estimate.circuit),
        estimate.device,
        time(estimate.proving_seconds),
        stages.join(", "),
        estimate.entry_nanoseconds,
        bytes(estimate.memory_bytes),
        bytes(estimate.proof_bytes),
        estimate.srs_log_size,
    );
    let text = match device_text(&on_device) {
        Some(device) => format!("{text}\n{device}"),
        None => text,
    };
    let mut json = json!(estimate);
    json["device_memory"] = json!(on_device);
    json["device_fits"] = json!(on_device.check().is_ok());
    json["available_memory_bytes"] = json!(available);
    json["fits"] = json!(fits);
    Ok(Outcome::success(text, json))
}

/// What a device with memory of its own needs of it; nothing for the processor.
fn device_text(memory: &DeviceMemory) -> Option<String> {
    if memory.device == "cpu" {
        return None;
    }
    let fits = match memory.check() {
        Ok(()) if memory.free_bytes.is_none() => "how much it has is not known".to_owned(),
        Ok(()) => format!("fits in the {} that are free", bytes(memory.free_bytes.unwrap_or(0))),
        Err(error) => format!("does NOT fit: {error}"),
    };
    Some(format!(
        "memory of {}: about {} (key {}, vectors {}, scratch {} at least), {fits}",
        memory.device,
        bytes(memory.needed_bytes()),
        bytes(memory.key_bytes),
        bytes(memory.proof_bytes),
        bytes(memory.scratch_bytes),
    ))
}
