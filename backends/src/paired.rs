//! Two devices that do everything twice and compare.

use ark_bn254::{Fr, G1Affine, G1Projective};
use zkloom_kernels::program::Program;

use crate::backend::{Backend, Capabilities, DeviceVector, Direction, GeometricBox, Result};
use crate::error::BackendError;
use crate::meter::Meter;

/// Runs every call on both backends and compares the results; a difference is [`BackendError::Disagreement`].
///
/// Vectors are downloaded from both sides after every call that changes one, so this is slow: a tool for tests and for
/// finding out which call of a device goes wrong. The meter counts what the caller asked for; each inner backend's meter
/// also counts the comparisons.
#[derive(Debug)]
pub struct PairedBackend<A, B> {
    first: A,
    second: B,
    meter: Meter,
}

/// The same vector on both devices.
#[derive(Clone, Debug)]
pub struct Both<A, B> {
    first: A,
    second: B,
}

impl<A: DeviceVector, B: DeviceVector> DeviceVector for Both<A, B> {
    fn len(&self) -> usize {
        self.first.len()
    }
}

impl<A: Backend, B: Backend> PairedBackend<A, B> {
    /// Pairs two backends. Errors that both report come from the first.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second, meter: Meter::default() }
    }

    /// Both outcomes if both calls succeeded, the first's error if both failed.
    fn outcomes<T, U>(&self, operation: &'static str, first: Result<T>, second: Result<U>) -> Result<(T, U)> {
        let lone = |error: BackendError, side: usize| {
            let detail = format!("only {} fails: {error}", self.names()[side]);
            Err(BackendError::Disagreement { operation, detail })
        };
        match (first, second) {
            (Ok(first), Ok(second)) => Ok((first, second)),
            (Err(error), Err(_)) => Err(error),
            (Err(error), Ok(_)) => lone(error, 0),
            (Ok(_), Err(error)) => lone(error, 1),
        }
    }

    fn names(&self) -> [String; 2] {
        [
            format!("first ({})", self.first.capabilities().name),
            format!("second ({})", self.second.capabilities().name),
        ]
    }

    /// Host results of both, compared.
    fn host<T: PartialEq + core::fmt::Debug>(
        &self,
        operation: &'static str,
        first: Result<Vec<T>>,
        second: Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let (first, second) = self.outcomes(operation, first, second)?;
        match difference(&first, &second) {
            None => Ok(first),
            Some(detail) => Err(BackendError::Disagreement { operation, detail }),
        }
    }

    /// Vectors made by both, compared.
    fn made(
        &self,
        operation: &'static str,
        first: Result<A::Scalars>,
        second: Result<B::Scalars>,
    ) -> Result<Both<A::Scalars, B::Scalars>> {
        let (first, second) = self.outcomes(operation, first, second)?;
        let both = Both { first, second };
        self.compare(operation, &both)?;
        Ok(both)
    }

    /// A vector changed by both, compared.
    fn changed(
        &self,
        operation: &'static str,
        vector: &Both<A::Scalars, B::Scalars>,
        first: Result<()>,
        second: Result<()>,
    ) -> Result<()> {
        self.outcomes(operation, first, second)?;
        self.compare(operation, vector)
    }

    fn compare(&self, operation: &'static str, vector: &Both<A::Scalars, B::Scalars>) -> Result<()> {
        let first = self.first.download(&vector.first)?;
        let second = self.second.download(&vector.second)?;
        match difference(&first, &second) {
            None => Ok(()),
            Some(detail) => Err(BackendError::Disagreement { operation, detail }),
        }
    }

    fn same_length(&self, operation: &'static str, first: usize, second: usize) -> Result<()> {
        if first == second {
            return Ok(());
        }
        Err(BackendError::Disagreement { operation, detail: format!("lengths {first} and {second}") })
    }
}

fn difference<T: PartialEq + core::fmt::Debug>(first: &[T], second: &[T]) -> Option<String> {
    if first.len() != second.len() {
        return Some(format!("lengths {} and {}", first.len(), second.len()));
    }
    let at = first.iter().zip(second).position(|(first, second)| first != second)?;
    Some(format!("entry {at} is {:?} and {:?}", first[at], second[at]))
}

type Pair<'a, A, B> = &'a Both<A, B>;

/// One side of each vector in a list.
fn firsts<'a, A, B>(vectors: &[Pair<'a, A, B>]) -> Vec<&'a A> {
    vectors.iter().map(|both| &both.first).collect()
}

fn seconds<'a, A, B>(vectors: &[Pair<'a, A, B>]) -> Vec<&'a B> {
    vectors.iter().map(|both| &both.second).collect()
}

/// Makes a vector with the same call on both sides.
macro_rules! make {
    ($self:ident.$method:ident($($first:expr => $second:expr),* $(,)?)) => {{
        $self.meter.launch();
        $self.made(stringify!($method), $self.first.$method($($first),*), $self.second.$method($($second),*))
    }};
}

/// Changes a vector with the same call on both sides.
macro_rules! change {
    ($self:ident.$method:ident($vector:ident $(, $first:expr => $second:expr)* $(,)?)) => {{
        $self.meter.launch();
        let first = $self.first.$method(&mut $vector.first $(, $first)*);
        let second = $self.second.$method(&mut $vector.second $(, $second)*);
        $self.changed(stringify!($method), $vector, first, second)
    }};
}

impl<A: Backend, B: Backend> Backend for PairedBackend<A, B> {
    type Scalars = Both<A::Scalars, B::Scalars>;
    type Integers = Both<A::Integers, B::Integers>;
    type Bases = Both<A::Bases, B::Bases>;

    fn capabilities(&self) -> Capabilities {
        let (first, second) = (self.first.capabilities(), self.second.capabilities());
        let least = |first: Option<u64>, second: Option<u64>| first.into_iter().chain(second).min();
        Capabilities {
            name: format!("{}+{}", first.name, second.name),
            description: format!("[{}] compared with [{}]", first.description, second.description),
            memory: least(first.memory, second.memory),
            max_log_size: first.max_log_size.min(second.max_log_size),
            composed: [first.composed, second.composed].concat(),
        }
    }

    fn meter(&self) -> &Meter {
        &self.meter
    }

    fn upload(&self, values: &[Fr]) -> Result<Self::Scalars> {
        self.meter.upload(size_of_val(values));
        self.made("upload", self.first.upload(values), self.second.upload(values))
    }

    fn zeros(&self, len: usize) -> Result<Self::Scalars> {
        make!(self.zeros(len => len))
    }

    fn upload_integers(&self, values: &[i64]) -> Result<Self::Integers> {
        self.meter.upload(size_of_val(values));
        let operation = "upload_integers";
        let (first, second) = self.outcomes(
            operation,
            self.first.upload_integers(values),
            self.second.upload_integers(values),
        )?;
        self.same_length(operation, first.len(), second.len())?;
        self.made(operation, self.first.widen(&first), self.second.widen(&second))?;
        Ok(Both { first, second })
    }

    fn upload_bases(&self, points: &[G1Affine]) -> Result<Self::Bases> {
        self.meter.upload(size_of_val(points));
        let operation = "upload_bases";
        let (first, second) =
            self.outcomes(operation, self.first.upload_bases(points), self.second.upload_bases(points))?;
        self.same_length(operation, first.len(), second.len())?;
        // Points can't be read back: a sum with different small factors stands for them.
        let factors: Vec<i64> = (0..points.len() as i64).map(|index| index % 251 + 1).collect();
        let sums = (
            self.first
                .upload_integers(&factors)
                .and_then(|factors| self.first.msm_integers(&first, &[&factors])),
            self.second
                .upload_integers(&factors)
                .and_then(|factors| self.second.msm_integers(&second, &[&factors])),
        );
        self.host(operation, sums.0, sums.1)?;
        Ok(Both { first, second })
    }

    fn download(&self, values: &Self::Scalars) -> Result<Vec<Fr>> {
        let found =
            self.host("download", self.first.download(&values.first), self.second.download(&values.second))?;
        self.meter.download(size_of_val(found.as_slice()));
        Ok(found)
    }

    fn read(&self, values: &Self::Scalars, start: usize, len: usize) -> Result<Vec<Fr>> {
        let (first, second) =
            (self.first.read(&values.first, start, len), self.second.read(&values.second, start, len));
        let found = self.host("read", first, second)?;
        self.meter.download(size_of_val(found.as_slice()));
        Ok(found)
    }

    fn write(&self, target: &mut Self::Scalars, start: usize, values: &[Fr]) -> Result<()> {
        self.meter.upload(size_of_val(values));
        change!(self.write(target, start => start, values => values))
    }

    fn widen(&self, values: &Self::Integers) -> Result<Self::Scalars> {
        make!(self.widen(&values.first => &values.second))
    }

    fn slice(&self, values: &Self::Scalars, start: usize, len: usize) -> Result<Self::Scalars> {
        make!(self.slice(&values.first => &values.second, start => start, len => len))
    }

    fn msm(&self, bases: &Self::Bases, scalars: &[&Self::Scalars]) -> Result<Vec<G1Projective>> {
        self.meter.launch();
        let first = self.first.msm(&bases.first, &firsts(scalars));
        let second = self.second.msm(&bases.second, &seconds(scalars));
        self.host("msm", first, second)
    }

    fn msm_integers(&self, bases: &Self::Bases, scalars: &[&Self::Integers]) -> Result<Vec<G1Projective>> {
        self.meter.launch();
        let first = self.first.msm_integers(&bases.first, &firsts(scalars));
        let second = self.second.msm_integers(&bases.second, &seconds(scalars));
        self.host("msm_integers", first, second)
    }

    fn ntt(&self, values: &mut Self::Scalars, direction: Direction) -> Result<()> {
        change!(self.ntt(values, direction => direction))
    }

    fn coset_ntt(&self, coefficients: &Self::Scalars, log_size: u32, shift: Fr) -> Result<Self::Scalars> {
        make!(self.coset_ntt(
            &coefficients.first => &coefficients.second, log_size => log_size, shift => shift
        ))
    }

    fn inverse_coset_ntt(&self, values: &mut Self::Scalars, shift: Fr) -> Result<()> {
        change!(self.inverse_coset_ntt(values, shift => shift))
    }

    fn run(&self, program: &Program, inputs: &[&Self::Scalars], constants: &[Fr]) -> Result<Self::Scalars> {
        make!(self.run(
            program => program, &firsts(inputs) => &seconds(inputs), constants => constants
        ))
    }

    fn batch_invert(&self, values: &mut Self::Scalars) -> Result<()> {
        change!(self.batch_invert(values))
    }

    fn linear_recurrence(&self, first: Fr, ratio: Fr, addends: &Self::Scalars) -> Result<Self::Scalars> {
        make!(self.linear_recurrence(
            first => first, ratio => ratio, &addends.first => &addends.second
        ))
    }

    fn running_product(&self, first: Fr, factors: &Self::Scalars) -> Result<Self::Scalars> {
        make!(self.running_product(first => first, &factors.first => &factors.second))
    }

    fn combine(&self, terms: &[(Fr, &Self::Scalars)]) -> Result<Self::Scalars> {
        let first: Vec<_> = terms.iter().map(|(factor, both)| (*factor, &both.first)).collect();
        let second: Vec<_> = terms.iter().map(|(factor, both)| (*factor, &both.second)).collect();
        make!(self.combine(&first => &second))
    }

    fn add_scaled(
        &self,
        target: &mut Self::Scalars,
        offset: usize,
        factor: Fr,
        source: &Self::Scalars,
    ) -> Result<()> {
        change!(self.add_scaled(
            target, offset => offset, factor => factor, &source.first => &source.second
        ))
    }

    fn evaluate(&self, polynomials: &[&Self::Scalars], point: Fr) -> Result<Vec<Fr>> {
        self.meter.launch();
        let first = self.first.evaluate(&firsts(polynomials), point);
        let second = self.second.evaluate(&seconds(polynomials), point);
        let values = self.host("evaluate", first, second)?;
        self.meter.download(size_of_val(values.as_slice()));
        Ok(values)
    }

    fn divide_by_linear(&self, polynomial: &Self::Scalars, root: Fr) -> Result<Self::Scalars> {
        make!(self.divide_by_linear(&polynomial.first => &polynomial.second, root => root))
    }

    fn expand_boxes(&self, target: &mut Self::Scalars, boxes: &[GeometricBox]) -> Result<()> {
        change!(self.expand_boxes(target, boxes => boxes))
    }

    fn contract_boxes(
        &self,
        target: &mut Self::Scalars,
        source: &Self::Scalars,
        boxes: &[GeometricBox],
    ) -> Result<()> {
        change!(self.contract_boxes(target, &source.first => &source.second, boxes => boxes))
    }

    fn combine_rows(
        &self,
        target: &mut Self::Scalars,
        offset: usize,
        matrix: &Self::Integers,
        width: usize,
        weights: &[Fr],
    ) -> Result<()> {
        self.meter.upload(size_of_val(weights));
        change!(self.combine_rows(
            target, offset => offset, &matrix.first => &matrix.second, width => width, weights => weights
        ))
    }
}
