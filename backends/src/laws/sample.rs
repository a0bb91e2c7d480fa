//! Inputs for the laws, the same for every backend.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, One, PrimeField, Zero};

/// A small deterministic generator (SplitMix64); quality is not an issue here.
pub(super) struct Sampler(u64);

impl Sampler {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }

    pub(super) fn element(&mut self) -> Fr {
        let bytes: Vec<u8> = (0..5).flat_map(|_| self.word().to_le_bytes()).collect();
        Fr::from_le_bytes_mod_order(&bytes)
    }

    pub(super) fn elements(&mut self, len: usize) -> Vec<Fr> {
        (0..len).map(|_| self.element()).collect()
    }

    /// Vectors of field elements worth trying: random, all zero, all equal, the last element, a mixture with zeros.
    pub(super) fn vectors(&mut self, len: usize) -> Vec<(&'static str, Vec<Fr>)> {
        let equal = self.element();
        let mixed = (0..len).map(|index| match index % 4 {
            0 => Fr::zero(),
            1 => -Fr::one(),
            2 => Fr::from(self.word() % 256),
            _ => self.element(),
        });
        let mixed = mixed.collect();
        vec![
            ("random", self.elements(len)),
            ("zeros", vec![Fr::zero(); len]),
            ("equal", vec![equal; len]),
            ("last", vec![-Fr::one(); len]),
            ("mixed", mixed),
        ]
    }

    /// Integers worth trying, of all widths and at both ends.
    pub(super) fn integers(&mut self, len: usize) -> Vec<(&'static str, Vec<i64>)> {
        let [sign, byte, short, wide, long] = [1, 8, 16, 25, 64]
            .map(|bits: u32| (0..len).map(|_| (self.word() as i64) >> (64 - bits)).collect::<Vec<i64>>());
        let ends = [i64::MIN, i64::MAX, 0, -1, 1, i64::from(i32::MIN), 127, -128];
        let ends = (0..len).map(|index| ends[index % ends.len()]).collect();
        let sparse = (0..len).map(|index| if index % 7 == 3 { byte[index] } else { 0 }).collect();
        let outlier = (0..len).map(|index| if index == len / 2 { i64::MIN } else { short[index] }).collect();
        vec![
            ("0 and -1", sign),
            ("8 bits", byte),
            ("16 bits", short),
            ("25 bits", wide),
            ("64 bits", long),
            ("ends", ends),
            ("zeros", vec![0; len]),
            ("lowest", vec![i64::MIN; len]),
            ("sparse", sparse),
            ("outlier", outlier),
        ]
    }

    /// Points worth trying with their discrete logarithms: different, one repeated, opposite pairs, many identities.
    pub(super) fn points(&mut self, len: usize) -> Vec<(&'static str, Vec<G1Affine>, Vec<Fr>)> {
        let (points, logs) = self.chain(len);
        let repeat = |from: &dyn Fn(usize) -> (G1Affine, Fr)| (0..len).map(from).unzip();
        let (one, log) = self.chain(1);
        let (one, log) = (one[0], log[0]);
        let (same, same_logs) = repeat(&|_| (one, log));
        let (opposite, opposite_logs) =
            repeat(&|index| if index % 2 == 0 { (one, log) } else { (-one, -log) });
        let (sparse, sparse_logs) = repeat(&|index| match index % 3 {
            0 => (points[index], logs[index]),
            _ => (G1Affine::zero(), Fr::zero()),
        });
        let (pairs, pairs_logs) = repeat(&|index| (points[index / 2], logs[index / 2]));
        vec![
            ("different", points.clone(), logs.clone()),
            ("repeated", same, same_logs),
            ("opposite", opposite, opposite_logs),
            ("identities", sparse, sparse_logs),
            ("pairs", pairs, pairs_logs),
        ]
    }

    /// Points without an arithmetic relation that matters, cheaply: each is twice the one before plus a fixed one.
    pub(super) fn chain(&mut self, len: usize) -> (Vec<G1Affine>, Vec<Fr>) {
        let (mut log, step_log) = (self.element(), self.element());
        let mut point = G1Affine::generator() * log;
        let step = (G1Affine::generator() * step_log).into_affine();
        let mut points: Vec<G1Projective> = Vec::with_capacity(len);
        let mut logs = Vec::with_capacity(len);
        for _ in 0..len {
            points.push(point);
            logs.push(log);
            point.double_in_place();
            point += step;
            log = log.double() + step_log;
        }
        (G1Projective::normalize_batch(&points), logs)
    }
}

/// `sum_i scalars[i] * logs[i]` times the generator: the oracle of multi-scalar multiplication.
pub(super) fn group_sum(logs: &[Fr], scalars: impl Iterator<Item = Fr>) -> G1Projective {
    let log: Fr = logs.iter().zip(scalars).map(|(log, scalar)| scalar * log).sum();
    G1Affine::generator() * log
}
