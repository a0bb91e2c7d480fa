//! Checking proofs: the verification key with what people want to read beside the integers.

use std::path::Path;

use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};
use zkloom_verifier::group::compressed;
use zkloom_verifier::{Proof, SrsKind, SrsPin, VerifyingKey, verify, verify_batch};

use crate::artifact::{Artifact, Kind, hex};
use crate::error::{Error, Result};
use crate::proof_file::ProofFile;
use crate::store::Store;

/// How a public or committed tensor is to be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorLabel {
    pub(crate) identifier: u32,
    pub(crate) name: String,
    pub(crate) shape: Vec<u32>,
    /// Real value of integer one.
    pub(crate) scale: f64,
}

impl Encode for TensorLabel {
    fn encode(&self, writer: &mut Writer) {
        self.identifier.encode(writer);
        self.name.encode(writer);
        self.shape.encode(writer);
        self.scale.to_bits().encode(writer);
    }
}

impl Decode for TensorLabel {
    fn decode(reader: &mut Reader<'_>) -> core::result::Result<Self, DecodeError> {
        Ok(Self {
            identifier: u32::decode(reader)?,
            name: String::decode(reader)?,
            shape: Vec::decode(reader)?,
            scale: f64::from_bits(u64::decode(reader)?),
        })
    }
}

/// What a proof binds of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundTensor {
    /// Identifier in the statement: 0 for the network's input, 1 for its output.
    pub identifier: u32,
    /// Name in the network.
    pub name: String,
    /// Shape without batch.
    pub shape: Vec<u32>,
    /// The values, where they are public.
    pub values: Option<PublicValues>,
    /// The commitment in hexadecimal, where it is committed.
    pub commitment: Option<String>,
}

/// Public values as integers, which the proof is about, and as the reals that they stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct PublicValues {
    /// Integers.
    pub integers: Vec<i64>,
    /// Integers times the tensor's scale.
    pub reals: Vec<f64>,
}

/// Hash of what people read beside the integers. The key is bound to it, so that nobody can exchange a name, a shape or a
/// scale and keep the key's digest.
pub(crate) fn context(network: &str, labels: &[TensorLabel], srs_kind: SrsKind) -> [u8; 32] {
    let mut writer = Writer::new();
    (srs_kind == SrsKind::Development).encode(&mut writer);
    network.to_owned().encode(&mut writer);
    labels.to_vec().encode(&mut writer);
    *blake3::hash(&writer.finish()).as_bytes()
}

impl TensorLabel {
    /// Whether it can label a tensor of so many values.
    fn fits(&self, values: u32) -> bool {
        let elements = self.shape.iter().try_fold(1_u32, |product, extent| product.checked_mul(*extent));
        elements == Some(values) && self.scale.is_finite() && self.scale > 0.0
    }
}

/// A verification key.
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(crate) key: VerifyingKey,
    pub(crate) network: String,
    pub(crate) labels: Vec<TensorLabel>,
    pub(crate) srs_kind: SrsKind,
    pub(crate) place: String,
}

impl Encode for Verifier {
    fn encode(&self, writer: &mut Writer) {
        (self.srs_kind == SrsKind::Development).encode(writer);
        self.network.encode(writer);
        self.labels.encode(writer);
        self.key.encode(writer);
    }
}

impl Decode for Verifier {
    fn decode(reader: &mut Reader<'_>) -> core::result::Result<Self, DecodeError> {
        let srs_kind = if bool::decode(reader)? { SrsKind::Development } else { SrsKind::Ceremony };
        let (network, labels) = (String::decode(reader)?, Vec::<TensorLabel>::decode(reader)?);
        let key = VerifyingKey::decode(reader)?;
        if key.context() != context(&network, &labels, srs_kind) {
            return Err(reader.invalid("names and scales are not those that the key is bound to"));
        }
        let circuit = key.circuit();
        let lengths = circuit.publics.iter().map(|p| (p.identifier, p.length));
        let mut lengths = lengths.chain(circuit.externals.iter().map(|e| (e.identifier, e.length)));
        let labelled = |(identifier, length): (u32, u32)| {
            labels.iter().any(|label| label.identifier == identifier && label.fits(length))
        };
        if !lengths.all(labelled) {
            return Err(reader.invalid("a public or committed tensor has no fitting label"));
        }
        Ok(Self { key, network, labels, srs_kind, place: "the verification key".to_owned() })
    }
}

impl Verifier {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_artifact(&path.display().to_string(), Artifact::load(path)?)
    }

    pub(crate) fn from_artifact(place: &str, artifact: Artifact) -> Result<Self> {
        let verifier: Self = artifact.expect(place, Kind::VerificationKey)?.decode(place)?;
        Ok(Self { place: place.to_owned(), ..verifier })
    }

    /// Writes a file.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.artifact().save(path)
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.artifact().to_bytes()
    }

    fn artifact(&self) -> Artifact {
        Artifact::new(Kind::VerificationKey, vec![self.key.circuit().digest()], self.to_vec())
    }

    /// The protocol's key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// Name of the network.
    pub fn network(&self) -> &str {
        &self.network
    }

    /// The SRS that this user has pinned for the key.
    pub fn pinned(&self, store: &Store) -> Result<SrsPin> {
        let identity = self.key.srs();
        let unknown = || Error::UnknownSrs { place: self.place.clone(), identity: hex(&identity) };
        store.pin(&identity)?.ok_or_else(unknown)
    }

    /// Checks a proof and gives what it binds. The pin must come from the verifier's own trust, never with the proof.
    pub fn verify(&self, proof: &ProofFile, pin: &SrsPin) -> Result<Vec<BoundTensor>> {
        let decoded = self.decode_proof(proof)?;
        verify(&self.key, pin, &proof.statement, &decoded)?;
        Ok(self.bound(proof))
    }

    /// Checks many proofs with one pairing equation and gives what each binds. An error that names none of them says that at
    /// least one is wrong; [`Verifier::verify`] tells which.
    pub fn verify_batch(&self, proofs: &[ProofFile], pin: &SrsPin) -> Result<Vec<Vec<BoundTensor>>> {
        let decoded: Vec<Proof> =
            proofs.iter().map(|proof| self.decode_proof(proof)).collect::<Result<_>>()?;
        let pairs = proofs.iter().zip(&decoded);
        let batch: Vec<_> = pairs.map(|(file, proof)| (&self.key, &file.statement, proof)).collect();
        verify_batch(pin, &batch)?;
        Ok(proofs.iter().map(|proof| self.bound(proof)).collect())
    }

    fn decode_proof(&self, proof: &ProofFile) -> Result<Proof> {
        if proof.key == self.key.digest() {
            return Ok(Proof::from_bytes(&self.key, &proof.bytes)?);
        }
        Err(Error::Mixed {
            first: proof.place.clone(),
            second: self.place.clone(),
            what: "the verification key",
            wanted: proof.key_hex(),
            found: hex(&self.key.digest()),
        })
    }

    /// The statement's tensors with their labels.
    fn bound(&self, proof: &ProofFile) -> Vec<BoundTensor> {
        let circuit = self.key.circuit();
        let label = |identifier: u32, name: &str| {
            let found = self.labels.iter().find(|label| label.identifier == identifier).cloned();
            found.unwrap_or_else(|| TensorLabel {
                identifier,
                name: name.to_owned(),
                shape: Vec::new(),
                scale: 1.0,
            })
        };
        let publics = circuit.publics.iter().zip(&proof.statement.publics).map(|(public, integers)| {
            let TensorLabel { identifier, name, shape, scale } = label(public.identifier, &public.name);
            let reals = integers.iter().map(|value| *value as f64 * scale).collect();
            let values = Some(PublicValues { integers: integers.clone(), reals });
            BoundTensor { identifier, name, shape, values, commitment: None }
        });
        let externals = circuit.externals.iter().zip(&proof.statement.externals).map(|(external, point)| {
            let TensorLabel { identifier, name, shape, .. } = label(external.identifier, &external.name);
            BoundTensor { identifier, name, shape, values: None, commitment: Some(hex(&compressed(point))) }
        });
        publics.chain(externals).collect()
    }
}
