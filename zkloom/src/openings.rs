//! Openings of committed tensors. A commitment links two proofs only if both use the same hiding scalar, so it can be kept in
//! a file and given to the next proof. The file is secret: it opens the commitment.

use std::path::Path;

use zkloom_plonkish::{Fr, codec_struct};

use crate::artifact::{Artifact, Kind};
use crate::error::Result;

/// The hiding scalar of one committed tensor.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// Identifier of the tensor in the statement.
    pub identifier: u32,
    /// Its scalar.
    pub hiding: Fr,
    /// The commitment that it opens, compressed. Other values under the same scalar would show the difference to these, so a
    /// proof that would give another commitment is refused.
    pub commitment: Vec<u8>,
}
codec_struct!(Opening { identifier, hiding, commitment });

impl core::fmt::Debug for Opening {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The scalar stays out of logs.
        f.debug_struct("Opening").field("identifier", &self.identifier).finish_non_exhaustive()
    }
}

/// Hiding scalars of the committed tensors of a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// One for each committed tensor.
    pub entries: Vec<Opening>,
}
codec_struct!(Openings { entries });

impl Openings {
    /// The opening of a tensor, if it is known.
    pub fn of(&self, identifier: u32) -> Option<&Opening> {
        self.entries.iter().find(|entry| entry.identifier == identifier)
    }

    /// Takes over the openings of another set; of two for one tensor, the other set's.
    pub fn extend(&mut self, other: &Self) {
        self.entries.retain(|entry| other.of(entry.identifier).is_none());
        self.entries.extend(other.entries.iter().cloned());
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        Artifact::load(path)?.expect(&place, Kind::Openings)?.decode(&place)
    }

    /// Writes a file that only its owner can read.
    pub fn save(&self, path: &Path) -> Result<()> {
        use zkloom_plonkish::Encode;
        Artifact::new(Kind::Openings, Vec::new(), self.to_vec()).save(path)
    }
}
