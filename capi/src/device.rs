//! A device behind a pointer: the backend's types are hidden, each call brings its data.

use std::any::Any;

use ark_bn254::{Fr, G1Affine, G1Projective};
use zkloom_backends::{Backend, BackendError, Direction, registry, with_backend};

use crate::status::Failure;

/// Points on some device.
pub(crate) type Bases = Box<dyn Any + Send + Sync>;

/// Whether a transform is the inverse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inverse {
    No,
    Yes,
}

/// What C can ask of a device.
pub(crate) trait Device: Send + Sync {
    fn upload_bases(&self, points: &[G1Affine]) -> Result<Bases, Failure>;
    fn msm(&self, bases: &Bases, scalars: &[Fr]) -> Result<G1Projective, Failure>;
    fn msm_integers(&self, bases: &Bases, scalars: &[i64]) -> Result<G1Projective, Failure>;
    fn ntt(&self, values: &[Fr], inverse: Inverse, shift: Option<Fr>) -> Result<Vec<Fr>, Failure>;
}

struct On<B>(B);

impl<B: Backend<Bases: 'static>> On<B> {
    fn own<'b>(&self, bases: &'b Bases) -> Result<&'b B::Bases, Failure> {
        let strange = || Failure::argument("the bases are of another kind of device".to_owned());
        bases.downcast_ref().ok_or_else(strange)
    }
}

fn only(sums: Vec<G1Projective>) -> Result<G1Projective, Failure> {
    sums.into_iter().next().ok_or_else(|| {
        let reason = "no sum came back".to_owned();
        BackendError::Device { device: String::new(), operation: "msm", reason }.into()
    })
}

impl<B: Backend<Bases: 'static>> Device for On<B> {
    fn upload_bases(&self, points: &[G1Affine]) -> Result<Bases, Failure> {
        Ok(Box::new(self.0.upload_bases(points)?))
    }

    fn msm(&self, bases: &Bases, scalars: &[Fr]) -> Result<G1Projective, Failure> {
        let bases = self.own(bases)?;
        only(self.0.msm(bases, &[&self.0.upload(scalars)?])?)
    }

    fn msm_integers(&self, bases: &Bases, scalars: &[i64]) -> Result<G1Projective, Failure> {
        let bases = self.own(bases)?;
        only(self.0.msm_integers(bases, &[&self.0.upload_integers(scalars)?])?)
    }

    fn ntt(&self, values: &[Fr], inverse: Inverse, shift: Option<Fr>) -> Result<Vec<Fr>, Failure> {
        let mut vector = self.0.upload(values)?;
        match (inverse, shift) {
            (Inverse::No, None) => self.0.ntt(&mut vector, Direction::Forward)?,
            (Inverse::Yes, None) => self.0.ntt(&mut vector, Direction::Inverse)?,
            (Inverse::No, Some(shift)) => vector = self.0.coset_ntt(&vector, values.len().ilog2(), shift)?,
            (Inverse::Yes, Some(shift)) => self.0.inverse_coset_ntt(&mut vector, shift)?,
        }
        Ok(self.0.download(&vector)?)
    }
}

/// Opens a device by name.
pub(crate) fn open(name: &str, threads: Option<usize>) -> Result<Box<dyn Device>, Failure> {
    let backend = registry::choose(name, threads)?;
    Ok(with_backend!(backend, backend => Box::new(On(backend)) as Box<dyn Device>))
}
