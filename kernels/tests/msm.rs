//! Multi-scalar multiplication, at every tier that the machine has, compared with sums of single multiplications, and at
//! larger sizes with `ark-ec`'s.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{AffineRepr, CurveGroup, VariableBaseMSM};
use ark_ff::{AdditiveGroup, Field, PrimeField};
use proptest::prelude::*;
use zkloom_kernels::cpu::integers::magnitude;
use zkloom_kernels::cpu::msm::{Bases, msm, msm_integers};
use zkloom_kernels::cpu::simd::Tier;

/// Points without a simple relation between neighbours.
fn chain(len: usize) -> Vec<G1Affine> {
    let step = (G1Affine::generator() * Fr::from(0x1234_5678_9abcu64)).into_affine();
    let first = G1Projective::from(G1Affine::generator());
    let points = core::iter::successors(Some(first), |point| Some(point.double() + step));
    G1Projective::normalize_batch(&points.take(len).collect::<Vec<_>>())
}

/// The points for each tier; says so where the machine lacks one.
fn at_all_tiers(points: &[G1Affine]) -> Vec<Bases> {
    let bases: Vec<Bases> = Tier::available().map(|tier| Bases::for_tier(tier, points)).collect();
    if bases.len() < 2 {
        eprintln!("only the portable tier is tested: this processor lacks AVX-512 IFMA");
    }
    bases
}

fn naive(points: &[G1Affine], scalars: &[Fr]) -> G1Projective {
    points.iter().zip(scalars).map(|(point, scalar)| *point * scalar).sum()
}

fn scalar() -> impl Strategy<Value = Fr> {
    prop_oneof![
        3 => any::<[u8; 32]>().prop_map(|bytes| Fr::from_le_bytes_mod_order(&bytes)),
        1 => any::<i16>().prop_map(Fr::from),
        1 => (0u64..254).prop_map(|bit| Fr::from(2u64).pow([bit])),
        1 => prop_oneof![Just(Fr::ZERO), Just(Fr::ONE), Just(-Fr::ONE)],
    ]
}

/// Points chosen from few, with both signs and the identity, so that equal and opposite ones meet often.
fn points(len: usize) -> impl Strategy<Value = Vec<G1Affine>> {
    let few = chain(4);
    let one = (0usize..6, any::<bool>()).prop_map(move |(index, negative)| {
        let point = few.get(index).copied().unwrap_or_default();
        if negative { -point } else { point }
    });
    prop::collection::vec(one, len)
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i8>().prop_map(i64::from),
        any::<i32>().prop_map(i64::from),
        any::<i64>(),
        Just(0),
        Just(i64::MIN)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn field_scalars_give_the_naive_sum(
        (points, scalars) in (0usize..90).prop_flat_map(|len| (points(len), prop::collection::vec(scalar(), len)))
    ) {
        let expected = naive(&points, &scalars);
        for bases in at_all_tiers(&points) {
            prop_assert_eq!(msm(&bases, &scalars).expect("equal lengths"), expected, "{}", bases.tier());
        }
    }

    #[test]
    fn integers_give_the_naive_sum(
        (points, integers) in (0usize..90).prop_flat_map(|len| (points(len), prop::collection::vec(integer(), len)))
    ) {
        let scalars: Vec<Fr> = integers.iter().map(|&value| Fr::from(value)).collect();
        let expected = naive(&points, &scalars);
        for bases in at_all_tiers(&points) {
            let found = msm_integers(&bases, &integers, magnitude(&integers)).expect("equal lengths");
            prop_assert_eq!(found, expected, "{}", bases.tier());
        }
    }

    #[test]
    fn narrow_integers_give_the_naive_sum(integers in prop::collection::vec(any::<i8>(), 0..300), slack in 0u64..1000) {
        let points = chain(integers.len());
        let scalars: Vec<Fr> = integers.iter().map(|&value| Fr::from(value)).collect();
        let expected = G1Projective::msm_unchecked(&points, &scalars);
        for bases in at_all_tiers(&points) {
            let found = msm_integers(&bases, &integers, magnitude(&integers) + slack).expect("a bound");
            prop_assert_eq!(found, expected, "{}", bases.tier());
        }
    }
}

#[test]
fn large_sums_agree_with_ark_ec_on_any_number_of_threads() {
    let points = chain(20_000);
    let scalars: Vec<Fr> = core::iter::successors(Some(Fr::from(3)), |value| Some(value.square() + Fr::ONE))
        .take(points.len())
        .collect();
    let expected = G1Projective::msm_unchecked(&points, &scalars);
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        for bases in at_all_tiers(&points) {
            let found = pool.install(|| msm(&bases, &scalars)).expect("equal lengths");
            assert_eq!(found, expected, "{threads} threads, {}", bases.tier());
        }
    }
}

/// One bucket takes everything, more than a block holds.
#[test]
fn equal_scalars_and_equal_points() {
    let len = 40_000;
    let generator = G1Affine::generator();
    for bases in at_all_tiers(&vec![generator; len]) {
        let found = msm_integers(&bases, &vec![-5i8; len], 5).expect("a bound");
        assert_eq!(found, generator * -Fr::from(5 * len as u64), "{}", bases.tier());
    }
    let points = chain(len);
    let sum: G1Projective = points.iter().sum();
    for bases in at_all_tiers(&points) {
        let found = msm(&bases, &vec![Fr::from(9); len]).expect("equal lengths");
        assert_eq!(found, sum * Fr::from(9), "{}", bases.tier());
    }
}

/// Whole blocks of exceptional additions: sums that are the identity and meet others, repeated bases, the identity as base.
#[test]
fn opposite_repeated_and_identical_points() {
    let few = chain(5);
    let len = 9001;
    let patterns: [fn(usize) -> (usize, bool); 4] = [
        |index| (0, index % 2 == 1),
        |index| (index % 5, index % 3 == 0),
        |index| (5 * (index % 2), false),
        |index| (index * index % 7 % 6, index % 4 < 2),
    ];
    for (number, pattern) in patterns.into_iter().enumerate() {
        let points: Vec<G1Affine> = (0..len)
            .map(|index| {
                let (which, negative) = pattern(index);
                let point = few.get(which).copied().unwrap_or_default();
                if negative { -point } else { point }
            })
            .collect();
        let integers: Vec<i16> = (0..len).map(|index| [1, -1, 2, 300][index % 97 % 4]).collect();
        let scalars: Vec<Fr> = integers.iter().map(|&value| Fr::from(value)).collect();
        let high: Vec<Fr> = scalars.iter().map(|scalar| *scalar - Fr::from(2u64).pow([200])).collect();
        let (small, large) =
            (G1Projective::msm_unchecked(&points, &scalars), naive(&points[..500], &high[..500]));
        for bases in at_all_tiers(&points) {
            let tier = bases.tier();
            assert_eq!(msm_integers(&bases, &integers, 300).expect("a bound"), small, "{number}, {tier}");
            assert_eq!(msm(&bases, &high[..500]).expect("fewer scalars"), large, "{number}, {tier}");
        }
    }
}

#[test]
fn sizes_near_multiples_of_the_lanes_and_blocks() {
    let points = chain(2100);
    let scalars: Vec<Fr> = core::iter::successors(Some(-Fr::ONE), |value| Some(value.square() - Fr::from(7)))
        .take(2100)
        .collect();
    let all = at_all_tiers(&points);
    for len in [0, 1, 2, 3, 7, 8, 9, 23, 24, 25, 31, 33, 511, 512, 513, 1025, 2047, 2049, 2100] {
        let expected = G1Projective::msm_unchecked(&points[..len], &scalars[..len]);
        for bases in &all {
            assert_eq!(
                msm(bases, &scalars[..len]).expect("fewer scalars"),
                expected,
                "{len}, {}",
                bases.tier()
            );
        }
    }
}

#[test]
fn wrong_lengths_and_bounds_are_refused() {
    let bases = Bases::new(&chain(3));
    assert!(msm(&bases, &[Fr::ONE; 4]).is_err());
    assert!(msm_integers(&bases, &[1i64; 4], 1).is_err());
    let error = msm_integers(&bases, &[1i64, -9, 2], 8).expect_err("9 is above 8");
    assert!(error.to_string().contains("bound 8"), "{error}");
    assert_eq!(msm(&bases, &[]).expect("no scalars"), G1Projective::ZERO);
}
