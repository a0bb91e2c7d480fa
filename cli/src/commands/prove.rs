//! `zkloom prove`: one inference.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};
use zkloom::{Dataset, Keyed, Openings, ProveOptions, Proved, Stage, Timing};

use super::{INSECURE, check_output, file_bytes, is_insecure, tensor_json, tensors_text};
use crate::args::Device;
use crate::console::{Console, Outcome};
use crate::exit::Failure;
use crate::machine::available_memory;
use crate::text::{bytes, duration, table};

/// Options of `zkloom prove`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  zkloom prove --key keys/proving.key --input fixtures/digit.npy -o digit.proof"
)]
pub struct Arguments {
    /// Proving key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The network's input (npy, npz or json)
    #[arg(long, value_name = "INPUT")]
    input: PathBuf,
    /// Which sample of a file with several, from 0
    #[arg(long, value_name = "I")]
    index: Option<usize>,
    /// File to write
    #[arg(short, long, value_name = "PROOF")]
    output: PathBuf,
    /// Openings of committed tensors: read if the file exists, so that commitments are the same as before, and written
    #[arg(long, value_name = "FILE")]
    openings: Option<PathBuf>,
    /// Try even if the predicted memory is more than what this machine has left
    #[arg(long)]
    ignore_memory: bool,
    /// Device.
    #[command(flatten)]
    device: Device,
}

/// Proves, writes the proof and reports.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    check_output(&arguments.output)?;
    let keyed = Keyed::load(&arguments.key)?;
    let input = read_input(&keyed.input_shape(), &arguments.input, arguments.index)?;
    let openings = read_openings(arguments.openings.as_deref())?;
    let options = ProveOptions {
        backend: arguments.device.backend.clone(),
        threads: arguments.device.threads(),
        openings: openings.clone(),
    };
    if !arguments.ignore_memory {
        check_memory(&keyed, &options, available_memory())?;
    }
    let known = openings_text(&keyed, &openings);
    let (proved, total) = with_progress(&keyed, &input, &options, console)
        .with_context(|| format!("input {}", arguments.input.display()))?;
    if let Some(path) = &arguments.openings {
        // Before the proof: a commitment without its opening would be of no use.
        let mut all = openings;
        all.extend(proved.openings());
        check_output(path)?;
        all.save(path)?;
    }
    proved.file().save(&arguments.output)?;
    if let (Some(path), Some(text)) = (&arguments.openings, known) {
        console.note(&format!("{}: {text}", path.display()));
    }
    report(&keyed, &proved, total, arguments, console)
}

/// Which commitments are those of an earlier proof, and which are new: a file may hold openings of other tensors only.
fn openings_text(keyed: &Keyed, openings: &Openings) -> Option<String> {
    let externals = &keyed.key().verifying().circuit().externals;
    let names = |known: bool| -> Vec<String> {
        let wanted = externals.iter().filter(|e| openings.of(e.identifier).is_some() == known);
        wanted.map(|external| format!("`{}`", external.name)).collect()
    };
    match (names(true), names(false)) {
        (old, new) if old.is_empty() && new.is_empty() => None,
        (old, new) if old.is_empty() => Some(format!("{} committed anew", new.join(", "))),
        (old, new) if new.is_empty() => Some(format!("{} committed as before", old.join(", "))),
        (old, new) => Some(format!("{} committed as before, {} anew", old.join(", "), new.join(", "))),
    }
}

/// One sample of a network's input shape.
pub fn read_input(shape: &[usize], path: &Path, index: Option<usize>) -> anyhow::Result<Vec<f32>> {
    let place = || format!("input {}", path.display());
    let data = Dataset::load(path).map_err(zkloom::Error::from)?;
    let samples = data.samples(shape).map_err(zkloom::Error::from).with_context(place)?;
    let count = samples.count();
    let index = match index {
        None if count > 1 => {
            let message = format!("it holds {count} samples; choose one with --index 0 to {}", count - 1);
            return Err(anyhow::Error::from(Failure::option(message)).context(place()));
        }
        given => given.unwrap_or(0),
    };
    let missing =
        || Failure::option(format!("--index {index}: it holds {count} samples, 0 to {}", count - 1));
    Ok(samples.get(index).ok_or_else(missing).with_context(place)?.to_vec())
}

/// Refuses before the work what the system would end in the middle of it.
fn check_memory(keyed: &Keyed, options: &ProveOptions, available: Option<u64>) -> anyhow::Result<()> {
    match (keyed.memory_on(options)?, available) {
        (Some(needed), Some(available)) if needed > available => Err(Failure::memory(format!(
            "proving needs about {} of memory, {} are available: free some, prove on a larger machine, compile with --max-memory, \
             or try all the same with --ignore-memory",
            bytes(needed),
            bytes(available),
        ))
        .into()),
        _ => Ok(()),
    }
}

fn read_openings(path: Option<&Path>) -> anyhow::Result<Openings> {
    match path.filter(|path| path.exists()) {
        Some(path) => Ok(Openings::load(path)?),
        None => Ok(Openings::default()),
    }
}

/// Proves with a progress bar; gives the wall time too.
pub fn with_progress(
    keyed: &Keyed,
    input: &[f32],
    options: &ProveOptions,
    console: &Console,
) -> anyhow::Result<(Proved, Duration)> {
    let bar = console.progress(Stage::ALL.len() as u64);
    bar.set_message("values");
    let start = Instant::now();
    let result = keyed.prove(input, options, &mut |stage: Stage| {
        let position = Stage::ALL.iter().position(|other| *other == stage).unwrap_or(0);
        bar.set_position(position as u64);
        bar.set_message(stage.name());
    });
    let elapsed = start.elapsed();
    bar.finish_and_clear();
    Ok((result?, elapsed))
}

/// Time by stage as a table; what is left of the total is the device's self-test and what surrounds the stages.
pub fn stages_text(proved: &Proved, total: Duration) -> String {
    let before = [("network's values", proved.witness_time()), ("key to the device", proved.upload_time())];
    let stages = proved.timings().iter().map(|timing| (timing.stage.name(), timing.duration));
    let known: Vec<(&str, Duration)> = before.into_iter().chain(stages).collect();
    let rest = total.saturating_sub(known.iter().map(|(_, time)| *time).sum());
    let row = |(name, time): (&str, Duration)| vec![format!("  {name}"), duration(time)];
    let rows: Vec<Vec<String>> =
        known.into_iter().chain([("device test", rest), ("total", total)]).map(row).collect();
    table(&["proving", ""], &rows)
}

/// Time by stage in seconds.
pub fn stages_json(timings: &[Timing]) -> Vec<Value> {
    let stage = |t: &Timing| json!({ "stage": t.stage.name(), "seconds": t.duration.as_secs_f64() });
    timings.iter().map(stage).collect()
}

/// The device in words; `auto` says why it took this one.
fn chosen(proved: &Proved, asked: &str) -> String {
    match asked {
        "auto" => format!("{}, chosen by auto ({})", proved.device(), proved.device_reason()),
        _ => proved.device().to_owned(),
    }
}

fn report(
    keyed: &Keyed,
    proved: &Proved,
    total: Duration,
    arguments: &Arguments,
    console: &Console,
) -> anyhow::Result<Outcome> {
    let insecure = is_insecure(keyed.srs_kind());
    if insecure {
        console.warn(INSECURE);
    }
    for fault in proved.faults() {
        console.warn(&format!("a device failed and its work was done again: {fault}"));
    }
    let (file, output) = (proved.file(), &arguments.output);
    let tensors = keyed.verifier().verify(file, &keyed.pin())?;
    let size = file_bytes(output);
    let text = format!(
        "{}\ndevice {}\n\neveryone who has the proof sees:\n{}\n\nwrote {} ({}, of which the proof {})",
        stages_text(proved, total),
        chosen(proved, &arguments.device.backend),
        tensors_text(&tensors),
        output.display(),
        bytes(size),
        bytes(file.bytes.len() as u64),
    );
    let json = json!({
        "proof": output, "file_bytes": size, "proof_bytes": file.bytes.len(), "key": file.key_hex(),
        "insecure_srs": insecure, "device": proved.device(), "faults": proved.faults(), "transfers": proved.transfers(),
        "seconds": total.as_secs_f64(), "witness_seconds": proved.witness_time().as_secs_f64(),
        "upload_seconds": proved.upload_time().as_secs_f64(), "stages": stages_json(proved.timings()),
        "tensors": tensors.iter().map(tensor_json).collect::<Vec<_>>(), "openings": arguments.openings,
    });
    Ok(Outcome::success(text, json))
}
