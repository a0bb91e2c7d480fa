//! Transforms compared with `ark-poly`'s.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, PrimeField};
use ark_poly::univariate::DensePolynomial;
use ark_poly::{DenseUVPolynomial, EvaluationDomain, Polynomial, Radix2EvaluationDomain};
use proptest::prelude::*;
use zkloom_kernels::cpu::ntt::{Twiddles, coset_forward, coset_inverse, forward, generator, inverse};
use zkloom_kernels::cpu::simd::Tier;

mod common;

use common::pool;

fn element() -> impl Strategy<Value = Fr> {
    prop_oneof![
        3 => any::<[u8; 32]>().prop_map(|bytes| Fr::from_le_bytes_mod_order(&bytes)),
        1 => prop_oneof![Just(Fr::ZERO), Just(Fr::ONE), Just(-Fr::ONE)],
    ]
}

fn nonzero() -> impl Strategy<Value = Fr> {
    element().prop_filter("a shift", |value| *value != Fr::ZERO)
}

/// Different entries, made from one.
fn vector(len: usize, seed: Fr) -> Vec<Fr> {
    core::iter::successors(Some(seed), |value| Some(value.square() + Fr::from(3))).take(len).collect()
}

fn domain(log_size: u32) -> Radix2EvaluationDomain<Fr> {
    Radix2EvaluationDomain::new(1 << log_size).expect("such a subgroup exists")
}

fn compare(log_size: u32, twiddles: &Twiddles, shift: Fr) {
    let domain = domain(log_size);
    let coefficients = vector(1 << log_size, shift + Fr::from(log_size));
    let mut values = coefficients.clone();
    forward(&mut values, twiddles).expect("a power of two");
    assert!(values == domain.fft(&coefficients), "forward, 2^{log_size}");
    inverse(&mut values, twiddles).expect("a power of two");
    assert!(values == coefficients, "inverse, 2^{log_size}");

    let coset = domain.get_coset(shift).expect("not zero");
    let mut values = coset_forward(&coefficients, log_size, shift, twiddles).expect("a coset");
    assert!(values == coset.fft(&coefficients), "on a coset, 2^{log_size}");
    coset_inverse(&mut values, shift, twiddles).expect("a coset");
    assert!(values == coefficients, "inverse on a coset, 2^{log_size}");
}

#[test]
fn all_sizes_up_to_sixteen_bits_agree() {
    for tier in common::tiers() {
        let twiddles = Twiddles::new(16, tier);
        for threads in [1, 3] {
            pool(threads).install(|| (0..=16).for_each(|log_size| compare(log_size, &twiddles, Fr::from(7))));
        }
    }
}

/// Twiddles for smaller transforms than the largest are the same; those past the table are products. Vectors are reduced
/// on the way.
#[test]
fn a_size_past_the_twiddle_table_agrees() {
    for tier in common::tiers() {
        compare(20, &Twiddles::new(20, tier), Fr::from(11));
    }
}

/// Values at the field's upper end, where lazy sums grow fastest.
#[test]
fn extreme_values_agree() {
    let extremes = [Fr::ZERO, Fr::ONE, -Fr::ONE, -Fr::ONE.double(), Fr::ONE.double().inverse().expect("odd")];
    for log_size in [6, 7, 12, 18, 19] {
        let all = vec![-Fr::ONE; 1 << log_size];
        let mixed: Vec<Fr> =
            (0..1usize << log_size).map(|i| extremes[(i * i + i / 7) % extremes.len()]).collect();
        for coefficients in [all, mixed] {
            let expected = domain(log_size).fft(&coefficients);
            for tier in common::tiers() {
                let twiddles = Twiddles::new(log_size, tier);
                let mut values = coefficients.clone();
                forward(&mut values, &twiddles).expect("a power of two");
                assert!(values == expected, "forward, 2^{log_size}, {tier}");
                inverse(&mut values, &twiddles).expect("a power of two");
                assert!(values == coefficients, "inverse, 2^{log_size}, {tier}");
            }
        }
    }
}

#[test]
fn several_threads_agree_with_one() {
    let coefficients = vector(3 << 12, Fr::from(5));
    for tier in common::tiers() {
        let twiddles = Twiddles::new(15, tier);
        let run = |threads| {
            pool(threads)
                .install(|| coset_forward(&coefficients, 15, Fr::from(3), &twiddles).expect("a coset"))
        };
        assert!(run(1) == run(3));
    }
}

#[test]
fn generators_are_those_of_ark_poly() {
    for log_size in 0..=28 {
        assert_eq!(generator(log_size), domain(log_size).group_gen(), "2^{log_size}");
    }
}

#[test]
fn twiddles_for_a_smaller_size_are_refused() {
    let error =
        forward(&mut vector(8, Fr::ONE), &Twiddles::new(2, Tier::current())).expect_err("too few twiddles");
    assert!(error.to_string().contains("at most 4"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn coefficients_of_any_number_are_folded(
        len in 0usize..400, log_size in 0u32..9, seed in element(), shift in nonzero()
    ) {
        let coefficients = vector(len, seed);
        let polynomial = DensePolynomial::from_coefficients_slice(&coefficients);
        let points = domain(log_size).get_coset(shift).expect("not zero");
        let expected: Vec<Fr> = points.elements().map(|point| polynomial.evaluate(&point)).collect();
        for tier in common::tiers() {
            let twiddles = Twiddles::new(log_size, tier);
            let values = coset_forward(&coefficients, log_size, shift, &twiddles).expect("a coset");
            prop_assert_eq!(&values, &expected);
        }
    }

    #[test]
    fn inverse_transforms_go_back(values in prop::collection::vec(element(), 64), shift in nonzero()) {
        for tier in common::tiers() {
            let twiddles = Twiddles::new(9, tier);
            let mut vector = values.clone();
            coset_inverse(&mut vector, shift, &twiddles).expect("a coset");
            prop_assert_eq!(&coset_forward(&vector, 6, shift, &twiddles).expect("a coset"), &values);
        }
    }
}
