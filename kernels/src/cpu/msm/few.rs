//! A handful of points: multiples of each in a small table, doublings shared by all.

use ark_bn254::{G1Affine, G1Projective};
use ark_ff::{AdditiveGroup, BigInt, BigInteger};

/// Width of the signed window; the tables hold the odd multiples up to 2^(width - 1).
const WIDTH: usize = 4;

/// `sum scalar * point`.
pub(super) fn sum(terms: impl Iterator<Item = (BigInt<4>, G1Affine)>) -> G1Projective {
    let prepared: Vec<(Vec<i64>, Vec<G1Projective>)> = terms
        .map(|(scalar, point)| {
            let digits = scalar.find_wnaf(WIDTH).unwrap_or_default();
            (digits, odd_multiples(point.into()))
        })
        .collect();
    let length = prepared.iter().map(|(digits, _)| digits.len()).max().unwrap_or(0);
    let mut sum = G1Projective::ZERO;
    for position in (0..length).rev() {
        sum.double_in_place();
        for (digits, multiples) in &prepared {
            let digit = digits.get(position).copied().unwrap_or(0);
            let multiple = multiples[digit.unsigned_abs() as usize / 2];
            match digit {
                0 => {}
                1.. => sum += multiple,
                _ => sum -= multiple,
            }
        }
    }
    sum
}

fn odd_multiples(point: G1Projective) -> Vec<G1Projective> {
    let twice = point.double();
    core::iter::successors(Some(point), |multiple| Some(*multiple + twice)).take(1 << (WIDTH - 2)).collect()
}
