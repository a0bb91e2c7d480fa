//! snarkjs powers-of-tau files (format version 1): import and checks.
//!
//! Sections used: 1 header (field size, q, power, ceremony power), 2 tauG1, 3 tauG2, 5 betaTauG1, 6 betaG2, 7 contributions. Points are
//! uncompressed, coordinates little-endian in Montgomery form. The ceremony's beta serves as the hiding generator's secret
//! gamma: nobody who was honest in the ceremony knows its relation to one or tau.

use std::io::{Read, Seek, SeekFrom};

use ark_bn254::{Fq, Fq2, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, BigInteger, PrimeField, Zero};
use rayon::prelude::*;
use zkloom_verifier::{SrsKind, SrsPin};

use super::{Srs, SrsError};

const HEADER: u32 = 1;
const TAU_G1: u32 = 2;
const TAU_G2: u32 = 3;
const BETA_TAU_G1: u32 = 5;
const BETA_G2: u32 = 6;
const CONTRIBUTIONS: u32 = 7;
const G1_BYTES: usize = 64;
const G2_BYTES: usize = 128;
const MAX_SECTIONS: u32 = 64;

/// Position and length of a section.
#[derive(Clone, Copy)]
struct Section {
    id: u32,
    start: u64,
    length: u64,
}

struct File<R> {
    source: R,
    sections: Vec<Section>,
}

fn format(what: impl Into<String>) -> SrsError {
    SrsError::Format(what.into())
}

/// Reads and checks a file. At most `2^max_log_size` powers (and as many again, where the file has them) are kept.
pub fn import(source: impl Read + Seek, max_log_size: u32) -> Result<Srs, SrsError> {
    let mut file = File::open(source)?;
    let power = file.power()?;
    let available = (1_u64 << (power + 1)) - 1;
    let count = available.min((1 << max_log_size.min(29)) + super::dev::SLACK);
    if file.contributions()? == 0 {
        return Err(SrsError::Inconsistent(
            "nobody contributed to it, so that everyone knows its secrets".to_owned(),
        ));
    }
    let powers = file.g1_points(TAU_G1, count)?;
    let g2 = file.g2_points(TAU_G2, 2)?;
    let beta_g1 = file.g1_points(BETA_TAU_G1, 1)?;
    let beta_g2 = file.g2_points(BETA_G2, 1)?;
    let ([one_g1, tau_g1, ..], [one_g2, tau_g2], [gamma_g1], [gamma_g2]) =
        (powers.as_slice(), g2.as_slice(), beta_g1.as_slice(), beta_g2.as_slice())
    else {
        return Err(format("it has too few points"));
    };
    let pin = SrsPin {
        kind: SrsKind::Ceremony,
        one_g1: *one_g1,
        tau_g1: *tau_g1,
        gamma_g1: *gamma_g1,
        one_g2: *one_g2,
        tau_g2: *tau_g2,
        gamma_g2: *gamma_g2,
    };
    check(&pin, &powers)?;
    Ok(Srs::new(pin, powers))
}

impl<R: Read + Seek> File<R> {
    fn open(mut source: R) -> Result<Self, SrsError> {
        let end = source.seek(SeekFrom::End(0))?;
        source.seek(SeekFrom::Start(0))?;
        let mut file = Self { source, sections: Vec::new() };
        if file.bytes::<4>()? != *b"ptau" {
            return Err(format("it does not begin with `ptau`"));
        }
        let version = file.u32()?;
        if version != 1 {
            return Err(format(format!("version {version} is unknown, 1 is expected")));
        }
        let count = file.u32()?;
        if count > MAX_SECTIONS {
            return Err(format(format!("{count} sections are too many")));
        }
        let mut at = 12_u64;
        for _ in 0..count {
            let (id, length) = (file.u32()?, u64::from_le_bytes(file.bytes()?));
            let section = Section { id, start: at + 12, length };
            at = section.start.saturating_add(length);
            if at > end {
                return Err(format(format!(
                    "section {id} ends at byte {at}, the file at {end}: it is truncated"
                )));
            }
            file.sections.push(section);
            file.source.seek(SeekFrom::Start(at))?;
        }
        Ok(file)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], SrsError> {
        let mut out = [0; N];
        self.source.read_exact(&mut out).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => format("it is truncated"),
            _ => SrsError::Read(error),
        })?;
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, SrsError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn section(&self, id: u32, needed: u64) -> Result<Section, SrsError> {
        let section = self.sections.iter().find(|section| section.id == id);
        let section = section.ok_or_else(|| format(format!("section {id} is missing")))?;
        if section.length < needed {
            let length = section.length;
            return Err(format(format!("section {id} has {length} bytes, {needed} are needed")));
        }
        Ok(*section)
    }

    /// The header's power of two.
    fn power(&mut self) -> Result<u32, SrsError> {
        let section = self.section(HEADER, 44)?;
        self.source.seek(SeekFrom::Start(section.start))?;
        let size = self.u32()?;
        let prime = if size == 32 { self.bytes::<32>()? } else { [0; 32] };
        if prime.to_vec() != Fq::MODULUS.to_bytes_le() {
            return Err(format("it is for another curve than BN254"));
        }
        match self.u32()? {
            power @ 1..=28 => Ok(power),
            other => Err(format(format!("power {other} is out of range"))),
        }
    }

    /// Number of contributions to the ceremony.
    fn contributions(&mut self) -> Result<u32, SrsError> {
        let section = self.section(CONTRIBUTIONS, 4)?;
        self.source.seek(SeekFrom::Start(section.start))?;
        self.u32()
    }

    fn section_bytes(&mut self, id: u32, needed: u64) -> Result<Vec<u8>, SrsError> {
        let section = self.section(id, needed)?;
        self.source.seek(SeekFrom::Start(section.start))?;
        let mut bytes = vec![0; needed as usize];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn g1_points(&mut self, id: u32, count: u64) -> Result<Vec<G1Affine>, SrsError> {
        let bytes = self.section_bytes(id, count * G1_BYTES as u64)?;
        bytes.par_chunks_exact(G1_BYTES).enumerate().map(|(index, chunk)| g1(chunk, id, index)).collect()
    }

    fn g2_points(&mut self, id: u32, count: u64) -> Result<Vec<G2Affine>, SrsError> {
        let bytes = self.section_bytes(id, count * G2_BYTES as u64)?;
        bytes.chunks_exact(G2_BYTES).enumerate().map(|(index, chunk)| g2(chunk, id, index)).collect()
    }
}

/// A coordinate, already in the Montgomery form that the field uses inside.
fn coordinate(bytes: &[u8]) -> Option<Fq> {
    let mut limbs = [0_u64; 4];
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().rev().fold(0, |acc, byte| acc << 8 | u64::from(*byte));
    }
    let value = BigInt(limbs);
    (value < Fq::MODULUS).then(|| Fq::new_unchecked(value))
}

fn coordinates<const N: usize>(bytes: &[u8]) -> Option<[Fq; N]> {
    let mut out = [Fq::zero(); N];
    for (slot, chunk) in out.iter_mut().zip(bytes.chunks_exact(32)) {
        *slot = coordinate(chunk)?;
    }
    Some(out)
}

fn g1(bytes: &[u8], section: u32, index: usize) -> Result<G1Affine, SrsError> {
    let point = coordinates(bytes).map(|[x, y]| G1Affine::new_unchecked(x, y));
    let valid = point.filter(|point| !point.is_zero() && point.is_on_curve());
    valid.ok_or_else(|| format(format!("section {section}: point {index} is not on the curve")))
}

fn g2(bytes: &[u8], section: u32, index: usize) -> Result<G2Affine, SrsError> {
    let point =
        coordinates(bytes).map(|[a, b, c, d]| G2Affine::new_unchecked(Fq2::new(a, b), Fq2::new(c, d)));
    let valid = point.filter(|point| {
        !point.is_zero() && point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve()
    });
    valid.ok_or_else(|| format(format!("section {section}: point {index} is not in the second group")))
}

/// Checks generators, gamma, and the ratio of all neighbouring powers on a random combination.
fn check(pin: &SrsPin, powers: &[G1Affine]) -> Result<(), SrsError> {
    let wrong = |what: &str| Err(SrsError::Inconsistent(what.to_owned()));
    if pin.one_g1 != G1Affine::generator() || pin.one_g2 != G2Affine::generator() {
        return wrong("it does not begin with the groups' generators");
    }
    if !pin.is_consistent() {
        return wrong("tau or beta differ between the two groups, or everyone knows them");
    }
    if super::check::are_powers(pin, powers)? {
        Ok(())
    } else {
        wrong("the points are not successive powers of tau")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn files_made_by_snarkjs_are_accepted() {
        for name in ["snarkjs-p8.ptau", "snarkjs-p8-phase2.ptau"] {
            let srs = import(Cursor::new(fixture(name)), 28).unwrap();
            assert_eq!(srs.powers().len(), 511);
            assert!(!srs.is_insecure());
            let short = import(Cursor::new(fixture(name)), 5).unwrap();
            assert_eq!(short.powers(), &srs.powers()[..40]);
            assert_eq!(short.pin(), srs.pin());
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = fixture("snarkjs-p8.ptau");
        let refuse = |bytes: Vec<u8>| import(Cursor::new(bytes), 28).unwrap_err();
        assert!(matches!(refuse(b"zkey".to_vec()), SrsError::Format(_)));
        assert!(matches!(refuse(Vec::new()), SrsError::Format(_)));
        for cut in [3, 9, 20, 100, good.len() / 2, good.len() - 1] {
            assert!(matches!(refuse(good[..cut].to_vec()), SrsError::Format(_)), "cut at {cut}");
        }
        let first = good.windows(4).position(|w| w == [2, 0, 0, 0]).unwrap();
        let mut flipped = good.clone();
        flipped[first + 12 + 64 * 7] ^= 1;
        assert!(matches!(refuse(flipped), SrsError::Format(_)));
        // Two powers exchanged: all points are on the curve, but they are no powers any more.
        let mut exchanged = good.clone();
        let at = first + 12 + 64 * 40;
        let block: Vec<u8> = exchanged[at..at + 64].to_vec();
        exchanged.copy_within(at + 64..at + 128, at);
        exchanged[at + 64..at + 128].copy_from_slice(&block);
        assert!(matches!(refuse(exchanged), SrsError::Inconsistent(_)));
        // Nobody contributed: the section's counter says so.
        let mut lonely = good.clone();
        let counter = lonely.len() - 1529;
        assert_eq!(lonely[counter..counter + 4], [1, 0, 0, 0]);
        lonely[counter] = 0;
        assert!(matches!(refuse(lonely), SrsError::Inconsistent(_)));
        let mut version = good;
        version[4] = 9;
        assert!(matches!(refuse(version), SrsError::Format(_)));
    }
}
