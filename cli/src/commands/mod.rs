//! One file for each command: its arguments and what it does.

pub mod audit;
pub mod bench;
pub mod compile;
pub mod demo;
pub mod doctor;
pub mod inspect;
pub mod optimise;
pub mod plan;
pub mod prove;
pub mod report;
pub mod run;
pub mod setup;
pub mod srs;
pub mod verify;

use std::path::Path;

use serde_json::{Value, json};
use zkloom::artifact::hex;
use zkloom::{BoundTensor, SrsKind, SrsPin};

use crate::args::Command;
use crate::console::{Console, Outcome};
use crate::exit::Failure;
use crate::text::list;

/// Identifier of the network's output in statements.
const OUTPUT: u32 = 1;

/// What a development SRS means, for warnings.
pub const INSECURE: &str = "DEVELOPMENT SRS: whoever made it can forge proofs and open commitments to other values. For tests only. \
    For anything real import a public ceremony's file: zkloom srs import FILE.ptau";

/// Runs a command.
pub fn run(command: &Command, console: &Console) -> anyhow::Result<Outcome> {
    match command {
        Command::Compile(arguments) => compile::run(arguments, console),
        Command::Optimise(arguments) => optimise::run(arguments, console),
        Command::Report(arguments) => report::run(arguments, console),
        Command::Srs(command) => srs::run(command, console),
        Command::Setup(arguments) => setup::run(arguments, console),
        Command::Prove(arguments) => prove::run(arguments, console),
        Command::Verify(arguments) => verify::run(arguments, console),
        Command::Audit(arguments) => audit::run(arguments, console),
        Command::Run(arguments) => run::run(arguments, console),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Plan(arguments) => plan::run(arguments, console),
        Command::Bench(arguments) => bench::run(arguments, console),
        Command::Doctor => doctor::run(),
        Command::Demo(arguments) => demo::run(arguments, console),
    }
}

/// Checks, before any work is done, that a file can be made at a path.
fn check_output(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let message = if path.is_dir() {
        format!("{} is a folder; give the name of a file", path.display())
    } else if !folder.exists() {
        format!(
            "{} cannot be written: the folder {} does not exist; make it first",
            path.display(),
            folder.display()
        )
    } else if !folder.is_dir() {
        format!("{} cannot be written: {} is not a folder", path.display(), folder.display())
    } else {
        return Ok(());
    };
    Err(Failure::file("output", message))
}

/// Size of a file that was just written.
fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |data| data.len())
}

fn is_insecure(kind: SrsKind) -> bool {
    kind == SrsKind::Development
}

fn describe_pin(pin: &SrsPin) -> Value {
    let origin = if is_insecure(pin.kind) { "development" } else { "ceremony" };
    json!({ "identity": hex(&pin.identity()), "origin": origin, "insecure": is_insecure(pin.kind) })
}

/// Index of the largest value, the first among equals: the class that logits name.
fn class(tensor: &BoundTensor) -> Option<usize> {
    let values = tensor.values.as_ref().filter(|_| tensor.identifier == OUTPUT)?;
    let best = values.integers.iter().copied().max().filter(|_| values.integers.len() > 1)?;
    values.integers.iter().position(|value| *value == best)
}

/// What a proof binds of a tensor, for programs.
fn tensor_json(tensor: &BoundTensor) -> Value {
    let values = tensor.values.as_ref();
    json!({
        "identifier": tensor.identifier,
        "name": tensor.name,
        "shape": tensor.shape,
        "visibility": if values.is_some() { "public" } else { "committed" },
        "integers": values.map(|values| &values.integers),
        "reals": values.map(|values| &values.reals),
        "class": class(tensor),
        "commitment": tensor.commitment,
    })
}

/// What a proof binds of a tensor, for people.
fn tensor_text(tensor: &BoundTensor) -> String {
    let BoundTensor { name, shape, values, commitment, .. } = tensor;
    let mut lines = vec![format!("{name} {shape:?}:")];
    if let Some(values) = values {
        lines.push(format!("  integers: {}", list(&values.integers, i64::to_string)));
        lines.push(format!("  reals:    {}", list(&values.reals, |value| format!("{value:.4}"))));
    }
    if let Some(class) = class(tensor) {
        lines.push(format!("  largest at index {class}"));
    }
    if let Some(commitment) = commitment {
        lines.push(format!("  commitment: {commitment}"));
    }
    lines.join("\n")
}

fn tensors_text(tensors: &[BoundTensor]) -> String {
    if tensors.is_empty() {
        return "no tensor: input and output are private".to_owned();
    }
    tensors.iter().map(tensor_text).collect::<Vec<_>>().join("\n")
}
