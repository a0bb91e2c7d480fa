//! Any bytes as a proof: only the real one is accepted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zkloom_fuzz::{Fixture, patched};
use zkloom_verifier::{Proof, verify};

fuzz_target!(|data: &[u8]| {
    let fixture = Fixture::get();
    let [.., base] = Fixture::BYTES;
    let bytes = patched(base, data);
    let Ok(proof) = Proof::from_bytes(&fixture.key, &bytes) else { return };
    assert_eq!(proof.to_bytes(), bytes, "another encoding of the same proof");
    let answer = verify(&fixture.key, &fixture.pin, &fixture.statement, &proof);
    assert_eq!(answer.is_ok(), bytes == base);
});
