//! What the host does with the sums that an accelerator's multi-scalar multiplication gives back.

use ark_bn254::{Fq, G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, Field, Zero};

/// (x / zz, y / zzz), where zz^3 = zzz^2 makes zz / zzz the root of 1 / zz; the identity for zz = 0.
pub(crate) fn affine(coordinates: &[Fq]) -> G1Affine {
    let [x, y, zz, zzz] = coordinates else { return G1Affine::zero() };
    match zzz.inverse() {
        Some(inverse) => G1Affine::new_unchecked(*x * (*zz * inverse).square(), *y * inverse),
        None => G1Affine::zero(),
    }
}

/// `sum_w 2^(bits * w) * sums[w]`, from the top.
pub(crate) fn put_together(sums: &[G1Affine], bits: u32) -> G1Projective {
    sums.iter().rev().fold(G1Projective::zero(), |mut total, sum| {
        for _ in 0..bits {
            total.double_in_place();
        }
        total + sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_put_together() {
        let generator = G1Affine::generator();
        let sums = [generator, G1Affine::zero(), -generator];
        assert_eq!(put_together(&sums, 3), generator * ark_bn254::Fr::from(1 - 64));
        assert_eq!(put_together(&[], 3), G1Projective::zero());
    }

    #[test]
    fn denominators_are_divided_out() {
        let generator = G1Affine::generator();
        let root = Fq::from(5u64);
        let (zz, zzz) = (root.square(), root.square() * root);
        let point = [generator.x * zz, generator.y * zzz, zz, zzz];
        assert_eq!(affine(&point), generator);
        assert_eq!(affine(&[Fq::zero(); 4]), G1Affine::zero());
    }
}
