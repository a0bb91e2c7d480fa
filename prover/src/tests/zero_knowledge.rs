//! The values that a proof shows in the clear hide everything: with all challenges fixed they are affine in each random
//! cell of the real prover, and the map from random cells to values has full rank. Since no shown value is determined by the
//! others (those that are, the verifier computes), they are then uniform and independent of the witness. With fewer random
//! cells the rank falls short, by as much as the protocol's table of cells says.

use std::collections::BTreeMap;

use ark_bn254::Fr;
use ark_ff::{Field, PrimeField, Zero};
use zkloom_plonkish::{Circuit, CircuitError, Expression, Query};
use zkloom_verifier::transcript::Message;
use zkloom_verifier::{Proof, Transcript};

use super::early::Setting;
use super::gadget::Gadget;
use super::sample::{ALL, Kind, Sample, Shape};
use crate::device::Prover;
use crate::prove::Honest;
use crate::randomness::Blinding;

/// Answers with the same challenges whatever it absorbs.
#[derive(Default)]
struct FixedTranscript(BTreeMap<&'static str, u64>);

impl Transcript for FixedTranscript {
    fn absorb(&mut self, _label: &'static str, _message: &Message) {}

    fn challenge(&mut self, name: &'static str) -> Fr {
        let count = self.0.entry(name).or_default();
        *count += 1;
        let seed = [name.as_bytes(), &count.to_be_bytes()].concat();
        Fr::from_be_bytes_mod_order(blake3::hash(&seed).as_bytes())
    }

    fn closing(&self) -> [u8; 32] {
        [0; 32]
    }
}

/// What a random scalar of the prover is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draw {
    /// Blinding row of an advice column: column, row counted from the first blinding row.
    Advice(usize, usize),
    /// Random entry of a fold.
    Fold(usize, usize),
    /// Blinding row of a multiplicity column.
    Multiplicity(usize, usize),
    /// Multiple of the vanishing polynomial in a helper.
    Helper(usize),
    /// Row of the running sum after the last that is fixed.
    RunningSum(usize),
    /// Hides a commitment; no value in the clear depends on it.
    Hiding,
}

/// All draws in the prover's order.
fn draws(circuit: &Circuit) -> Vec<Draw> {
    let blinding = circuit.blinding_rows as usize;
    let columns = circuit.advice.len();
    let (folds, sets) = (circuit.folds().len(), circuit.table_sets.len());
    let mut all = Vec::new();
    let grid = |outer: usize, inner: usize| (0..outer).flat_map(move |o| (0..inner).map(move |i| (o, i)));
    all.extend(grid(columns, blinding).map(|(column, row)| Draw::Advice(column, row)));
    all.extend(grid(folds, circuit.fold_blinds.count as usize).map(|(fold, entry)| Draw::Fold(fold, entry)));
    all.extend(grid(sets, blinding).map(|(set, row)| Draw::Multiplicity(set, row)));
    let commitments = columns + sets + circuit.tensor_columns().count() + folds;
    all.extend(vec![Draw::Hiding; commitments]);
    for helper in 0..circuit.helpers() {
        all.extend([Draw::Helper(helper), Draw::Hiding]);
    }
    all.extend((0..blinding - 1).map(Draw::RunningSum));
    // Running sum, h, S, quotient pieces, the two opening commitments.
    all.extend(vec![Draw::Hiding; 3 + circuit.max_degree as usize - 1 + 2]);
    all
}

/// Everything in the clear that is not a fixed column's value.
fn clear(proof: &Proof) -> Vec<Fr> {
    let values = &proof.evaluations;
    let mut all: Vec<Fr> = values.advice.iter().flatten().copied().collect();
    all.extend(values.multiplicities.iter().chain(&values.helpers));
    all.extend(values.running_sum.iter().chain(&values.input_fold).chain(&values.left_fold).flatten());
    all.extend([values.link, values.symmetric, proof.link.column_value]);
    all.extend(proof.link.fold_value);
    all
}

/// Derivative of the clear values by each draw.
struct Jacobian {
    rows: Vec<(Draw, Vec<Fr>)>,
    values: usize,
}

const SEED: u64 = 77;

impl Jacobian {
    fn new(setting: &impl Setting) -> Self {
        let prover = Prover::new(setting.backend(), setting.srs(), setting.key()).unwrap();
        let input = setting.honest();
        let run = |mut random: Blinding| {
            let mut transcript = FixedTranscript::default();
            let (_, proof) = prover.prove_as(&input, &mut random, &mut transcript, &mut Honest).unwrap();
            (clear(&proof), random.drawn())
        };
        let (base, drawn) = run(Blinding::from_seed(SEED));
        let draws = draws(setting.key().verifying().circuit());
        assert_eq!(draws.len(), drawn, "the prover draws something that is not listed here");
        let derivative = |(index, draw): (usize, Draw)| {
            let (moved, _) = run(Blinding::with_moved(SEED, index));
            (draw, moved.iter().zip(&base).map(|(a, b)| *a - b).collect())
        };
        let rows = draws.into_iter().enumerate().map(derivative).collect();
        Self { rows, values: base.len() }
    }

    /// How many independent combinations of clear values do not depend on the draws that `keep` leaves.
    fn leaks(&self, keep: impl Fn(Draw) -> bool) -> usize {
        let rows = self.rows.iter().filter(|(draw, _)| keep(*draw)).map(|(_, row)| row.clone()).collect();
        self.values - rank(rows)
    }

    fn check(&self) {
        assert_eq!(self.leaks(|_| true), 0);
        for (draw, row) in &self.rows {
            let still = row.iter().all(Zero::is_zero);
            assert_eq!(still, *draw == Draw::Hiding, "{draw:?}");
        }
    }
}

fn rank(mut rows: Vec<Vec<Fr>>) -> usize {
    let width = rows.first().map_or(0, Vec::len);
    let mut rank = 0;
    for column in 0..width {
        let Some(pivot) = (rank..rows.len()).find(|row| !rows[*row][column].is_zero()) else { continue };
        rows.swap(rank, pivot);
        let inverse = rows[rank][column].inverse().unwrap();
        let (done, rest) = rows.split_at_mut(rank + 1);
        for row in rest {
            let factor = row[column] * inverse;
            row.iter_mut().zip(&done[rank]).for_each(|(entry, step)| *entry -= factor * step);
        }
        rank += 1;
    }
    rank
}

fn sample(kinds: &[Kind], tensor_columns: u32, private: bool) -> Sample {
    let log_rows = if tensor_columns == 1 { 8 } else { 7 };
    Sample::new(&Shape { kinds: kinds.to_vec(), tensor_columns, log_rows, private, ..Shape::default() })
}

const LINEAR: [Kind; 3] = [Kind::Residual, Kind::Public, Kind::External];
const MATRICES: [Kind; 6] =
    [Kind::Dense, Kind::Convolution, Kind::Depthwise, Kind::Residual, Kind::Public, Kind::External];

#[test]
fn ranks_are_computed() {
    let rows = |rows: &[[u64; 3]]| rows.iter().map(|row| row.map(Fr::from).to_vec()).collect::<Vec<_>>();
    assert_eq!(rank(rows(&[[0, 1, 2], [0, 2, 4], [1, 0, 0]])), 2);
    assert_eq!(rank(rows(&[[0, 1, 2], [0, 2, 5], [1, 0, 0]])), 3);
    assert_eq!(rank(rows(&[[0, 0, 0]])), 0);
    assert_eq!(rank(Vec::new()), 0);
}

#[test]
fn all_kinds_of_claims_and_too_few_fold_entries() {
    let jacobian = Jacobian::new(&sample(&ALL, 2, true));
    jacobian.check();
    // Three folds with one random entry each for five values: x~ and a~ at z and 1/z, and their sum at beta.
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Fold(_, 1..))), 2);
    // Each object that hides by itself.
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Multiplicity(..))), 1);
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Multiplicity(_, 1..))), 0);
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Helper(_))), 1);
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::RunningSum(1..))), 1);
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::RunningSum(2..))), 0);
    assert_eq!(jacobian.leaks(|draw| draw == Draw::Hiding), jacobian.values);
}

#[test]
fn matrices_alone_need_three_fold_entries() {
    let jacobian = Jacobian::new(&sample(&MATRICES, 1, true));
    jacobian.check();
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Fold(_, 2))), 1);
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Fold(_, 1..))), 2);
    Jacobian::new(&sample(&[Kind::Dense, Kind::Residual], 2, false)).check();
}

#[test]
fn one_tensor_column_needs_four_blinding_rows() {
    let jacobian = Jacobian::new(&sample(&LINEAR, 1, true));
    jacobian.check();
    // Its value at z, v^, h(z), y.
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Advice(_, 3))), 1);
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Advice(_, 2..))), 2);
    // Products without matrices, two columns.
    Jacobian::new(&sample(&[Kind::Product, Kind::Residual, Kind::Public], 2, true)).check();
}

#[test]
fn another_opened_rotation_needs_another_row() {
    let shape = Shape {
        kinds: LINEAR.to_vec(),
        tensor_columns: 1,
        log_rows: 8,
        blinding_rows: 5,
        ..Shape::default()
    };
    // The two selectors are never on together, so the gate holds for any next row.
    let rotated = |circuit: &mut Circuit| {
        let leaf = Expression::Leaf;
        let next = Query { rotation: 1, ..Query::advice(0) };
        let polynomial = leaf(Query::fixed(0)) * leaf(Query::fixed(1)) * leaf(next);
        circuit.gates.push(zkloom_plonkish::Gate { name: "rotated".to_owned(), polynomial });
    };
    let jacobian = Jacobian::new(&Sample::with(&shape, rotated));
    jacobian.check();
    assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Advice(_, 4))), 1);
}

#[test]
fn two_table_sets_and_a_column_without_tensors() {
    for (blinding_rows, rotated) in [(4, false), (5, true)] {
        let jacobian = Jacobian::new(&Gadget::new(blinding_rows, rotated));
        jacobian.check();
        let remainders = super::gadget::REMAINDERS;
        assert_eq!(
            jacobian.leaks(|draw| !matches!(draw, Draw::Advice(column, _) if column == remainders)),
            1
        );
        assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Multiplicity(1, _))), 1);
        assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Multiplicity(..))), 2);
        assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Helper(1))), 1);
        assert_eq!(jacobian.leaks(|draw| !matches!(draw, Draw::Helper(_))), 2);
    }
}

#[test]
fn circuits_with_too_few_random_cells_are_refused() {
    let good = sample(&ALL, 2, true).circuit;
    let refused = |change: fn(&mut Circuit)| {
        let mut circuit = good.clone();
        change(&mut circuit);
        matches!(circuit.validate(), Err(CircuitError::Size { .. }))
    };
    assert!(refused(|circuit| circuit.blinding_rows = 3));
    assert!(refused(|circuit| circuit.fold_blinds.count = 2));
    assert!(refused(|circuit| {
        let leaf = Expression::Leaf;
        let next = Query { rotation: 1, ..Query::advice(0) };
        let polynomial = leaf(Query::fixed(0)) * leaf(next);
        circuit.gates.push(zkloom_plonkish::Gate { name: "rotated".to_owned(), polynomial });
    }));
}
