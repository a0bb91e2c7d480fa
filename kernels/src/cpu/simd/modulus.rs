//! The two prime fields, as the vector kernels see them.

use ark_bn254::{FqConfig, FrConfig};
use ark_ff::{BigInt, Fp, MontBackend, MontConfig};

/// A field element of `ark-ff`: four words, Montgomery's form with 2^256, below p.
pub(crate) type Element<M> = Fp<MontBackend<M, 4>, 4>;

/// The lowest 52 bits.
pub(crate) const LIMB: u64 = (1 << 52) - 1;

/// A prime modulus p of 254 bits with `2^260 / p` between 84 and 85, for 5 limbs of 52 bits. All constants follow from p.
pub(crate) trait Modulus: MontConfig<4> + Send + Sync + 'static {
    /// p in limbs.
    const P: [u64; 5] = limbs(Self::MODULUS.0);
    /// `-1 / p mod 2^52`.
    const NEGATIVE_INVERSE: u64 = negative_inverse(Self::MODULUS.0[0]);
    /// `2^-52 mod p`, that is `(1 + (-1 / p mod 2^52) p) / 2^52`.
    const FOLD: [u64; 5] = fold(Self::P, Self::NEGATIVE_INVERSE);
    /// `2^260 - p`.
    const COMPLEMENT: [u64; 5] = complement(Self::P);
    /// Multiples of p to subtract from a value whose bits from 2^254 on are the index: for each limb, eight entries.
    const STEPS: [[u64; 8]; 5] = steps(Self::P);
    /// `2^260 mod p` in words, which is one in Montgomery's form with 2^260.
    const ONE: BigInt<4> = power_of_two(Self::MODULUS, 260);
}

impl Modulus for FrConfig {}
impl Modulus for FqConfig {}

/// `factor * p`, in limbs; below 2^260 for factors up to 84.
pub(crate) const fn multiple<M: Modulus>(factor: u64) -> [u64; 5] {
    let (mut limbs, mut carry, mut index) = ([0; 5], 0u128, 0);
    while index < 5 {
        carry += M::P[index] as u128 * factor as u128;
        limbs[index] = carry as u64 & LIMB;
        carry >>= 52;
        index += 1;
    }
    assert!(carry == 0, "the multiple of p does not fit five limbs");
    limbs
}

/// `factor * p`, in words; below 2^256 for factors up to 5.
pub(crate) const fn multiple_words<M: Modulus>(factor: u64) -> [u64; 4] {
    let (mut words, mut carry, mut index) = ([0; 4], 0u128, 0);
    while index < 4 {
        carry += M::MODULUS.0[index] as u128 * factor as u128;
        words[index] = carry as u64;
        carry >>= 64;
        index += 1;
    }
    words
}

/// A number of four words in limbs.
pub(crate) const fn limbs(words: [u64; 4]) -> [u64; 5] {
    [
        words[0] & LIMB,
        (words[0] >> 52 | words[1] << 12) & LIMB,
        (words[1] >> 40 | words[2] << 24) & LIMB,
        (words[2] >> 28 | words[3] << 36) & LIMB,
        words[3] >> 16,
    ]
}

const fn negative_inverse(p: u64) -> u64 {
    // Newton's iteration doubles the correct bits; an odd number is its own inverse to three bits.
    let (mut inverse, mut round) = (p, 0);
    while round < 5 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(p.wrapping_mul(inverse)));
        round += 1;
    }
    inverse.wrapping_neg() & LIMB
}

const fn fold(p: [u64; 5], negative_inverse: u64) -> [u64; 5] {
    let mut result = [0; 5];
    let mut sum = p[0] as u128 * negative_inverse as u128 + 1;
    let mut index = 1;
    while index < 5 {
        sum = (sum >> 52) + p[index] as u128 * negative_inverse as u128;
        result[index - 1] = sum as u64 & LIMB;
        index += 1;
    }
    result[4] = (sum >> 52) as u64;
    result
}

const fn complement(p: [u64; 5]) -> [u64; 5] {
    let (mut result, mut carry, mut index) = ([0; 5], 1, 0);
    while index < 5 {
        let sum = (p[index] ^ LIMB) + carry;
        result[index] = sum & LIMB;
        carry = sum >> 52;
        index += 1;
    }
    result
}

/// `2^254` is between 4/3 p - p/90 and 4/3 p, so that `i 2^254` holds `floor(i 2^254 / p)` times p, with a rest of at least
/// p / 4 for `0 < i < 8`.
const fn steps(p: [u64; 5]) -> [[u64; 8]; 5] {
    let factors = [0, 1, 2, 3, 5, 6, 7, 9];
    let (mut table, mut entry) = ([[0; 8]; 5], 0);
    while entry < 8 {
        let (mut carry, mut index) = (0u128, 0);
        while index < 5 {
            carry += p[index] as u128 * factors[entry] as u128;
            table[index][entry] = carry as u64 & LIMB;
            carry >>= 52;
            index += 1;
        }
        entry += 1;
    }
    table
}

const fn power_of_two(modulus: BigInt<4>, exponent: u32) -> BigInt<4> {
    let (mut words, mut doublings) = ([1u64, 0, 0, 0], 0);
    while doublings < exponent {
        // Below p < 2^254 the double fits.
        let doubled = [
            words[0] << 1,
            words[1] << 1 | words[0] >> 63,
            words[2] << 1 | words[1] >> 63,
            words[3] << 1 | words[2] >> 63,
        ];
        let (mut reduced, mut borrow, mut index) = ([0u64; 4], false, 0);
        while index < 4 {
            let (first, a) = doubled[index].overflowing_sub(modulus.0[index]);
            let (second, b) = first.overflowing_sub(borrow as u64);
            (reduced[index], borrow) = (second, a | b);
            index += 1;
        }
        words = if borrow { doubled } else { reduced };
        doublings += 1;
    }
    BigInt(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{Fq, Fr};
    use ark_ff::{AdditiveGroup, Field, PrimeField};

    /// A number below 2^260 as a field element.
    fn element<F: PrimeField>(limbs: [u64; 5]) -> F {
        limbs.iter().rev().fold(F::ZERO, |value, limb| value * F::from(1u64 << 52) + F::from(*limb))
    }

    fn constants_agree<M: Modulus>() {
        let two = Element::<M>::from(2u64);
        assert_eq!(element::<Element<M>>(M::P), Element::<M>::ZERO);
        assert_eq!(element::<Element<M>>(M::FOLD) * two.pow([52]), Element::<M>::ONE);
        assert_eq!(element::<Element<M>>(M::COMPLEMENT), two.pow([260]));
        assert_eq!(Element::<M>::from_bigint(M::ONE), Some(two.pow([260])));
        assert_eq!(M::P[0].wrapping_mul(M::NEGATIVE_INVERSE) & LIMB, LIMB);
        for (index, factor) in [0, 1, 2, 3, 5, 6, 7, 9].into_iter().enumerate() {
            assert_eq!(core::array::from_fn(|limb| M::STEPS[limb][index]), multiple::<M>(factor));
            // index 2^254 in units of 2^208 holds factor p, and factor + 1 times p is more.
            let rest = (index as u64) << 46;
            assert!(factor * M::P[4] <= rest && (factor + 1) * M::P[4] > rest, "entry {index}");
        }
    }

    #[test]
    fn constants_follow_from_the_modulus() {
        constants_agree::<FrConfig>();
        constants_agree::<FqConfig>();
        assert_eq!(limbs(Fr::MODULUS.0), FrConfig::P);
        assert_eq!(multiple::<FqConfig>(1), limbs(Fq::MODULUS.0));
    }
}
