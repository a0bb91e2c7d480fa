//! `zkloom audit`: what a verification key's fixed columns say, checked without knowing any weight.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use zkloom::audit::TableReport;
use zkloom::store::Store;
use zkloom::{Audited, Description, Srs, Verifier};

use super::compile::report_text;
use super::{INSECURE, describe_pin};
use crate::console::{Console, Outcome};
use crate::text::{duration, table};

/// What was checked, in the order of the checks.
const CHECKED: [&str; 5] = [
    "the description is of the key's circuit and network",
    "circuit, tables, selectors and tags are what zkLoom's compiler makes of the architecture below",
    "the SRS is the key's, and its points are the powers and Lagrange points of its tau",
    "the key commits to exactly the described fixed columns",
    "the key commits to the compiler's own matrices, which count for the index of the largest element",
];

/// What then holds.
const HOLDS: &str = "One key, one function: if the weights' rows that the key commits to are no longer than their matrices, \
    two proofs under this key with the same input have the same output, and the function is a network of the architecture above \
    (all of it, geometry and functions value by value, with --architecture). Intervals that the maker states too narrow refuse \
    inputs; they never give another output.";

/// What an audit cannot see.
const OPEN: &str = "Not checked: the weights. Their rows remain what the key maker committed to; that these are no longer than \
    their matrices, and small enough for the intervals above, is the key maker's word.";

/// The same for public weights.
const OPEN_PUBLIC: &str = "Not checked: the weights. They are public: whoever has the circuit file and this SRS can run setup \
    with the same transcript and compare the key's digest.";

/// Options of `zkloom audit`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  zkloom audit --key keys/verification.key --description keys/circuit.public --srs ceremony.srs"
)]
pub struct Arguments {
    /// Verification key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// circuit.public, which `zkloom setup` wrote beside the key
    #[arg(long, value_name = "FILE")]
    description: PathBuf,
    /// SRS that the key was made with, whole: `zkloom srs import` makes it from the ceremony's file
    #[arg(long, value_name = "FILE")]
    srs: PathBuf,
    /// Write the whole architecture as JSON: what each layer reads, its geometry, functions value by value, stated intervals
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    /// Device: auto, cpu, cuda, icicle or wgpu (`zkloom doctor` lists them); one that can't be used is an error, never replaced
    #[arg(long, default_value = "auto", value_name = "NAME")]
    backend: String,
}

/// Audits and tells what then holds.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    let verifier = Verifier::load(&arguments.key)?;
    let description = Description::load(&arguments.description)?;
    let mut srs = Srs::load(&arguments.srs)?;
    verifier.check_srs(&srs).with_context(|| arguments.srs.display().to_string())?;
    let start = Instant::now();
    console.note("preparing the SRS for the circuit's rows");
    srs.ensure_lagrange(verifier.key().circuit().log_rows, Store::from_environment().ok().as_ref())
        .with_context(|| arguments.srs.display().to_string())?;
    console.note("making the commitments again");
    let key = arguments.key.display();
    let audited = verifier.audit(&description, &srs, &arguments.backend).with_context(|| key.to_string())?;
    let elapsed = start.elapsed();
    if let Some(path) = &arguments.architecture {
        zkloom::files::write_atomic(path, description.architecture_json().as_bytes(), false)?;
    }
    if audited.insecure_srs {
        console.warn(INSECURE);
    }
    let mut text = format!("{key} passes\n{}", outline(&audited));
    text += &format!("\naudited in {}", duration(elapsed));
    if audited.insecure_srs {
        text += "\nINSECURE: made with a development SRS";
    }
    let json = json!({
        "passes": true, "checked": CHECKED, "holds": HOLDS, "open": open(&audited), "audit": audited,
        "srs": describe_pin(&srs.pin()), "insecure_srs": audited.insecure_srs, "seconds": elapsed.as_secs_f64(),
    });
    Ok(Outcome::success(text, json))
}

fn open(audited: &Audited) -> &'static str {
    if audited.public_weights { OPEN_PUBLIC } else { OPEN }
}

/// Checks, architecture, tables, and what holds.
fn outline(audited: &Audited) -> String {
    let checks: Vec<String> = CHECKED.iter().map(|check| format!("  checked: {check}")).collect();
    let row = |found: &TableReport| {
        let interval = format!("{}..{}", found.min, found.max);
        vec![found.tag.to_string(), found.function.clone(), interval, found.rows.to_string()]
    };
    let tables: Vec<_> = audited.tables.iter().map(row).collect();
    format!(
        "{}\n\nnetwork {}, key {}\n{}\n\n{}\n\n{HOLDS}\n{}",
        checks.join("\n"),
        audited.network,
        audited.key,
        report_text(&audited.architecture),
        table(&["table", "function", "interval", "rows"], &tables),
        open(audited),
    )
}
