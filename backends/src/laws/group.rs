//! Laws of multi-scalar multiplication. Points are made from known discrete logarithms, which gives the expected sums.

use ark_bn254::Fr;
use ark_ff::Zero;

use super::sample::group_sum;
use super::{Ground, Outcome, done, refuses_length, same};
use crate::backend::Backend;

pub(super) fn msm<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (kind, points, logs) in sampler.points(size) {
            let bases = done(ground.backend.upload_bases(&points), size)?;
            let vectors = sampler.vectors(size);
            for (name, scalars) in &vectors {
                let input = format!("{size} entries, {name} scalars, {kind} points");
                let vector = done(ground.backend.upload(scalars), &input)?;
                let found = done(ground.backend.msm(&bases, &[&vector]), &input)?;
                same(&found, &[group_sum(&logs, scalars.iter().copied())], &input)?;
            }
        }
        msm_shapes(ground, size)?;
    }
    Ok(())
}

/// Several vectors of different lengths at once, none, and one that is too long.
fn msm_shapes<B: Backend>(ground: &Ground<'_, B>, size: usize) -> Outcome {
    let mut sampler = ground.sampler();
    let (points, logs) = sampler.chain(size);
    let bases = done(ground.backend.upload_bases(&points), size)?;
    let input = format!("{size} bases, several vectors");
    let scalars: Vec<Vec<Fr>> = [size, 0, size / 2, size].iter().map(|&len| sampler.elements(len)).collect();
    let vectors = scalars.iter().map(|scalars| ground.backend.upload(scalars)).collect::<Result<Vec<_>, _>>();
    let vectors = done(vectors, &input)?;
    let expected: Vec<_> = scalars.iter().map(|scalars| group_sum(&logs, scalars.iter().copied())).collect();
    let found = ground.backend.msm(&bases, &vectors.iter().collect::<Vec<_>>());
    same(&done(found, &input)?, &expected, &input)?;
    same(&done(ground.backend.msm(&bases, &[]), "no vector")?, &[], "no vector")?;
    let long = done(ground.backend.upload(&vec![Fr::zero(); size + 1]), &input)?;
    refuses_length(
        ground.backend.msm(&bases, &[&vectors[0], &long]),
        format_args!("one more than {size} bases"),
    )
}

pub(super) fn msm_integers<B: Backend>(ground: &Ground<'_, B>) -> Outcome {
    let mut sampler = ground.sampler();
    for size in ground.sizes() {
        for (kind, points, logs) in sampler.points(size) {
            let bases = done(ground.backend.upload_bases(&points), size)?;
            for (name, integers) in sampler.integers(size) {
                let input = format!("{size} entries, {name} integers, {kind} points");
                let vector = done(ground.backend.upload_integers(&integers), &input)?;
                let found = done(ground.backend.msm_integers(&bases, &[&vector]), &input)?;
                same(&found, &[group_sum(&logs, integers.iter().map(|&value| Fr::from(value)))], &input)?;
            }
        }
        integer_shapes(ground, size)?;
    }
    Ok(())
}

fn integer_shapes<B: Backend>(ground: &Ground<'_, B>, size: usize) -> Outcome {
    let mut sampler = ground.sampler();
    let (points, logs) = sampler.chain(size);
    let bases = done(ground.backend.upload_bases(&points), size)?;
    let input = format!("{size} bases, several integer vectors");
    let [whole, half] = [size, size / 2].map(|len| sampler.integers(len).swap_remove(1).1);
    let vectors = [&whole, &half].map(|integers| ground.backend.upload_integers(integers));
    let [first, second] = vectors;
    let (first, second) = (done(first, &input)?, done(second, &input)?);
    let expected =
        [&whole, &half].map(|integers| group_sum(&logs, integers.iter().map(|&value| Fr::from(value))));
    same(&done(ground.backend.msm_integers(&bases, &[&first, &second]), &input)?, &expected, &input)?;
    same(&done(ground.backend.msm_integers(&bases, &[]), "no vector")?, &[], "no vector")?;
    let long = done(ground.backend.upload_integers(&vec![1; size + 1]), &input)?;
    refuses_length(ground.backend.msm_integers(&bases, &[&long]), format_args!("one more than {size} bases"))
}
