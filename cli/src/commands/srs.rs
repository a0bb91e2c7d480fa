//! `zkloom srs`: structured reference strings.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};
use zkloom::store::Store;
use zkloom::{Artifact, Kind, Srs, SrsPin};

use super::{INSECURE, check_output, describe_pin, file_bytes, is_insecure};
use crate::console::{Console, Outcome};
use crate::text::{bytes, duration, outline};

/// The subcommands of `zkloom srs`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read and check a powers-of-tau file of snarkjs
    #[command(after_help = "Example:\n  zkloom srs import powersOfTau28_hez_final_12.ptau -o ceremony.srs")]
    Import {
        /// File of snarkjs
        #[arg(value_name = "FILE.ptau")]
        file: PathBuf,
        /// File to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Keep at most about 2^K powers
        #[arg(long, value_name = "K", default_value_t = 22, value_parser = clap::value_parser!(u32).range(3..=28))]
        max_log_size: u32,
    },
    /// Make an insecure one, for tests only: this machine knows its secret
    #[command(after_help = "Example:\n  zkloom srs dev --log-size 12 -o dev.srs")]
    Dev {
        /// Number of powers of tau, as log2
        #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(3..=26))]
        log_size: u32,
        /// File to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
    /// Describe an SRS or the pin of one
    #[command(after_help = "Example:\n  zkloom srs info ceremony.srs")]
    Info {
        /// SRS or pin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Trust an SRS: verify accepts keys made with it from now on
    #[command(after_help = "Example:\n  zkloom srs trust keys/srs.pin")]
    Trust {
        /// SRS or pin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Runs a subcommand.
pub fn run(command: &Command, console: &Console) -> anyhow::Result<Outcome> {
    match command {
        Command::Import { file, output, max_log_size } => {
            check_output(output)?;
            console.note("reading and checking the powers of tau");
            let start = Instant::now();
            let srs = Srs::import_ptau(file, *max_log_size).with_context(|| file.display().to_string())?;
            keep(&srs, output, start, console)
        }
        Command::Dev { log_size, output } => {
            check_output(output)?;
            let start = Instant::now();
            let srs = Srs::development(*log_size)?;
            keep(&srs, output, start, console)
        }
        Command::Info { file } => info(file, console),
        Command::Trust { file } => trust(file, console),
    }
}

fn describe(srs: &Srs) -> Value {
    let mut value = describe_pin(&srs.pin());
    value["powers"] = json!(srs.powers());
    value["largest_log_rows"] = json!(srs.powers().ilog2());
    value["lagrange_log_sizes"] = json!(srs.lagrange_sizes());
    value
}

/// Writes and pins an SRS that was just made or checked.
fn keep(srs: &Srs, output: &Path, start: Instant, console: &Console) -> anyhow::Result<Outcome> {
    let elapsed = start.elapsed();
    srs.save(output)?;
    let pin = Store::from_environment()?.trust(&srs.pin())?;
    if srs.is_insecure() {
        console.warn(INSECURE);
    }
    let mut json = describe(srs);
    json["file"] = json!(output);
    json["file_bytes"] = json!(file_bytes(output));
    json["pinned"] = json!(pin);
    json["seconds"] = json!(elapsed.as_secs_f64());
    let text = format!(
        "{}\nwrote {} ({}) in {}\nverify trusts it from now on: {}",
        outline(&describe(srs)),
        output.display(),
        bytes(file_bytes(output)),
        duration(elapsed),
        pin.display()
    );
    Ok(Outcome::success(text, json))
}

fn warn_if_insecure(pin: &SrsPin, console: &Console) {
    if is_insecure(pin.kind) {
        console.warn(INSECURE);
    }
}

fn info(file: &Path, console: &Console) -> anyhow::Result<Outcome> {
    let (pin, mut json) = if Artifact::load(file)?.kind == Kind::SrsPin {
        let pin = Srs::load_pin(file)?;
        let value = describe_pin(&pin);
        (pin, value)
    } else {
        let srs = Srs::load(file)?;
        (srs.pin(), describe(&srs))
    };
    warn_if_insecure(&pin, console);
    json["trusted_here"] = json!(Store::from_environment()?.pin(&pin.identity())?.is_some());
    Ok(Outcome::success(outline(&json), json))
}

fn trust(file: &Path, console: &Console) -> anyhow::Result<Outcome> {
    let pin = Srs::load_pin(file)?;
    warn_if_insecure(&pin, console);
    let path = Store::from_environment()?.trust(&pin)?;
    let mut json = describe_pin(&pin);
    let text = format!("{}\nverify trusts it from now on: {}", outline(&json), path.display());
    json["pinned"] = json!(path);
    Ok(Outcome::success(text, json))
}
