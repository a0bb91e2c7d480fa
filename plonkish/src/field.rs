//! Small helpers on field elements that the whole workspace shares.

use ark_bn254::Fr;
use ark_ff::{BigInteger, Field, One, PrimeField, Zero};

/// A signed integer as a field element.
pub fn from_integer(value: i64) -> Fr {
    Fr::from(value)
}

/// The integer that a field element stands for, if its magnitude is below 2^63.
pub fn to_integer(value: Fr) -> Option<i64> {
    let small = |v: Fr| {
        let [low, a, b, c] = v.into_bigint().0;
        (a == 0 && b == 0 && c == 0 && low < 1 << 63).then_some(low as i64)
    };
    small(value).or_else(|| small(-value).map(|v| -v))
}

/// Canonical encoding: 32 bytes, big-endian.
pub fn to_bytes(value: Fr) -> [u8; 32] {
    let mut out = [0; 32];
    for (slot, byte) in out.iter_mut().zip(value.into_bigint().to_bytes_be()) {
        *slot = byte;
    }
    out
}

/// Reads a canonical encoding; `None` for values that are not below the field's order.
pub fn from_bytes(bytes: &[u8; 32]) -> Option<Fr> {
    let mut limbs = [0_u64; 4];
    for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = chunk.iter().fold(0, |acc, byte| acc << 8 | u64::from(*byte));
    }
    Fr::from_bigint(ark_ff::BigInt(limbs))
}

/// `1 + r + ... + r^(count - 1)` in O(log count) multiplications and without an inversion: from the sum over k terms and
/// `r^k` follow those for 2k and k + 1.
pub fn geometric(ratio: Fr, count: u64) -> Fr {
    let (mut sum, mut power) = (Fr::zero(), Fr::one());
    for bit in (0..u64::BITS - count.leading_zeros()).rev() {
        sum *= Fr::one() + power;
        power.square_in_place();
        if count >> bit & 1 == 1 {
            sum = sum * ratio + Fr::one();
            power *= ratio;
        }
    }
    sum
}

/// Generator of the subgroup of order `2^log_size`, for `log_size <= 28`.
pub fn root_of_unity(log_size: u32) -> Option<Fr> {
    use ark_ff::FftField;
    let steps = Fr::TWO_ADICITY.checked_sub(log_size)?;
    let mut root = Fr::TWO_ADIC_ROOT_OF_UNITY;
    for _ in 0..steps {
        root.square_in_place();
    }
    Some(root)
}

/// Inverts every nonzero entry with one inversion; zeros stay zeros.
pub fn batch_invert(values: &mut [Fr]) {
    let mut product = Fr::one();
    let mut prefixes = Vec::with_capacity(values.len());
    for value in values.iter() {
        prefixes.push(product);
        if !value.is_zero() {
            product *= value;
        }
    }
    let mut inverse = product.inverse().unwrap_or_else(Fr::zero);
    for (value, prefix) in values.iter_mut().zip(prefixes).rev() {
        if !value.is_zero() {
            let inverted = inverse * prefix;
            inverse *= *value;
            *value = inverted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_the_field() {
        for v in [0, 1, -1, i64::MAX, -i64::MAX, 1 << 40, -(1 << 40)] {
            assert_eq!(to_integer(from_integer(v)), Some(v));
        }
        assert_eq!(to_integer(Fr::from(1_u64 << 63)), None);
        assert_eq!(to_integer(Fr::from(2).inverse().unwrap()), None);
    }

    #[test]
    fn encoding_is_canonical() {
        for v in [Fr::zero(), Fr::one(), -Fr::one(), from_integer(-77)] {
            assert_eq!(from_bytes(&to_bytes(v)), Some(v));
        }
        let mut order = to_bytes(-Fr::one());
        order[31] += 1;
        assert_eq!(from_bytes(&order), None);
        assert_eq!(from_bytes(&[0xff; 32]), None);
    }

    #[test]
    fn geometric_sums() {
        assert_eq!(geometric(Fr::one(), 5), Fr::from(5));
        assert_eq!(geometric(Fr::from(3), 4), Fr::from(40));
        assert_eq!(geometric(Fr::from(3), 0), Fr::zero());
        for count in 0..70 {
            let ratio = -Fr::from(17);
            let powers = core::iter::successors(Some(Fr::one()), |power| Some(*power * ratio));
            assert_eq!(geometric(ratio, count), powers.take(count as usize).sum());
        }
    }

    #[test]
    fn batch_inversion_keeps_zeros() {
        let mut v = [Fr::from(2), Fr::zero(), Fr::from(7), -Fr::one()];
        batch_invert(&mut v);
        assert_eq!(
            v.map(|x| x.inverse().unwrap_or_else(Fr::zero)),
            [Fr::from(2), Fr::zero(), Fr::from(7), -Fr::one()]
        );
        batch_invert(&mut []);
    }

    #[test]
    fn roots_have_their_order() {
        let root = root_of_unity(5).unwrap();
        assert_eq!(root.pow([32]), Fr::one());
        assert_ne!(root.pow([16]), Fr::one());
        assert_eq!(root_of_unity(29), None);
    }
}
