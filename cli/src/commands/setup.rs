//! `zkloom setup`: the keys of a circuit.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::json;
use zkloom::artifact::hex;
use zkloom::files::make_folder;
use zkloom::store::Store;
use zkloom::{Compiled, HashKind, Keyed, SetupOptions, Srs};

use super::{INSECURE, describe_pin, file_bytes};
use crate::args::Device;
use crate::console::{Console, Outcome};
use crate::text::{bytes, duration};

/// Options of `zkloom setup`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  zkloom setup digits.circuit --srs ceremony.srs -o keys")]
pub struct Arguments {
    /// Circuit that `zkloom compile` made
    #[arg(value_name = "CIRCUIT")]
    circuit: PathBuf,
    /// SRS that `zkloom srs import` or `zkloom srs dev` made; without it a development one is made and cached
    #[arg(long, value_name = "FILE")]
    srs: Option<PathBuf>,
    /// Folder for proving.key, verification.key, srs.pin and circuit.public; it is made if missing
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Hash of the transcripts
    #[arg(long, value_enum, default_value = "keccak")]
    transcript: Transcript,
    /// Device.
    #[command(flatten)]
    device: Device,
}

/// Hash of the transcripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transcript {
    /// Keccak-256, cheap on Ethereum-like chains
    Keccak,
    /// Blake3, fast everywhere else
    Blake3,
}

impl From<Transcript> for HashKind {
    fn from(transcript: Transcript) -> Self {
        match transcript {
            Transcript::Keccak => Self::Keccak256,
            Transcript::Blake3 => Self::Blake3,
        }
    }
}

/// Makes the keys and writes them.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    let compiled = Compiled::load(&arguments.circuit)?;
    let store = Store::from_environment()?;
    let start = Instant::now();
    let (srs, made) = obtain_srs(&compiled, arguments.srs.as_deref(), &store, console)?;
    let srs_time = start.elapsed();
    if srs.is_insecure() {
        console.warn(INSECURE);
    }
    console.note("making the keys");
    let options = SetupOptions {
        hash: arguments.transcript.into(),
        backend: arguments.device.backend.clone(),
        threads: arguments.device.threads(),
    };
    let start = Instant::now();
    let keyed = compiled.setup(&srs, &options)?;
    let key_time = start.elapsed();
    let paths = write(&keyed, &arguments.output)?;
    let trusted = store.pin(&keyed.pin().identity())?.is_some();
    let sizes = paths.each_ref().map(|path| file_bytes(path));
    let [proving, verification, pin, description] = &paths;
    let hint = if trusted { "" } else { "\nverify does not trust this SRS yet: zkloom srs trust FILE" };
    let text = format!(
        "wrote {} ({}; keep it: it holds the weights)\nwrote {} ({})\nwrote {} (for verifiers who decide to trust this SRS)\n\
         wrote {} (for audits; no weights in it)\nSRS {}, keys {}{hint}",
        proving.display(),
        bytes(sizes[0]),
        verification.display(),
        bytes(sizes[1]),
        pin.display(),
        description.display(),
        duration(srs_time),
        duration(key_time),
    );
    let verifier = keyed.verifier();
    let json = json!({
        "proving_key": proving, "proving_key_bytes": sizes[0],
        "verification_key": verification, "verification_key_bytes": sizes[1],
        "srs_pin": pin, "description": description, "srs": describe_pin(&keyed.pin()), "srs_made": made, "srs_trusted": trusted,
        "insecure_srs": srs.is_insecure(),
        "circuit": hex(&verifier.key().circuit().digest()), "key": hex(&verifier.key().digest()),
        "seconds": { "srs": srs_time.as_secs_f64(), "keys": key_time.as_secs_f64() },
    });
    Ok(Outcome::success(text, json))
}

/// The given SRS with the circuit's Lagrange points, or the cached development one; tells whether that was made just now.
fn obtain_srs(
    compiled: &Compiled,
    given: Option<&Path>,
    store: &Store,
    console: &Console,
) -> anyhow::Result<(Srs, bool)> {
    if let Some(path) = given {
        let mut srs = Srs::load(path)?;
        console.note("preparing the SRS for the circuit's rows");
        srs.ensure_lagrange(compiled.report().shape.log_rows, Some(store))
            .with_context(|| path.display().to_string())?;
        return Ok((srs, false));
    }
    let log_size = compiled.srs_log_size();
    console.note(&format!("no --srs: using a development SRS of log size {log_size}"));
    let (srs, made) = Srs::cached_development(store, log_size)?;
    store.trust(&srs.pin())?;
    Ok((srs, made))
}

/// Writes the four files.
fn write(keyed: &Keyed, folder: &Path) -> anyhow::Result<[PathBuf; 4]> {
    let folder = make_folder(folder)?;
    let paths =
        ["proving.key", "verification.key", "srs.pin", "circuit.public"].map(|name| folder.join(name));
    keyed.save(&paths[0])?;
    keyed.verifier().save(&paths[1])?;
    Srs::save_pin(&keyed.pin(), &paths[2])?;
    keyed.description().save(&paths[3])?;
    Ok(paths)
}
