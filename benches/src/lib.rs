//! Benchmarks of zkLoom: the networks that they measure and the record that they write.
//!
//! `cargo bench -p zkloom-benches --bench operations` measures a device's operations, `--bench stages` the stages of the
//! bundled digits network, `--bench growth` how cost grows with weights, `--bench ladder` convolutional networks. The last two
//! print a table and, with `-- --record FILE`, write a record with machine, commit and command (FILE from the folder `benches/`: `records/NAME.json`).

#![forbid(unsafe_code)]

pub mod measure;

use std::error::Error;
use std::process::Command;

use serde::Serialize;
use zkloom::{
    CompileOptions, Compiled, Dataset, FloatGraph, FloatMatrix, Imported, Keyed, QuantisationOptions,
    SetupOptions, Srs,
};

/// What a benchmark's helper gives.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Folder of the bundled networks and data.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

/// Small pseudo-random numbers in -1..1, the same on every machine.
pub fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
    })
}

/// The bundled digits network, compiled with private input and weights.
pub fn digits() -> Result<(Compiled, Dataset)> {
    let calibration = Dataset::load(format!("{FIXTURES}/digits-calibration.npz"))?;
    let imported = Imported::from_file(format!("{FIXTURES}/digits-mlp.onnx"))?;
    let quantised = imported.quantise(&calibration, &QuantisationOptions::default())?;
    Ok((quantised.compile(&CompileOptions::default())?, calibration))
}

/// A dense network with the given widths and random weights, scaled so that activations keep their size.
pub fn dense(widths: &[usize]) -> Result<(Compiled, Vec<f32>)> {
    let mut layers = Vec::new();
    for (index, pair) in widths.windows(2).enumerate() {
        let (columns, rows) = (pair[0], pair[1]);
        let scale = (6.0 / columns as f32).sqrt();
        let values = noise(index as u64 + 1).map(|v| v * scale).take(rows * columns).collect();
        layers.push((FloatMatrix { rows, columns, values }, vec![0.0; rows]));
    }
    let samples = 16;
    let input: Vec<f32> = noise(99).map(f32::abs).take(samples * widths[0]).collect();
    let first = input[..widths[0]].to_vec();
    let calibration = Dataset::new(vec![samples, widths[0]], input, None)?;
    let name: Vec<String> = widths.iter().map(ToString::to_string).collect();
    let graph = FloatGraph::dense(&name.join("-"), layers)?;
    let quantised = Imported::from_graph(graph).quantise(&calibration, &QuantisationOptions::default())?;
    Ok((quantised.compile(&CompileOptions::default())?, first))
}

/// Keys under a development SRS.
pub fn keys(compiled: &Compiled) -> Result<Keyed> {
    Ok(compiled.setup(&Srs::development(compiled.srs_log_size())?, &SetupOptions::default())?)
}

/// Where and on what a record was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Threads that the process may use.
    pub threads: usize,
    /// Commit, with a plus sign where the tree had changes.
    pub commit: String,
    /// The command.
    pub command: String,
}

/// This process's command line, the program by its name alone.
fn command() -> String {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    let name = program.rsplit('/').next().and_then(|file| file.rsplit_once('-')).map_or("", |(name, _)| name);
    let rest: Vec<String> = arguments.filter(|argument| argument != "--bench").collect();
    format!("cargo bench -p zkloom-benches --bench {name} -- {}", rest.join(" "))
}

impl Machine {
    /// Reads this machine.
    pub fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find(|line| line.starts_with("model name"))
            .and_then(|line| line.split(':').nth(1));
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
            output.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
        };
        let changed = if git(&["status", "--porcelain"]).is_empty() { "" } else { "+" };
        Self {
            cpu: model.map_or("unknown", str::trim).to_owned(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            commit: format!("{}{changed}", git(&["rev-parse", "--short", "HEAD"])),
            command: command(),
        }
    }
}

/// The value after a flag on this process's command line.
pub fn option(flag: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != flag);
    arguments.nth(1)
}

/// Peak resident memory of this process in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
