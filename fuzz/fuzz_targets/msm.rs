//! Multi-scalar multiplication at every tier against the naive sum, on points that meet often.
#![no_main]

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::PrimeField;
use libfuzzer_sys::fuzz_target;
use zkloom_kernels::cpu::msm::{Bases, msm, msm_integers};
use zkloom_kernels::cpu::simd::Tier;

/// Terms at most: the naive sum is slow.
const MOST: usize = 200;

/// One of few points, with either sign, or the identity.
fn point(byte: u8) -> G1Affine {
    let point = match byte >> 1 & 7 {
        0 => G1Projective::default(),
        factor => G1Affine::generator() * Fr::from(factor),
    };
    (if byte & 1 == 0 { point } else { -point }).into_affine()
}

fuzz_target!(|data: &[u8]| {
    let Some((&width, data)) = data.split_first() else { return };
    let width = 1 + usize::from(width) % 32;
    let terms: Vec<(G1Affine, &[u8])> =
        data.chunks_exact(width + 1).take(MOST).map(|chunk| (point(chunk[0]), &chunk[1..])).collect();
    let points: Vec<G1Affine> = terms.iter().map(|(point, _)| *point).collect();
    let scalars: Vec<Fr> = terms.iter().map(|(_, bytes)| Fr::from_le_bytes_mod_order(bytes)).collect();
    let integers: Vec<i64> = terms
        .iter()
        .map(|(_, bytes)| bytes.iter().take(8).fold(0i64, |value, byte| value << 8 | i64::from(*byte)))
        .collect();
    let sum: G1Projective = points.iter().zip(&scalars).map(|(point, scalar)| *point * scalar).sum();
    let small: G1Projective =
        points.iter().zip(&integers).map(|(point, value)| *point * Fr::from(*value)).sum();
    let bound = integers.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
    for tier in Tier::available() {
        let bases = Bases::for_tier(tier, &points);
        assert_eq!(msm(&bases, &scalars).expect("equal lengths"), sum, "{tier}");
        assert_eq!(msm_integers(&bases, &integers, bound).expect("a bound"), small, "{tier}");
    }
});
