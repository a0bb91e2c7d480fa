//! Methods that are made of ICICLE's vector operations: folds, scans, evaluations, gate programs.
//!
//! A scan of n entries takes log2 n passes, the k-th of which joins each entry with the one 2^k before it.

use ark_bn254::Fr;
use ark_ff::{Field, One};
use zkloom_kernels::program::{Operand, Operation, Program};
use zkloom_kernels::shape::MAX_LOG_SIZE;

use super::device::{Device, IcicleScalars, Span, inverse_radix, radix};
use crate::backend::{DeviceVector, Direction, Result};

/// Distances of a scan's passes over `len` entries.
fn distances(len: usize) -> impl Iterator<Item = usize> {
    core::iter::successors(Some(1usize), |distance| distance.checked_mul(2))
        .take_while(move |&distance| distance < len)
}

/// What a gate program's operand is while it runs.
#[derive(Clone, Copy)]
enum Value<'a> {
    Constant(Fr),
    Rows(&'a IcicleScalars),
}

impl Device {
    /// `target += factor * source`, as far as both go.
    pub(super) fn add_scaled(
        &self,
        operation: &'static str,
        target: Span<'_>,
        factor: Fr,
        source: Span<'_>,
    ) -> Result<()> {
        let scaled = self.room(operation, source.len())?;
        self.scale(operation, factor, source, scaled.all())?;
        self.add(operation, target, scaled.all(), target)
    }

    /// Values on a coset; coefficients past the size are folded back.
    pub(super) fn coset_ntt(
        &self,
        coefficients: &IcicleScalars,
        log_size: u32,
        shift: Fr,
    ) -> Result<IcicleScalars> {
        let operation = "coset_ntt";
        let size = 1usize << log_size;
        let values = self.zeros(operation, size)?;
        self.copy(operation, values.all(), coefficients.all())?;
        let turn = shift.pow([size as u64]);
        let mut factor = turn;
        for start in (size..coefficients.len()).step_by(size) {
            self.add_scaled(operation, values.all(), factor, coefficients.part(start, size))?;
            factor *= turn;
        }
        self.coset_transform(operation, &values, Direction::Forward, shift)?;
        Ok(values)
    }

    /// Transform in place, over the coset `shift H`.
    ///
    /// ICICLE's CPU device takes a wrong power of a shift that is itself a root of unity (version 4.0.0), so that for those the
    /// coefficients are multiplied with its powers here.
    pub(super) fn coset_transform(
        &self,
        operation: &'static str,
        values: &IcicleScalars,
        direction: Direction,
        shift: Fr,
    ) -> Result<()> {
        if shift.pow([1u64 << MAX_LOG_SIZE]) != Fr::one() {
            return self.transform(operation, values.all(), direction, shift);
        }
        let stretch = |ratio: Fr| {
            let powers = self.canonical_powers(operation, ratio, values.len())?;
            self.multiply(operation, values.all(), powers.all(), values.all())
        };
        if direction == Direction::Forward && shift != Fr::one() {
            stretch(shift)?;
        }
        self.transform(operation, values.all(), direction, Fr::one())?;
        match shift.inverse().filter(|_| direction == Direction::Inverse && shift != Fr::one()) {
            Some(inverse) => stretch(inverse),
            None => Ok(()),
        }
    }

    /// `first` before all but the last entry of a vector; as long as that.
    fn moved_on(&self, operation: &'static str, first: Fr, values: &IcicleScalars) -> Result<IcicleScalars> {
        let len = values.len();
        let moved = self.room(operation, len)?;
        self.write(operation, moved.part(0, 1), &[first])?;
        self.copy(operation, moved.part(1, len), values.part(0, len.saturating_sub(1)))?;
        Ok(moved)
    }

    pub(super) fn linear_recurrence(
        &self,
        first: Fr,
        ratio: Fr,
        addends: &IcicleScalars,
    ) -> Result<IcicleScalars> {
        let operation = "linear_recurrence";
        let len = addends.len();
        let result = self.moved_on(operation, first, addends)?;
        let mut power = ratio;
        for distance in distances(len) {
            self.add_scaled(operation, result.part(distance, len), power, result.part(0, len - distance))?;
            power.square_in_place();
        }
        Ok(result)
    }

    pub(super) fn running_product(&self, first: Fr, factors: &IcicleScalars) -> Result<IcicleScalars> {
        let operation = "running_product";
        let len = factors.len();
        let result = self.moved_on(operation, first, factors)?;
        // Canonical factors have canonical products.
        self.scale(operation, inverse_radix(), result.all(), result.all())?;
        let products = self.room(operation, len)?;
        for distance in distances(len) {
            let (before, after) = (result.part(0, len - distance), result.part(distance, len));
            self.multiply(operation, before, after, products.all())?;
            self.copy(operation, after, products.part(0, len - distance))?;
        }
        self.scale(operation, radix(), result.all(), result.all())?;
        Ok(result)
    }

    pub(super) fn divide_by_linear(&self, polynomial: &IcicleScalars, root: Fr) -> Result<IcicleScalars> {
        let operation = "divide_by_linear";
        let len = polynomial.len().saturating_sub(1);
        let quotient = self.room(operation, len)?;
        self.copy(operation, quotient.all(), polynomial.part(1, len))?;
        let mut power = root;
        for distance in distances(len) {
            self.add_scaled(
                operation,
                quotient.part(0, len - distance),
                power,
                quotient.part(distance, len),
            )?;
            power.square_in_place();
        }
        Ok(quotient)
    }

    /// Products with the powers of the point, summed by halves.
    pub(super) fn evaluate(&self, polynomials: &[&IcicleScalars], point: Fr) -> Result<Vec<Fr>> {
        let operation = "evaluate";
        let longest = polynomials.iter().map(|polynomial| polynomial.len()).max().unwrap_or(0);
        let powers = self.canonical_powers(operation, point, longest)?;
        let terms = self.room(operation, longest)?;
        let mut values = Vec::with_capacity(polynomials.len());
        for polynomial in polynomials {
            let mut len = polynomial.len();
            self.multiply(operation, polynomial.all(), powers.all(), terms.all())?;
            while len > 1 {
                let half = len.div_ceil(2);
                self.add(operation, terms.part(0, len - half), terms.part(half, len - half), terms.all())?;
                len = half;
            }
            values.push(self.read(operation, terms.part(0, len))?.first().copied().unwrap_or_default());
        }
        Ok(values)
    }

    /// `1, point, point^2, ...` in canonical form, each pass doubling what is there.
    fn canonical_powers(&self, operation: &'static str, point: Fr, len: usize) -> Result<IcicleScalars> {
        let powers = self.room(operation, len)?;
        self.write(operation, powers.part(0, 1), &[inverse_radix()])?;
        let mut power = point;
        for present in distances(len) {
            self.scale(operation, power, powers.part(0, present), powers.part(present, present))?;
            power.square_in_place();
        }
        Ok(powers)
    }

    /// Runs a checked gate program, one vector operation after another; a result is given back after its last use.
    pub(super) fn run(
        &self,
        program: &Program,
        inputs: &[&IcicleScalars],
        constants: &[Fr],
        rows: usize,
    ) -> Result<IcicleScalars> {
        let mut last_use: Vec<usize> = vec![0; program.operations.len()];
        for (index, step) in program.operations.iter().enumerate() {
            let (Operation::Add(a, b) | Operation::Subtract(a, b) | Operation::Multiply(a, b)) = *step;
            for operand in [a, b] {
                if let Operand::Result(read) = operand {
                    last_use[read as usize] = index;
                }
            }
        }
        if let Some(Operand::Result(read)) = program.output {
            last_use[read as usize] = usize::MAX;
        }
        let mut results: Vec<Option<Outcome>> = Vec::with_capacity(program.operations.len());
        for (index, step) in program.operations.iter().enumerate() {
            let (Operation::Add(a, b) | Operation::Subtract(a, b) | Operation::Multiply(a, b)) = *step;
            let read = |operand| self.operand(operand, (inputs, constants, &results), rows);
            let (first, second) = (read(a)?, read(b)?);
            let result = self.step(*step, (first.value(), second.value()), rows)?;
            drop((first, second));
            results.push(Some(result));
            for operand in [a, b] {
                if let Operand::Result(read) = operand
                    && last_use[read as usize] == index
                {
                    results[read as usize] = None;
                }
            }
        }
        let Some(output) = program.output else { return self.room("run", 0) };
        let output = self.operand(output, (inputs, constants, &results), rows)?;
        let target = self.zeros("run", rows)?;
        match output.value() {
            Value::Constant(constant) => self.shift("run", constant, target.all(), target.all())?,
            Value::Rows(values) => self.copy("run", target.all(), values.all())?,
        }
        Ok(target)
    }

    fn operand<'a>(
        &self,
        operand: Operand,
        (inputs, constants, results): (&[&'a IcicleScalars], &[Fr], &'a [Option<Outcome>]),
        rows: usize,
    ) -> Result<Read<'a>> {
        Ok(match operand {
            Operand::Constant(index) => Read::Constant(constants[index as usize]),
            Operand::Result(index) => match &results[index as usize] {
                Some(Outcome::Constant(constant)) => Read::Constant(*constant),
                Some(Outcome::Rows(values)) => Read::Borrowed(values),
                // No later operation reads a result after its last use.
                None => Read::Constant(Fr::default()),
            },
            Operand::Input { index, rotation } => {
                let input = inputs[index as usize];
                let start = if rows == 0 { 0 } else { i64::from(rotation).rem_euclid(rows as i64) as usize };
                if start == 0 {
                    return Ok(Read::Borrowed(input));
                }
                let rotated = self.room("run", rows)?;
                self.copy("run", rotated.all(), input.part(start, rows))?;
                self.copy("run", rotated.part(rows - start, start), input.all())?;
                Read::Rotated(rotated)
            }
        })
    }

    fn step(&self, step: Operation, (first, second): (Value<'_>, Value<'_>), rows: usize) -> Result<Outcome> {
        use Value::{Constant, Rows};
        if let (Constant(a), Constant(b)) = (first, second) {
            return Ok(Outcome::Constant(match step {
                Operation::Add(..) => a + b,
                Operation::Subtract(..) => a - b,
                Operation::Multiply(..) => a * b,
            }));
        }
        let operation = "run";
        let result = self.room(operation, rows)?;
        let target = result.all();
        match (step, first, second) {
            (Operation::Add(..), Rows(a), Rows(b)) => self.add(operation, a.all(), b.all(), target)?,
            (Operation::Add(..), Rows(a), Constant(b)) | (Operation::Add(..), Constant(b), Rows(a)) => {
                self.shift(operation, b, a.all(), target)?;
            }
            (Operation::Subtract(..), Rows(a), Rows(b)) => {
                self.subtract(operation, a.all(), b.all(), target)?
            }
            (Operation::Subtract(..), Rows(a), Constant(b)) => self.shift(operation, -b, a.all(), target)?,
            (Operation::Subtract(..), Constant(a), Rows(b)) => {
                self.scale(operation, -Fr::one(), b.all(), target)?;
                self.shift(operation, a, target, target)?;
            }
            (Operation::Multiply(..), Rows(a), Rows(b)) => {
                self.multiply(operation, a.all(), b.all(), target)?;
                self.scale(operation, inverse_radix(), target, target)?;
            }
            (Operation::Multiply(..), Rows(a), Constant(b))
            | (Operation::Multiply(..), Constant(b), Rows(a)) => {
                self.scale(operation, b, a.all(), target)?;
            }
            (_, Constant(_), Constant(_)) => {}
        }
        Ok(Outcome::Rows(result))
    }
}

/// Result of one operation of a gate program.
enum Outcome {
    Constant(Fr),
    Rows(IcicleScalars),
}

/// An operand as it was read.
enum Read<'a> {
    Constant(Fr),
    Borrowed(&'a IcicleScalars),
    Rotated(IcicleScalars),
}

impl Read<'_> {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Constant(constant) => Value::Constant(*constant),
            Self::Borrowed(values) => Value::Rows(values),
            Self::Rotated(values) => Value::Rows(values),
        }
    }
}
