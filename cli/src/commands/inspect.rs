//! `zkloom inspect`: what a file is.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use zkloom::inspect::inspect;

use crate::console::Outcome;
use crate::text::outline;

/// Options of `zkloom inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  zkloom inspect keys/verification.key")]
pub struct Arguments {
    /// Any file that zkloom wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Describes the file. Secrets are not shown; a proof's values are shown as unverified.
pub fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let description = inspect(&arguments.file)?;
    let json = json!(description);
    Ok(Outcome::success(outline(&json), json))
}
