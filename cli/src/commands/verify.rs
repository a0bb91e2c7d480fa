//! `zkloom verify`: check proofs and print what they bind.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use zkloom::store::Store;
use zkloom::{BoundTensor, ProofFile, Srs, SrsPin, Verifier};

use super::{INSECURE, describe_pin, is_insecure, tensor_json, tensors_text};
use crate::console::{Console, Outcome};
use crate::exit::Failure;
use crate::text::duration;

/// Options of `zkloom verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  zkloom verify --key keys/verification.key --proof digit.proof")]
pub struct Arguments {
    /// Verification key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Proof; several are checked together
    #[arg(long, value_name = "PROOF", required = true, num_args = 1..)]
    proof: Vec<PathBuf>,
    /// SRS or pin file to trust this once; by default what `zkloom srs` pinned
    #[arg(long, value_name = "FILE")]
    srs: Option<PathBuf>,
}

/// Verifies and prints what the proofs bind.
pub fn run(arguments: &Arguments, console: &Console) -> anyhow::Result<Outcome> {
    let verifier = Verifier::load(&arguments.key)?;
    let proofs: Vec<ProofFile> =
        arguments.proof.iter().map(|path| ProofFile::load(path)).collect::<zkloom::Result<_>>()?;
    let pin = match &arguments.srs {
        Some(path) => Srs::load_pin(path)?,
        None => verifier.pinned(&Store::from_environment()?)?,
    };
    let start = Instant::now();
    let bound = check(&verifier, &proofs, &pin)?;
    let elapsed = start.elapsed();
    let insecure = is_insecure(pin.kind);
    if insecure {
        console.warn(INSECURE);
    }
    let mut text = String::new();
    for (proof, tensors) in proofs.iter().zip(&bound) {
        text += &format!("{} is valid and binds\n{}\n", proof.place, tensors_text(tensors));
    }
    text += &format!("network {}, verified in {}", verifier.network(), duration(elapsed));
    if insecure {
        text += "\nINSECURE: made with a development SRS";
    }
    let list: Vec<_> = proofs
        .iter()
        .zip(&bound)
        .map(|(proof, tensors)| {
            json!({ "file": proof.place, "tensors": tensors.iter().map(tensor_json).collect::<Vec<_>>() })
        })
        .collect();
    let json = json!({
        "valid": true, "insecure_srs": insecure, "srs": describe_pin(&pin), "network": verifier.network(),
        "proofs": list, "seconds": elapsed.as_secs_f64(),
    });
    Ok(Outcome::success(text, json))
}

/// What each proof binds, if all are valid; otherwise an error that names those that are not.
fn check(verifier: &Verifier, proofs: &[ProofFile], pin: &SrsPin) -> anyhow::Result<Vec<Vec<BoundTensor>>> {
    if let [proof] = proofs {
        return Ok(vec![verifier.verify(proof, pin).with_context(|| proof.place.clone())?]);
    }
    match verifier.verify_batch(proofs, pin) {
        Ok(bound) => return Ok(bound),
        Err(error @ zkloom::Error::Verify(_)) => tracing::debug!("batch: {error}"),
        Err(error) => return Err(error.into()),
    }
    let mut wrong = Vec::new();
    for proof in proofs {
        match verifier.verify(proof, pin) {
            Ok(_) => {}
            Err(zkloom::Error::Verify(error)) => wrong.push(format!("{}: {error}", proof.place)),
            Err(error) => return Err(error.into()),
        }
    }
    let (count, all) = (wrong.len(), proofs.len());
    Err(Failure::invalid(format!("{count} of {all} proofs are not valid: {}", wrong.join("; "))).into())
}
