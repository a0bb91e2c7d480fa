//! Round 2: contracts the trace into folds, the matrices into contractions, and makes the lookup argument's columns.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::CurveGroup;
use ark_ff::{One, Zero};
use zkloom_backends::{Backend, DeviceVector};
use zkloom_plonkish::{Expression, FoldKind};
use zkloom_verifier::identities::{helper_parts, table_part};
use zkloom_verifier::linear::{assignment, powers};
use zkloom_verifier::polynomial::{Opened, PolynomialId};
use zkloom_verifier::rounds::folds::FoldMessage;
use zkloom_verifier::rounds::trace::TraceChallenges;

use crate::device::{Committed, Polynomials, Prover, interpolate};
use crate::error::ProveError;
use crate::expand::fold_plan;
use crate::program::{InputRef, compile};
use crate::prove::{Conduct, Scene, unknown_variable};
use crate::randomness::Blinding;
use crate::rounds::trace::Trace;

/// A vector that a row program reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum RowVector {
    Advice(usize),
    Fixed(usize),
    Multiplicity(usize),
    Inverse,
    Missing,
}

fn row_vector(opened: &Opened) -> InputRef<RowVector> {
    let (vector, rotation) = match *opened {
        Opened::Advice { column, rotation } => (RowVector::Advice(column), rotation),
        Opened::Fixed { column, rotation } => (RowVector::Fixed(column), rotation),
        Opened::Multiplicity(set) => (RowVector::Multiplicity(set), 0),
        _ => (RowVector::Missing, 0),
    };
    InputRef { vector, rotation }
}

/// Either a polynomial of the circuit or the inverse that a helper needs.
#[derive(Clone)]
enum RowLeaf {
    Opened(Opened),
    Inverse,
}

type Row = Expression<Opened>;

/// A column of the lookup argument before it is committed.
struct LookupColumn<S> {
    /// On all rows.
    values: S,
    /// Factor of the multiple of `X^N - 1` that is added to it.
    blind: Fr,
    hiding: Fr,
}

impl<B: Backend> Prover<'_, B> {
    /// Runs the round, after the matrices were contracted.
    pub(crate) fn folds(
        &self,
        challenges: &TraceChallenges,
        trace: &Trace<B::Scalars>,
        random: &mut Blinding,
        polynomials: &mut Polynomials<B::Scalars>,
        conduct: &mut impl Conduct<B>,
    ) -> Result<FoldMessage, ProveError> {
        let kinds = self.circuit().folds();
        let mut folds = Vec::new();
        for kind in &kinds {
            folds.push(self.fold(*kind, challenges, polynomials)?);
        }
        conduct.folds(&Scene { prover: self, polynomials }, &mut folds);
        let hiding = random.scalars(folds.len());
        let pairs: Vec<_> = folds.iter().zip(hiding.iter().copied()).collect();
        let fold_points = self.commit(&pairs)?;
        for ((kind, coefficients), hiding) in kinds.into_iter().zip(folds).zip(hiding) {
            polynomials.insert(PolynomialId::Fold(kind), Committed { coefficients, hiding });
        }
        if self.circuit().lookups.is_empty() {
            return Ok(FoldMessage { folds: fold_points, helpers: Vec::new(), running_sum: None });
        }
        let mut columns = self.helpers(challenges, trace, (random, polynomials), conduct)?;
        let running_sum = self.running_sum(challenges, (trace, &columns), random, polynomials)?;
        columns.push(running_sum);
        let (mut helpers, running_sum) = self.commit_lookups(&columns)?;
        for (point, column) in helpers.iter_mut().zip(&columns) {
            *point = (self.vanishing(column.blind) + *point).into_affine();
        }
        Ok(FoldMessage { folds: fold_points, helpers, running_sum })
    }

    /// `c_l = sum_i theta^i R_(l,i)` and its hiding scalar, for each matrix.
    pub(crate) fn contract_matrices(
        &self,
        challenges: &TraceChallenges,
        polynomials: &mut Polynomials<B::Scalars>,
        conduct: &mut impl Conduct<B>,
    ) -> Result<(), ProveError> {
        let circuit = self.circuit();
        for (index, matrix) in circuit.matrices.iter().enumerate() {
            let theta = challenges.roles.get(matrix.row_role as usize).copied().unwrap_or_default();
            let mut weights = vec![Fr::one()];
            weights.extend(powers(theta, (matrix.rows as usize).saturating_sub(1)));
            let mut coefficients = self.backend.zeros(matrix.columns as usize)?;
            if let Some(values) = self.matrices.get(index) {
                let width = matrix.columns as usize;
                self.backend.combine_rows(&mut coefficients, 0, values, width, &weights)?;
            }
            let hiding = self.key.hiding().get(index).map_or(&[][..], Vec::as_slice);
            let hiding = hiding.iter().zip(&weights).map(|(hiding, weight)| *hiding * weight).sum();
            let mut rows = Committed { coefficients, hiding };
            conduct.contraction(&Scene { prover: self, polynomials }, index, &mut rows);
            polynomials.insert(PolynomialId::Contraction(index), rows);
        }
        Ok(())
    }

    /// One fold: its public part plus the contraction of every tensor column.
    fn fold(
        &self,
        kind: FoldKind,
        challenges: &TraceChallenges,
        polynomials: &Polynomials<B::Scalars>,
    ) -> Result<B::Scalars, ProveError> {
        let lambdas = powers(challenges.lambda, self.circuit().claims.len());
        let plan = fold_plan(self.circuit(), kind, &lambdas, &assignment(challenges, Fr::one()))
            .map_err(unknown_variable)?;
        let mut fold = self.backend.upload(&plan.public)?;
        for (position, boxes) in plan.columns.iter().enumerate() {
            if let Some(column) = polynomials.get(&PolynomialId::Coefficients(position)) {
                self.backend.contract_boxes(&mut fold, &column.coefficients, boxes)?;
            }
        }
        Ok(fold)
    }

    /// Helpers: sums of fractions, blinded by a random multiple of `X^N - 1`. They are committed later, with the running sum.
    fn helpers(
        &self,
        challenges: &TraceChallenges,
        trace: &Trace<B::Scalars>,
        (random, polynomials): (&mut Blinding, &mut Polynomials<B::Scalars>),
        conduct: &mut impl Conduct<B>,
    ) -> Result<Vec<LookupColumn<B::Scalars>>, ProveError> {
        let rows = self.circuit().rows();
        let mut columns = Vec::new();
        for (index, fractions) in helper_parts(self.circuit(), challenges.lookup).iter().enumerate() {
            let mut helper = self.sum_fractions(fractions, (trace, polynomials))?;
            conduct.helper(&Scene { prover: self, polynomials }, index, &mut helper);
            let (blind, hiding) = (random.scalar(), random.scalar());
            let low = interpolate(self.backend, &helper)?;
            let mut coefficients = self.backend.slice(&low, 0, rows + 1)?;
            let first = self.backend.read(&coefficients, 0, 1)?;
            self.backend.write(
                &mut coefficients,
                0,
                &[first.first().copied().unwrap_or_default() - blind],
            )?;
            self.backend.write(&mut coefficients, rows, &[blind])?;
            polynomials.insert(PolynomialId::Helper(index), Committed { coefficients, hiding });
            columns.push(LookupColumn { values: helper, blind, hiding });
        }
        Ok(columns)
    }

    /// `scalar * [tau^N - 1]_1`
    fn vanishing(&self, scalar: Fr) -> G1Projective {
        match (self.srs.powers().get(self.circuit().rows()), self.srs.powers().first()) {
            (Some(high), Some(low)) => (*high - low) * scalar,
            _ => G1Projective::default(),
        }
    }

    /// Commitments to the values of the helpers and, last, of the running sum, all in one call.
    fn commit_lookups(
        &self,
        columns: &[LookupColumn<B::Scalars>],
    ) -> Result<(Vec<G1Affine>, Option<G1Affine>), ProveError> {
        let pairs: Vec<_> = columns.iter().map(|column| (&column.values, column.hiding)).collect();
        let mut points = self.commit_rows(&pairs)?;
        let running_sum = points.pop();
        Ok((points, running_sum))
    }

    /// `sum_i n_i / d_i` on every row, with one inversion for the product of the denominators.
    fn sum_fractions(
        &self,
        fractions: &[(Row, Row)],
        trace: (&Trace<B::Scalars>, &Polynomials<B::Scalars>),
    ) -> Result<B::Scalars, ProveError> {
        let denominators = || fractions.iter().map(|(_, denominator)| denominator.clone());
        let product = Expression::Product(denominators().collect());
        let mut inverse = self.run_rows(&product.map(&|leaf| RowLeaf::Opened(*leaf)), trace, None)?;
        self.backend.batch_invert(&mut inverse)?;
        let terms = fractions.iter().enumerate().map(|(index, (numerator, _))| {
            let others = denominators().enumerate().filter(|(other, _)| *other != index).map(|(_, d)| d);
            Expression::Product(core::iter::once(numerator.clone()).chain(others).collect())
        });
        let sum = Expression::Sum(terms.collect()).map(&|leaf| RowLeaf::Opened(*leaf));
        self.run_rows(&(sum * Expression::Leaf(RowLeaf::Inverse)), trace, Some(&inverse))
    }

    /// The running sum: zero at row 0, every row's fractions added, zero again after the last usable row, random from there.
    fn running_sum(
        &self,
        challenges: &TraceChallenges,
        (trace, helpers): (&Trace<B::Scalars>, &[LookupColumn<B::Scalars>]),
        random: &mut Blinding,
        polynomials: &mut Polynomials<B::Scalars>,
    ) -> Result<LookupColumn<B::Scalars>, ProveError> {
        let circuit = self.circuit();
        let (numerator, denominator) =
            table_part(circuit, challenges.lookup).ok_or_else(|| ProveError::WitnessShape {
                what: "table sets".to_owned(),
                expected: "at least one".to_owned(),
                found: 0,
            })?;
        let table = self.sum_fractions(&[(numerator, denominator)], (trace, polynomials))?;
        let mut terms: Vec<(Fr, &B::Scalars)> =
            helpers.iter().map(|helper| (Fr::one(), &helper.values)).collect();
        terms.push((-Fr::one(), &table));
        let addends = self.backend.combine(&terms)?;
        let mut values = self.backend.linear_recurrence(Fr::zero(), Fr::one(), &addends)?;
        let start = circuit.usable() + 1;
        self.backend.write(&mut values, start, &random.scalars(circuit.rows() - start))?;
        let hiding = random.scalar();
        let coefficients = interpolate(self.backend, &values)?;
        polynomials.insert(PolynomialId::RunningSum, Committed { coefficients, hiding });
        Ok(LookupColumn { values, blind: Fr::zero(), hiding })
    }

    /// Evaluates an expression on every row.
    fn run_rows(
        &self,
        expression: &Expression<RowLeaf>,
        (trace, polynomials): (&Trace<B::Scalars>, &Polynomials<B::Scalars>),
        inverse: Option<&B::Scalars>,
    ) -> Result<B::Scalars, ProveError> {
        let compiled = compile(expression, &|leaf| match leaf {
            RowLeaf::Opened(opened) => row_vector(opened),
            RowLeaf::Inverse => InputRef { vector: RowVector::Inverse, rotation: 0 },
        });
        let find = |vector: &RowVector| match *vector {
            RowVector::Advice(index) => trace.rows(self.circuit(), polynomials, index),
            RowVector::Fixed(index) => self.fixed_values.get(index),
            RowVector::Multiplicity(set) => trace.multiplicities.get(set),
            RowVector::Inverse => inverse,
            RowVector::Missing => None,
        };
        let inputs: Option<Vec<&B::Scalars>> = compiled.inputs.iter().map(find).collect();
        let inputs = inputs.ok_or_else(|| ProveError::WitnessShape {
            what: "vectors of a row program".to_owned(),
            expected: compiled.inputs.len().to_string(),
            found: 0,
        })?;
        debug_assert!(inputs.iter().all(|input| input.len() == self.circuit().rows()));
        Ok(self.backend.run(&compiled.program, &inputs, &compiled.constants)?)
    }
}
