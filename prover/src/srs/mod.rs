//! Structured reference strings: powers of tau in the first group, Lagrange points for the row counts in use, and the
//! hiding generator.

pub(crate) mod check;
pub mod dev;
pub mod lagrange;
pub mod ptau;

use std::collections::BTreeMap;

use ark_bn254::G1Affine;
use zkloom_plonkish::{Decode, DecodeError, Encode, Reader, Writer};
use zkloom_verifier::group::{read_points, write_points};
use zkloom_verifier::{SrsKind, SrsPin};

/// Why a structured reference string cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SrsError {
    /// It has too few powers for a circuit.
    #[error("the SRS has {available} powers, {needed} are needed: use one of log size {log_size} or more")]
    TooSmall {
        /// Powers that it has.
        available: u64,
        /// Powers that are needed.
        needed: u64,
        /// The log size that suffices.
        log_size: u32,
    },
    /// A size is out of range.
    #[error("log size {found} is out of range: allowed is {min} to {max}")]
    Size {
        /// The size asked for.
        found: u32,
        /// Smallest one.
        min: u32,
        /// Largest one.
        max: u32,
    },
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    Read(#[from] std::io::Error),
    /// The file is no powers-of-tau file, or a damaged one.
    #[error("not a valid .ptau file: {0}")]
    Format(String),
    /// The points contradict each other.
    #[error("the powers of tau are inconsistent: {0}")]
    Inconsistent(String),
    /// The operating system gave no randomness.
    #[error("{0}")]
    Randomness(String),
    /// The processor's arithmetic is not to be had.
    #[error(transparent)]
    Backend(#[from] zkloom_backends::BackendError),
}

/// A structured reference string on the host.
#[derive(Clone, Debug)]
pub struct Srs {
    pin: SrsPin,
    powers: Vec<G1Affine>,
    lagrange: BTreeMap<u32, Vec<G1Affine>>,
}

impl Srs {
    /// Puts one together; the caller vouches for the points.
    pub(crate) fn new(pin: SrsPin, powers: Vec<G1Affine>) -> Self {
        Self { pin, powers, lagrange: BTreeMap::new() }
    }

    /// The verifier's part.
    pub fn pin(&self) -> &SrsPin {
        &self.pin
    }

    /// `[tau^i]_1`.
    pub fn powers(&self) -> &[G1Affine] {
        &self.powers
    }

    /// Whether it is for development only.
    pub fn is_insecure(&self) -> bool {
        self.pin.kind == SrsKind::Development
    }

    /// Row counts (as log2) whose Lagrange points are there.
    pub fn lagrange_sizes(&self) -> impl Iterator<Item = u32> + '_ {
        self.lagrange.keys().copied()
    }

    /// Lagrange points `[L_i(tau)]_1` for `2^log_rows` rows, if they were made.
    pub fn lagrange(&self, log_rows: u32) -> Option<&[G1Affine]> {
        self.lagrange.get(&log_rows).map(Vec::as_slice)
    }

    /// Makes the Lagrange points of a size unless they are there. Tells whether it made them.
    pub fn ensure_lagrange(&mut self, log_rows: u32) -> Result<bool, SrsError> {
        self.check_length(1 << log_rows)?;
        if self.lagrange.contains_key(&log_rows) {
            return Ok(false);
        }
        let points = lagrange::from_powers(&self.powers, log_rows)?;
        self.lagrange.insert(log_rows, points);
        Ok(true)
    }

    /// Takes Lagrange points from a cache. Key generation checks them.
    pub fn set_lagrange(&mut self, log_rows: u32, points: Vec<G1Affine>) -> Result<(), SrsError> {
        self.check_length(points.len() as u64)?;
        if points.len() != 1 << log_rows {
            return Err(SrsError::Format(format!(
                "{} Lagrange points for {} rows",
                points.len(),
                1_u64 << log_rows
            )));
        }
        self.lagrange.insert(log_rows, points);
        Ok(())
    }

    /// The part that a circuit needs: so many powers, and the Lagrange points of one size.
    pub fn part(&self, length: u64, log_rows: u32) -> Result<Self, SrsError> {
        self.check_length(length)?;
        let powers = self.powers.iter().take(length as usize).copied().collect();
        let lagrange = self.lagrange.get_key_value(&log_rows).map(|(size, points)| (*size, points.clone()));
        Ok(Self { pin: self.pin.clone(), powers, lagrange: lagrange.into_iter().collect() })
    }

    pub(crate) fn insert_lagrange(&mut self, log_rows: u32, points: Vec<G1Affine>) {
        self.lagrange.insert(log_rows, points);
    }

    /// Checks that there are enough powers.
    pub fn check_length(&self, needed: u64) -> Result<(), SrsError> {
        let available = self.powers.len() as u64;
        if needed <= available {
            return Ok(());
        }
        let log_size = u64::BITS - needed.saturating_sub(dev::SLACK).max(1).saturating_sub(1).leading_zeros();
        Err(SrsError::TooSmall { available, needed, log_size })
    }
}

impl Encode for Srs {
    fn encode(&self, writer: &mut Writer) {
        self.pin.encode(writer);
        write_points(writer, &self.powers);
        (self.lagrange.len() as u32).encode(writer);
        for (log_rows, points) in &self.lagrange {
            log_rows.encode(writer);
            write_points(writer, points);
        }
    }
}

impl Decode for Srs {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let pin = SrsPin::decode(reader)?;
        let powers = read_points(reader)?;
        if powers.first() != Some(&pin.one_g1) || powers.get(1) != Some(&pin.tau_g1) {
            return Err(reader.invalid("the powers do not begin with the pinned points"));
        }
        let mut lagrange = BTreeMap::new();
        for _ in 0..u32::decode(reader)? {
            let log_rows = u32::decode(reader)?;
            let points = read_points(reader)?;
            if log_rows > 28 || points.len() != 1 << log_rows || lagrange.insert(log_rows, points).is_some() {
                return Err(reader.invalid("Lagrange points of an unsuitable number"));
            }
        }
        Ok(Self { pin, powers, lagrange })
    }
}
