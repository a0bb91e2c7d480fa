//! Everything that can be changed is changed once: cells of the trace, public values, external entries, every field of a
//! proof as a value and as bytes. And what may not be refused: extreme witnesses.

use ark_bn254::{Fr, G1Affine};
use ark_ec::AffineRepr;
use ark_ff::One;
use zkloom_backends::CpuBackend;
use zkloom_plonkish::mock::MockChecker;
use zkloom_plonkish::{Circuit, FixedValues, IntegerMatrix};
use zkloom_verifier::{Proof, Statement, Transcript, VerifyError, VerifyingKey, verify, verify_with};

use super::early::{Schedule, Setting, attempt, cheat};
use super::gadget::Gadget;
use super::sample::{Inputs, Kind, Sample, Shape};
use crate::device::Prover;
use crate::error::ProveError;
use crate::prove::{Conduct, Honest, Proved};
use crate::rounds::trace::Draft;

/// A prover with one cell of the trace off by one. Its counts follow where the cell stays in its table.
struct WrongCell {
    column: usize,
    row: usize,
    honest: Vec<Vec<i64>>,
}

impl Conduct<CpuBackend> for WrongCell {
    fn trace(&mut self, draft: &mut Draft) {
        draft.advice[self.column].add(self.row, Fr::one());
    }

    fn counts(&mut self, counts: Result<Vec<Vec<i64>>, ProveError>) -> Result<Vec<Vec<i64>>, ProveError> {
        Ok(counts.unwrap_or_else(|_| self.honest.clone()))
    }
}

/// Changes cells one by one. A proof is accepted if and only if the mock checker finds nothing; `used` tells the cells
/// that it must object to.
fn change_cells(
    setting: &impl Setting,
    (circuit, fixed, weights): (&Circuit, &FixedValues, &[IntegerMatrix]),
    cells: impl Iterator<Item = (usize, usize)>,
    used: impl Fn(usize, usize) -> bool,
) {
    let checker = MockChecker { circuit, fixed, weights };
    let honest = setting.honest();
    let cell = |column: usize, row: usize| Fr::from(honest.witness.get(column as u32, row));
    let honest_counts = crate::lookup::multiplicities_of(circuit, fixed, &cell).unwrap();
    let mut changed = 0;
    for (column, row) in cells {
        let mut witness = honest.witness.clone();
        let values = &mut witness.advice[column];
        values.resize(values.len().max(row + 1), 0);
        values[row] += 1;
        let sound = checker.check(&witness, 1).is_empty();
        assert_eq!(sound, !used(column, row), "column {column} row {row}");
        let result = cheat(setting, WrongCell { column, row, honest: honest_counts.clone() });
        let expected = if sound { Ok(()) } else { Err(VerifyError::Invalid) };
        assert_eq!(result, expected, "column {column} row {row}");
        changed += 1;
    }
    assert!(changed > 0);
}

#[test]
fn cells_of_the_trace() {
    let sample = Sample::new(&Shape::default());
    let used = |column: usize, row: usize| {
        sample.places.values().any(|place| {
            let rows = place.row as usize..(place.row + place.length) as usize;
            place.column as usize == column && rows.contains(&row)
        })
    };
    let all = || (0..2).flat_map(|column| (0..sample.circuit.usable()).map(move |row| (column, row)));
    // Every second cell in use (odd and even rows of different columns), some of the others.
    let chosen = all().filter(
        |(column, row)| {
            if used(*column, *row) { (column + row) % 2 == 0 } else { row % 9 == 0 }
        },
    );
    let parts = (&sample.circuit, &sample.fixed, sample.weights.as_slice());
    change_cells(&sample, parts, chosen, used);
}

#[test]
fn cells_of_a_gadget() {
    let gadget = Gadget::new(4, false);
    let rows = |column: usize| if column == super::gadget::ACTIVATIONS { 0..10 } else { 6..10 };
    let cells = (0..3).flat_map(|column| rows(column).map(move |row| (column, row)));
    let parts = (&gadget.circuit, &gadget.fixed, gadget.weights.as_slice());
    change_cells(&gadget, parts, cells, |_, _| true);
}

fn proved(setting: &impl Setting) -> Proved {
    let prover = Prover::new(setting.backend(), setting.srs(), setting.key()).unwrap();
    prover.prove(&setting.honest(), &mut |_| {}).unwrap()
}

#[test]
fn public_values_and_external_entries() {
    let sample = Sample::new(&Shape::default());
    let (key, pin) = (sample.key.verifying(), sample.srs.pin());
    let Proved { statement, proof, .. } = proved(&sample);
    for index in 0..6 {
        let step = if statement.publics[0][index] < 39 { 1 } else { -1 };
        // Changed after the proof was made, and before.
        let mut changed = statement.clone();
        changed.publics[0][index] += step;
        assert_eq!(verify(key, pin, &changed, &proof), Err(VerifyError::Invalid));
        let forged = attempt(&sample, &Schedule::protocol(), |_, input| {
            input.witness.publics[0][index] += step;
            Honest
        });
        assert_eq!(forged, Err(VerifyError::Invalid));
    }
    let external = &sample.circuit.externals[0];
    for index in 0..sample.honest().witness.externals[0].len() as u32 {
        let forged = attempt(&sample, &Schedule::protocol(), |_, input| {
            input.witness.externals[0][index as usize] += Fr::one();
            Honest
        });
        let compared = (external.offset..external.offset + external.length).contains(&index);
        let expected = if compared { Err(VerifyError::Invalid) } else { Ok(()) };
        assert_eq!(forged, expected, "entry {index}");
    }
}

/// Every point of a proof.
fn points(proof: &mut Proof) -> Vec<&mut G1Affine> {
    let mut all: Vec<&mut G1Affine> = Vec::new();
    for column in &mut proof.trace.advice {
        all.push(&mut column.row);
        all.extend(&mut column.coefficients);
    }
    all.extend(&mut proof.trace.multiplicities);
    all.extend(&mut proof.folds.folds);
    all.extend(&mut proof.folds.helpers);
    all.extend(&mut proof.folds.running_sum);
    all.extend([&mut proof.link.link, &mut proof.link.symmetric]);
    all.extend(&mut proof.quotient.pieces);
    all.extend([&mut proof.opening.first, &mut proof.opening.second, &mut proof.opening.delta]);
    all
}

/// Every field element of a proof.
fn scalars(proof: &mut Proof) -> Vec<&mut Fr> {
    let mut all: Vec<&mut Fr> = Vec::new();
    all.extend(&mut proof.link.fold_value);
    all.push(&mut proof.link.column_value);
    let values = &mut proof.evaluations;
    all.extend(values.advice.iter_mut().flatten());
    all.extend(&mut values.multiplicities);
    all.extend(&mut values.helpers);
    all.extend(values.running_sum.iter_mut().flatten());
    all.extend(values.fixed.iter_mut().flatten());
    all.push(&mut values.link);
    all.extend(values.input_fold.iter_mut().chain(&mut values.left_fold).flatten());
    all.push(&mut values.symmetric);
    all
}

fn change_fields(key: &VerifyingKey, pin: &zkloom_verifier::SrsPin, statement: &Statement, proof: &Proof) {
    let mut whole = proof.clone();
    let (point_count, scalar_count) = (points(&mut whole).len(), scalars(&mut whole).len());
    assert_eq!(32 * (point_count + scalar_count), proof.to_bytes().len(), "a field is missing here");
    let refused = |changed: &Proof, what: &str, index: usize| {
        assert_ne!(changed, proof);
        assert_eq!(verify(key, pin, statement, changed), Err(VerifyError::Invalid), "{what} {index}");
    };
    let point_changes: [fn(G1Affine) -> G1Affine; 3] =
        [|p| (p + G1Affine::generator()).into(), |p| -p, |_| G1Affine::identity()];
    for index in 0..point_count {
        for change in point_changes {
            let mut changed = proof.clone();
            let point = points(&mut changed).swap_remove(index);
            *point = change(*point);
            refused(&changed, "point", index);
        }
    }
    let scalar_changes: [fn(Fr) -> Fr; 3] =
        [|s| s + Fr::one(), |s| s + s + Fr::from(3), |_| Fr::from(12_345)];
    for index in 0..scalar_count {
        for change in scalar_changes {
            let mut changed = proof.clone();
            let scalar = scalars(&mut changed).swap_remove(index);
            *scalar = change(*scalar);
            refused(&changed, "scalar", index);
        }
    }
    // Two fields exchanged.
    let mut changed = proof.clone();
    changed.quotient.pieces.swap(0, 1);
    refused(&changed, "pieces", 0);
}

#[test]
fn every_field_of_a_proof() {
    let sample = Sample::new(&Shape::default());
    let of_sample = proved(&sample);
    change_fields(sample.key.verifying(), sample.srs.pin(), &of_sample.statement, &of_sample.proof);
    let gadget = Gadget::new(4, false);
    let of_gadget = proved(&gadget);
    change_fields(gadget.key().verifying(), gadget.srs().pin(), &of_gadget.statement, &of_gadget.proof);
}

/// The challenges after each round, and the transcript's end: the first one that differs between two proofs.
fn first_difference(setting: &impl Setting, statement: &Statement, (a, b): (&Proof, &Proof)) -> &'static str {
    let (key, pin) = (setting.key().verifying(), setting.srs().pin());
    let run = |proof: &Proof| {
        let mut transcript = Schedule::protocol().transcript(key.hash());
        let _ = verify_with(key, pin, statement, proof, &mut transcript);
        (transcript.known(), transcript.closing())
    };
    let (first, second) = (run(a), run(b));
    let names = ["theta", "beta", "alpha", "z", "nu", "u"];
    assert!(names.iter().all(|name| first.0.drawn(name).is_some()));
    let different = names.into_iter().find(|name| first.0.drawn(name) != second.0.drawn(name));
    assert_ne!(first.1, second.1);
    different.unwrap_or("end")
}

#[test]
fn every_field_is_bound_by_the_next_challenge() {
    let sample = Sample::new(&Shape::default());
    let Proved { statement, proof, .. } = proved(&sample);
    let mut changed = Vec::new();
    for index in 0..points(&mut proof.clone()).len() {
        let mut other = proof.clone();
        let point = points(&mut other).swap_remove(index);
        *point = -*point;
        changed.push(other);
    }
    for index in 0..scalars(&mut proof.clone()).len() {
        let mut other = proof.clone();
        *scalars(&mut other).swap_remove(index) += Fr::one();
        changed.push(other);
    }
    for other in changed {
        let expected = if other.trace != proof.trace {
            "theta"
        } else if other.folds != proof.folds {
            "beta"
        } else if other.link != proof.link {
            "alpha"
        } else if other.quotient != proof.quotient {
            "z"
        } else if other.evaluations != proof.evaluations {
            "nu"
        } else if other.opening.first != proof.opening.first {
            "u"
        } else {
            "end"
        };
        assert_eq!(first_difference(&sample, &statement, (&proof, &other)), expected);
    }
}

#[test]
fn every_element_of_the_bytes() {
    let sample = Sample::new(&Shape::default());
    let (key, pin) = (sample.key.verifying(), sample.srs.pin());
    let Proved { statement, proof, .. } = proved(&sample);
    let good = proof.to_bytes();
    let read =
        |bytes: &[u8]| Proof::from_bytes(key, bytes).and_then(|proof| verify(key, pin, &statement, &proof));
    assert_eq!(read(&good), Ok(()));
    let other = proved(&sample).proof.to_bytes();
    for at in (0..good.len()).step_by(32) {
        // Another proof's element is a valid one of the same kind.
        let mut changed = good.clone();
        changed[at..at + 32].copy_from_slice(&other[at..at + 32]);
        assert_eq!(read(&changed), Err(VerifyError::Invalid), "element at byte {at}");
        for flags in [0x40, 0x80, 0xc0] {
            let mut changed = good.clone();
            changed[at] ^= flags;
            let refused = read(&changed);
            assert!(matches!(refused, Err(VerifyError::Invalid | VerifyError::Encoding(_))), "{at} {flags}");
        }
        // A field element or coordinate that is not reduced; a low bit.
        let mut changed = good.clone();
        changed[at..at + 32].fill(0xff);
        assert!(matches!(read(&changed), Err(VerifyError::Encoding(_))), "element at byte {at}");
        let mut changed = good.clone();
        changed[at + 31] ^= 1;
        assert!(read(&changed).is_err(), "element at byte {at}");
        for cut in [at, at + 1, at + 31] {
            assert!(matches!(read(&good[..cut]), Err(VerifyError::Encoding(_))), "cut at byte {cut}");
        }
    }
    for extra in [1, 31, 32, 320] {
        let mut longer = good.clone();
        longer.resize(good.len() + extra, 0);
        assert!(matches!(read(&longer), Err(VerifyError::Encoding(_))));
    }
}

#[test]
fn proofs_of_other_shapes_and_keys() {
    let sample = Sample::new(&Shape::default());
    let other = Sample::new(&Shape::default());
    let fewer = Sample::new(&Shape { kinds: vec![Kind::Residual, Kind::Public], ..Shape::default() });
    let Proved { statement, proof, .. } = proved(&sample);
    // The same circuit and weights, hidden otherwise: another key.
    let again = verify(other.key.verifying(), sample.srs.pin(), &statement, &proof);
    assert_eq!(again, Err(VerifyError::Invalid));
    let statement = Statement { externals: Vec::new(), ..statement };
    let refused = verify(fewer.key.verifying(), sample.srs.pin(), &statement, &proof);
    assert!(matches!(refused, Err(VerifyError::ProofShape { .. })));
    assert!(Proof::from_bytes(fewer.key.verifying(), &proof.to_bytes()).is_err());
}

#[test]
fn extreme_witnesses() {
    let sample = Sample::new(&Shape::default());
    let prover = Prover::new(&sample.backend, &sample.srs, &sample.key).unwrap();
    let all = |value: i64| Inputs {
        dense: vec![value; 6],
        image: vec![value; 50],
        left: vec![value; 12],
        right: vec![value; 8],
        first: vec![value; 6],
        second: vec![value; 6],
    };
    // All zero, all equal, all at the table's ends: the prover checks the proof before it hands it out.
    for value in [0, 1, -1, 7, -8] {
        prover.prove(&sample.input(&all(value)), &mut |_| {}).unwrap();
    }
    // The sums are public: the largest is then 40, one past the end of their interval.
    let refused = prover.prove(&sample.input(&all(8)), &mut |_| {});
    assert!(matches!(
        refused,
        Err(ProveError::Statement(VerifyError::PublicRange { value: 40, max: 39, .. }))
    ));
    // One input past the end, in each tensor.
    let tensors: [fn(&mut Inputs) -> &mut Vec<i64>; 6] = [
        |i| &mut i.dense,
        |i| &mut i.image,
        |i| &mut i.left,
        |i| &mut i.right,
        |i| &mut i.first,
        |i| &mut i.second,
    ];
    for tensor in tensors {
        for value in [8, -9] {
            let mut inputs = all(0);
            *tensor(&mut inputs).last_mut().unwrap() = value;
            let refused = prover.prove(&sample.input(&inputs), &mut |_| {});
            assert!(matches!(refused, Err(ProveError::Lookup { .. })));
        }
    }
}
