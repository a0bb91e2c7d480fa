//! A real proof with elements exchanged, repeated or added to each other, and with other public values: all valid encodings.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zkloom_fuzz::Fixture;
use zkloom_verifier::{Proof, Statement, verify, verify_batch};

fuzz_target!(|data: &[u8]| {
    let fixture = Fixture::get();
    let [.., base] = Fixture::BYTES;
    let Some((&count, rest)) = data.split_first() else { return };
    let (publics, moves) = rest.split_at((8 * usize::from(count % 8)).min(rest.len()));
    let values: Vec<i64> = publics
        .chunks_exact(8)
        .map(|chunk| i64::from_be_bytes(chunk.try_into().unwrap_or_default()))
        .collect();
    let statement = if values.is_empty() {
        fixture.statement.clone()
    } else {
        Statement { publics: vec![values], externals: Vec::new() }
    };
    // Elements are 32 bytes; a move copies one over another.
    let mut bytes = base.to_vec();
    let elements = base.len() / 32;
    for step in moves.chunks_exact(2) {
        let [from, to] = [step[0], step[1]].map(|index| 32 * (usize::from(index) % elements));
        bytes.copy_within(from..from + 32, to);
    }
    let Ok(proof) = Proof::from_bytes(&fixture.key, &bytes) else { return };
    let genuine = bytes == base && statement == fixture.statement;
    assert_eq!(verify(&fixture.key, &fixture.pin, &statement, &proof).is_ok(), genuine);
    let pair = [(&fixture.key, &fixture.statement, &fixture.proof), (&fixture.key, &statement, &proof)];
    assert_eq!(verify_batch(&fixture.pin, &pair).is_ok(), genuine);
});
