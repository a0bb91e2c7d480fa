//! What a file is, without using it.

use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use zkloom_verifier::group::compressed;
use zkloom_verifier::{SrsKind, SrsPin};

use crate::artifact::{Artifact, FORMAT_VERSION, Kind, hex};
use crate::error::{Error, Result};
use crate::openings::Openings;
use crate::proof_file::ProofFile;
use crate::session::{Compiled, Keyed};
use crate::verifier::Verifier;

/// A description of a file.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// What it is.
    pub kind: &'static str,
    /// Version of the format.
    pub format_version: u32,
    /// Blake3 of the file.
    pub digest: String,
    /// Digests of what it was made from.
    pub parents: Vec<String>,
    /// Bytes of the content.
    pub bytes: usize,
    /// Whether it holds secrets.
    pub private: bool,
    /// What it says, kind by kind.
    pub content: Value,
}

fn security(kind: SrsKind) -> &'static str {
    match kind {
        SrsKind::Ceremony => "ceremony",
        SrsKind::Development => "development (insecure)",
    }
}

/// Reads and describes a file. Secrets are named, not shown; a proof's values are shown as unverified.
pub fn inspect(path: &Path) -> Result<Description> {
    let place = path.display().to_string();
    let artifact = Artifact::load(path)?;
    let content = match artifact.kind {
        Kind::Circuit => {
            let compiled: Compiled = artifact.decode(&place)?;
            let report = serde_json::to_value(compiled.report()).map_err(|e| Error::Option(e.to_string()))?;
            let quantisation: Value =
                serde_json::from_str(compiled.quantisation_json()).unwrap_or(Value::Null);
            json!({ "report": report, "quantisation": quantisation })
        }
        Kind::ProvingKey => {
            let keyed: Keyed = artifact.decode(&place)?;
            json!({ "verification_key": verifier(&keyed.verifier()), "srs": security(keyed.srs_kind()) })
        }
        Kind::VerificationKey => verifier(&Verifier::from_artifact(&place, artifact.clone())?),
        Kind::Proof => {
            let proof = ProofFile::load(path)?;
            let externals: Vec<String> =
                proof.statement.externals.iter().map(|p| hex(&compressed(p))).collect();
            json!({
                "key": proof.key_hex(), "srs": security(proof.srs_kind), "proof_bytes": proof.bytes.len(),
                "unverified_public_values": proof.statement.publics, "unverified_commitments": externals,
            })
        }
        Kind::Srs => {
            let srs: zkloom_prover::Srs = artifact.decode(&place)?;
            let sizes: Vec<u32> = srs.lagrange_sizes().collect();
            json!({ "pin": pin(srs.pin()), "powers": srs.powers().len(), "lagrange_log_sizes": sizes })
        }
        Kind::SrsPin => pin(&artifact.decode(&place)?),
        Kind::Lagrange => json!({}),
        Kind::Description => {
            let report = crate::audit::Description::from_artifact(&place, &artifact)?.report();
            json!({ "unaudited_report": serde_json::to_value(report).map_err(|e| Error::Option(e.to_string()))? })
        }
        Kind::Openings => {
            let openings: Openings = artifact.decode(&place)?;
            json!({ "tensors": openings.entries.iter().map(|entry| entry.identifier).collect::<Vec<_>>() })
        }
    };
    Ok(Description {
        kind: artifact.kind.name(),
        format_version: FORMAT_VERSION,
        digest: hex(&artifact.digest),
        parents: artifact.parents.iter().map(|parent| hex(parent)).collect(),
        bytes: artifact.content.len(),
        private: artifact.kind.is_private(),
        content,
    })
}

fn pin(pin: &SrsPin) -> Value {
    json!({ "identity": hex(&pin.identity()), "origin": security(pin.kind) })
}

fn verifier(verifier: &Verifier) -> Value {
    let (key, circuit) = (verifier.key(), verifier.key().circuit());
    let cost = circuit.cost();
    let matrices: Vec<Value> = circuit
        .matrices
        .iter()
        .map(|m| json!({ "name": m.name, "rows": m.rows, "columns": m.columns, "public": m.public }))
        .collect();
    let publics: Vec<Value> = circuit
        .publics
        .iter()
        .map(|p| json!({ "name": p.name, "length": p.length, "min": p.interval.min, "max": p.interval.max }))
        .collect();
    let externals: Vec<Value> =
        circuit.externals.iter().map(|e| json!({ "name": e.name, "length": e.length })).collect();
    json!({
        "network": verifier.network(), "digest": hex(&key.digest()), "circuit": hex(&circuit.digest()),
        "srs_identity": hex(&key.srs()), "srs": security(verifier.srs_kind), "transcript": key.hash().protocol(),
        "log_rows": cost.log_rows, "tensor_columns": cost.tensor_columns, "lookups": cost.lookups,
        "table_sets": cost.table_sets, "matrices": matrices, "public_tensors": publics,
        "committed_tensors": externals, "proof_bytes": zkloom_verifier::Proof::encoded_length(circuit),
    })
}
