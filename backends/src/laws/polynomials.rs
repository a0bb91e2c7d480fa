//! Laws of linear combinations, evaluation and division.

use ark_bn254::Fr;
use ark_ff::{One, Zero};

use super::{Ground, Outcome, done, refuses_length, same};
use crate::backend::Backend;

pub(super) fn combine<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    let none = done(ground.backend.combine(&[]), "no terms")?;
    same(&done(ground.backend.download(&none), "no terms")?, &[], "no terms")?;
    for size in ground.sizes() {
        for terms in [1, 2, 4, 5, 9] {
            let input = format!("{terms} terms up to {size} entries");
            let lengths = [size, size / 2, size, size.saturating_sub(1), size, 0, size, 1, size];
            let vectors: Vec<Vec<Fr>> = lengths[..terms].iter().map(|&len| sampler.elements(len)).collect();
            let mut factors = sampler.elements(terms);
            factors.iter_mut().step_by(4).for_each(|factor| *factor = Fr::one());
            factors.iter_mut().skip(3).step_by(4).for_each(|factor| *factor = Fr::zero());
            for factors in [factors, sampler.elements(terms)] {
                let longest = vectors.iter().map(Vec::len).max().unwrap_or(0);
                let mut expected = vec![Fr::zero(); longest];
                for (factor, vector) in factors.iter().zip(&vectors) {
                    expected.iter_mut().zip(vector).for_each(|(sum, value)| *sum += *factor * value);
                }
                let uploaded: Result<Vec<_>, _> =
                    vectors.iter().map(|vector| ground.backend.upload(vector)).collect();
                let uploaded = done(uploaded, &input)?;
                let terms: Vec<_> = factors.iter().copied().zip(&uploaded).collect();
                let sum = done(ground.backend.combine(&terms), &input)?;
                same(&done(ground.backend.download(&sum), &input)?, &expected, &input)?;
            }
        }
    }
    Ok(())
}

pub(super) fn add_scaled<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (offset, len) in [(0, size), (0, 0), (size, 0), (size / 2, size - size / 2), (size / 3, size / 3)]
        {
            for factor in [Fr::zero(), Fr::one(), sampler.element()] {
                let input = format!("{len} entries at {offset} of {size}, factor {factor}");
                let (mut target, source) = (sampler.elements(size), sampler.elements(len));
                let mut vector = done(ground.backend.upload(&target), &input)?;
                let uploaded = done(ground.backend.upload(&source), &input)?;
                done(ground.backend.add_scaled(&mut vector, offset, factor, &uploaded), &input)?;
                target[offset..].iter_mut().zip(&source).for_each(|(sum, value)| *sum += factor * value);
                same(&done(ground.backend.download(&vector), &input)?, &target, &input)?;
            }
        }
        for (offset, len) in [(0, size + 1), (size, 1), (size + 1, 0), (usize::MAX, 1)] {
            let input = format!("{len} entries at {offset} of {size}");
            let mut target = done(ground.backend.zeros(size), &input)?;
            let source = done(ground.backend.zeros(len), &input)?;
            refuses_length(ground.backend.add_scaled(&mut target, offset, Fr::one(), &source), &input)?;
        }
    }
    Ok(())
}

pub(super) fn evaluate<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    same(&done(ground.backend.evaluate(&[], Fr::one()), "none")?, &[], "no polynomial")?;
    for size in ground.sizes() {
        let vectors = sampler.vectors(size);
        let short = ("short", sampler.elements(size / 2));
        let polynomials: Vec<Vec<Fr>> =
            vectors.into_iter().chain([short]).map(|(_, values)| values).collect();
        let uploaded: Result<Vec<_>, _> =
            polynomials.iter().map(|values| ground.backend.upload(values)).collect();
        let uploaded = done(uploaded, size)?;
        for point in [Fr::zero(), Fr::one(), -Fr::one(), sampler.element()] {
            let input = format!("{size} coefficients at {point}");
            let value = |coefficients: &Vec<Fr>| {
                let (mut sum, mut power) = (Fr::zero(), Fr::one());
                for coefficient in coefficients {
                    sum += power * coefficient;
                    power *= point;
                }
                sum
            };
            let expected: Vec<Fr> = polynomials.iter().map(value).collect();
            let found = ground.backend.evaluate(&uploaded.iter().collect::<Vec<_>>(), point);
            same(&done(found, &input)?, &expected, &input)?;
        }
    }
    Ok(())
}

pub(super) fn divide_by_linear<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for root in [Fr::zero(), Fr::one(), sampler.element()] {
            let input = format!("{size} coefficients, root {root}");
            let polynomial = sampler.elements(size);
            // Long division from the top.
            let mut expected = polynomial.get(1..).unwrap_or_default().to_vec();
            for index in (1..expected.len()).rev() {
                let carried = root * expected[index];
                expected[index - 1] += carried;
            }
            let vector = done(ground.backend.upload(&polynomial), &input)?;
            let quotient = done(ground.backend.divide_by_linear(&vector, root), &input)?;
            same(&done(ground.backend.download(&quotient), &input)?, &expected, &input)?;
        }
    }
    Ok(())
}
