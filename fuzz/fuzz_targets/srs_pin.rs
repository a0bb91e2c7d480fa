//! Any bytes as a verifier's trusted points.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zkloom_fuzz::{Fixture, decode, patched};
use zkloom_verifier::{SrsPin, verify};

fuzz_target!(|data: &[u8]| {
    let [_, base, _] = Fixture::BYTES;
    let Some(pin) = decode::<SrsPin>(&patched(base, data)) else { return };
    assert!(pin.is_consistent());
    let fixture = Fixture::get();
    let answer = verify(&fixture.key, &pin, &fixture.statement, &fixture.proof);
    assert_eq!(answer.is_ok(), pin == fixture.pin);
});
