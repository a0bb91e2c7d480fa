//! Real proofs are accepted; every way of being refused is produced.

mod common;

use std::collections::BTreeMap;

use common::{Fixture, NAMES, load};
use zkloom_plonkish::field::root_of_unity;
use zkloom_plonkish::{Decode, DecodeError, Encode};
use zkloom_verifier::transcript::{HashTranscript, Message};
use zkloom_verifier::{
    Fr, G1Affine, Proof, SrsKind, SrsPin, Statement, Transcript, VerifyError, VerifyingKey, verify,
    verify_batch, verify_with,
};

fn check(fixture: &Fixture) -> Result<(), VerifyError> {
    verify(&fixture.key, &fixture.pin, &fixture.statement, &fixture.proof)
}

fn shorten<T>(list: &mut Vec<T>) {
    list.pop();
}

#[test]
fn real_proofs_are_accepted() {
    let fixtures = NAMES.map(load);
    for fixture in &fixtures {
        assert_eq!(check(fixture), Ok(()));
        assert_eq!(fixture.proof.to_bytes(), fixture.proof_bytes);
        assert_eq!(fixture.key.to_vec(), fixture.key_bytes);
        assert_eq!(fixture.pin.to_vec(), fixture.pin_bytes);
        assert_eq!(fixture.proof_bytes.len(), Proof::encoded_length(fixture.key.circuit()));
    }
    let all: Vec<_> = fixtures.iter().map(|f| (&f.key, &f.statement, &f.proof)).collect();
    assert_eq!(verify_batch(&fixtures[0].pin, &all), Ok(()));
    let crossed = [(&fixtures[0].key, &fixtures[0].statement, &fixtures[1].proof), all[2]];
    assert_eq!(verify_batch(&fixtures[0].pin, &crossed), Err(VerifyError::Invalid));
}

#[test]
fn other_srs() {
    let mut fixture = load("gadget");
    // The same points, but said to be from a ceremony: even that is another identity.
    fixture.pin.kind = SrsKind::Ceremony;
    let Err(VerifyError::OtherSrs { key, pinned }) = check(&fixture) else { panic!() };
    assert_ne!(key, pinned);
    assert_eq!((key.len(), pinned.len()), (64, 64));
    let mut fixture = load("gadget");
    fixture.pin.tau_g2 = fixture.pin.gamma_g2;
    assert!(!fixture.pin.is_consistent());
    assert!(matches!(check(&fixture), Err(VerifyError::OtherSrs { .. })));
    assert!(SrsPin::from_slice(&fixture.pin.to_vec()).is_err());
}

#[test]
fn statement_shape() {
    let refused = |change: fn(&mut Statement), text: &str| {
        let mut fixture = load("all-kinds-keccak");
        change(&mut fixture.statement);
        let error = check(&fixture).unwrap_err();
        assert!(matches!(error, VerifyError::StatementShape { .. }), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    };
    refused(|s| s.publics.clear(), "0 public tensors");
    refused(|s| s.publics.push(vec![]), "2 public tensors");
    refused(|s| s.externals.clear(), "0 external commitments");
    refused(|s| s.externals.push(s.externals[0]), "2 external commitments");
    refused(|s| s.publics[0].truncate(5), "5 values of public tensor `ss`");
    refused(|s| s.publics[0].push(0), "7 values of public tensor `ss`");
}

#[test]
fn public_range() {
    let mut fixture = load("gadget");
    for value in [-1, 16, i64::MAX, i64::MIN] {
        fixture.statement.publics[0][2] = value;
        let error = check(&fixture).unwrap_err();
        let tensor = "activations".to_owned();
        assert_eq!(error, VerifyError::PublicRange { tensor, index: 2, value, min: 0, max: 15 });
    }
}

#[test]
fn encoding() {
    let fixture = load("gadget");
    let read = |bytes: &[u8]| Proof::from_bytes(&fixture.key, bytes).unwrap_err();
    let mut bytes = fixture.proof_bytes.clone();
    bytes.push(0);
    assert_eq!(read(&bytes), VerifyError::Encoding(DecodeError::Trailing { count: 1 }));
    bytes.truncate(bytes.len() - 2);
    assert!(matches!(read(&bytes), VerifyError::Encoding(DecodeError::Truncated { .. })));
    let mut bytes = fixture.proof_bytes.clone();
    bytes[0] &= 0x3f;
    assert!(matches!(read(&bytes), VerifyError::Encoding(DecodeError::Invalid { .. })));
    assert!(matches!(read(&[]), VerifyError::Encoding(DecodeError::Truncated { .. })));
}

#[test]
fn proof_shape() {
    type Change = fn(&mut Proof);
    let changes: [(&str, Change); 24] = [
        ("advice commitments", |p| shorten(&mut p.trace.advice)),
        ("coefficient-form commitments", |p| p.trace.advice[0].coefficients = None),
        ("coefficient-form commitments", |p| p.trace.advice[2].coefficients = Some(G1Affine::default())),
        ("multiplicity commitments", |p| shorten(&mut p.trace.multiplicities)),
        ("fold commitments", |p| p.folds.folds.push(G1Affine::default())),
        ("fold commitments", |p| p.folds.folds.clear()),
        ("helper commitments", |p| shorten(&mut p.folds.helpers)),
        ("running sums", |p| p.folds.running_sum = None),
        ("fold values", |p| p.link.fold_value = None),
        ("quotient pieces", |p| shorten(&mut p.quotient.pieces)),
        ("quotient pieces", |p| p.quotient.pieces.push(G1Affine::default())),
        ("opened columns", |p| shorten(&mut p.evaluations.advice)),
        ("opened columns", |p| p.evaluations.fixed.push(vec![])),
        ("values of a column", |p| shorten(&mut p.evaluations.advice[0])),
        ("values of a column", |p| p.evaluations.advice[1].clear()),
        ("values of a column", |p| p.evaluations.fixed[0].push(Fr::from(0))),
        ("multiplicity values", |p| p.evaluations.multiplicities.clear()),
        ("helper values", |p| p.evaluations.helpers.push(Fr::from(1))),
        ("running sum values", |p| p.evaluations.running_sum = None),
        ("input fold values", |p| p.evaluations.input_fold = None),
        ("left fold values", |p| p.evaluations.left_fold = Some([Fr::from(0); 2])),
        ("advice commitments", |p| p.trace.advice.clear()),
        ("helper values", |p| p.evaluations.helpers.clear()),
        ("opened columns", |p| p.evaluations.fixed.clear()),
    ];
    for (text, change) in changes {
        let mut fixture = load("gadget");
        change(&mut fixture.proof);
        let error = check(&fixture).unwrap_err();
        assert!(matches!(error, VerifyError::ProofShape { .. }), "{text}: {error}");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

/// The real transcript, but for some challenges.
struct Chosen {
    inner: HashTranscript,
    values: BTreeMap<&'static str, Fr>,
}

impl Transcript for Chosen {
    fn absorb(&mut self, label: &'static str, message: &Message) {
        self.inner.absorb(label, message);
    }

    fn challenge(&mut self, name: &'static str) -> Fr {
        let drawn = self.inner.challenge(name);
        self.values.get(name).copied().unwrap_or(drawn)
    }

    fn closing(&self) -> [u8; 32] {
        self.inner.closing()
    }
}

#[test]
fn degenerate_challenges() {
    use ark_ff::Field;
    let fixture = load("gadget");
    let (zero, one, three) = (Fr::from(0), Fr::from(1), Fr::from(3));
    let root = root_of_unity(fixture.key.circuit().log_rows).unwrap();
    let third = three.inverse().unwrap();
    let cases: [(&str, &[(&'static str, Fr)]); 14] = [
        ("z is zero", &[("z", zero)]),
        ("root of unity", &[("z", one)]),
        ("root of unity", &[("z", -one)]),
        ("root of unity", &[("z", root)]),
        ("beta is zero", &[("beta", zero)]),
        ("root of unity", &[("beta", one)]),
        ("root of unity", &[("beta", root * root)]),
        ("coincide", &[("z", three), ("beta", three)]),
        ("coincide", &[("z", three), ("beta", third)]),
        ("coincide", &[("z", three), ("beta", three * root)]),
        ("u' is an opening point", &[("z", three), ("u", three)]),
        ("u' is an opening point", &[("z", three), ("u", third)]),
        ("u' is an opening point", &[("beta", three), ("u", three)]),
        ("u' is an opening point", &[("u", one)]),
    ];
    for (text, values) in cases {
        let inner = HashTranscript::new(fixture.key.hash());
        let mut transcript = Chosen { inner, values: values.iter().copied().collect() };
        let (pin, statement) = (&fixture.pin, &fixture.statement);
        let error = verify_with(&fixture.key, pin, statement, &fixture.proof, &mut transcript).unwrap_err();
        assert!(matches!(error, VerifyError::Degenerate { .. }), "{text}: {error}");
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

#[test]
fn inconsistent_keys() {
    let key = load("all-kinds-keccak").key;
    let refused = |text: &str, change: fn(&mut Parts)| {
        let circuit = key.circuit().clone();
        let mut parts = Parts { circuit, fixed: key.fixed().to_vec(), matrices: key.matrices().to_vec() };
        change(&mut parts);
        let error =
            VerifyingKey::new(parts.circuit, key.hash(), key.srs(), parts.fixed, parts.matrices).unwrap_err();
        assert!(matches!(error, VerifyError::Key { .. }), "{text}: {error}");
        assert!(error.to_string().contains(text), "{text}: {error}");
    };
    refused("4 commitments for 5 fixed columns", |p| shorten(&mut p.fixed));
    refused("commitments for 2 of 3 matrices", |p| shorten(&mut p.matrices));
    refused("2 commitments for the 3 rows of `dense`", |p| shorten(&mut p.matrices[0]));
    refused("blinding rows", |p| p.circuit.blinding_rows = 1);
    refused("maximal degree", |p| p.circuit.max_degree = 100);
    refused("blinding rows is 8192, allowed is 4 to 256", |p| {
        p.circuit.log_rows = 14;
        p.circuit.blinding_rows = 8192;
    });
}

/// Parts of a key.
struct Parts {
    circuit: zkloom_plonkish::Circuit,
    fixed: Vec<G1Affine>,
    matrices: Vec<Vec<G1Affine>>,
}

#[test]
fn invalid_proofs() {
    let (first, second) = (load("all-kinds-keccak"), load("all-kinds-blake3"));
    let crossed = verify(&first.key, &first.pin, &first.statement, &second.proof);
    assert_eq!(crossed, Err(VerifyError::Invalid));
    // The other hash over the same key and proof.
    let circuit = first.key.circuit().clone();
    let (fixed, matrices) = (first.key.fixed().to_vec(), first.key.matrices().to_vec());
    let other = VerifyingKey::new(circuit, second.key.hash(), first.key.srs(), fixed, matrices).unwrap();
    let refused = verify(&other, &first.pin, &first.statement, &first.proof);
    assert_eq!(refused, Err(VerifyError::Invalid));
}
