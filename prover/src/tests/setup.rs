//! Key generation refuses a structured reference string whose points are not what they should be, and fixed values that
//! would let a prover choose.

use ark_bn254::G1Affine;
use ark_ec::AffineRepr;
use zkloom_plonkish::{Decode, Encode, Expression, Gate, Query};
use zkloom_verifier::group::uncompressed;
use zkloom_verifier::{HashKind, SrsPin};

use super::sample::{Sample, Shape};
use crate::key::{self, KeyError};
use crate::srs::{Srs, SrsError, dev};

/// The SRS after a round trip through its bytes, in which one point was exchanged.
fn exchanged(srs: &Srs, old: &G1Affine, new: &G1Affine) -> Srs {
    let bytes = srs.to_vec();
    let pattern = uncompressed(old);
    let at = bytes.windows(64).rposition(|window| window == pattern).unwrap();
    let mut changed = bytes;
    changed[at..at + 64].copy_from_slice(&uncompressed(new));
    Srs::from_slice(&changed).unwrap()
}

fn refusal(sample: &Sample, srs: &Srs) -> KeyError {
    let values = (sample.fixed.clone(), sample.weights.clone());
    key::generate(&sample.backend, srs, sample.circuit.clone(), values, HashKind::Keccak256).unwrap_err()
}

#[test]
fn a_wrong_lagrange_point_makes_no_key() {
    let sample = Sample::new(&Shape::default());
    let point = sample.srs.lagrange(7).unwrap()[20];
    for new in [G1Affine::identity(), G1Affine::generator()] {
        let srs = exchanged(&sample.srs, &point, &new);
        assert_eq!(srs.pin(), sample.srs.pin());
        assert!(matches!(refusal(&sample, &srs), KeyError::Srs(SrsError::Inconsistent(_))));
    }
}

#[test]
fn a_wrong_power_makes_no_key() {
    let sample = Sample::new(&Shape::default());
    let srs = exchanged(&sample.srs, &sample.srs.powers()[9], &sample.srs.powers()[10]);
    assert!(matches!(refusal(&sample, &srs), KeyError::Srs(SrsError::Inconsistent(_))));
}

#[test]
fn secrets_that_everyone_knows_are_no_pin() {
    let good = dev::for_tests(4).pin().clone();
    assert!(SrsPin::from_slice(&good.to_vec()).is_ok());
    let (one, two) = (good.one_g1, good.one_g2);
    let known = [
        SrsPin { tau_g1: one, tau_g2: two, ..good.clone() },
        SrsPin { gamma_g1: one, gamma_g2: two, ..good.clone() },
        SrsPin { gamma_g1: -one, gamma_g2: -two, ..good.clone() },
        SrsPin { gamma_g1: good.tau_g1, gamma_g2: good.tau_g2, ..good.clone() },
    ];
    for pin in known {
        assert!(SrsPin::from_slice(&pin.to_vec()).is_err());
    }
}

#[test]
fn gates_and_lookups_are_off_where_they_would_read_blinding_rows() {
    let mut sample = Sample::new(&Shape::default());
    let next = Expression::Leaf(Query { rotation: 1, ..Query::advice(0) });
    let polynomial = Expression::Product(vec![Expression::Leaf(Query::fixed(5)), next]);
    sample.circuit.fixed.push(zkloom_plonkish::FixedColumn { name: "s".to_owned() });
    sample.circuit.gates.push(Gate { name: "next".to_owned(), polynomial });
    sample.circuit.blinding_rows = 5;
    let refuse = |sample: &Sample| refusal(sample, &sample.srs).to_string();
    let mut values = vec![0; sample.circuit.usable()];
    values[sample.circuit.usable() - 1] = 1;
    sample.fixed.columns.push(values);
    assert!(refuse(&sample).contains("gate `next`"), "{}", refuse(&sample));
    sample.fixed.columns[5].fill(0);
    let values = (sample.fixed.clone(), sample.weights.clone());
    assert!(
        key::generate(&sample.backend, &sample.srs, sample.circuit.clone(), values, HashKind::Keccak256)
            .is_ok()
    );
    // A table row without a number.
    sample.fixed.columns[3][4] = 0;
    assert!(refuse(&sample).contains("number of the table"), "{}", refuse(&sample));
}
