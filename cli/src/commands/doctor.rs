//! `zkloom doctor`: what this machine offers.
//!
//! Every kind of accelerator is looked for in a process of its own: a vendor's library that is broken can end the process that loads
//! it, and such a death is a finding like any other.

mod probe;

use std::path::Path;

use serde_json::{Value, json};
use zkloom::artifact::hex;
use zkloom::store::Store;
use zkloom::{DeviceReport, SrsPin, devices};

use super::{describe_pin, is_insecure};
use crate::console::Outcome;
use crate::exit::Exit;
use crate::machine::{available_memory, cpu_features, total_memory};
use crate::text::{bytes, outline};

/// Reports; the exit code tells whether the processor passed its test.
pub fn run() -> anyhow::Result<Outcome> {
    if let Some(outcome) = probe::asked_for() {
        return Ok(outcome);
    }
    let devices: Vec<DeviceReport> = devices::kinds().into_iter().flat_map(probe::kind).collect();
    let healthy = devices.iter().any(|device| device.name == "cpu" && device.available);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let store = Store::from_environment();
    let (folder, pins) = match &store {
        Ok(store) => (Some(store.root()), store.pins()?),
        Err(_) => (None, Vec::new()),
    };
    let writable = folder.is_some_and(is_writable);
    let json = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "architecture": std::env::consts::ARCH, "system": std::env::consts::OS,
        "cpu_features": cpu_features(), "threads": threads,
        "memory_bytes": total_memory(), "available_memory_bytes": available_memory(),
        "devices": devices.iter().map(device_json).collect::<Vec<_>>(),
        "self_test": if healthy { "passed" } else { "FAILED" },
        "store": folder, "store_writable": writable,
        "trusted_srs": pins.iter().map(describe_pin).collect::<Vec<_>>(),
    });
    let exit = if healthy { Exit::Success } else { Exit::Resource };
    Ok(Outcome { text: text(&json, &devices, &pins), json, exit })
}

/// The report for people: sizes in units that read well, a line for each device and SRS.
fn text(json: &Value, devices: &[DeviceReport], pins: &[SrsPin]) -> String {
    let mut shown = json.clone();
    for name in ["memory_bytes", "available_memory_bytes"] {
        shown[name] = json!(json[name].as_u64().map_or_else(|| "not known".to_owned(), bytes));
    }
    let device = |device: &DeviceReport| {
        let state = if device.available { "available" } else { "not available" };
        let memory = device.memory.map_or_else(String::new, |memory| format!(", {}", bytes(memory)));
        let software = if device.software { " (a software driver: for tests)" } else { "" };
        let composed = match device.composed.as_slice() {
            [] => String::new(),
            methods => format!("; the processor does {} for it", methods.join(", ")),
        };
        let words = format!("{state}: {}{memory}{software}{composed}", device.description);
        (device.name.clone(), json!(words))
    };
    shown["devices"] = devices.iter().map(device).collect();
    let pin = |pin: &SrsPin| {
        let origin = if is_insecure(pin.kind) { "development, INSECURE" } else { "ceremony" };
        (hex(&pin.identity()), json!(origin))
    };
    shown["trusted_srs"] = pins.iter().map(pin).collect();
    outline(&shown)
}

fn device_json(device: &DeviceReport) -> Value {
    let DeviceReport { name, available, description, memory, software, composed } = device;
    json!({
        "name": name, "available": available, "description": description, "memory_bytes": memory,
        "software": software, "composed": composed,
    })
}

/// The device that [`device_json`] described.
fn device_from(json: &Value) -> Option<DeviceReport> {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let composed = json["composed"].as_array()?.iter().map(|method| method.as_str().map(str::to_owned));
    Some(DeviceReport {
        name: text("name")?,
        available: json["available"].as_bool()?,
        description: text("description")?,
        memory: json["memory_bytes"].as_u64(),
        software: json["software"].as_bool()?,
        composed: composed.collect::<Option<_>>()?,
    })
}

/// Whether files can be made in a folder, or in the nearest folder above it that exists.
fn is_writable(folder: &Path) -> bool {
    let Some(existing) = folder.ancestors().find(|folder| folder.exists()) else { return false };
    let probe = existing.join(format!(".zkloom-doctor-{}", std::process::id()));
    let made = std::fs::write(&probe, b"").is_ok();
    made && std::fs::remove_file(&probe).is_ok()
}
