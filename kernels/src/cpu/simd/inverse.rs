//! The inverse of one element, by Bernstein's and Yang's division steps.
//!
//! With `f = p` odd, `g` the element and `delta = 1`, a step takes `(delta, f, g)` to `(1 - delta, g, (g - f) / 2)` if delta is
//! positive and g odd, and else to `(1 + delta, f, (g + (g mod 2) f) / 2)`, until g is zero and f is the greatest common divisor, up
//! to its sign. 62 steps depend on the lowest 62 bits alone: they are done on words, gathered into a matrix, and the
//! matrix is applied to the long numbers, and modulo p to the coefficients `d`, `e` with `f = d element`, `g = e element`.

use ark_ff::{BigInt, Zero};

use super::{Element, Modulus};

/// Bits of a limb, and steps done together.
const BITS: u32 = 62;

const LIMB: u64 = (1 << BITS) - 1;

/// A signed number in five limbs; all but the highest are not negative.
type Signed = [i64; 5];

/// Times 2^62: how a number of steps changes `(f, g)`.
struct Matrix {
    u: i64,
    v: i64,
    q: i64,
    r: i64,
}

/// The inverse; nothing for zero.
pub(crate) fn inverse<M: Modulus>(element: &Element<M>) -> Option<Element<M>> {
    if element.is_zero() {
        return None;
    }
    let p = split(M::MODULUS.0);
    // The words hold x 2^256, and this is its inverse's: two multiplications by 2^256, whose own words are 2^512, make it x^-1 2^256.
    let words = integer_inverse::<M>(split(element.0.0), p);
    let plain = Element::<M>::new_unchecked(BigInt(words));
    let factor = Element::<M>::new_unchecked(M::R2);
    Some(plain * factor * factor)
}

fn integer_inverse<M: Modulus>(value: Signed, p: Signed) -> [u64; 4] {
    let inverse_of_p = M::INV.wrapping_neg();
    let (mut f, mut g, mut d, mut e) = (p, value, [0; 5], [1, 0, 0, 0, 0]);
    let mut delta = 1;
    while g != [0; 5] {
        let matrix = steps(&mut delta, f[0] as u64, g[0] as u64);
        (d, e) = apply_modulo(&matrix, &d, &e, &p, inverse_of_p);
        (f, g) = apply(&matrix, &f, &g);
    }
    // f is 1 or -1, and d lies between -2p and p.
    if f[4] < 0 {
        d = carried([-d[0], -d[1], -d[2], -d[3], -d[4]]);
    }
    while d[4] < 0 {
        d = carried(core::array::from_fn(|limb| d[limb] + p[limb]));
    }
    loop {
        let less = carried(core::array::from_fn(|limb| d[limb] - p[limb]));
        if less[4] < 0 {
            return joined(&d);
        }
        d = less;
    }
}

/// 62 division steps on the lowest bits.
fn steps(delta: &mut i64, f: u64, g: u64) -> Matrix {
    let (mut f, mut g) = (f, g);
    let (mut u, mut v, mut q, mut r) = (1u64, 0u64, 0u64, 1u64);
    let mut left = BITS;
    loop {
        // Steps with g even, all at once.
        let zeros = (g | u64::MAX << left).trailing_zeros();
        g >>= zeros;
        u <<= zeros;
        v <<= zeros;
        *delta += i64::from(zeros);
        left -= zeros;
        if left == 0 {
            return Matrix { u: u as i64, v: v as i64, q: q as i64, r: r as i64 };
        }
        if *delta > 0 {
            *delta = -*delta;
            (f, g) = (g, f.wrapping_neg());
            (u, q) = (q, u.wrapping_neg());
            (v, r) = (r, v.wrapping_neg());
        }
        // The next 1 - delta steps can't swap: add a multiple of f that clears that many bits of g, six at most.
        let bits = (1 - *delta).min(i64::from(left)).min(6) as u32;
        let mask = (1u64 << bits) - 1;
        // -1 / f mod 64: f (f^2 - 2) is right to six bits.
        let multiple = g.wrapping_mul(f.wrapping_mul(f.wrapping_mul(f).wrapping_sub(2))) & mask;
        g = g.wrapping_add(f.wrapping_mul(multiple));
        q = q.wrapping_add(u.wrapping_mul(multiple));
        r = r.wrapping_add(v.wrapping_mul(multiple));
    }
}

/// `(u f + v g, q f + r g) / 2^62`, which is exact.
fn apply(matrix: &Matrix, f: &Signed, g: &Signed) -> (Signed, Signed) {
    let row = |a: i64, b: i64| {
        let mut sum = (i128::from(a) * i128::from(f[0]) + i128::from(b) * i128::from(g[0])) >> BITS;
        let mut result = [0; 5];
        for limb in 1..5 {
            sum += i128::from(a) * i128::from(f[limb]) + i128::from(b) * i128::from(g[limb]);
            result[limb - 1] = (sum as u64 & LIMB) as i64;
            sum >>= BITS;
        }
        result[4] = sum as i64;
        result
    };
    (row(matrix.u, matrix.v), row(matrix.q, matrix.r))
}

/// The same modulo p, for numbers between -2p and p, which the results are again.
fn apply_modulo(matrix: &Matrix, d: &Signed, e: &Signed, p: &Signed, inverse_of_p: u64) -> (Signed, Signed) {
    let row = |a: i64, b: i64| {
        // p added for each negative number brings the sum between -2^62 p and 2^62 p.
        let mut multiple = (d[4] >> 63 & a) + (e[4] >> 63 & b);
        let mut sum = i128::from(a) * i128::from(d[0]) + i128::from(b) * i128::from(e[0]);
        // A multiple of p that makes the lowest limb zero.
        let wrong = (sum as u64).wrapping_mul(inverse_of_p).wrapping_add(multiple as u64) & LIMB;
        multiple -= wrong as i64;
        sum = (sum + i128::from(p[0]) * i128::from(multiple)) >> BITS;
        let mut result = [0; 5];
        for limb in 1..5 {
            sum += i128::from(a) * i128::from(d[limb]) + i128::from(b) * i128::from(e[limb]);
            sum += i128::from(p[limb]) * i128::from(multiple);
            result[limb - 1] = (sum as u64 & LIMB) as i64;
            sum >>= BITS;
        }
        result[4] = sum as i64;
        result
    };
    (row(matrix.u, matrix.v), row(matrix.q, matrix.r))
}

fn split(words: [u64; 4]) -> Signed {
    let [w0, w1, w2, w3] = words;
    let limbs = [w0, w0 >> 62 | w1 << 2, w1 >> 60 | w2 << 4, w2 >> 58 | w3 << 6, w3 >> 56];
    limbs.map(|limb| (limb & LIMB) as i64)
}

fn joined(limbs: &Signed) -> [u64; 4] {
    let [l0, l1, l2, l3, l4] = limbs.map(|limb| limb as u64);
    [l0 | l1 << 62, l1 >> 2 | l2 << 60, l2 >> 4 | l3 << 58, l3 >> 6 | l4 << 56]
}

fn carried(mut limbs: Signed) -> Signed {
    for limb in 0..4 {
        limbs[limb + 1] += limbs[limb] >> BITS;
        limbs[limb] &= LIMB as i64;
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{Fq, FqConfig, Fr, FrConfig};
    use ark_ff::{AdditiveGroup, Field, PrimeField};
    use proptest::prelude::*;

    fn inverse_is_right<M: Modulus>(element: Element<M>) {
        assert_eq!(inverse(&element), element.inverse());
    }

    proptest! {
        #[test]
        fn inverses_of_random_elements(bytes: [u8; 32]) {
            inverse_is_right::<FqConfig>(Fq::from_le_bytes_mod_order(&bytes));
            inverse_is_right::<FrConfig>(Fr::from_le_bytes_mod_order(&bytes));
        }
    }

    #[test]
    fn inverses_of_special_elements() {
        for bit in 0..256u64 {
            for offset in [-1i64, 0, 1] {
                let element = Fq::from(2).pow([bit]) + Fq::from(offset);
                // Special as a number, and special as words.
                inverse_is_right::<FqConfig>(element);
                inverse_is_right::<FqConfig>(Fq::new_unchecked(element.into_bigint()));
                inverse_is_right::<FqConfig>(-Fq::new_unchecked(element.into_bigint()));
            }
        }
        assert_eq!(inverse(&Fr::ZERO), None);
    }
}
