//! Honest proofs are accepted, for every kind of claim; two proofs of one witness share nothing.

use zkloom_plonkish::mock::MockChecker;
use zkloom_verifier::{HashKind, Proof, SrsPin, VerifyError, verify, verify_batch};

use zkloom_backends::{Backend, CpuBackend, Several, Tier, registry, with_backend};
use zkloom_verifier::transcript::HashTranscript;

use super::sample::{ALL, Kind, Sample, Shape};
use crate::device::Prover;
use crate::prove::{Honest, Stage};
use crate::randomness::Blinding;

fn accepted(shape: &Shape) {
    let sample = Sample::new(shape);
    let input = sample.input(&sample.inputs);
    let checker = MockChecker { circuit: &sample.circuit, fixed: &sample.fixed, weights: &sample.weights };
    assert_eq!(checker.check(&input.witness, 5), []);
    let prover = Prover::new(&sample.backend, &sample.srs, &sample.key).unwrap();
    let proved = prover.prove(&input, &mut |_| {}).unwrap();
    let bytes = proved.proof.to_bytes();
    assert_eq!(bytes.len(), Proof::encoded_length(&sample.circuit));
    let key = sample.key.verifying();
    let again = Proof::from_bytes(key, &bytes).unwrap();
    assert_eq!(again, proved.proof);
    verify(key, sample.srs.pin(), &proved.statement, &again).unwrap();
}

#[test]
fn every_kind_of_claim() {
    for private in [true, false] {
        accepted(&Shape { private, ..Shape::default() });
    }
    accepted(&Shape { log_rows: 8, tensor_columns: 1, ..Shape::default() });
    accepted(&Shape { hash: HashKind::Blake3, blinding_rows: 8, ..Shape::default() });
    for kinds in [
        &[Kind::Dense, Kind::Residual, Kind::Public][..],
        &[Kind::Product, Kind::Residual, Kind::Public, Kind::External],
        &[Kind::Residual, Kind::Public, Kind::External],
        &[Kind::Depthwise, Kind::Residual, Kind::External],
        &[Kind::Residual],
    ] {
        accepted(&Shape { kinds: kinds.to_vec(), ..Shape::default() });
    }
}

#[test]
fn one_seed_gives_the_same_bytes_at_every_tier_and_number_of_threads() {
    let sample = Sample::new(&Shape { kinds: ALL.to_vec(), log_rows: 9, ..Shape::default() });
    let input = sample.input(&sample.inputs);
    let mut proofs = Vec::new();
    for tier in Tier::available() {
        for threads in [1, 2, 5] {
            let backend = CpuBackend::with_tier(Some(threads), tier).unwrap();
            let prover = Prover::new(&backend, &sample.srs, &sample.key).unwrap();
            let mut transcript = HashTranscript::new(sample.key.verifying().hash());
            let mut random = Blinding::from_seed(7);
            let (_, proof) = prover.prove_as(&input, &mut random, &mut transcript, &mut Honest).unwrap();
            proofs.push((tier, threads, proof.to_bytes()));
        }
    }
    for (tier, threads, bytes) in &proofs {
        assert_eq!(*bytes, proofs[0].2, "{tier:?}, {threads} threads");
    }
}

/// The proof that a device makes with seeded randomness.
fn seeded<B: Backend>(backend: &B, sample: &Sample) -> Vec<u8> {
    let prover = Prover::new(backend, &sample.srs, &sample.key).unwrap();
    let mut transcript = HashTranscript::new(sample.key.verifying().hash());
    let mut random = Blinding::from_seed(7);
    let input = sample.input(&sample.inputs);
    prover.prove_as(&input, &mut random, &mut transcript, &mut Honest).unwrap().1.to_bytes()
}

/// Whatever devices this build and machine have, software drivers of GPUs among them. `ZKLOOM_REQUIRE_DEVICES`, kinds with commas
/// between them, says which must be there.
#[test]
fn one_seed_gives_the_same_bytes_on_every_device() {
    let sample = Sample::new(&Shape { kinds: ALL.to_vec(), log_rows: 8, ..Shape::default() });
    let expected = seeded(&sample.backend, &sample);
    let others: Vec<_> = registry::found().into_iter().filter(|device| device.name != "cpu").collect();
    if others.is_empty() {
        println!("skipped: no device beside the processor was found");
    }
    let required = std::env::var("ZKLOOM_REQUIRE_DEVICES").unwrap_or_default();
    for kind in required.split(',').filter(|kind| !kind.is_empty()) {
        assert!(others.iter().any(|device| device.name.starts_with(kind)), "{kind}: {others:?}");
    }
    for device in others {
        let backend = registry::choose(&device.name, Some(2)).unwrap();
        let found = with_backend!(&backend, backend => seeded(backend, &sample));
        assert_eq!(found, expected, "{}: {}", device.name, device.description);
    }
}

/// Points and columns on several devices, each with a part of the work.
#[test]
fn one_seed_gives_the_same_bytes_on_several_devices() {
    let sample = Sample::new(&Shape { kinds: ALL.to_vec(), log_rows: 8, ..Shape::default() });
    let expected = seeded(&sample.backend, &sample);
    for count in [2, 3] {
        let members = (0..count).map(|_| CpuBackend::new(Some(1)).unwrap()).collect();
        let several = Several::new("several", members).unwrap().with_least_part(1);
        assert_eq!(seeded(&several, &sample), expected, "{count} devices");
        let launches: Vec<u64> = several.members().iter().map(|member| member.meter().launches()).collect();
        assert!(launches.iter().all(|launches| *launches > 30), "all have work: {launches:?}");
        assert!(several.meter().moved_bytes() > 0);
    }
}

/// Bytes to and from the device between the end of the trace's round and the end of the opening.
fn transferred(log_rows: u32) -> (usize, [u64; 2]) {
    let sample = Sample::new(&Shape { kinds: ALL.to_vec(), log_rows, ..Shape::default() });
    let input = sample.input(&sample.inputs);
    let prover = Prover::new(&sample.backend, &sample.srs, &sample.key).unwrap();
    let meter = sample.backend.meter();
    let mut seen = Vec::new();
    prover
        .prove(&input, &mut |stage| {
            seen.push((stage, [meter.uploaded_bytes(), meter.downloaded_bytes()]));
        })
        .unwrap();
    let at = |wanted| seen.iter().find(|(stage, _)| *stage == wanted).unwrap().1;
    let (from, to) = (at(Stage::Contraction), at(Stage::SelfCheck));
    (Proof::encoded_length(&sample.circuit), [to[0] - from[0], to[1] - from[1]])
}

/// Once the trace is on the device, what crosses the border is challenges, blinding, points and values: as much for many rows as
/// for few, and no more than some proofs.
#[test]
fn vectors_stay_on_the_device() {
    let (length, few) = transferred(9);
    let (_, many) = transferred(12);
    assert_eq!(few, many);
    assert!(few.iter().sum::<u64>() < 4 * length as u64, "{few:?} bytes for a proof of {length}");
}

#[test]
fn two_proofs_of_one_witness_share_no_element() {
    let sample = Sample::new(&Shape { kinds: ALL.to_vec(), ..Shape::default() });
    let input = sample.input(&sample.inputs);
    let prover = Prover::new(&sample.backend, &sample.srs, &sample.key).unwrap();
    let first = prover.prove(&input, &mut |_| {}).unwrap();
    let second = prover.prove(&input, &mut |_| {}).unwrap();
    assert_eq!(first.statement, second.statement);
    let (a, b) = (first.proof.to_bytes(), second.proof.to_bytes());
    for (index, (x, y)) in a.chunks(32).zip(b.chunks(32)).enumerate() {
        assert_ne!(x, y, "element {index}");
    }
}

#[test]
fn batches_of_proofs() {
    let samples =
        [Sample::new(&Shape::default()), Sample::new(&Shape { private: false, ..Shape::default() })];
    let mut proofs = Vec::new();
    for sample in &samples {
        let prover = Prover::new(&sample.backend, &sample.srs, &sample.key).unwrap();
        for _ in 0..2 {
            let proved = prover.prove(&sample.input(&sample.inputs), &mut |_| {}).unwrap();
            proofs.push((sample.key.verifying(), proved));
        }
    }
    let pin: &SrsPin = samples[0].srs.pin();
    let batch = |proofs: &[(_, crate::Proved)]| {
        let list: Vec<_> = proofs.iter().map(|(key, p)| (*key, &p.statement, &p.proof)).collect();
        verify_batch(pin, &list)
    };
    assert_eq!(batch(&proofs), Ok(()));
    assert_eq!(verify_batch(pin, &[]), Ok(()));
    // Errors that cancel in an unweighted sum: one proof's delta moved up, the other's down.
    let step = ark_bn254::G1Affine::from(pin.gamma_g1);
    proofs[0].1.proof.opening.delta = (proofs[0].1.proof.opening.delta + step).into();
    proofs[1].1.proof.opening.delta = (proofs[1].1.proof.opening.delta - step).into();
    assert_eq!(batch(&proofs), Err(VerifyError::Invalid));
}
