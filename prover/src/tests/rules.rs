//! Rules of the protocol that a cheating prover would profit from, had they been left out. Where a transcript can leave the
//! rule out (a challenge that is a constant, or one challenge for two), the same forgery is shown to pass without it.

use ark_bn254::{Fr, G1Affine};
use ark_ff::{Field, One, Zero};
use zkloom_backends::{Backend, CpuBackend};
use zkloom_plonkish::field::from_integer;
use zkloom_plonkish::{CircuitError, Decode, Encode, Monomial, TableIndex};
use zkloom_verifier::{HashKind, VerifyError, VerifyingKey, verify, verify_with};

use super::early::{Known, Schedule, Setting, attempt, cheat};
use super::gadget::{ACCUMULATORS, ACTIVATIONS, Gadget, REMAINDERS, SHIFT, activate, output_row};
use super::sample::{Kind, ROLE_COLUMN, ROLE_ROW, Sample, Shape};
use super::teeth::{
    ChangedTrace, Stage, Vector, WeightedFold, add_cell, add_entry, counts, counts_without_first, table_row,
    with_first,
};
use crate::device::{Committed, Prover};
use crate::error::ProveError;
use crate::key::{self, ProvingKey};
use crate::prove::{Conduct, ProverInput, commit_external};
use crate::randomness::Blinding;
use crate::rounds::trace::Draft;
use crate::srs::dev;

type Counts = Result<Vec<Vec<i64>>, ProveError>;

fn sample() -> Sample {
    Sample::new(&Shape::default())
}

/// A cheat that gives its own multiplicities.
struct FalseCounts(Vec<Vec<i64>>);

impl Conduct<CpuBackend> for FalseCounts {
    fn counts(&mut self, _: Counts) -> Counts {
        Ok(self.0.clone())
    }
}

#[test]
fn each_axis_has_a_challenge_of_its_own() {
    let sample = sample();
    // Cells (0, 1) and (1, 0) of an image: row and column change places.
    let plan = |_: Known, _: &mut ProverInput| {
        ChangedTrace(|draft: &mut Draft| {
            add_cell(draft, &sample, "y2", 1, Fr::from(9));
            add_cell(draft, &sample, "y2", 3, -Fr::from(9));
        })
    };
    assert_eq!(attempt(&sample, &Schedule::protocol(), plan), Err(VerifyError::Invalid));
    let shared = Schedule::protocol().one_for_two_roles(ROLE_ROW, ROLE_COLUMN);
    assert_eq!(attempt(&sample, &shared, plan), Ok(()));
    // No circuit can ask for it.
    let mut circuit = sample.circuit.clone();
    circuit.claims[1].output[0].axes[2].segments[0].ratio = Monomial::role(ROLE_ROW, 1);
    assert!(matches!(circuit.validate(), Err(CircuitError::Monomials { .. })));
}

#[test]
fn every_tuple_carries_its_table_number() {
    let sample = sample();
    // 30 is a sum, not an activation.
    let plan = |_: Known, input: &mut ProverInput| {
        *input = sample.input(&with_first(&sample, 30));
        let mut counts = counts_without_first(&sample);
        counts[0][table_row(&sample, 30, 2)] += 1;
        FalseCounts(counts)
    };
    assert_eq!(attempt(&sample, &Schedule::protocol(), plan), Err(VerifyError::Invalid));
    let untagged = Schedule::protocol().fixed("gamma_l", Fr::zero());
    assert_eq!(attempt(&sample, &untagged, plan), Ok(()));
}

#[test]
fn folds_are_weighted_from_mu_to_the_one() {
    let sample = sample();
    let weight = Some(Fr::one());
    let plan = |known: Known, _: &mut ProverInput| WeightedFold { sample: &sample, known, weight };
    assert_eq!(attempt(&sample, &Schedule::protocol(), plan), Err(VerifyError::Invalid));
    // Counted from zero the first fold has the weight one, as it has here.
    assert_eq!(attempt(&sample, &Schedule::protocol().fixed("mu", Fr::one()), plan), Ok(()));
}

/// The prover of a key whose first dense row has one entry more, in the fold's random part.
struct ReachingRow<'s> {
    sample: &'s Sample,
    entry: usize,
}

impl Conduct<CpuBackend> for ReachingRow<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        let run = self.sample.circuit.fold_blinds.runs[0];
        draft.advice[run.column as usize].set(run.row as usize, Fr::from(5));
        add_cell(draft, self.sample, "y1", 0, Fr::from(5));
    }

    fn contraction(&mut self, scene: &Stage<'_, '_>, matrix: usize, rows: &mut Committed<Vector>) {
        if matrix == 0 {
            let backend = scene.prover.backend;
            rows.coefficients = backend.slice(&rows.coefficients, 0, self.entry + 1).unwrap();
            add_entry(scene, &mut rows.coefficients, self.entry, Fr::one());
        }
    }
}

#[test]
fn claims_are_weighted_from_lambda_to_the_one() {
    let mut sample = sample();
    let entry = sample.circuit.fold_segments().1 as usize;
    let verifying = sample.key.verifying();
    let mut matrices = verifying.matrices().to_vec();
    matrices[0][0] = (matrices[0][0] + sample.srs.powers()[entry]).into();
    let (circuit, fixed) = (sample.circuit.clone(), verifying.fixed().to_vec());
    let longer =
        VerifyingKey::new(circuit, verifying.hash(), verifying.srs(), fixed, matrices).unwrap().to_vec();
    // The proving key begins with the verification key.
    let mut bytes = sample.key.to_vec();
    bytes.splice(..verifying.to_vec().len(), longer);
    sample.key = ProvingKey::from_slice(&bytes).unwrap();
    let plan = |_: Known, _: &mut ProverInput| ReachingRow { sample: &sample, entry };
    assert_eq!(attempt(&sample, &Schedule::protocol(), plan), Err(VerifyError::Invalid));
    let constant = Schedule::protocol().fixed("lambda", Fr::one());
    assert_eq!(attempt(&sample, &constant, plan), Ok(()));
}

/// A dense layer whose bias counts twice.
struct ScaledBias<'s> {
    sample: &'s Sample,
    with_fold: bool,
}

impl Conduct<CpuBackend> for ScaledBias<'_> {
    fn trace(&mut self, draft: &mut Draft) {
        for (row, weights) in self.sample.weights[0].iter_rows().enumerate() {
            add_cell(draft, self.sample, "y1", row, from_integer(weights[6]));
        }
    }

    fn folds(&mut self, scene: &Stage<'_, '_>, folds: &mut [Vector]) {
        if self.with_fold {
            let constant = scene.prover.backend.read(&folds[0], 6, 1).unwrap()[0];
            add_entry(scene, &mut folds[0], 6, constant);
        }
    }
}

#[test]
fn a_bias_counts_once() {
    let sample = sample();
    for with_fold in [false, true] {
        assert_eq!(cheat(&sample, ScaledBias { sample: &sample, with_fold }), Err(VerifyError::Invalid));
    }
}

#[test]
fn private_inputs_lie_in_their_table() {
    let sample = sample();
    for value in [8, -9, 1000, -1000, 1 << 40, i64::MAX] {
        let input = sample.input(&with_first(&sample, value.min(1 << 50)));
        let prover = Prover::new(&sample.backend, &sample.srs, &sample.key).unwrap();
        assert!(matches!(prover.prove(&input, &mut |_| {}), Err(ProveError::Lookup { row: 0, .. })));
        // With counts that leave the cell out, and with counts that name another value instead.
        for counts in [counts_without_first(&sample), counts(&sample, &sample.inputs)] {
            let forged = attempt(&sample, &Schedule::protocol(), |_, honest| {
                *honest = input.clone();
                FalseCounts(counts)
            });
            assert_eq!(forged, Err(VerifyError::Invalid), "{value}");
        }
    }
}

/// A cheat that does not check its own statement.
struct UncheckedStatement(Vec<Vec<i64>>);

impl Conduct<CpuBackend> for UncheckedStatement {
    fn statement(&mut self, _: Result<(), VerifyError>) -> Result<(), VerifyError> {
        Ok(())
    }

    fn counts(&mut self, _: Counts) -> Counts {
        Ok(self.0.clone())
    }
}

#[test]
fn public_values_lie_in_their_interval() {
    let sample = sample();
    for first in [60, -60, i64::from(u32::MAX)] {
        let mut inputs = sample.inputs.clone();
        inputs.first[0] = first;
        let value = sample.compute(&inputs)["ss"][0];
        let counts = counts(&sample, &sample.inputs);
        let forged = attempt(&sample, &Schedule::protocol(), |_, input| {
            *input = sample.input(&inputs);
            UncheckedStatement(counts)
        });
        let Err(VerifyError::PublicRange { tensor, index: 0, value: found, min: -40, max: 39 }) = forged
        else {
            panic!("{forged:?}");
        };
        assert_eq!((tensor.as_str(), found), ("ss", value));
    }
}

/// A fold with one entry off.
struct WrongEntry {
    fold: usize,
    entry: usize,
}

impl Conduct<CpuBackend> for WrongEntry {
    fn folds(&mut self, scene: &Stage<'_, '_>, folds: &mut [Vector]) {
        add_entry(scene, &mut folds[self.fold], self.entry, Fr::one());
    }
}

#[test]
fn every_fold_entry_is_checked() {
    let sample = sample();
    for (fold, kind) in sample.circuit.folds().into_iter().enumerate() {
        // All entries, the public one of a bias, the gap before the right fold's random ones, and those.
        for entry in 0..sample.circuit.fold_length(kind) as usize {
            let forged = cheat(&sample, WrongEntry { fold, entry });
            assert_eq!(forged, Err(VerifyError::Invalid), "entry {entry} of fold {fold}");
        }
    }
}

#[test]
fn external_commitments_are_absorbed_first() {
    let sample = sample();
    let key = sample.key.verifying();
    let prover = Prover::new(&sample.backend, &sample.srs, &sample.key).unwrap();
    let proved = prover.prove(&sample.honest(), &mut |_| {}).unwrap();
    let check = |externals: Vec<G1Affine>| {
        let statement = zkloom_verifier::Statement { externals, ..proved.statement.clone() };
        verify(key, sample.srs.pin(), &statement, &proved.proof)
    };
    assert_eq!(check(proved.statement.externals.clone()), Ok(()));
    // Another vector; the same vector hidden otherwise; a commitment to nothing.
    let mut vector = sample.honest().witness.externals.remove(0);
    let rehidden = commit_external(&sample.srs, &vector, Fr::from(31_338)).unwrap();
    vector[2] += Fr::one();
    let other = commit_external(&sample.srs, &vector, Fr::from(31_337)).unwrap();
    for commitment in [rehidden, other, G1Affine::identity()] {
        assert_eq!(check(vec![commitment]), Err(VerifyError::Invalid));
    }
    // A prover that absorbs one commitment and shows another: the second one was chosen after all challenges.
    let plan = |name: &'static str| {
        let schedule = Schedule::protocol().early(name, super::early::START);
        let mut transcript = schedule.transcript(key.hash());
        let mut input = sample.honest();
        let challenge = transcript.known().guess(name);
        input.witness.externals[0][2] += challenge;
        input.witness.externals[0][3] -= Fr::one();
        let mut random = Blinding::from_seed(9);
        let cheat = &mut crate::prove::Honest;
        let (statement, proof) = prover.prove_as(&input, &mut random, &mut transcript, cheat).unwrap();
        let late =
            verify_with(key, sample.srs.pin(), &statement, &proof, &mut schedule.transcript(key.hash()));
        (late, verify(key, sample.srs.pin(), &statement, &proof))
    };
    assert_eq!(plan("theta_P"), (Ok(()), Err(VerifyError::Invalid)));
}

#[test]
fn points_of_the_second_group_are_the_verifiers_own() {
    let sample = sample();
    // Someone who made an SRS knows its tau and can prove anything under it; here an honest proof stands for it.
    let foreign = dev::generate(7).unwrap();
    let values = (sample.fixed.clone(), sample.weights.clone());
    let key = key::generate(&sample.backend, &foreign, sample.circuit.clone(), values, HashKind::Keccak256)
        .unwrap();
    let prover = Prover::new(&sample.backend, &foreign, &key).unwrap();
    let proved = prover.prove(&sample.honest(), &mut |_| {}).unwrap();
    let own = key.verifying();
    assert_eq!(verify(own, foreign.pin(), &proved.statement, &proved.proof), Ok(()));
    let pin = sample.srs.pin();
    let refused = verify(own, pin, &proved.statement, &proved.proof);
    assert!(matches!(refused, Err(VerifyError::OtherSrs { .. })));
    // The key lies about its origin: nothing in it brings the foreign points along.
    let (fixed, matrices) = (own.fixed().to_vec(), own.matrices().to_vec());
    let lying =
        VerifyingKey::new(sample.circuit.clone(), own.hash(), pin.identity(), fixed, matrices).unwrap();
    let mut bytes = key.to_vec();
    bytes.splice(..own.to_vec().len(), lying.to_vec());
    let lying_key = ProvingKey::from_slice(&bytes).unwrap();
    // It is bound to the relabelled key's digest, so only the points are wrong.
    let schedule = Schedule::protocol();
    let mut transcript = schedule.transcript(own.hash());
    let relabelled = Prover { key: &lying_key, ..prover };
    let mut random = Blinding::from_seed(3);
    let cheat = &mut crate::prove::Honest;
    let (statement, proof) =
        relabelled.prove_as(&sample.honest(), &mut random, &mut transcript, cheat).unwrap();
    assert_eq!(verify(&lying, pin, &statement, &proof), Err(VerifyError::Invalid));
}

/// One output's gadget cells, changed by a prover whose counts are as right as they can be.
struct ChangedGadget {
    output: usize,
    /// Column and what is added to it.
    steps: Vec<(usize, Fr)>,
    counts: Vec<Vec<i64>>,
}

impl Conduct<CpuBackend> for ChangedGadget {
    fn trace(&mut self, draft: &mut Draft) {
        for (column, step) in &self.steps {
            draft.advice[*column].add(output_row(self.output as u32), *step);
        }
    }

    fn counts(&mut self, _: Counts) -> Counts {
        Ok(self.counts.clone())
    }
}

/// An output whose activation follows its quotient in both directions.
fn interior(gadget: &Gadget) -> usize {
    let inside = |(accumulator, _, activation): &(i64, i64, i64)| {
        *activation == accumulator >> SHIFT && activate(*activation + 1) > *activation && *activation > 0
    };
    gadget.outputs().iter().position(inside).unwrap()
}

/// Adds to an output's accumulator, remainder, activation; the counts and public values follow where they can.
fn changed_gadget(gadget: &Gadget, steps: (i64, i64, i64)) -> Result<(), VerifyError> {
    let output = interior(gadget);
    let mut outputs = gadget.outputs();
    outputs[output].0 += steps.0;
    outputs[output].1 += steps.1;
    outputs[output].2 += steps.2;
    let honest = || gadget.counts(&gadget.outputs()).unwrap();
    let counts = gadget.counts(&outputs).unwrap_or_else(honest);
    attempt(gadget, &Schedule::protocol(), |_, input| {
        input.witness.publics[0][output] = outputs[output].2;
        let step = |(column, step)| (column, from_integer(step));
        let steps = [(ACCUMULATORS, steps.0), (REMAINDERS, steps.1), (ACTIVATIONS, steps.2)];
        ChangedGadget { output, steps: steps.map(step).to_vec(), counts }
    })
}

#[test]
fn requantised_activations_are_single_valued() {
    let gadget = Gadget::new(4, false);
    assert_eq!(changed_gadget(&gadget, (0, 0, 0)), Ok(()));
    let block = 1 << SHIFT;
    for steps in [
        // The accumulator by itself, by whole blocks with a fitting activation, within its block with the remainder.
        (1, 0, 0),
        (block, 0, 1),
        (-block, 0, -1),
        (1, 1, 0),
        (-1, -1, 0),
        // The quotient and its activation, with a remainder out of its range.
        (0, -block, 1),
        (0, block, -1),
        // The remainder or the activation alone.
        (0, 1, 0),
        (0, -1, 0),
        (0, 0, 1),
        (0, 0, -1),
    ] {
        assert_eq!(changed_gadget(&gadget, steps), Err(VerifyError::Invalid), "{steps:?}");
    }
}

/// The trace says `quotient`, with the remainder that makes it fit in the field: `acc - 2^s q`, no small number.
#[test]
fn remainders_are_no_field_elements() {
    let gadget = Gadget::new(4, false);
    let output = interior(&gadget);
    let (accumulator, remainder, activation) = gadget.outputs()[output];
    let index = TableIndex::new(&gadget.circuit.table_sets, &gadget.fixed);
    let row =
        |q: i64| index.find(&[from_integer(q), from_integer(activate(q))], from_integer(3)).unwrap().row;
    let honest = gadget.counts(&gadget.outputs()).unwrap();
    for quotient in [-20, activation - 1, activation + 1, 25] {
        let free = from_integer(accumulator - (quotient << SHIFT) - remainder);
        let mut counts = honest.clone();
        counts[1][row(accumulator >> SHIFT)] -= 1;
        counts[1][row(quotient)] += 1;
        let forged = attempt(&gadget, &Schedule::protocol(), |_, input| {
            input.witness.publics[0][output] = activate(quotient);
            let step = from_integer(activate(quotient) - activation);
            ChangedGadget { output, steps: vec![(REMAINDERS, free), (ACTIVATIONS, step)], counts }
        });
        assert_eq!(forged, Err(VerifyError::Invalid), "{quotient}");
    }
    // Steps that wrap around the field's order when they are scaled: halves and sixteenths.
    let half = Fr::from(2).inverse().unwrap();
    let sixteenth = from_integer(1 << SHIFT).inverse().unwrap();
    for step in [half, -half, sixteenth, -sixteenth] {
        for steps in [
            vec![(ACCUMULATORS, step)],
            vec![(REMAINDERS, step)],
            vec![(ACCUMULATORS, step), (REMAINDERS, step)],
        ] {
            let forged = cheat(&gadget, ChangedGadget { output, steps, counts: honest.clone() });
            assert_eq!(forged, Err(VerifyError::Invalid));
        }
    }
}

#[test]
fn gates_hold_on_their_rows() {
    let gadget = Gadget::new(5, true);
    let moved = |row: usize| {
        cheat(&gadget, ChangedTrace(move |draft: &mut Draft| draft.advice[ACTIVATIONS].add(row, Fr::one())))
    };
    // The gate compares rows 50 and 51, which nothing else reads.
    assert_eq!(moved(49), Ok(()));
    assert_eq!(moved(50), Err(VerifyError::Invalid));
    assert_eq!(moved(51), Err(VerifyError::Invalid));
    assert_eq!(moved(52), Ok(()));
}

#[test]
fn outputs_belong_to_their_matrix() {
    // Every claim kind alone: its output moved by one is refused.
    let outputs =
        [(Kind::Dense, "y1"), (Kind::Convolution, "y2"), (Kind::Depthwise, "y3"), (Kind::Product, "yc")];
    for (kind, tensor) in outputs {
        let sample = Sample::new(&Shape { kinds: vec![kind], ..Shape::default() });
        let moved = ChangedTrace(|draft: &mut Draft| add_cell(draft, &sample, tensor, 0, Fr::one()));
        assert_eq!(cheat(&sample, moved), Err(VerifyError::Invalid));
    }
}
