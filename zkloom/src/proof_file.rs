//! Proofs on disk: the proof's bytes and the statement that it is about.

use std::path::Path;

use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};
use zkloom_verifier::group::{read_points, write_points};
use zkloom_verifier::{SrsKind, Statement};

use crate::artifact::{Artifact, Kind, hex};
use crate::error::{Error, Result};

/// A proof with its statement. The values are bound by the proof once it is verified, not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// Digest of the verification key that it is for.
    pub key: [u8; 32],
    /// Whether it was made with a development SRS.
    pub srs_kind: SrsKind,
    /// Public values and external commitments.
    pub statement: Statement,
    /// The proof, as [`zkloom_verifier::Proof::to_bytes`] writes it.
    pub bytes: Vec<u8>,
    /// Where it was read from, for messages.
    pub place: String,
}

struct Content {
    insecure: bool,
    statement: Statement,
    bytes: Vec<u8>,
}

impl Encode for Content {
    fn encode(&self, writer: &mut Writer) {
        self.insecure.encode(writer);
        self.statement.publics.encode(writer);
        write_points(writer, &self.statement.externals);
        (self.bytes.len() as u32).encode(writer);
        writer.raw(&self.bytes);
    }
}

impl Decode for Content {
    fn decode(reader: &mut Reader<'_>) -> core::result::Result<Self, DecodeError> {
        let insecure = bool::decode(reader)?;
        let statement = Statement { publics: Vec::decode(reader)?, externals: read_points(reader)? };
        let length = u32::decode(reader)? as usize;
        Ok(Self { insecure, statement, bytes: reader.raw(length)?.to_vec() })
    }
}

impl ProofFile {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.artifact().to_bytes()
    }

    fn artifact(&self) -> Artifact {
        let content = Content {
            insecure: self.srs_kind == SrsKind::Development,
            statement: self.statement.clone(),
            bytes: self.bytes.clone(),
        };
        Artifact::new(Kind::Proof, vec![self.key], content.to_vec())
    }

    /// Reads the file's bytes; `place` names them in messages.
    pub fn from_bytes(place: &str, bytes: &[u8]) -> Result<Self> {
        Self::from_artifact(place, Artifact::from_bytes(place, bytes)?)
    }

    fn from_artifact(place: &str, artifact: Artifact) -> Result<Self> {
        let artifact = artifact.expect(place, Kind::Proof)?;
        let content: Content = artifact.decode(place)?;
        let [key] = artifact.parents[..] else {
            return Err(Error::Damaged { place: place.to_owned(), reason: "it names no key".to_owned() });
        };
        let srs_kind = if content.insecure { SrsKind::Development } else { SrsKind::Ceremony };
        Ok(Self {
            key,
            srs_kind,
            statement: content.statement,
            bytes: content.bytes,
            place: place.to_owned(),
        })
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_artifact(&path.display().to_string(), Artifact::load(path)?)
    }

    /// Writes the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.artifact().save(path)
    }

    /// The key's digest in hexadecimal.
    pub fn key_hex(&self) -> String {
        hex(&self.key)
    }
}
