//! Words of 64 bits as field elements and points, and back.

use ark_bn254::{Fq, Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInt, Fp, MontBackend, MontConfig, PrimeField, Zero};

use crate::status::Failure;

/// How field elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Canonical,
    Montgomery,
}

impl Form {
    pub(crate) fn from_code(code: u32) -> Result<Self, Failure> {
        match code {
            0 => Ok(Self::Canonical),
            1 => Ok(Self::Montgomery),
            other => Err(Failure::argument(format!("form {other}; use 0 (canonical) or 1 (Montgomery)"))),
        }
    }
}

fn element<C: MontConfig<4>>(
    words: &[u64],
    form: Form,
    index: usize,
) -> Result<Fp<MontBackend<C, 4>, 4>, Failure> {
    let mut limbs = [0; 4];
    limbs.iter_mut().zip(words).for_each(|(limb, word)| *limb = *word);
    let number = BigInt::new(limbs);
    if number >= C::MODULUS {
        return Err(Failure::argument(format!("element {index} is not below its field's modulus")));
    }
    Ok(match form {
        Form::Canonical => Fp::from_bigint(number).unwrap_or_default(),
        Form::Montgomery => Fp::new_unchecked(number),
    })
}

fn number<C: MontConfig<4>>(value: &Fp<MontBackend<C, 4>, 4>, form: Form) -> [u64; 4] {
    match form {
        Form::Canonical => value.into_bigint().0,
        Form::Montgomery => value.0.0,
    }
}

pub(crate) fn from_scalars(words: &[u64], form: Form) -> Result<Vec<Fr>, Failure> {
    words.chunks_exact(4).enumerate().map(|(index, words)| element(words, form, index)).collect()
}

pub(crate) fn to_scalars(values: &[Fr], form: Form) -> Vec<u64> {
    values.iter().flat_map(|value| number(value, form)).collect()
}

pub(crate) fn from_points(words: &[u64], form: Form) -> Result<Vec<G1Affine>, Failure> {
    let point = |(index, words): (usize, &[u64])| {
        let (x, y) = words.split_at(4);
        let (x, y): (Fq, Fq) = (element(x, form, index)?, element(y, form, index)?);
        if x.is_zero() && y.is_zero() {
            return Ok(G1Affine::zero());
        }
        let point = G1Affine::new_unchecked(x, y);
        // The group is the whole curve.
        match point.is_on_curve() {
            true => Ok(point),
            false => Err(Failure::argument(format!("point {index} is not on the curve"))),
        }
    };
    words.chunks_exact(8).enumerate().map(point).collect()
}

pub(crate) fn to_point(point: G1Affine, form: Form) -> [u64; 8] {
    let (x, y) = point.xy().unwrap_or_default();
    let mut words = [0; 8];
    words
        .iter_mut()
        .zip(number(&x, form).into_iter().chain(number(&y, form)))
        .for_each(|(to, from)| *to = from);
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::One;

    #[test]
    fn round_trips_and_refusals() {
        let values = [Fr::zero(), Fr::one(), -Fr::one(), Fr::from(u64::MAX)];
        for form in [Form::Canonical, Form::Montgomery] {
            let words = to_scalars(&values, form);
            assert_eq!(from_scalars(&words, form).ok().as_deref(), Some(&values[..]));
            for point in [G1Affine::zero(), G1Affine::generator(), -G1Affine::generator()] {
                let words = to_point(point, form);
                assert_eq!(from_points(&words, form).ok(), Some(vec![point]));
            }
        }
        assert_eq!(to_scalars(&[Fr::from(7)], Form::Canonical), [7, 0, 0, 0]);
        let modulus = Fr::MODULUS.0;
        assert!(from_scalars(&modulus, Form::Canonical).is_err());
        assert!(from_scalars(&[u64::MAX; 4], Form::Montgomery).is_err());
        let mut off = to_point(G1Affine::generator(), Form::Canonical);
        off[0] += 1;
        assert!(from_points(&off, Form::Canonical).is_err());
        assert!(Form::from_code(2).is_err());
    }
}
