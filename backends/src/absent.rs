//! A device that this build was made without.

use ark_bn254::{Fr, G1Affine, G1Projective};
use zkloom_kernels::program::Program;

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::meter::Meter;

/// Stands for the backend, and the vectors, of a device whose feature is off. It has no values, so code for it is never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {}

impl DeviceVector for Absent {
    fn len(&self) -> usize {
        match *self {}
    }
}

/// Methods that nobody can call, because there is no `self`.
macro_rules! uncallable {
    ($(fn $name:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty;)*) => {
        $(fn $name(&self $(, $argument: $kind)*) -> $output {
            $(let _ = $argument;)*
            match *self {}
        })*
    };
}

impl Backend for Absent {
    type Scalars = Self;
    type Integers = Self;
    type Bases = Self;

    uncallable! {
        fn capabilities(&self) -> Capabilities;
        fn meter(&self) -> &Meter;
        fn upload(&self, values: &[Fr]) -> Result<Self>;
        fn zeros(&self, len: usize) -> Result<Self>;
        fn upload_integers(&self, values: &[i64]) -> Result<Self>;
        fn upload_bases(&self, points: &[G1Affine]) -> Result<Self>;
        fn download(&self, values: &Self) -> Result<Vec<Fr>>;
        fn read(&self, values: &Self, start: usize, len: usize) -> Result<Vec<Fr>>;
        fn write(&self, target: &mut Self, start: usize, values: &[Fr]) -> Result<()>;
        fn widen(&self, values: &Self) -> Result<Self>;
        fn slice(&self, values: &Self, start: usize, len: usize) -> Result<Self>;
        fn msm(&self, bases: &Self, scalars: &[&Self]) -> Result<Vec<G1Projective>>;
        fn msm_integers(&self, bases: &Self, scalars: &[&Self]) -> Result<Vec<G1Projective>>;
        fn ntt(&self, values: &mut Self, direction: Direction) -> Result<()>;
        fn coset_ntt(&self, coefficients: &Self, log_size: u32, shift: Fr) -> Result<Self>;
        fn inverse_coset_ntt(&self, values: &mut Self, shift: Fr) -> Result<()>;
        fn run(&self, program: &Program, inputs: &[&Self], constants: &[Fr]) -> Result<Self>;
        fn batch_invert(&self, values: &mut Self) -> Result<()>;
        fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &Self) -> Result<Self>;
        fn running_product(&self, first: Fr, factors: &Self) -> Result<Self>;
        fn combine(&self, terms: &[(Fr, &Self)]) -> Result<Self>;
        fn add_scaled(&self, target: &mut Self, offset: usize, factor: Fr, source: &Self) -> Result<()>;
        fn evaluate(&self, polynomials: &[&Self], point: Fr) -> Result<Vec<Fr>>;
        fn divide_by_linear(&self, polynomial: &Self, root: Fr) -> Result<Self>;
        fn expand_boxes(&self, target: &mut Self, boxes: &[GeometricBox]) -> Result<()>;
        fn contract_boxes(&self, target: &mut Self, source: &Self, boxes: &[GeometricBox]) -> Result<()>;
        fn combine_rows(&self, target: &mut Self, offset: usize, matrix: &Self, width: usize, weights: &[Fr]) -> Result<()>;
    }
}
