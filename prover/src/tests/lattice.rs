//! Short integer relations between powers of a field element, by pairwise reduction of a lattice of small dimension.

use ark_bn254::Fr;
use ark_ff::{Field, One, PrimeField, Zero};
use zkloom_plonkish::field::to_integer;

type Row = Vec<Fr>;

/// The balanced integer behind a field element, rounded. Exact residues stay in the field; only quotients are rounded.
fn approximate(value: Fr) -> f64 {
    let magnitude = |value: Fr| {
        value.into_bigint().0.iter().rev().fold(0.0, |sum, limb| sum * 2f64.powi(64) + *limb as f64)
    };
    let (plus, minus) = (magnitude(value), magnitude(-value));
    if plus <= minus { plus } else { -minus }
}

/// An integer-valued number as a field element.
fn exact(value: f64) -> Fr {
    let (mut mantissa, mut exponent) = (value.abs(), 0_u64);
    while mantissa >= 2f64.powi(53) {
        mantissa /= 2.0;
        exponent += 1;
    }
    let magnitude = Fr::from(mantissa as u64) * Fr::from(2).pow([exponent]);
    if value < 0.0 { -magnitude } else { magnitude }
}

fn dot(left: &[Fr], right: &[Fr]) -> f64 {
    left.iter().zip(right).map(|(a, b)| approximate(*a) * approximate(*b)).sum()
}

/// Integers `v` below 2^62, not all zero, with `sum_i base^i v_i = 0` in the field.
pub(crate) fn short_relation(base: Fr, count: usize) -> Vec<i64> {
    let powers: Vec<Fr> = core::iter::successors(Some(Fr::one()), |p| Some(*p * base)).take(count).collect();
    let unit = |i: usize, k: usize| if k == 0 { -powers[i] } else { Fr::from(u64::from(k == i)) };
    let mut rows: Vec<Row> = (1..count).map(|i| (0..count).map(|k| unit(i, k)).collect()).collect();
    // The lattice's last vector is the field's order, which the field cannot write; a multiple of the first row that comes
    // back around the order serves instead.
    let order = 2.0 * approximate(-Fr::one() / Fr::from(2)).abs();
    let around = exact((order / approximate(powers[1]).abs()).round());
    rows.push(rows[0].iter().map(|entry| *entry * around).collect());
    loop {
        let mut changed = false;
        for i in 0..rows.len() {
            for j in 0..rows.len() {
                let norm = dot(&rows[j], &rows[j]);
                if i == j || norm == 0.0 {
                    continue;
                }
                let quotient = (dot(&rows[i], &rows[j]) / norm).round();
                if quotient != 0.0 {
                    let (factor, other) = (exact(quotient), rows[j].clone());
                    rows[i].iter_mut().zip(other).for_each(|(entry, step)| *entry -= factor * step);
                    changed = true;
                }
            }
        }
        if !changed {
            break;
        }
    }
    let small = |row: &Row| row.iter().map(|v| to_integer(*v)).collect::<Option<Vec<i64>>>();
    let fits = |row: &Vec<i64>| row.iter().any(|v| *v != 0) && row.iter().all(|v| v.abs() < 1 << 62);
    let found = rows.iter().filter_map(small).find(fits).expect("a short relation");
    let sum: Fr = found.iter().zip(&powers).map(|(v, p)| Fr::from(*v) * p).sum();
    assert!(sum.is_zero());
    found
}

#[test]
fn relations_are_found_for_any_base() {
    for seed in 0..30_u64 {
        let base = Fr::from_be_bytes_mod_order(blake3::hash(&seed.to_be_bytes()).as_bytes());
        short_relation(base, 6);
    }
}
