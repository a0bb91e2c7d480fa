//! The driver: one proof, round by round, the same on every device.

use std::time::{Duration, Instant};

use ark_bn254::{Fr, G1Affine};
use ark_ec::CurveGroup;
use zkloom_backends::Backend;
use zkloom_plonkish::view::UnknownVariable;
use zkloom_plonkish::{Circuit, Witness};
use zkloom_verifier::linear::LinearForm;
use zkloom_verifier::openings::{Challenges, Item, OpeningInputs, Points, distinct_points, items};
use zkloom_verifier::polynomial::PolynomialId;
use zkloom_verifier::rounds::evaluations::{EvaluationPlan, Evaluations, OpeningChallenge};
use zkloom_verifier::rounds::link::LinkMessage;
use zkloom_verifier::transcript::HashTranscript;
use zkloom_verifier::{Proof, Statement, Transcript, VerifyError, verify};

use crate::device::{Committed, Polynomials, Prover};
use crate::error::ProveError;
use crate::randomness::Blinding;
use crate::rounds::opening::Half;
use crate::rounds::trace::{Draft, DraftColumn};
use crate::srs::{Srs, SrsError};

/// What one proof is made from.
#[derive(Clone, Debug, Default)]
pub struct ProverInput {
    /// The witness.
    pub witness: Witness,
    /// Hiding scalars of the external commitments, in key order.
    pub external_hiding: Vec<Fr>,
}

/// A step of proving, for progress and timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Round 1: commitments to the trace.
    Trace,
    /// Round 2, first part: contraction of the matrices, the only work of a proof that grows with the weights.
    Contraction,
    /// Round 2: folds and the lookup argument.
    Folds,
    /// Round 3: link and S.
    Link,
    /// Round 4: quotient.
    Quotient,
    /// Round 5: values.
    Evaluations,
    /// Rounds 6 to 8: opening.
    Opening,
    /// The prover verifies its own proof.
    SelfCheck,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 8] = [
        Self::Trace,
        Self::Contraction,
        Self::Folds,
        Self::Link,
        Self::Quotient,
        Self::Evaluations,
        Self::Opening,
        Self::SelfCheck,
    ];

    /// Name for people and machines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Contraction => "contraction",
            Self::Folds => "folds",
            Self::Link => "link",
            Self::Quotient => "quotient",
            Self::Evaluations => "evaluations",
            Self::Opening => "opening",
            Self::SelfCheck => "self-check",
        }
    }
}

/// How long a stage took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The stage.
    pub stage: Stage,
    /// Wall time.
    pub duration: Duration,
}

/// A proof that its prover has verified, and what it is about.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Public values and external commitments.
    pub statement: Statement,
    /// The proof.
    pub proof: Proof,
    /// Wall time by stage.
    pub timings: Vec<Timing>,
}

/// Commitment to a vector that other proofs refer to: `sum_i vector[i] [tau^i]_1 + hiding [gamma]_1`.
pub fn commit_external(srs: &Srs, vector: &[Fr], hiding: Fr) -> Result<G1Affine, SrsError> {
    srs.check_length(vector.len() as u64)?;
    let sum =
        zkloom_verifier::group::linear_combination(srs.powers().get(..vector.len()).unwrap_or(&[]), vector);
    Ok((sum + srs.pin().gamma_g1 * hiding).into_affine())
}

/// A fresh hiding scalar for the commitment to a vector; a repeated generator gives another scalar for another vector.
pub fn fresh_hiding(vector: &[Fr]) -> Result<Fr, ProveError> {
    use zkloom_plonkish::Encode;
    Ok(Blinding::for_key(&vector.to_vec().to_vec())?.scalar())
}

pub(crate) fn unknown_variable(error: UnknownVariable) -> ProveError {
    ProveError::SelfCheck(VerifyError::Key { what: error.to_string() })
}

/// What a deviating prover may look at.
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) struct Scene<'s, 'a, B: Backend> {
    pub(crate) prover: &'s Prover<'a, B>,
    pub(crate) polynomials: &'s Polynomials<B::Scalars>,
}

/// Where a prover could deviate from the protocol. Real provers are [`Honest`]; the forgeries in this crate's tests are
/// the other implementations.
pub(crate) trait Conduct<B: Backend> {
    /// Whether the statement fits the circuit.
    fn statement(&mut self, checked: Result<(), VerifyError>) -> Result<(), VerifyError> {
        checked
    }
    /// Before lookups are counted.
    fn trace(&mut self, _draft: &mut Draft) {}
    /// The counted multiplicities, or the reason why a lookup fails.
    fn counts(&mut self, counts: Result<Vec<Vec<i64>>, ProveError>) -> Result<Vec<Vec<i64>>, ProveError> {
        counts
    }
    /// Before the trace is committed.
    fn multiplicities(&mut self, _draft: &mut Draft) {}
    /// Full cells of a tensor column's coefficient form, equal to those of its row form.
    fn coefficient_form(&mut self, _column: usize, _cells: &mut std::collections::BTreeMap<usize, Fr>) {}
    /// The combined rows of a matrix, and what hides their commitment.
    fn contraction(&mut self, _scene: &Scene<'_, '_, B>, _matrix: usize, _rows: &mut Committed<B::Scalars>) {}
    /// Before the folds are committed.
    fn folds(&mut self, _scene: &Scene<'_, '_, B>, _folds: &mut [B::Scalars]) {}
    /// Before a helper is committed; rows of `values`.
    fn helper(&mut self, _scene: &Scene<'_, '_, B>, _index: usize, _values: &mut B::Scalars) {}
    /// Before h is committed.
    fn link(&mut self, _scene: &Scene<'_, '_, B>, _values: &mut B::Scalars) {}
    /// Before S is committed.
    fn symmetric(&mut self, _scene: &Scene<'_, '_, B>, _form: &LinearForm, _symmetric: &mut B::Scalars) {}
    /// Before the quotient is committed.
    fn quotient(&mut self, _scene: &Scene<'_, '_, B>, _pieces: &mut [B::Scalars]) {}
    /// Before the values are sent.
    fn values(&mut self, _inputs: &OpeningInputs<'_>, _points: &Points, _values: &mut Evaluations) {}
    /// Before the first opening commitment.
    fn opening(
        &mut self,
        _scene: &Scene<'_, '_, B>,
        _items: (&[Item], &[Fr]),
        _nu: OpeningChallenge,
        _first: &mut B::Scalars,
    ) {
    }
}

/// The prover that follows the protocol.
pub(crate) struct Honest;

impl<B: Backend> Conduct<B> for Honest {}

/// Measures stages and tells an observer.
struct Clock<'o> {
    observer: &'o mut dyn FnMut(Stage),
    started: Option<(Stage, Instant)>,
    timings: Vec<Timing>,
}

impl Clock<'_> {
    fn enter(&mut self, stage: Stage) {
        self.stop();
        tracing::debug!(stage = stage.name(), "proving");
        (self.observer)(stage);
        self.started = Some((stage, Instant::now()));
    }

    fn stop(&mut self) {
        if let Some((stage, start)) = self.started.take() {
            self.timings.push(Timing { stage, duration: start.elapsed() });
        }
    }
}

impl<B: Backend> Prover<'_, B> {
    /// Makes a proof and verifies it before it is handed out: a wrong cache or base could otherwise publish a commitment
    /// that is not blinded. `observer` hears of each stage when it begins.
    pub fn prove(&self, input: &ProverInput, observer: &mut dyn FnMut(Stage)) -> Result<Proved, ProveError> {
        let key = self.key.verifying();
        let mut random = Blinding::for_proof(&input.witness, &key.digest())?;
        let mut transcript = HashTranscript::new(key.hash());
        let mut clock = Clock { observer, started: None, timings: Vec::new() };
        let (statement, proof) = self.run(input, &mut random, &mut transcript, &mut Honest, &mut clock)?;
        clock.enter(Stage::SelfCheck);
        verify(key, self.srs.pin(), &statement, &proof).map_err(ProveError::SelfCheck)?;
        clock.stop();
        Ok(Proved { statement, proof, timings: clock.timings })
    }

    /// The proof of a prover that may deviate, for tests; nothing is checked.
    #[cfg(test)]
    pub(crate) fn prove_as(
        &self,
        input: &ProverInput,
        random: &mut Blinding,
        transcript: &mut impl Transcript,
        conduct: &mut impl Conduct<B>,
    ) -> Result<(Statement, Proof), ProveError> {
        let mut clock = Clock { observer: &mut |_| {}, started: None, timings: Vec::new() };
        self.run(input, random, transcript, conduct, &mut clock)
    }

    fn run(
        &self,
        input: &ProverInput,
        random: &mut Blinding,
        transcript: &mut impl Transcript,
        conduct: &mut impl Conduct<B>,
        clock: &mut Clock<'_>,
    ) -> Result<(Statement, Proof), ProveError> {
        let (key, circuit) = (self.key.verifying(), self.circuit());
        let mut polynomials = Polynomials::<B::Scalars>::new();
        let statement = self.statement(input, &mut polynomials)?;
        conduct.statement(statement.check(circuit)).map_err(ProveError::Statement)?;
        statement.absorb(key, transcript);

        clock.enter(Stage::Trace);
        let (trace_message, trace) = self.trace(&input.witness, random, &mut polynomials, conduct)?;
        let trace_challenges = trace_message.absorb(circuit, transcript);

        clock.enter(Stage::Contraction);
        self.contract_matrices(&trace_challenges, &mut polynomials, conduct)?;

        clock.enter(Stage::Folds);
        let fold_message = self.folds(&trace_challenges, &trace, random, &mut polynomials, conduct)?;
        let fold_challenges = fold_message.absorb(transcript);

        clock.enter(Stage::Link);
        let form = LinearForm::new(circuit, &trace_challenges, &fold_challenges, &statement.publics)
            .map_err(unknown_variable)?;
        let link_message = self.link(&fold_challenges, &form, &trace, (random, &mut polynomials), conduct)?;
        drop(trace);
        let identity = link_message.absorb(transcript);

        clock.enter(Stage::Quotient);
        let quotient_message =
            self.quotient(&trace_challenges, identity, (random, &mut polynomials), conduct)?;
        let point = quotient_message.absorb(transcript);

        clock.enter(Stage::Evaluations);
        let plan = EvaluationPlan::new(circuit);
        let points = Points::new(circuit, &fold_challenges, point).map_err(ProveError::Degenerate)?;
        let challenges = Challenges { trace: trace_challenges, folds: fold_challenges, identity, point };
        let mut values = self.evaluations(&plan, &points, &polynomials)?;
        let context = OpeningContext { circuit, challenges: &challenges, form: &form, link: &link_message };
        let draft = items(&context.inputs(&values), &plan, &points).map_err(ProveError::Degenerate)?;
        let half = match draft.into_iter().next() {
            None => None,
            Some(Item { terms, .. }) => {
                let combined = self.combine(&polynomials, &terms)?;
                let value = self.backend.evaluate(&[&combined.coefficients], points.z)?;
                values.symmetric = value.first().copied().unwrap_or_default();
                Some(Half { terms, combined })
            }
        };
        let honest = values.clone();
        conduct.values(&context.inputs(&honest), &points, &mut values);
        let nu = values.absorb(transcript);

        clock.enter(Stage::Opening);
        let items = items(&context.inputs(&values), &plan, &points).map_err(ProveError::Degenerate)?;
        let all = distinct_points(&items, &points).map_err(ProveError::Degenerate)?;
        let opening = self.open(&items, (&all, nu, half), (random, &polynomials), transcript, conduct)?;
        clock.stop();
        let proof = Proof {
            trace: trace_message,
            folds: fold_message,
            link: link_message,
            quotient: quotient_message,
            evaluations: values,
            opening,
        };
        Ok((statement, proof))
    }

    /// Public values and external commitments; the external vectors become columns of the one identity.
    fn statement(
        &self,
        input: &ProverInput,
        polynomials: &mut Polynomials<B::Scalars>,
    ) -> Result<Statement, ProveError> {
        let circuit = self.circuit();
        let shape = |what: &str, expected: usize, found: usize| {
            let (what, expected) = (what.to_owned(), expected.to_string());
            if found.to_string() == expected {
                Ok(())
            } else {
                Err(ProveError::WitnessShape { what, expected, found })
            }
        };
        let vectors = &input.witness.externals;
        shape("external vectors", circuit.externals.len(), vectors.len())?;
        shape("hiding scalars of external vectors", circuit.externals.len(), input.external_hiding.len())?;
        let first = circuit.tensor_columns().count();
        let mut externals = Vec::new();
        for (index, (vector, hiding)) in vectors.iter().zip(&input.external_hiding).enumerate() {
            let point = commit_external(self.srs, vector, *hiding).map_err(|_| ProveError::WitnessShape {
                what: format!("entries of external vector {index}"),
                expected: format!("at most {}", self.srs.powers().len()),
                found: vector.len(),
            })?;
            externals.push(point);
            let committed = Committed { coefficients: self.backend.upload(vector)?, hiding: *hiding };
            polynomials.insert(PolynomialId::Coefficients(first + index), committed);
        }
        Ok(Statement { publics: input.witness.publics.clone(), externals })
    }
}

/// What the opened items are made from, but for the values.
struct OpeningContext<'c> {
    circuit: &'c Circuit,
    challenges: &'c Challenges,
    form: &'c LinearForm,
    link: &'c LinkMessage,
}

impl<'c> OpeningContext<'c> {
    fn inputs<'v>(&self, evaluations: &'v Evaluations) -> OpeningInputs<'v>
    where
        'c: 'v,
    {
        OpeningInputs {
            circuit: self.circuit,
            challenges: self.challenges,
            form: self.form,
            fold_value: self.link.fold_value,
            column_value: self.link.column_value,
            evaluations,
        }
    }
}

impl DraftColumn {
    /// Adds to a cell.
    #[cfg(test)]
    pub(crate) fn add(&mut self, row: usize, value: Fr) {
        let sum = self.get(row) + value;
        self.set(row, sum);
    }
}
