//! Each challenge comes after the message that it must follow. For each of them a cheating prover who would succeed if it
//! knew the challenge earlier: the proof of a false statement is rejected on time, and accepted by a verifier that draws the
//! challenge too early. The second half shows that the forgery is real, so that the first half means something.

use ark_bn254::Fr;
use ark_ff::{Field, Zero};
use zkloom_backends::{Backend, CpuBackend};
use zkloom_plonkish::field::from_integer;
use zkloom_plonkish::{Interval, Origin, TableIndex};
use zkloom_verifier::VerifyError;
use zkloom_verifier::linear::LinearForm;
use zkloom_verifier::openings::{
    Item, OpeningInputs, Points, interpolate, items, quotient_value, vanishing, weights,
};
use zkloom_verifier::polynomial::PolynomialId;
use zkloom_verifier::rounds::evaluations::{EvaluationPlan, Evaluations, OpeningChallenge};

use super::early::{Known, START, Schedule, attempt, attempt_twice};
use super::lattice;
use super::sample::{Inputs, Sample, Shape};
use crate::error::ProveError;
use crate::prove::{Conduct, ProverInput, Scene};
use crate::rounds::trace::Draft;

pub(crate) type Vector = <CpuBackend as Backend>::Scalars;
pub(crate) type Stage<'s, 'a> = Scene<'s, 'a, CpuBackend>;

/// What is added to the first cell of the dense layer's output.
const ERROR: u64 = 5;
/// A network input that is in no table.
const OUT_OF_RANGE: i64 = 1000;

/// The forgery fails under the protocol and succeeds under the other schedule.
fn bites<C: Conduct<CpuBackend>>(
    sample: &Sample,
    early: &Schedule,
    plan: impl Fn(Known, &mut ProverInput) -> C,
) {
    assert_eq!(attempt(sample, &Schedule::protocol(), &plan), Err(VerifyError::Invalid), "on time");
    assert_eq!(attempt_twice(sample, &plan), Err(VerifyError::Invalid), "guessed from another attempt");
    assert_eq!(attempt(sample, early, &plan), Ok(()), "early");
}

/// The forgery fails under a schedule that is early, but not early enough.
fn harmless<C: Conduct<CpuBackend>>(
    sample: &Sample,
    early: &Schedule,
    plan: impl Fn(Known, &mut ProverInput) -> C,
) {
    assert_eq!(attempt(sample, early, plan), Err(VerifyError::Invalid));
}

/// A cheat that changes the trace and then follows the protocol.
pub(crate) struct ChangedTrace<F>(pub(crate) F);

impl<F: FnMut(&mut Draft)> Conduct<CpuBackend> for ChangedTrace<F> {
    fn trace(&mut self, draft: &mut Draft) {
        (self.0)(draft);
    }
}

/// Column and row of a tensor's cell.
pub(crate) fn cell(sample: &Sample, tensor: &str, index: usize) -> (usize, usize) {
    let place = sample.places[tensor];
    (place.column as usize, place.row as usize + index)
}

/// Adds to a tensor's cell.
pub(crate) fn add_cell(draft: &mut Draft, sample: &Sample, tensor: &str, index: usize, value: Fr) {
    let (column, row) = cell(sample, tensor, index);
    draft.advice[column].add(row, value);
}

/// Adds to an entry of a vector.
pub(crate) fn add_entry(scene: &Stage<'_, '_>, vector: &mut Vector, index: usize, value: Fr) {
    let backend = scene.prover.backend;
    let entry = backend.read(vector, index, 1).unwrap()[0] + value;
    backend.write(vector, index, &[entry]).unwrap();
}

/// First entries of the dense matrix's contraction.
pub(crate) fn contraction(scene: &Stage<'_, '_>, count: usize) -> Vec<Fr> {
    let contraction = &scene.polynomials[&PolynomialId::Contraction(0)].coefficients;
    scene.prover.backend.read(contraction, 0, count).unwrap()
}

/// How often each table row is used by an honest trace of these inputs.
pub(crate) fn counts(sample: &Sample, inputs: &Inputs) -> Vec<Vec<i64>> {
    let witness = sample.input(inputs).witness;
    let cell = |column: usize, row: usize| from_integer(witness.get(column as u32, row));
    crate::lookup::multiplicities_of(&sample.circuit, &sample.fixed, &cell).unwrap()
}

/// Row of a value in the only table set.
pub(crate) fn table_row(sample: &Sample, value: i64, tag: i64) -> usize {
    let index = TableIndex::new(&sample.circuit.table_sets, &sample.fixed);
    index.find(&[from_integer(value)], from_integer(tag)).unwrap().row
}

/// The sample's inputs with another first entry of the dense layer's input.
pub(crate) fn with_first(sample: &Sample, value: i64) -> Inputs {
    let mut inputs = sample.inputs.clone();
    inputs.dense[0] = value;
    inputs
}

/// Counts of an honest trace, without the lookup of the dense layer's first input.
pub(crate) fn counts_without_first(sample: &Sample) -> Vec<Vec<i64>> {
    let mut all = counts(sample, &sample.inputs);
    all[0][table_row(sample, sample.inputs.dense[0], 1)] -= 1;
    all
}

fn sample() -> Sample {
    Sample::new(&Shape::default())
}

#[test]
fn honest_proofs_are_accepted_under_every_schedule() {
    let sample = sample();
    let honest = |_: Known, _: &mut ProverInput| crate::prove::Honest;
    assert_eq!(attempt(&sample, &Schedule::protocol(), honest), Ok(()));
    let mut all = Schedule::protocol().early_roles(4, "statement");
    for name in ["theta_P", "lambda", "x", "gamma_l", "beta", "mu", "g", "alpha", "z", "nu", "u"] {
        all = all.early(name, START);
    }
    assert_eq!(attempt(&sample, &all, honest), Ok(()));
}

#[test]
fn thetas_follow_the_trace() {
    let sample = sample();
    // Two cells of one output move against each other.
    let plan = |tensor: &'static str, (first, second), role| {
        let sample = &sample;
        move |known: Known, _: &mut ProverInput| {
            ChangedTrace(move |draft: &mut Draft| {
                let step = Fr::from(ERROR);
                add_cell(draft, sample, tensor, first, step * known.nth("theta", role));
                add_cell(draft, sample, tensor, second, -step);
            })
        }
    };
    let early = Schedule::protocol().early_roles(4, "statement");
    bites(&sample, &early, plan("y1", (0, 1), 0));
    bites(&sample, &early, plan("y2", (0, 3), 1));
    bites(&sample, &early, plan("y2", (0, 1), 2));
    bites(&sample, &early, plan("y3", (0, 9), 3));
    harmless(&sample, &Schedule::protocol().early_roles(4, "round1"), plan("y1", (0, 1), 0));
}

#[test]
fn lambda_follows_the_trace() {
    let sample = sample();
    bites(&sample, &Schedule::protocol().early("lambda", "statement"), |known, _| {
        let sample = &sample;
        ChangedTrace(move |draft: &mut Draft| {
            let step = Fr::from(ERROR);
            add_cell(draft, sample, "y1", 0, step * known.guess("lambda"));
            add_cell(draft, sample, "y2", 0, -step);
        })
    });
}

#[test]
fn public_challenge_follows_the_public_values() {
    // Six other integers with the same fingerprint exist once the challenge is known; a lattice finds them. They are some
    // 43 bits long, so an interval that is as wide as the statement's integers lets them pass.
    let wide = Sample::with(&Shape::default(), |circuit| {
        circuit.publics[0].interval = Interval { min: i64::MIN, max: i64::MAX };
    });
    let early = Schedule::protocol().early("theta_P", START);
    bites(&wide, &early, |known, input| {
        let shift = lattice::short_relation(known.guess("theta_P"), input.witness.publics[0].len());
        input.witness.publics[0].iter_mut().zip(shift).for_each(|(value, step)| *value += step);
        crate::prove::Honest
    });
    // The tensor that is compared moves instead of the public values: another way to use the same knowledge, which takes
    // cells that no table ranges.
    let free = Sample::with(&Shape::default(), |circuit| {
        circuit.lookups.truncate(1);
        // Nothing but the claim about public values speaks of these cells.
        circuit.claims.retain(|claim| claim.name != "Residual");
        let claim = circuit.claims.iter().position(|claim| claim.name == "Public").unwrap() as u32;
        circuit.tensors.last_mut().unwrap().pieces[0].origin = Origin::Claim { claim };
    });
    bites(&free, &Schedule::protocol().early("theta_P", "statement"), |known, _| {
        let free = &free;
        ChangedTrace(move |draft: &mut Draft| {
            let step = Fr::from(ERROR);
            add_cell(draft, free, "ss", 0, step * known.guess("theta_P"));
            add_cell(draft, free, "ss", 1, -step);
        })
    });
}

#[test]
fn public_challenge_follows_the_external_commitments() {
    let sample = sample();
    let plan = |known: Known, input: &mut ProverInput| {
        let vector = &mut input.witness.externals[0];
        vector[2] += Fr::from(ERROR) * known.guess("theta_P");
        vector[3] -= Fr::from(ERROR);
        crate::prove::Honest
    };
    bites(&sample, &Schedule::protocol().early("theta_P", START), plan);
    harmless(&sample, &Schedule::protocol().early("theta_P", "statement"), plan);
}

/// A network input out of its range, and a multiplicity that pays for it.
struct SolvedMultiplicity<'s> {
    sample: &'s Sample,
    known: Known,
}

impl Conduct<CpuBackend> for SolvedMultiplicity<'_> {
    fn counts(&mut self, _: Result<Vec<Vec<i64>>, ProveError>) -> Result<Vec<Vec<i64>>, ProveError> {
        Ok(counts_without_first(self.sample))
    }

    fn multiplicities(&mut self, draft: &mut Draft) {
        let (x, gamma) = (self.known.guess("x"), self.known.guess("gamma_l"));
        let entry = x + from_integer(-8) + gamma;
        let missing = x + from_integer(OUT_OF_RANGE) + gamma;
        draft.multiplicities[0].add(table_row(self.sample, -8, 1), entry / missing);
    }
}

#[test]
fn lookup_point_and_gamma_follow_the_multiplicities() {
    let sample = sample();
    let both = Schedule::protocol().early("x", "statement").early("gamma_l", "statement");
    let plan = |known: Known, input: &mut ProverInput| {
        *input = sample.input(&with_first(&sample, OUT_OF_RANGE));
        SolvedMultiplicity { sample: &sample, known }
    };
    bites(&sample, &both, plan);
    harmless(&sample, &Schedule::protocol().early("x", "statement"), plan);
    harmless(&sample, &Schedule::protocol().early("gamma_l", "statement"), plan);
}

/// A network input `7 + gamma_l`, whose tuple in table 1 equals that of 7 in table 2.
struct CollidingTuple<'s> {
    sample: &'s Sample,
    known: Known,
}

impl Conduct<CpuBackend> for CollidingTuple<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        let value = from_integer(7) + self.known.guess("gamma_l");
        let change = value - from_integer(self.sample.inputs.dense[0]);
        add_cell(draft, self.sample, "dense", 0, change);
        for (row, weights) in self.sample.weights[0].iter_rows().enumerate() {
            add_cell(draft, self.sample, "y1", row, change * from_integer(weights[0]));
        }
    }

    fn counts(&mut self, _: Result<Vec<Vec<i64>>, ProveError>) -> Result<Vec<Vec<i64>>, ProveError> {
        let mut counts = counts_without_first(self.sample);
        counts[0][table_row(self.sample, 7, 2)] += 1;
        Ok(counts)
    }
}

#[test]
fn gamma_follows_the_looked_up_columns() {
    let sample = sample();
    bites(&sample, &Schedule::protocol().early("gamma_l", "statement"), |known, _| CollidingTuple {
        sample: &sample,
        known,
    });
}

/// A wrong output, and two entries of the fold that make up for it without changing its value at beta.
struct BalancedFold<'s> {
    sample: &'s Sample,
    known: Known,
}

impl Conduct<CpuBackend> for BalancedFold<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        add_cell(draft, self.sample, "y1", 0, Fr::from(ERROR));
    }

    fn folds(&mut self, scene: &Stage<'_, '_>, folds: &mut [Vector]) {
        let (beta, weights) = (self.known.guess("beta"), contraction(scene, 2));
        let step = self.known.guess("lambda") * Fr::from(ERROR) / (weights[1] - beta * weights[0]);
        add_entry(scene, &mut folds[0], 1, step);
        add_entry(scene, &mut folds[0], 0, -step * beta);
    }
}

#[test]
fn beta_follows_the_folds() {
    let sample = sample();
    let plan = |known: Known, _: &mut ProverInput| BalancedFold { sample: &sample, known };
    bites(&sample, &Schedule::protocol().early("beta", "round1"), plan);
    harmless(&sample, &Schedule::protocol().early("beta", "round2"), plan);
}

/// A wrong output, and a fold entry whose part in the product and in the fold's own check cancel it.
pub(crate) struct WeightedFold<'s> {
    pub(crate) sample: &'s Sample,
    pub(crate) known: Known,
    /// Weight of the fold's check; mu where there is none.
    pub(crate) weight: Option<Fr>,
}

impl Conduct<CpuBackend> for WeightedFold<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        add_cell(draft, self.sample, "y1", 0, Fr::from(ERROR));
    }

    fn folds(&mut self, scene: &Stage<'_, '_>, folds: &mut [Vector]) {
        let weight = self.weight.unwrap_or_else(|| self.known.guess("mu"));
        let step = self.known.guess("lambda") * Fr::from(ERROR) / (contraction(scene, 1)[0] + weight);
        add_entry(scene, &mut folds[0], 0, step);
    }
}

#[test]
fn mu_follows_the_folds() {
    let sample = sample();
    let plan = |known: Known, _: &mut ProverInput| WeightedFold { sample: &sample, known, weight: None };
    bites(&sample, &Schedule::protocol().early("mu", "round1"), plan);
    harmless(&sample, &Schedule::protocol().early("mu", "round2"), plan);
}

/// Coefficient forms that differ from the row forms in one row of two columns, weighted against each other.
struct TwoForms {
    known: Known,
    row: usize,
}

impl Conduct<CpuBackend> for TwoForms {
    fn coefficient_form(&mut self, column: usize, cells: &mut std::collections::BTreeMap<usize, Fr>) {
        let step = Fr::from(ERROR);
        let value = if column == 0 { step * self.known.guess("g") } else { -step };
        *cells.entry(self.row).or_insert(Fr::zero()) += value;
    }
}

#[test]
fn link_challenge_follows_both_forms() {
    let sample = sample();
    let row = sample.circuit.usable() - 1;
    // A row of the blinding, and one that no view reads and that is zero.
    for row in [row, row + 1] {
        let plan = |known: Known, _: &mut ProverInput| TwoForms { known, row };
        bites(&sample, &Schedule::protocol().early("g", "statement"), plan);
        harmless(&sample, &Schedule::protocol().early("g", "round1"), plan);
    }
}

/// A network input that is in range for the lookups, which read the row form, and out of range for the claims, which read the
/// coefficient form. Another coefficient, which nothing reads, brings the form's value at beta back.
struct TwoInputs<'s> {
    sample: &'s Sample,
    known: Known,
    /// Whether the other coefficient is used.
    balanced: bool,
}

impl TwoInputs<'_> {
    fn step(&self) -> Fr {
        from_integer(OUT_OF_RANGE - self.sample.inputs.dense[0])
    }
}

impl Conduct<CpuBackend> for TwoInputs<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        for (row, weights) in self.sample.weights[0].iter_rows().enumerate() {
            add_cell(draft, self.sample, "y1", row, self.step() * from_integer(weights[0]));
        }
        // The same value, but kept as a field element, which the second form can change.
        add_cell(draft, self.sample, "dense", 0, Fr::zero());
    }

    fn coefficient_form(&mut self, column: usize, cells: &mut std::collections::BTreeMap<usize, Fr>) {
        let (own, row) = cell(self.sample, "dense", 0);
        if column != own {
            return;
        }
        *cells.entry(row).or_default() += self.step();
        if self.balanced {
            let unread = self.sample.circuit.usable() - 1;
            let power = self.known.guess("beta").inverse().unwrap().pow([(unread - row) as u64]);
            *cells.entry(unread).or_default() -= self.step() * power;
        }
    }
}

#[test]
fn beta_follows_both_forms() {
    let sample = sample();
    let plan = |balanced: bool| {
        let sample = &sample;
        move |known: Known, _: &mut ProverInput| TwoInputs { sample, known, balanced }
    };
    let early = Schedule::protocol().early("beta", "statement");
    bites(&sample, &early, plan(true));
    harmless(&sample, &early, plan(false));
    harmless(&sample, &Schedule::protocol().early("beta", "round1"), plan(true));
}

/// Two forms that differ, and an h that goes round with the row form: it is right on every row, and does not start where
/// the coefficient form says.
struct OwnCycle<'s> {
    forms: TwoInputs<'s>,
    /// The tensor columns on the last row.
    last: Vec<Fr>,
}

impl Conduct<CpuBackend> for OwnCycle<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        Conduct::<CpuBackend>::trace(&mut self.forms, draft);
        let row = self.forms.sample.circuit.rows() - 1;
        self.last = draft.advice.iter().map(|column| column.get(row)).collect();
    }

    fn coefficient_form(&mut self, column: usize, cells: &mut std::collections::BTreeMap<usize, Fr>) {
        Conduct::<CpuBackend>::coefficient_form(&mut self.forms, column, cells);
    }

    fn link(&mut self, scene: &Stage<'_, '_>, values: &mut Vector) {
        let (backend, known) = (scene.prover.backend, &self.forms.known);
        let b = known.guess("beta").inverse().unwrap();
        let old = backend.download(values).unwrap();
        let mut addends: Vec<Fr> = old.windows(2).map(|pair| pair[1] - b * pair[0]).collect();
        addends.push(self.last.iter().rev().fold(Fr::zero(), |sum, v| sum * known.guess("g") + v));
        let around = addends.iter().fold(Fr::zero(), |sum, addend| sum * b + addend);
        let first = around / (Fr::ONE - b.pow([addends.len() as u64]));
        *values = backend.linear_recurrence(first, b, &backend.upload(&addends).unwrap()).unwrap();
    }
}

#[test]
fn the_link_starts_from_the_coefficient_forms() {
    let sample = sample();
    let sample = &sample;
    let plan = |known: Known, _: &mut ProverInput| OwnCycle {
        forms: TwoInputs { sample, known, balanced: false },
        last: Vec::new(),
    };
    assert_eq!(attempt(sample, &Schedule::protocol(), plan), Err(VerifyError::Invalid));
}

/// A network input out of its range: the running sum does not end at zero, and a helper pays for it on that row.
struct BalancedIdentities<'s> {
    sample: &'s Sample,
    known: Known,
    /// The looked-up columns on the first blinding row.
    blinding: Vec<Fr>,
}

impl Conduct<CpuBackend> for BalancedIdentities<'_> {
    fn counts(&mut self, _: Result<Vec<Vec<i64>>, ProveError>) -> Result<Vec<Vec<i64>>, ProveError> {
        Ok(counts_without_first(self.sample))
    }

    fn multiplicities(&mut self, draft: &mut Draft) {
        let row = self.sample.circuit.usable();
        self.blinding = draft.advice.iter().map(|column| column.get(row)).collect();
    }

    fn helper(&mut self, scene: &Stage<'_, '_>, _index: usize, values: &mut Vector) {
        let (x, gamma, alpha) =
            (self.known.guess("x"), self.known.guess("gamma_l"), self.known.guess("alpha"));
        let excess = (x + from_integer(OUT_OF_RANGE) + gamma).inverse().unwrap();
        let denominators = (x + self.blinding[0] + gamma) * (x + self.blinding[1] + gamma * Fr::from(2));
        // Identities in alpha's order: helper, transition, first value, last value.
        let balance = -alpha.pow([3]) * excess / denominators;
        scene.prover.backend.write(values, self.sample.circuit.usable(), &[balance]).unwrap();
    }
}

#[test]
fn alpha_follows_the_helpers() {
    let sample = sample();
    let plan = |known: Known, input: &mut ProverInput| {
        *input = sample.input(&with_first(&sample, OUT_OF_RANGE));
        BalancedIdentities { sample: &sample, known, blinding: Vec::new() }
    };
    bites(&sample, &Schedule::protocol().early("alpha", "round1"), plan);
    harmless(&sample, &Schedule::protocol().early("alpha", "round2"), plan);
}

/// A wrong output; the defect of the one identity's constant term is hidden in S at the point z.
struct FittedSymmetric<'s> {
    sample: &'s Sample,
    known: Known,
}

/// By how much the one identity's constant term is off for a wrong dense output.
fn defect(known: &Known) -> Fr {
    Fr::from(2 * ERROR) * known.guess("lambda")
}

impl Conduct<CpuBackend> for FittedSymmetric<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        add_cell(draft, self.sample, "y1", 0, Fr::from(ERROR));
    }

    fn symmetric(&mut self, scene: &Stage<'_, '_>, _form: &LinearForm, symmetric: &mut Vector) {
        let z = self.known.guess("z");
        add_entry(scene, symmetric, 0, defect(&self.known) / (z + z.inverse().unwrap()));
    }
}

#[test]
fn evaluation_point_follows_the_symmetric_half() {
    let sample = sample();
    let plan = |known: Known, _: &mut ProverInput| FittedSymmetric { sample: &sample, known };
    bites(&sample, &Schedule::protocol().early("z", "round2"), plan);
    harmless(&sample, &Schedule::protocol().early("z", "round3"), plan);
}

/// A network input out of its range, and a quotient that fits at z only.
struct FittedQuotient<'s> {
    sample: &'s Sample,
    known: Known,
}

impl Conduct<CpuBackend> for FittedQuotient<'_> {
    fn counts(&mut self, _: Result<Vec<Vec<i64>>, ProveError>) -> Result<Vec<Vec<i64>>, ProveError> {
        Ok(counts_without_first(self.sample))
    }

    fn quotient(&mut self, scene: &Stage<'_, '_>, pieces: &mut [Vector]) {
        let circuit = &self.sample.circuit;
        let challenges = self.known.challenges(circuit);
        let plan = EvaluationPlan::new(circuit);
        let points = Points::new(circuit, &challenges.folds, challenges.point).unwrap();
        let evaluations = &scene.prover.evaluations(&plan, &points, scene.polynomials).unwrap();
        let form = &LinearForm::new(circuit, &challenges.trace, &challenges.folds, &[]).unwrap();
        let (challenges, zero) = (&challenges, Fr::zero());
        let inputs =
            OpeningInputs { circuit, challenges, form, fold_value: None, column_value: zero, evaluations };
        let value = quotient_value(&inputs, &plan, &points).unwrap();
        pieces.fill_with(|| scene.prover.backend.zeros(1).unwrap());
        scene.prover.backend.write(&mut pieces[0], 0, &[value]).unwrap();
    }
}

#[test]
fn evaluation_point_follows_the_quotient() {
    let sample = sample();
    let plan = |known: Known, input: &mut ProverInput| {
        *input = sample.input(&with_first(&sample, OUT_OF_RANGE));
        FittedQuotient { sample: &sample, known }
    };
    bites(&sample, &Schedule::protocol().early("z", "round3"), plan);
    harmless(&sample, &Schedule::protocol().early("z", "round4"), plan);
}

/// A wrong output: y is false, and so is the value of the multiplicities, weighted by nu against it.
struct BalancedValues<'s> {
    sample: &'s Sample,
    known: Known,
}

impl Conduct<CpuBackend> for BalancedValues<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        add_cell(draft, self.sample, "y1", 0, Fr::from(ERROR));
    }

    fn values(&mut self, inputs: &OpeningInputs<'_>, points: &Points, values: &mut Evaluations) {
        let plan = EvaluationPlan::new(inputs.circuit);
        let all = items(inputs, &plan, points).unwrap();
        let multiplicity = |item: &Item| item.terms == [(Fr::ONE, PolynomialId::Multiplicity(0))];
        let (first, last) = (all.iter().position(multiplicity).unwrap(), all.len() - 1);
        // How the quotient's value, which the verifier computes, follows that of the multiplicities.
        let mut moved = inputs.evaluations.clone();
        moved.multiplicities[0] += Fr::ONE;
        let moved = OpeningInputs { evaluations: &moved, ..*inputs };
        let slope =
            quotient_value(&moved, &plan, points).unwrap() - quotient_value(inputs, &plan, points).unwrap();
        let nu = self.known.guess("nu");
        let weight = nu.pow([first as u64]) + nu.pow([last as u64]) * slope;
        values.symmetric -= defect(&self.known);
        values.multiplicities[0] += defect(&self.known) / weight;
    }
}

#[test]
fn nu_follows_the_values() {
    let sample = sample();
    let plan = |known: Known, _: &mut ProverInput| BalancedValues { sample: &sample, known };
    bites(&sample, &Schedule::protocol().early("nu", "round4"), plan);
    harmless(&sample, &Schedule::protocol().early("nu", "round5"), plan);
}

/// A wrong output: y is false, and the first opening commitment is to a constant that fits at u'.
struct FittedOpening<'s> {
    sample: &'s Sample,
    known: Known,
}

impl Conduct<CpuBackend> for FittedOpening<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        add_cell(draft, self.sample, "y1", 0, Fr::from(ERROR));
    }

    fn values(&mut self, _inputs: &OpeningInputs<'_>, _points: &Points, values: &mut Evaluations) {
        values.symmetric -= defect(&self.known);
    }

    fn opening(
        &mut self,
        scene: &Stage<'_, '_>,
        (items, all): (&[Item], &[Fr]),
        nu: OpeningChallenge,
        first: &mut Vector,
    ) {
        let u = self.known.guess("u");
        let difference = |item: &Item| {
            let polynomial = scene.prover.combine(scene.polynomials, &item.terms).unwrap().coefficients;
            let value = scene.prover.backend.evaluate(&[&polynomial], u).unwrap()[0];
            value - interpolate(&item.openings, u).unwrap()
        };
        let sum: Fr = items.iter().zip(weights(items, all, nu.0, u)).map(|(i, w)| w * difference(i)).sum();
        *first = scene.prover.backend.upload(&[sum / vanishing(all.iter().copied(), u)]).unwrap();
    }
}

#[test]
fn comparison_point_follows_the_first_opening() {
    let sample = sample();
    let plan = |known: Known, _: &mut ProverInput| FittedOpening { sample: &sample, known };
    bites(&sample, &Schedule::protocol().early("u", "round5"), plan);
    harmless(&sample, &Schedule::protocol().early("u", "pi1"), plan);
}
