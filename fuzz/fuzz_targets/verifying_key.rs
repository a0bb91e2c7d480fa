//! Any bytes as a key: decoding ends, and so does verifying a real proof of another key.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zkloom_fuzz::{Fixture, decode, patched};
use zkloom_verifier::{Proof, VerifyingKey, verify};

fuzz_target!(|data: &[u8]| {
    let [base, _, proof] = Fixture::BYTES;
    let bytes = patched(base, data);
    let Some(key) = decode::<VerifyingKey>(&bytes) else { return };
    let fixture = Fixture::get();
    let answer = verify(&key, &fixture.pin, &fixture.statement, &fixture.proof);
    assert_eq!(answer.is_ok(), bytes == base);
    let _ = Proof::from_bytes(&key, proof);
    let _ = Proof::encoded_length(key.circuit());
});
