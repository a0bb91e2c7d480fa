//! Whatever the bytes, decoders answer; what they accept encodes to the same bytes, and verifying it ends with an answer too.

mod common;

use common::{Fixture, NAMES, Numbers, load};
use zkloom_plonkish::{Circuit, Decode, Encode};
use zkloom_verifier::{Proof, SrsPin, Statement, VerifyError, VerifyingKey, verify};

/// Reads a value; what is accepted is canonical.
fn decode<T: Decode + Encode>(bytes: &[u8]) -> Option<T> {
    let value = T::from_slice(bytes).ok()?;
    assert_eq!(value.to_vec(), bytes, "another encoding of the same value");
    Some(value)
}

#[test]
fn random_bytes() {
    let fixture = load("gadget");
    let mut numbers = Numbers(5);
    for round in 0..2_000 {
        let length = numbers.below(if round % 2 == 0 { 64 } else { 4_000 });
        let bytes = numbers.bytes(length);
        assert!(Proof::from_bytes(&fixture.key, &bytes).is_err());
        assert!(decode::<VerifyingKey>(&bytes).is_none());
        assert!(decode::<SrsPin>(&bytes).is_none());
        assert!(decode::<Circuit>(&bytes).is_none());
    }
}

#[test]
fn mutated_proofs() {
    let mut numbers = Numbers(6);
    let (mut read, mut refused) = (0, 0);
    for fixture in NAMES.map(load) {
        for _ in 0..700 {
            let mut bytes = fixture.proof_bytes.clone();
            numbers.mutate(&mut bytes);
            if bytes == fixture.proof_bytes {
                continue;
            }
            match Proof::from_bytes(&fixture.key, &bytes) {
                Ok(proof) => {
                    assert_eq!(proof.to_bytes(), bytes, "another encoding of the same proof");
                    let answer = verify(&fixture.key, &fixture.pin, &fixture.statement, &proof);
                    assert_eq!(answer, Err(VerifyError::Invalid));
                    read += 1;
                }
                Err(error) => {
                    assert!(matches!(error, VerifyError::Encoding(_)));
                    refused += 1;
                }
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

/// A mutated key either fails to decode or is another key, for which the proof is none.
fn mutated_key(fixture: &Fixture, bytes: &[u8]) -> bool {
    let Some(key) = decode::<VerifyingKey>(bytes) else { return false };
    assert_ne!(key.digest(), fixture.key.digest());
    assert!(verify(&key, &fixture.pin, &fixture.statement, &fixture.proof).is_err());
    let _ = Proof::from_bytes(&key, &fixture.proof_bytes);
    let _ = Proof::encoded_length(key.circuit());
    true
}

#[test]
fn mutated_keys() {
    let mut numbers = Numbers(7);
    let mut read = 0;
    for fixture in NAMES.map(load) {
        for _ in 0..500 {
            let mut bytes = fixture.key_bytes.clone();
            numbers.mutate(&mut bytes);
            if bytes != fixture.key_bytes {
                read += u32::from(mutated_key(&fixture, &bytes));
            }
        }
        // Every byte once, most of them lengths, indices and exponents.
        for at in (0..fixture.key_bytes.len()).step_by(3) {
            let mut bytes = fixture.key_bytes.clone();
            bytes[at] = bytes[at].wrapping_add(1);
            read += u32::from(mutated_key(&fixture, &bytes));
        }
    }
    assert!(read > 100, "{read}");
}

#[test]
fn mutated_pins() {
    let fixture = load("gadget");
    let mut numbers = Numbers(8);
    for _ in 0..500 {
        let mut bytes = fixture.pin_bytes.clone();
        numbers.mutate(&mut bytes);
        if let Some(pin) = decode::<SrsPin>(&bytes).filter(|pin| *pin != fixture.pin) {
            let answer = verify(&fixture.key, &pin, &fixture.statement, &fixture.proof);
            assert!(matches!(answer, Err(VerifyError::OtherSrs { .. })));
        }
    }
}

#[test]
fn random_statements() {
    let mut numbers = Numbers(9);
    for fixture in NAMES.map(load) {
        for _ in 0..100 {
            let count = numbers.below(8);
            let values = (0..count).map(|_| numbers.next() as i64 >> numbers.below(64)).collect();
            let statement = Statement { publics: vec![values], ..fixture.statement.clone() };
            assert_ne!(verify(&fixture.key, &fixture.pin, &statement, &fixture.proof), Ok(()));
        }
    }
}
