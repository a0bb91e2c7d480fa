//! The container of every file that zkLoom writes: magic, kind, format version, digests of the files it was made from,
//! content, and a Blake3 digest of all that.

use std::path::Path;

use zkloom_plonkish::{Decode, DecodeError, Reader, Writer};

pub use zkloom_plonkish::Encode;

use crate::content::Content;
use crate::error::{Error, Result};
use crate::files;

const MAGIC: [u8; 8] = *b"zkLoom\r\n";
/// Version of the files' format.
pub const FORMAT_VERSION: u32 = 1;
const DIGEST_BYTES: usize = 32;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A compiled network, with its weights.
    Circuit,
    /// A proving key, with weights and the part of the SRS that it needs.
    ProvingKey,
    /// A verification key.
    VerificationKey,
    /// A proof with its public values.
    Proof,
    /// A structured reference string.
    Srs,
    /// The verifier's part of an SRS.
    SrsPin,
    /// Lagrange points of an SRS.
    Lagrange,
    /// Openings of committed tensors: secret.
    Openings,
    /// What a compiled network shows to everyone: circuit, fixed values and layout, no weights.
    Description,
}

impl Kind {
    /// Files hold places in this list: append only.
    const ALL: [Self; 9] = [
        Self::Circuit,
        Self::ProvingKey,
        Self::VerificationKey,
        Self::Proof,
        Self::Srs,
        Self::SrsPin,
        Self::Lagrange,
        Self::Openings,
        Self::Description,
    ];

    /// Name for people and machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Circuit => "circuit",
            Self::ProvingKey => "proving key",
            Self::VerificationKey => "verification key",
            Self::Proof => "proof",
            Self::Srs => "SRS",
            Self::SrsPin => "SRS pin",
            Self::Lagrange => "cache of Lagrange points",
            Self::Openings => "openings file",
            Self::Description => "circuit description",
        }
    }

    /// Whether such a file holds secrets: weights, inputs or hiding scalars.
    pub fn is_private(self) -> bool {
        matches!(self, Self::Circuit | Self::ProvingKey | Self::Openings)
    }

    fn code(self) -> u8 {
        Self::ALL.iter().position(|kind| *kind == self).map_or(u8::MAX, |index| index as u8)
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let article = if matches!(self, Self::Srs | Self::SrsPin | Self::Openings) { "an" } else { "a" };
        write!(f, "{article} {}", self.name())
    }
}

/// A file's content with its container's data.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// What it is.
    pub kind: Kind,
    /// Blake3 of everything before it.
    pub digest: [u8; 32],
    /// Digests of what it was made from.
    pub parents: Vec<[u8; 32]>,
    /// The content.
    pub content: Content,
}

impl Artifact {
    /// Wraps content.
    pub fn new(kind: Kind, parents: Vec<[u8; 32]>, content: impl Into<Content>) -> Self {
        let mut artifact = Self { kind, digest: [0; 32], parents, content: content.into() };
        artifact.digest = *blake3::hash(&artifact.head_and_content()).as_bytes();
        artifact
    }

    fn head_and_content(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.raw(&MAGIC);
        self.kind.code().encode(&mut writer);
        FORMAT_VERSION.encode(&mut writer);
        (self.parents.len() as u32).encode(&mut writer);
        self.parents.iter().for_each(|parent| writer.raw(parent));
        (self.content.len() as u64).encode(&mut writer);
        writer.raw(&self.content);
        writer.finish()
    }

    /// The whole file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head_and_content();
        bytes.extend_from_slice(&self.digest);
        bytes
    }

    /// Reads a file's bytes; `place` names them in messages.
    pub fn from_bytes(place: &str, bytes: &[u8]) -> Result<Self> {
        Self::from_content(place, &bytes.to_vec().into())
    }

    /// Reads a file's bytes without a second copy of its content.
    fn from_content(place: &str, bytes: &Content) -> Result<Self> {
        let damaged =
            |error: DecodeError| Error::Damaged { place: place.to_owned(), reason: error.to_string() };
        let mut reader = Reader::new(bytes);
        if reader.raw(MAGIC.len()).ok() != Some(&MAGIC[..]) {
            return Err(Error::NotAnArtifact { place: place.to_owned() });
        }
        let code = u8::decode(&mut reader).map_err(damaged)?;
        let found = u32::decode(&mut reader).map_err(damaged)?;
        if found != FORMAT_VERSION {
            return Err(Error::Version { place: place.to_owned(), found, expected: FORMAT_VERSION });
        }
        let kind = Kind::ALL.get(code as usize).copied();
        let kind = kind.ok_or_else(|| damaged(reader.invalid("unknown kind of file")))?;
        let count = u32::decode(&mut reader).map_err(damaged)?;
        let mut parents = Vec::new();
        for _ in 0..count {
            parents.push(reader.array().map_err(damaged)?);
        }
        let length = u64::decode(&mut reader).map_err(damaged)?;
        let length =
            usize::try_from(length).map_err(|_| damaged(reader.invalid("the content is too long")))?;
        let start = bytes.len() - reader.remaining();
        reader.raw(length).map_err(damaged)?;
        let digest = reader.array().map_err(damaged)?;
        reader.end().map_err(damaged)?;
        let (body, _) = bytes.split_at(bytes.len() - DIGEST_BYTES);
        if *blake3::hash(body).as_bytes() != digest {
            let reason = "its digest does not match its content".to_owned();
            return Err(Error::Damaged { place: place.to_owned(), reason });
        }
        Ok(Self { kind, digest, parents, content: bytes.part(start..start + length) })
    }

    /// Reads a file; a large one is mapped, not copied.
    pub fn load(path: &Path) -> Result<Self> {
        Self::from_content(&path.display().to_string(), &Content::of_file(path)?)
    }

    /// Writes the file, whole or not at all.
    pub fn save(&self, path: &Path) -> Result<()> {
        files::write_atomic(path, &self.to_bytes(), self.kind.is_private())
    }

    /// Checks the kind.
    pub fn expect(self, place: &str, kind: Kind) -> Result<Self> {
        if self.kind == kind {
            return Ok(self);
        }
        Err(Error::WrongKind { place: place.to_owned(), found: self.kind, expected: kind })
    }

    /// Decodes the content.
    pub fn decode<T: Decode>(&self, place: &str) -> Result<T> {
        let damaged =
            |error: DecodeError| Error::Damaged { place: place.to_owned(), reason: error.to_string() };
        T::from_slice(&self.content).map_err(damaged)
    }
}

/// Digest in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_every_flipped_or_missing_byte() {
        let artifact = Artifact::new(Kind::Proof, vec![[7; 32]], b"content".to_vec());
        let bytes = artifact.to_bytes();
        let again = Artifact::from_bytes("x", &bytes).unwrap();
        assert_eq!(
            (again.kind, again.digest, &*again.content),
            (Kind::Proof, artifact.digest, &b"content"[..])
        );
        for index in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[index] ^= 0x10;
            assert!(Artifact::from_bytes("x", &flipped).is_err(), "byte {index}");
            assert!(Artifact::from_bytes("x", &bytes[..index]).is_err(), "cut at {index}");
        }
        assert!(matches!(Artifact::from_bytes("x", b"ONNX"), Err(Error::NotAnArtifact { .. })));
        let mut version = bytes;
        version[12] = 9;
        assert!(matches!(Artifact::from_bytes("x", &version), Err(Error::Version { found: 9, .. })));
        assert!(matches!(artifact.expect("x", Kind::Srs), Err(Error::WrongKind { .. })));
    }
}
