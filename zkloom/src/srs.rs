//! Structured reference strings as users meet them.

use std::path::Path;

use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};
use zkloom_prover::srs::{dev, ptau};
use zkloom_verifier::group::{read_points, write_points};
use zkloom_verifier::{G1Affine, SrsPin};

use crate::artifact::{Artifact, Kind};
use crate::error::{Error, Result};
use crate::store::Store;

/// A structured reference string.
#[derive(Clone, Debug)]
pub struct Srs {
    pub(crate) inner: zkloom_prover::Srs,
}

impl Srs {
    /// Makes an insecure one: tau is known while it is made, so that whoever made it can forge proofs.
    pub fn development(log_size: u32) -> Result<Self> {
        Ok(Self { inner: dev::generate(log_size)? })
    }

    /// The cached development SRS of a size; makes and caches it if there is none. Tells whether it was made.
    pub fn cached_development(store: &Store, log_size: u32) -> Result<(Self, bool)> {
        let path = store.development_path(log_size)?;
        if path.exists() {
            if let Ok(srs) = Self::load(&path) {
                return Ok((srs, false));
            }
            tracing::warn!("{} is damaged and is made again", path.display());
        }
        let srs = Self::development(log_size)?;
        srs.save(&path)?;
        Ok((srs, true))
    }

    /// Reads and checks a powers-of-tau file of snarkjs; keeps at most `2^max_log_size` powers.
    pub fn import_ptau(path: &Path, max_log_size: u32) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(Error::io(path))?;
        Ok(Self { inner: ptau::import(std::io::BufReader::new(file), max_log_size)? })
    }

    /// Reads a file that [`Srs::save`] wrote.
    pub fn load(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        Ok(Self { inner: Artifact::load(path)?.expect(&place, Kind::Srs)?.decode(&place)? })
    }

    /// Writes it.
    pub fn save(&self, path: &Path) -> Result<()> {
        Artifact::new(Kind::Srs, Vec::new(), self.inner.to_vec()).save(path)
    }

    /// The verifier's part.
    pub fn pin(&self) -> SrsPin {
        self.inner.pin().clone()
    }

    /// Reads the verifier's part from an SRS file or from a pin file.
    pub fn load_pin(path: &Path) -> Result<SrsPin> {
        let place = path.display().to_string();
        let artifact = Artifact::load(path)?;
        if artifact.kind == Kind::SrsPin {
            return artifact.decode(&place);
        }
        let srs: zkloom_prover::Srs = artifact.expect(&place, Kind::Srs)?.decode(&place)?;
        Ok(srs.pin().clone())
    }

    /// Writes the verifier's part, for verifiers who decide to trust it.
    pub fn save_pin(pin: &SrsPin, path: &Path) -> Result<()> {
        Artifact::new(Kind::SrsPin, Vec::new(), pin.to_vec()).save(path)
    }

    /// Whether it is for development only.
    pub fn is_insecure(&self) -> bool {
        self.inner.is_insecure()
    }

    /// Number of powers of tau.
    pub fn powers(&self) -> usize {
        self.inner.powers().len()
    }

    /// Row counts, as log2, whose Lagrange points it holds.
    pub fn lagrange_sizes(&self) -> Vec<u32> {
        self.inner.lagrange_sizes().collect()
    }

    /// Makes the Lagrange points for a number of rows, or takes them from the cache.
    pub fn ensure_lagrange(&mut self, log_rows: u32, store: Option<&Store>) -> Result<()> {
        if self.inner.lagrange(log_rows).is_some() {
            return Ok(());
        }
        let identity = self.inner.pin().identity();
        let path = store.map(|store| store.lagrange_path(&identity, log_rows)).transpose()?;
        let cached =
            path.as_ref().filter(|path| path.exists()).and_then(|path| load_lagrange(path, log_rows).ok());
        if let Some(points) = cached.filter(|cached| cached.identity == identity) {
            self.inner.set_lagrange(log_rows, points.points)?;
            return Ok(());
        }
        self.inner.ensure_lagrange(log_rows)?;
        if let (Some(path), Some(points)) = (path, self.inner.lagrange(log_rows)) {
            let content = LagrangeFile { identity, log_rows, points: points.to_vec() };
            Artifact::new(Kind::Lagrange, vec![identity], content.to_vec()).save(&path)?;
        }
        Ok(())
    }
}

fn load_lagrange(path: &Path, log_rows: u32) -> Result<LagrangeFile> {
    let place = path.display().to_string();
    let file: LagrangeFile = Artifact::load(path)?.expect(&place, Kind::Lagrange)?.decode(&place)?;
    if file.log_rows == log_rows && file.points.len() == 1 << log_rows {
        return Ok(file);
    }
    Err(Error::Damaged { place, reason: "it holds points of another size".to_owned() })
}

/// Lagrange points on disk.
struct LagrangeFile {
    identity: [u8; 32],
    log_rows: u32,
    points: Vec<G1Affine>,
}

impl Encode for LagrangeFile {
    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.identity);
        self.log_rows.encode(writer);
        write_points(writer, &self.points);
    }
}

impl Decode for LagrangeFile {
    fn decode(reader: &mut Reader<'_>) -> core::result::Result<Self, DecodeError> {
        Ok(Self { identity: reader.array()?, log_rows: u32::decode(reader)?, points: read_points(reader)? })
    }
}
