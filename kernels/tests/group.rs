//! The transform over the group, at every tier, against its definition and on points that addition formulas trip over.

mod common;

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{CurveGroup, PrimeGroup};
use ark_ff::{Field, One, Zero};
use common::{pool, tiers};
use zkloom_kernels::cpu::group::inverse_transform;
use zkloom_kernels::cpu::ntt::generator;

fn affine(points: &[G1Projective]) -> Vec<G1Affine> {
    G1Projective::normalize_batch(points)
}

/// The scalars' transform, by its definition.
fn transformed(scalars: &[Fr]) -> Vec<Fr> {
    let size = scalars.len();
    let step = generator(size.ilog2()).inverse().unwrap();
    let scale = Fr::from(size as u64).inverse().unwrap();
    let value = |index: usize| {
        let point = step.pow([index as u64]);
        scale * scalars.iter().rev().fold(Fr::zero(), |sum, scalar| sum * point + scalar)
    };
    (0..size).map(value).collect()
}

fn check(what: &str, scalars: &[Fr]) {
    let multiples = |scalars: &[Fr]| {
        affine(&scalars.iter().map(|scalar| G1Projective::generator() * scalar).collect::<Vec<_>>())
    };
    let (points, expected) = (multiples(scalars), multiples(&transformed(scalars)));
    for tier in tiers() {
        for threads in [1, 2] {
            let found = pool(threads).install(|| inverse_transform(tier, &points)).unwrap();
            assert!(found == expected, "{what}, {} points at {tier}, {threads} threads", scalars.len());
        }
    }
}

#[test]
fn powers_give_lagrange_points() {
    let tau = Fr::from(0x1234_5678_9abc_def1_u64).inverse().unwrap();
    for log_size in [0, 1, 3, 6, 7, 8, 10] {
        let powers: Vec<Fr> =
            core::iter::successors(Some(Fr::one()), |power| Some(*power * tau)).take(1 << log_size).collect();
        check("powers", &powers);
    }
}

#[test]
fn equal_opposite_and_missing_points() {
    let size = 256;
    check("all equal", &vec![Fr::from(5); size]);
    check("identities alone", &vec![Fr::zero(); size]);
    check("one point", &[vec![Fr::one()], vec![Fr::zero(); size - 1]].concat());
    let alternating = |a: i64, b: i64| -> Vec<Fr> {
        (0..size).map(|index| Fr::from(if index % 2 == 0 { a } else { b })).collect()
    };
    check("opposite", &alternating(7, -7));
    check("every second one", &alternating(0, 3));
    check("small", &(0..size as i64).map(|index| Fr::from(index % 5 - 2)).collect::<Vec<_>>());
    // Powers of a root of unity: all results but one are the identity.
    let root = generator(size.ilog2());
    let powers: Vec<Fr> =
        core::iter::successors(Some(Fr::one()), |power| Some(*power * root)).take(size).collect();
    check("powers of a root of unity", &powers);
}

#[test]
fn other_lengths_are_refused() {
    for tier in tiers() {
        for length in [0, 3, 65] {
            assert!(inverse_transform(tier, &vec![G1Affine::identity(); length]).is_err());
        }
    }
}
