//! Sums of products `f(X) e(1/X)`, by transforms over two halves of a group.
//!
//! A group of even order 2M is a subgroup of order M and its coset by a root `r` of order 2M. A factor f is transformed inversely on
//! both, which gives its values at the inverses of their elements, over M: on the subgroup a prover may know that transform
//! already. With acc the sum of products, values of acc(1/x) on each half give it modulo `X^M - 1` and `X^M + 1`, and so its
//! coefficients from -M to M.

use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, One};
use zkloom_backends::program::{Operand, Operation, Program};
use zkloom_backends::{Backend, DeviceVector, Direction, GeometricBox, Segment};
use zkloom_plonkish::field::root_of_unity;

use crate::error::ProveError;

/// Whether a product is added or subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

/// Products summed up so far.
pub(crate) struct ReciprocalProducts<'b, B: Backend> {
    backend: &'b B,
    /// Log2 of M.
    log_half: u32,
    /// Of order 2M.
    root: Fr,
    /// Powers of its inverse.
    powers: B::Scalars,
    /// `acc(1/x) / M` on the subgroup.
    subgroup: B::Scalars,
    /// The same on the coset.
    coset: B::Scalars,
}

fn input(index: u32) -> Operand {
    Operand::Input { index, rotation: 0 }
}

fn program(inputs: u32, operations: Vec<Operation>) -> Program {
    let output = (operations.len() as u32).checked_sub(1).map(Operand::Result);
    Program { inputs, constants: 0, operations, output }
}

impl<'b, B: Backend> ReciprocalProducts<'b, B> {
    /// For vectors of at most `reach + 1` coefficients.
    pub(crate) fn new(backend: &'b B, reach: usize) -> Result<Self, ProveError> {
        let length = reach.next_power_of_two();
        let log_half = length.ilog2();
        let root = root_of_unity(log_half + 1).unwrap_or(Fr::ONE);
        let segment = Segment {
            start: 0,
            count: length,
            step: 1,
            output_start: 0,
            output_step: 0,
            ratio: root.inverse().unwrap_or(Fr::ONE),
            scale: Fr::ONE,
        };
        let all = GeometricBox { offset: 0, output_offset: 0, scale: Fr::ONE, axes: vec![vec![segment]] };
        let mut powers = backend.zeros(length)?;
        backend.expand_boxes(&mut powers, &[all])?;
        let (subgroup, coset) = (backend.zeros(length)?, backend.zeros(length)?);
        Ok(Self { backend, log_half, root, powers, subgroup, coset })
    }

    /// M.
    pub(crate) fn length(&self) -> usize {
        1 << self.log_half
    }

    /// Adds or subtracts `f(X) e(1/X)`. `known` is f's inverse transform of length M, where it was made before.
    pub(crate) fn add(
        &mut self,
        (f, known): (&B::Scalars, Option<&B::Scalars>),
        e: &B::Scalars,
        sign: Sign,
    ) -> Result<(), ProveError> {
        let made = match known {
            Some(_) => None,
            None => Some(self.inverse(self.shortened(f, Fr::one())?)?),
        };
        let values = self.backend.coset_ntt(e, self.log_half, Fr::one())?;
        if let Some(transform) = known.or(made.as_ref()) {
            self.subgroup = self.sum(&self.subgroup, (transform, &values), sign)?;
        }
        drop((made, values));
        let product = program(2, vec![Operation::Multiply(input(0), input(1))]);
        let turned = if f.len() == self.length() {
            self.backend.run(&product, &[f, &self.powers], &[])?
        } else {
            self.backend.run(&product, &[&self.shortened(f, -Fr::one())?, &self.powers], &[])?
        };
        let transform = self.inverse(turned)?;
        let values = self.backend.coset_ntt(e, self.log_half, self.root)?;
        self.coset = self.sum(&self.coset, (&transform, &values), sign)?;
        Ok(())
    }

    /// `sum +- left * right` on every element.
    fn sum(
        &self,
        sum: &B::Scalars,
        (left, right): (&B::Scalars, &B::Scalars),
        sign: Sign,
    ) -> Result<B::Scalars, ProveError> {
        let (before, product) = (input(0), Operand::Result(0));
        let last = match sign {
            Sign::Plus => Operation::Add(before, product),
            Sign::Minus => Operation::Subtract(before, product),
        };
        let program = program(3, vec![Operation::Multiply(input(1), input(2)), last]);
        Ok(self.backend.run(&program, &[sum, left, right], &[])?)
    }

    fn inverse(&self, mut values: B::Scalars) -> Result<B::Scalars, ProveError> {
        self.backend.ntt(&mut values, Direction::Inverse)?;
        Ok(values)
    }

    /// A vector of at most M + 1 entries modulo `X^M - wrap`.
    fn shortened(&self, vector: &B::Scalars, wrap: Fr) -> Result<B::Scalars, ProveError> {
        let mut short = self.backend.slice(vector, 0, self.length())?;
        if vector.len() > self.length() {
            let last = self.backend.read(vector, self.length(), 1)?.first().copied().unwrap_or_default();
            let first = self.backend.read(&short, 0, 1)?.first().copied().unwrap_or_default();
            self.backend.write(&mut short, 0, &[first + wrap * last])?;
        }
        Ok(short)
    }

    /// Coefficients 1 to `reach` of `acc(X) + acc(1/X)`.
    pub(crate) fn positive_half(mut self, reach: usize) -> Result<B::Scalars, ProveError> {
        let backend = self.backend;
        backend.ntt(&mut self.subgroup, Direction::Inverse)?;
        backend.inverse_coset_ntt(&mut self.coset, self.root)?;
        // Half the sum of the residues is acc(1/X)'s part of the exponents from 0 on modulo 2M, half their difference that of the
        // exponents from M on, which acc(X) has at minus these.
        let half = Fr::ONE.double().inverse().unwrap_or(Fr::ONE);
        let scale = half * Fr::from(self.length() as u64);
        let mut difference = backend.combine(&[(Fr::one(), &self.subgroup), (-Fr::one(), &self.coset)])?;
        let last = backend.read(&difference, 0, 1)?.first().copied().unwrap_or_default() * scale;
        // Twice transformed, a vector is M times itself with negated indices.
        backend.ntt(&mut difference, Direction::Forward)?;
        backend.ntt(&mut difference, Direction::Forward)?;
        let terms = [(scale, &self.subgroup), (scale, &self.coset), (half, &difference)];
        let laurent = backend.combine(&terms)?;
        let mut positive = backend.slice(&laurent, 1, reach)?;
        if reach == self.length() {
            backend.write(&mut positive, reach - 1, &[last])?;
        }
        Ok(positive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zkloom_backends::CpuBackend;

    fn vector(seed: u64, length: usize) -> Vec<Fr> {
        core::iter::successors(Some(Fr::from(seed)), |x| Some(x.square() + Fr::from(7)))
            .take(length)
            .collect()
    }

    #[test]
    fn products_follow_their_definition() {
        let backend = CpuBackend::new(Some(1)).unwrap();
        for reach in [4_usize, 5, 7, 8, 64, 100] {
            let length = reach.next_power_of_two();
            let mut products = ReciprocalProducts::new(&backend, reach).unwrap();
            let mut expected = vec![Fr::from(0); reach];
            let lengths = [
                (reach, reach + 1),
                (reach + 1, reach),
                (reach + 1, reach + 1),
                (3, 2),
                (length.min(reach), 4),
            ];
            for (index, (left, right)) in lengths.into_iter().enumerate() {
                let (f, e) = (vector(3 + index as u64, left), vector(90 + index as u64, right));
                let sign = if index % 2 == 0 { Sign::Plus } else { Sign::Minus };
                let factor = if sign == Sign::Plus { Fr::ONE } else { -Fr::ONE };
                for (i, f) in f.iter().enumerate() {
                    for (j, e) in e.iter().enumerate().filter(|(j, _)| *j != i) {
                        expected[i.abs_diff(j) - 1] += factor * f * e;
                    }
                }
                let (f, e) = (backend.upload(&f).unwrap(), backend.upload(&e).unwrap());
                let known = (left == length).then(|| backend.transformed(&f, Direction::Inverse).unwrap());
                products.add((&f, known.as_ref()), &e, sign).unwrap();
            }
            let found = backend.download(&products.positive_half(reach).unwrap()).unwrap();
            assert_eq!(found, expected, "reach {reach}");
        }
    }
}
